"""What an import of one series came to.

Not here: doing it.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import MarketDataError
from marketdata_pipeline.ingest.importing.cleaning import Dropped
from marketdata_pipeline.ingest.importing.filling import Difference


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of the files, and what became of them.

    Attributes:
        read: all of them; ``empty`` had no price at all, ``outside`` were outside regular hours,
            ``merged`` repeated another one.
        moved: labelled by their close, so that the calendar moved them.
        new: bars that were not stored before.
        known: bars that are stored, ``differing`` of them with other values.
        replaced: of these, those that were written.
        actions: splits and payments that were not known before.
    """

    read: int
    empty: int
    outside: int
    merged: int
    moved: int
    new: int
    known: int
    differing: int
    replaced: int
    actions: int


@dataclass(frozen=True, slots=True)
class Imported:
    """One series of an import.

    Attributes:
        files: where its rows came from.
        series: None where that was not to be told.
        counts: None where it was refused.
        dropped: rows that break a hard rule.
        differences: the first few bars that are stored with other values.
        span: label range of the file's bars; None: it had none.
        tracked: whether the series is kept up to date.
        splits_known: all splits from the first bar to now are; without them adjusted prices are
            not what they should be.
        stored: something was written; False also for a dry run.
        error: why nothing was; or why what was stored is not judged.
    """

    files: tuple[Path, ...]
    series: Series | None
    counts: Counts | None = None
    dropped: tuple[Dropped, ...] = ()
    differences: tuple[Difference, ...] = ()
    span: TimeRange | None = None
    tracked: bool = False
    splits_known: bool = True
    stored: bool = False
    error: MarketDataError | None = None

    def reasons(self) -> Counter[str]:
        """How many rows were dropped for each rule."""
        return Counter(one.rule for one in self.dropped)
