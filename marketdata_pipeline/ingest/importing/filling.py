"""Imported bars beside the stored ones: which are new, which differ, and writing them.

Not here: where the bars come from (importer). What is stored wins: an import fills holes, and
replaces provisional bars only where it is told to, final ones never.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pandas as pd

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import Action
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.coverage import Coverage, Span, SpanKind, absent_ranges
from marketdata_pipeline.domain.ranges import MICROSECOND, TimeRange, from_micros, merge, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import DAY, Micros
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.commit import commit_over
from marketdata_pipeline.quality.plausible import contradicted_split, emptier
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.write import Committed, Fetch, Snapshot, State, Write

_NEIGHBOURS = timedelta(days=10)
_SAME = 1e-9
"""Relative difference up to which two numbers are one: arithmetic on float64, not another price."""
_FARTHEST = 0.02
"""As much may the closes of two honest sources differ in the middle."""
_FEW = 3
"""Bars in common up to which that says nothing: one of them may be a bad day."""
_NEXT_DAY = 5 * DAY
"""Before the calendar begins, days not farther apart than a long weekend follow each other."""


@dataclass(frozen=True, slots=True, eq=False)
class Load:
    """What is to be stored of a series: raw bars, the splits they were checked against, news.

    ``over`` says that provisional bars which differ are replaced.
    """

    series: Series
    bars: pd.DataFrame
    splits: Sequence[Action]
    news: tuple[Action, ...]
    over: bool

    @property
    def span(self) -> TimeRange:
        """From the first bar to the end of the last one, in label space; there is one."""
        first, last = (self.bars.index[row].to_pydatetime() for row in (0, -1))
        return TimeRange(first, last + self.series.timeframe.length)


@dataclass(frozen=True, slots=True)
class Difference:
    """A bar that is stored with other values: the first column that differs, in both."""

    ts: pd.Timestamp
    column: str
    stored: float
    imported: float


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Imported bars against the stored ones; masks over the imported.

    Attributes:
        new: not stored yet.
        differing: stored with other values.
        replaced: those of them that are to be written all the same.
        differences: the first few of those that differ.
    """

    new: np.ndarray
    differing: np.ndarray
    replaced: np.ndarray
    differences: tuple[Difference, ...]

    @property
    def written(self) -> np.ndarray:
        """The bars to write."""
        return np.asarray(self.new | self.replaced)


def nothing() -> Compared:
    """No bar at all."""
    none = np.zeros(0, dtype=bool)
    return Compared(none, none, none, ())


def compared(load: Load, stored: Snapshot) -> Compared:
    """What is new and what differs.

    Raises:
        BadInput: the bars contradict the stored ones as a whole: a split that is known is in them
            or lacking, or their closes are others.
    """
    _refuse_contradiction(load, stored)
    labels, there = contract.labels_of(load.bars), contract.labels_of(stored.bars)
    at = np.searchsorted(there, labels)
    known = np.append(there, -1)[at] == labels
    known &= at < len(there)
    ours, theirs = contract.values_of(load.bars), contract.values_of(stored.bars)
    differ = np.zeros((len(ours), len(labels)), dtype=bool)
    differ[:, known] = ~np.isclose(ours[:, known], theirs[:, at[known]], rtol=_SAME, atol=0.0)
    differing = np.asarray(differ.any(axis=0))
    replaced = np.zeros(len(labels), dtype=bool)
    if load.over:
        replaced[differing] = stored.state[at[differing]] == State.PROVISIONAL
        replaced &= ~emptier(load.bars, stored.bars)
    shown = [
        _difference(load, differ[:, row], ours[:, row], theirs[:, at[row]], row)
        for row in np.flatnonzero(differing)[:_FEW]
    ]
    return Compared(~known, differing, replaced, tuple(shown))


def _difference(
    load: Load, differ: np.ndarray, ours: np.ndarray, theirs: np.ndarray, row: int
) -> Difference:
    column = int(np.argmax(differ))
    name = contract.COLUMNS[column]
    return Difference(load.bars.index[row], name, float(theirs[column]), float(ours[column]))


def _refuse_contradiction(load: Load, stored: Snapshot) -> None:
    split = contradicted_split(load.bars, stored.bars, load.series, load.splits)
    if split is not None:
        raise BadInput(
            f"{load.series}: the prices disagree with the split of {split.ex_date} "
            f"({split.value}:1); is --basis right?"
        )
    common = load.bars.index.intersection(stored.bars.index)
    if len(common) < _FEW:
        return
    ours, theirs = (each.loc[common, "close"].to_numpy() for each in (load.bars, stored.bars))
    middle = float(np.median(ours / theirs))
    if abs(middle - 1) > _FARTHEST:
        raise BadInput(
            f"{load.series}: closes are {middle:.4g} times the stored ones in the middle of "
            f"{len(common)} bars in common; is it the same instrument, basis and currency?"
        )


def near(bars: pd.DataFrame) -> TimeRange:
    """The label range of stored bars that imported ones are judged against."""
    return TimeRange(bars.index[0] - _NEIGHBOURS, bars.index[-1] + _NEIGHBOURS)


def fill(store: BarStore, load: Load, fetch: Fetch) -> tuple[Compared, Committed | None]:
    """Write what is new in one transaction with the coverage that it answers.

    Answered is only where bars are: what is expected between them and absent stays missing, and
    a provider is still asked. A derived series is covered by its base alone. Nothing is written
    where nothing is new.

    Raises:
        BadInput: the bars contradict the stored ones.
        WriteConflict: other writers kept changing the series.
        StoreError: the catalog or a file refused.
    """
    judgements: list[Compared] = []

    def judged(stored: Snapshot) -> tuple[Write, bool]:
        judgements.append(compared(load, stored))
        written = judgements[-1].written
        return replace(unfilled, bars=load.bars[written], aside=not written.any()), False

    covered = [] if load.series.timeframe.derived else answered(load)
    unfilled = Write(load.series, fetch, coverage=_covering(covered), actions=load.news)
    before = store.snapshot(load.series, near(load.bars))
    first = compared(load, before)
    if not (first.written.any() or load.news):
        return first, None
    committed = commit_over(store, load.series, near(load.bars), judged)
    return judgements[-1], committed


def _covering(parts: Sequence[TimeRange]) -> Callable[[Coverage], Coverage]:
    spans = [Span(part, SpanKind.ANSWERED) for part in parts]
    return lambda before: before.overlay(spans)


def answered(load: Load) -> list[TimeRange]:
    """The label ranges in which every bar that the calendar expects is among the imported."""
    labels = contract.labels_of(load.bars)
    calendar = calendar_of(load.series.instrument)
    hull = TimeRange(from_micros(int(labels[0])), from_micros(int(labels[-1])) + MICROSECOND)
    grid = calendar.grid(load.series.timeframe, hull)
    others = np.setdiff1d(grid.labels, labels)
    before = labels[labels < to_micros(calendar.begins)]
    return merge(
        [*absent_ranges(grid, others, load.series.timeframe), *_before_calendar(before, load)]
    )


def _before_calendar(labels: Micros, load: Load) -> list[TimeRange]:
    if not len(labels):
        return []
    first = np.flatnonzero(np.diff(labels, prepend=labels[0] - 2 * _NEXT_DAY) > _NEXT_DAY)
    last = np.append(first[1:] - 1, len(labels) - 1)
    length = load.series.timeframe.length
    return [
        TimeRange(from_micros(int(labels[start])), from_micros(int(labels[end])) + length)
        for start, end in zip(first, last, strict=True)
    ]
