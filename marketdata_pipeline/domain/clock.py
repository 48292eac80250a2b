"""The two clocks: market time (which bars are closed) and wall time (turns, leases, journals).

Not here: frozen clocks, which only tests need, and the database's clock.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What everything below the edges is handed instead of the machine's clock."""

    def market_now(self) -> datetime:
        """Aware UTC; decides which bars are closed and which sessions are open."""
        ...

    def wall_now(self) -> datetime:
        """Aware UTC; decides turns, cooldowns, leases, fetched_at."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait that many wall seconds."""
        ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    """Both clocks are the machine's: a live home."""

    def market_now(self) -> datetime:
        """The machine's time."""
        return datetime.now(UTC)

    def wall_now(self) -> datetime:
        """The machine's time."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait; no time at all for a moment that is over."""
        time.sleep(max(0.0, seconds))  # noqa: TID251 - the one place that waits


@dataclass(frozen=True, slots=True)
class ReplayClock(SystemClock):
    """Market time starts at ``market_start`` at the wall instant ``wall_start``; real speed.

    Every process that is given the same pair agrees on the market time.
    """

    market_start: datetime
    wall_start: datetime

    def market_now(self) -> datetime:
        """The market instant that belongs to the machine's time."""
        return self.market_start + (datetime.now(UTC) - self.wall_start)
