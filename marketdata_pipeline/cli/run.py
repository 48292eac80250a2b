"""What a run of Dagster says of itself: how far it came, what it brought, why it ended.

Not here: starting it and reading its output (child).
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from marketdata_pipeline.ingest.progress import Leftover, Progress, SeriesDone

_REASON = re.compile(r"Failure: (?P<reason>.+)")


@dataclass(slots=True)
class Run:
    """A run: how it ended, and what it said so far.

    Attributes:
        succeeded: as Dagster says; false for a run that broke off.
        log: the file with everything that it said.
        series: lines of single series: of each in a small run, of those that failed in a larger.
        progress: its last line of progress; None: a small run, which has none.
        leftover: the series that it ended before, or None.
        reason: what Dagster's failure said, or None.
    """

    succeeded: bool = False
    log: Path = Path()
    series: list[SeriesDone] = field(default_factory=list)
    progress: Progress | None = None
    leftover: Leftover | None = None
    reason: str | None = None

    @property
    def failed(self) -> list[SeriesDone]:
        """The series that are not up to date."""
        return [one for one in self.series if one.error is not None]

    @property
    def left(self) -> frozenset[str]:
        """The spellings of the series that it did not begin."""
        return frozenset(() if self.leftover is None else self.leftover.series)

    @property
    def brought_nothing(self) -> bool:
        """It left series, and no other is up to date by it: the next run would do no better."""
        return bool(self.left) and self.done == len(self.failed)

    @property
    def done(self) -> int:
        """Series that it was done with."""
        return max((one.done for one in self._told), default=0)

    @property
    def total(self) -> int:
        """Series that it had to update, 0 where it did not come so far as to say."""
        told = [*self._told, *([self.leftover] if self.leftover else [])]
        return max((one.total for one in told), default=0)

    @property
    def new(self) -> int:
        """Bars that were not stored before."""
        return self.progress.new if self.progress else sum(one.new for one in self.series)

    @property
    def requests(self) -> int:
        """HTTP requests sent."""
        return self.progress.requests if self.progress else sum(one.requests for one in self.series)

    @property
    def requests_of_each(self) -> dict[str, int] | None:
        """HTTP requests by the series' spelling; None: the log of a larger run does not tell."""
        return None if self.progress else {one.series: one.requests for one in self.series}

    @property
    def broke_off(self) -> bool:
        """It ended without having said of each of its series that it is done or left."""
        told = self.done + len(self.left)
        return not self.succeeded and (told == 0 or told < self.total)

    def note(self, line: str) -> SeriesDone | Progress | Leftover | None:
        """Take in a line of the log; the progress that it tells of, if any."""
        leftover = Leftover.parse(line)
        if leftover is not None:
            self.leftover = leftover
            return leftover
        series = SeriesDone.parse(line)
        if series is not None:
            self.series.append(series)
            return series
        progress = Progress.parse(line)
        if progress is not None:
            self.progress = progress
        elif self.reason is None and (reason := _REASON.search(line)):
            self.reason = reason["reason"].strip()
        return progress

    @property
    def _told(self) -> list[SeriesDone | Progress]:
        return [*self.series, *([self.progress] if self.progress else [])]
