"""How a batch goes: whether it goes on to the next series, or ends before all are done.

Not here: the series (batch), and what is done about those that are left.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.errors import (
    CredentialsRefused,
    CutOff,
    MalformedReply,
    MarketDataError,
    NotDone,
    ProviderError,
    Unavailable,
)

FEWEST = 10
"""So many series have to fail before the share of them says anything."""


def blames_provider(error: MarketDataError | None) -> bool:
    """Whether a series failed because its provider does not work.

    That it does not know an instrument, goes back no further or wants to be asked later is a
    proper answer; that no provider serves a series at all is nobody's fault.
    """
    failing = Unavailable | MalformedReply | CredentialsRefused
    return isinstance(error, ProviderError) and isinstance(error, failing) and bool(error.provider)


def too_many(failed: int, done: int, share: float) -> bool:
    """Whether so many of those that are done failed that the others need not be tried."""
    return failed >= FEWEST and failed > share * done


@dataclass(slots=True, eq=False)
class Course:
    """Counts what came of the series of a batch that begins now; its threads may tell at once.

    Attributes:
        within: the time after which no further series is begun; None: there is none.
        share: of failures because of a provider above which none is; 1: none ends it.
        until: the wall instant at which that time is over; None: it never is.
    """

    clock: Clock
    within: timedelta | None = None
    share: float = 1.0
    until: datetime | None = field(init=False)
    _done: int = 0
    _failed: int = 0
    _over: NotDone | None = None
    _lock: Lock = field(default_factory=Lock, repr=False)

    def __post_init__(self) -> None:
        self.until = None if self.within is None else self.clock.wall_now() + self.within

    def note(self, error: MarketDataError | None) -> None:
        """One more series is done, with or without an error; one that is not done counts not."""
        if isinstance(error, NotDone):
            return
        with self._lock:
            self._done += 1
            self._failed += blames_provider(error)
            if not self._over and too_many(self._failed, self._done, self.share):
                told = f"{self._failed} of {self._done} failed"
                self._over = CutOff(f"not begun, since {told}: {error}")

    def stop(self) -> None:
        """Nobody waits for what would come."""
        self._over = self._over or NotDone("not begun, since the run was ended")

    def go_on(self) -> None:
        """Pass where the next series may begin.

        Raises:
            NotDone: none may; the text says why.
            CutOff: the same, too many failed.
        """
        if self._over is not None:
            raise type(self._over)(str(self._over))  # one a thread: each has a traceback of its own
        if self.within is None or self.until is None:
            return
        if self.clock.wall_now() >= self.until:
            seconds = self.within.total_seconds()
            raise NotDone(f"not begun within {seconds:.0f} s of its run; the next one goes on")
