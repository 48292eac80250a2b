"""What becomes of a backfill after its run, as a pure function of what went wrong.

Not here: writing it (store.launches), and the errors themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from marketdata_pipeline.domain.backfill import Backfill, Status
from marketdata_pipeline.errors import (
    CredentialsRefused,
    CutOff,
    MarketDataError,
    NotDone,
    RateLimited,
    StoreError,
    Unavailable,
    UnknownSymbol,
)
from marketdata_pipeline.store.launches import After

_DOUBLINGS = 3
LOST = "lost"


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and after how long a backfill is begun again.

    Attributes:
        attempts: that fail by its own fault, until it is given up.
        base: minutes to the power of their number lie between those.
        setback: after one by nobody's fault; twice, four, eight times as long after more in a row.
        unresolved: until a symbol that no provider knows is asked for again.
        minute: how long one of those minutes takes.
    """

    attempts: int = 5
    base: float = 2.0
    setback: timedelta = timedelta(minutes=5)
    unresolved: timedelta = timedelta(days=1)
    minute: timedelta = timedelta(minutes=1)


def after(
    errors: Sequence[MarketDataError], row: Backfill, now: datetime, patience: Patience
) -> After:
    """What becomes of a row some of whose series failed; no errors: it is completed.

    The error counts that says the most of when to begin again: no turn, then what is nobody's
    fault, then a run that ended before, then an unknown symbol, then the row's own.
    """
    if not errors:
        return After(Status.COMPLETED)
    limited = [one for one in errors if isinstance(one, RateLimited)]
    if limited:
        last = max(limited, key=lambda one: one.retry_at)
        return _again(Status.RATE_LIMITED, last, last.retry_at)
    if passing := [one for one in errors if _is_nobodys(one)]:
        at = now + delay(row.setbacks, patience)
        return _again(Status.PENDING, passing[0], at, setback=True)
    for kind, wait in ((NotDone, timedelta(0)), (UnknownSymbol, patience.unresolved)):
        found = next((one for one in errors if isinstance(one, kind)), None)
        if found is not None:
            return _again(Status.PENDING, found, now + wait)
    return _own(errors[0], row, now, patience)


def passing(error: MarketDataError) -> bool:
    """Whether it is nobody's fault: the same backfill, begun later, may come to its end."""
    return isinstance(error, RateLimited | NotDone) or _is_nobodys(error)


def _is_nobodys(error: MarketDataError) -> bool:
    """Whether it is not the backfill's own fault: it passes, or a person mends it for all.

    That others of its batch failed is such a setback too: begun at once, they would fail again.
    That there is no provider at all for what is wanted does not pass.
    """
    if isinstance(error, Unavailable):
        return bool(error.provider)
    return isinstance(error, StoreError | CredentialsRefused | CutOff)


def delay(setbacks: int, patience: Patience) -> timedelta:
    """How long after a setback that was preceded by so many in a row."""
    return patience.setback * (1 << min(setbacks, _DOUBLINGS))


def after_loss(row: Backfill, now: datetime, patience: Patience) -> After:
    """What becomes of a row whose run died, or never began it: at once the first time."""
    wait = delay(row.setbacks - 1, patience) if row.setbacks else timedelta(0)
    message = "no run has begun it"
    if row.status is Status.IN_PROGRESS:
        message = f"its run {row.run_id} ended without a word of it"
    return After(Status.PENDING, now + wait, setback=True, category=LOST, message=message)


def _again(status: Status, error: MarketDataError, at: datetime, *, setback: bool = False) -> After:
    return After(status, at, setback=setback, category=error.category, message=str(error))


def _own(error: MarketDataError, row: Backfill, now: datetime, patience: Patience) -> After:
    failed = row.attempts + 1
    given_up = failed >= patience.attempts
    wait = patience.minute * patience.base**failed
    return After(
        Status.FAILED if given_up else Status.PENDING,
        None if given_up else now + wait,
        own=True,
        category=error.category,
        message=str(error),
    )
