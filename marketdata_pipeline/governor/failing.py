"""Providers that do not serve, for a person to know of: shut, turning away, refusing a key.

Not here: how a provider is otherwise (health), what a person is told (ingest.alerting).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from marketdata_pipeline.database.dialect import wall_micros
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.domain.gate import Circuit, Ending, Turns
from marketdata_pipeline.domain.ranges import from_micros
from marketdata_pipeline.governor.governor import Governor
from marketdata_pipeline.governor.logged import Logged, read_log

_NEWEST = 50


class Failing(StrEnum):
    """How it fails."""

    SHUT = "shut"
    """Its breaker is open, or waits for the one request that tries whether it is back."""
    BLOCKED = "blocked"
    CREDENTIALS = "credentials"


@dataclass(frozen=True, slots=True)
class Failure:
    """A provider that does not serve.

    Attributes:
        key: the provider's name; behind a slash its bucket's or credential's.
        since: the first of the failures in a row, as far back as the log goes.
        served_at: the last request that it served; None: none is known.
        requests: how many in a row were not served, as far as was looked.
    """

    key: str
    failing: Failing
    since: datetime
    served_at: datetime | None
    requests: int


def failures(governor: Governor) -> list[Failure]:
    """Which providers do not serve now, by their keys; takes no turn.

    Raises:
        StoreError: the catalog is unreadable.
    """
    turns = {one.provider: one for one in governor.turns()}
    if not turns:
        return []
    with reading(governor.engine) as connection:
        now = from_micros(wall_micros(connection, governor.clock))
        log = read_log(connection, list(turns), now, most=_NEWEST)
    found = (_failure(one, log[key], now) for key, one in sorted(turns.items()))
    return [one for one in found if one is not None]


def _failure(turns: Turns, log: Logged, now: datetime) -> Failure | None:
    failing = _failing(turns, log)
    if failing is None:
        return None
    row = _in_a_row(log)
    since = row[-1] if row else log.served_at or now
    return Failure(turns.provider, failing, since, log.served_at, len(row))


def _failing(turns: Turns, log: Logged) -> Failing | None:
    last = next((one.ending for one in log.newest if one.ending is not Ending.ABANDONED), None)
    if last is Ending.CREDENTIALS:
        return Failing.CREDENTIALS
    if last is Ending.BLOCKED:
        return Failing.BLOCKED
    return None if turns.circuit is Circuit.CLOSED else Failing.SHUT


def _in_a_row(log: Logged) -> Sequence[datetime]:
    """When the newest requests ended of which none was served, the newest first."""
    ended = []
    for one in log.newest:
        if log.served_at is not None and one.ended_at <= log.served_at:
            break
        if one.ending is not Ending.ABANDONED:
            ended.append(one.ended_at)
    return ended
