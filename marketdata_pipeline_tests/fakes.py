"""Stand-ins that several tests share: clocks that stand still, gates that count.

Not here: anything that imitates a provider; the simulator and recorded replies do.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Lines = Callable[[str], list[dict[str, Any]]]
"""The log lines of an event so far: what the fixture ``log_lines`` gives."""


@dataclass
class FrozenClock:
    """A clock that stands until it is told otherwise; sleeping advances both hands."""

    market: datetime = datetime(2024, 3, 15, 21, tzinfo=UTC)
    wall: datetime = datetime(2024, 3, 15, 21, tzinfo=UTC)
    slept: list[float] = field(default_factory=list)

    def market_now(self) -> datetime:
        return self.market

    def wall_now(self) -> datetime:
        return self.wall

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(timedelta(seconds=seconds))

    def advance(self, by: timedelta) -> None:
        self.market += by
        self.wall += by


@dataclass
class OpenGate:
    """A gate that always has a turn and counts them."""

    turns: int = 0
    cooldowns: list[timedelta | None] = field(default_factory=list)

    def turn(self) -> None:
        self.turns += 1

    def cool_down(self, retry_after: timedelta | None) -> None:
        self.cooldowns.append(retry_after)
