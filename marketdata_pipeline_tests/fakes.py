"""Stand-ins that several tests share: clocks that stand still, gates that count.

Not here: anything that imitates a provider; the simulator and recorded replies do.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.gate import Attempt, Turn
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import RateLimited

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


class RealWall(FrozenClock):
    """Market time stands; wall time is the machine's, and sleeping takes it."""

    def wall_now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        SystemClock().sleep(seconds)


@dataclass
class OpenGate:
    """A gate that always has a turn; it counts them and keeps what it is told.

    ``shut`` is raised instead of giving one.
    """

    key: str = "yahoo"
    shut: RateLimited | None = None
    given: list[Turn] = field(default_factory=list)
    reported: list[tuple[Turn, Attempt]] = field(default_factory=list)

    @property
    def turns(self) -> int:
        return len(self.given)

    @property
    def attempts(self) -> list[Attempt]:
        return [attempt for _, attempt in self.reported]

    def turn(self, errand: Errand, series: Series | None = None, *, weight: int = 1) -> Turn:
        del weight
        if self.shut is not None:
            raise self.shut
        turn = Turn(self.key, len(self.given), errand, series)
        self.given.append(turn)
        return turn

    def report(self, turn: Turn, attempt: Attempt) -> None:
        self.reported.append((turn, attempt))
