"""How far a run is: counted as series finish, spelled as lines of its log, read from them again.

Not here: logging the lines (the asset's body) and showing them to a person (the command line).
"""

import re
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.governor.waits import Waits

if TYPE_CHECKING:  # who reads the lines needs nothing of what makes an update
    from marketdata_pipeline.ingest.outcome import Outcome

SMALL = 20
"""Series of a run up to which each has a line of its own."""
_SHARES = 20
"""Lines of a larger run, one for every 5 %, ..."""
_MOST = 100
"""... or for so many series where those are more often."""
_LATELY = 5
"""Lines over which the pace is told: a quarter of a run."""
_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class SeriesDone:
    """A series that a run is done with; ``error`` says why it is not up to date."""

    done: int
    total: int
    series: str
    new: int
    stored: int
    requests: int
    error: str | None = None

    @classmethod
    def parse(cls, line: str) -> Self | None:
        """The one that a line of a log tells of, or None."""
        found = _SERIES.search(line)
        if found is None:
            return None
        count = {name: int(found[name]) for name in ("done", "total", "new", "stored", "requests")}
        return cls(series=found["series"], error=found["error"], **count)

    def __str__(self) -> str:
        told = f"new={self.new} stored={self.stored} requests={self.requests}"
        failed = "" if self.error is None else f" failed: {self.error}"
        return f"{self.done}/{self.total} series={self.series} {told}{failed}"


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run came to so far.

    Attributes:
        done, total: series.
        new, requests: bars that were not stored before, HTTP requests sent.
        failed: series that are not up to date.
        series_a_minute, requests_a_minute: lately, since a burst says nothing of what follows it.
        waits, waited: how often requests waited for a turn, and the seconds of all of them.
    """

    done: int
    total: int
    new: int
    requests: int
    failed: int
    series_a_minute: float
    requests_a_minute: float
    waits: int
    waited: float

    @classmethod
    def parse(cls, line: str) -> Self | None:
        """The one that a line of a log tells of, or None."""
        found = _PROGRESS.search(line)
        if found is None:
            return None
        return cls(
            done=int(found["done"]),
            total=int(found["total"]),
            new=int(found["new"]),
            requests=int(found["requests"]),
            failed=int(found["failed"]),
            series_a_minute=float(found["series"]),
            requests_a_minute=float(found["asked"]),
            waits=int(found["waits"]),
            waited=float(found["waited"]),
        )

    @property
    def left(self) -> timedelta | None:
        """How long the rest takes where it goes on like that; None: nobody can tell."""
        if not self.series_a_minute:
            return None
        return timedelta(seconds=round((self.total - self.done) * _MINUTE / self.series_a_minute))

    def __str__(self) -> str:
        left = "-" if self.left is None else self.left
        return (
            f"{self.done}/{self.total} new={self.new} requests={self.requests} "
            f"failed={self.failed} series_a_minute={self.series_a_minute:.1f} "
            f"requests_a_minute={self.requests_a_minute:.1f} "
            f"waits={self.waits} waited={self.waited:.1f} left={left}"
        )


@dataclass(frozen=True, slots=True)
class Leftover:
    """The series, as they are spelled, that a run ended before; ``why`` of the first of them."""

    total: int
    series: tuple[str, ...]
    why: str

    @classmethod
    def parse(cls, line: str) -> Self | None:
        """The one that a line of a log tells of, or None."""
        found = _LEFTOVER.search(line)
        if found is None:
            return None
        return cls(int(found["total"]), tuple(found["series"].split(",")), found["why"])

    def __str__(self) -> str:
        return f"not done: {len(self.series)} of {self.total}, {self.why}: {','.join(self.series)}"


_SERIES = re.compile(
    r"(?P<done>\d+)/(?P<total>\d+) series=(?P<series>\S+) new=(?P<new>\d+) "
    r"stored=(?P<stored>\d+) requests=(?P<requests>\d+)(?: failed: (?P<error>.*))?"
)
_LEFTOVER = re.compile(r"not done: \d+ of (?P<total>\d+), (?P<why>.*): (?P<series>[^\s:]+)(?:\s|$)")
_PROGRESS = re.compile(
    r"(?P<done>\d+)/(?P<total>\d+) new=(?P<new>\d+) requests=(?P<requests>\d+) "
    r"failed=(?P<failed>\d+) series_a_minute=(?P<series>[\d.]+) "
    r"requests_a_minute=(?P<asked>[\d.]+) waits=(?P<waits>\d+) waited=(?P<waited>[\d.]+)"
)


@dataclass(slots=True)
class RunLog:
    """Counts the series of a run that begins now, and says which lines its log gets.

    A run of at most 20 series gets a line for each. A larger one gets a line for every 5 % or 100
    series, whichever comes more often, and one for each series that failed, at once. Those that a
    run ended before share one line, the last.
    """

    total: int
    clock: Clock
    waits: Waits
    _done: int = 0
    _new: int = 0
    _requests: int = 0
    _failed: int = 0
    _left: "list[Outcome]" = field(default_factory=list)
    _lately: deque[tuple[datetime, int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self._lately = deque([(self.clock.wall_now(), 0, 0)], maxlen=_LATELY)

    def lines(self, outcome: "Outcome") -> list[SeriesDone | Progress]:
        """The lines that come once this series is done; none for one that is not."""
        if outcome.not_done:
            self._left.append(outcome)
            return []
        self._done += 1
        self._new += outcome.rows_new
        self._requests += outcome.requests
        self._failed += outcome.error is not None
        lines: list[SeriesDone | Progress] = []
        if self.total <= SMALL or outcome.error is not None:
            lines.append(self._of(outcome))
        if self.total > SMALL and (self._done % self._step == 0 or self._done == self.total):
            lines.append(self._progress())
        return lines

    def last(self) -> list[Progress | Leftover]:
        """The lines that come once nothing more is done; none where nothing is left."""
        if not self._left:
            return []
        named = tuple(str(one.series) for one in self._left)
        leftover = Leftover(self.total, named, str(self._left[0].error))
        told = self.total <= SMALL or self._lately[-1][1] == self._done
        return [leftover] if told else [self._progress(), leftover]

    @property
    def _step(self) -> int:
        return min(_MOST, -(-self.total // _SHARES))

    def _of(self, outcome: "Outcome") -> SeriesDone:
        return SeriesDone(
            done=self._done,
            total=self.total,
            series=str(outcome.series),
            new=outcome.rows_new,
            stored=outcome.rows,
            requests=outcome.requests,
            error=None if outcome.error is None else str(outcome.error),
        )

    def _progress(self) -> Progress:
        now = self.clock.wall_now()
        then, done, requests = self._lately[0]
        self._lately.append((now, self._done, self._requests))
        minutes = (now - then).total_seconds() / _MINUTE
        return Progress(
            done=self._done,
            total=self.total,
            new=self._new,
            requests=self._requests,
            failed=self._failed,
            series_a_minute=(self._done - done) / minutes if minutes else 0.0,
            requests_a_minute=(self._requests - requests) / minutes if minutes else 0.0,
            waits=self.waits.count,
            waited=self.waits.seconds,
        )
