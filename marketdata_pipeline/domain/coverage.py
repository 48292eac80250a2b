"""What was asked and answered of a series, and what follows from one more answer.

Not here: where coverage is kept, and which windows a provider allows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

import numpy as np

from marketdata_pipeline.domain.calendars import Grid
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, subtract
from marketdata_pipeline.domain.sessions import Micros
from marketdata_pipeline.domain.timeframe import Timeframe

RECHECK_AFTER = (
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(days=1),
    timedelta(days=3),
    timedelta(days=7),
    timedelta(days=14),
    timedelta(days=30),
)
"""Market time until a hole is asked again, by the number of tries so far; the last one repeats."""


class SpanKind(Enum):
    """What is known of a covered range."""

    ANSWERED = "answered"
    HOLE = "hole"
    OUT_OF_DEPTH = "out_of_depth"


@dataclass(frozen=True, slots=True)
class Span:
    """A covered range; a hole says when it counts as missing again, and how often it was tried."""

    within: TimeRange
    kind: SpanKind
    recheck_at: datetime | None = None
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Coverage:
    """The spans of one series, sorted, none overlapping. Empty: nothing was ever answered."""

    spans: tuple[Span, ...] = ()

    def missing(self, wanted: Iterable[TimeRange], market_now: datetime) -> list[TimeRange]:
        """The part of ``wanted`` that is to be asked: never answered, or a hole that is due."""
        known = [span.within for span in self.spans if not _due(span, market_now)]
        return subtract(wanted, known)

    def holes(self) -> list[Span]:
        """The ranges that were expected but absent from the answer."""
        return [span for span in self.spans if span.kind is SpanKind.HOLE]

    def after(
        self, answered: TimeRange, absent: Sequence[TimeRange], market_now: datetime
    ) -> "Coverage":
        """The coverage once ``answered`` was answered without the ``absent`` parts of it."""
        holes = [self._hole(one, market_now) for one in absent]
        full = [Span(one, SpanKind.ANSWERED) for one in subtract([answered], absent)]
        return self.overlay([*full, *holes])

    def overlay(self, spans: Iterable[Span]) -> "Coverage":
        """The coverage with ``spans`` put over what was known of their ranges."""
        fresh = list(spans)
        over = [span.within for span in fresh]
        kept = [
            Span(part, old.kind, old.recheck_at, old.tries)
            for old in self.spans
            for part in subtract([old.within], over)
        ]
        return Coverage(tuple(_joined(sorted([*kept, *fresh], key=lambda one: one.within))))

    def _hole(self, within: TimeRange, market_now: datetime) -> Span:
        earlier = [hole.tries for hole in self.holes() if hole.within.intersect(within)]
        tries = max(earlier, default=-1) + 1
        delay = RECHECK_AFTER[min(tries, len(RECHECK_AFTER) - 1)]
        return Span(within, SpanKind.HOLE, market_now + delay, tries)


def _due(span: Span, market_now: datetime) -> bool:
    return span.recheck_at is not None and span.recheck_at <= market_now


def _joined(spans: Iterable[Span]) -> Iterable[Span]:
    """Neighbours that touch and say the same become one."""
    last: Span | None = None
    for span in spans:
        if last and _same(last, span) and last.within.end == span.within.start:
            last = Span(TimeRange(last.within.start, span.within.end), *_said(last))
            continue
        if last:
            yield last
        last = span
    if last:
        yield last


def _said(span: Span) -> tuple[SpanKind, datetime | None, int]:
    return span.kind, span.recheck_at, span.tries


def _same(left: Span, right: Span) -> bool:
    return _said(left) == _said(right)


def absent_ranges(grid: Grid, present: Micros, timeframe: Timeframe) -> list[TimeRange]:
    """The runs of consecutive expected bars that are not present, as label ranges.

    A run ends a day or a week after its last label, intraday when its last bar closes.
    """
    lacking = ~np.isin(grid.labels, present)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], lacking.view(np.int8), [0]])))
    runs = edges.reshape(-1, 2)
    return [
        TimeRange(from_micros(int(grid.labels[first])), _end(grid, int(after) - 1, timeframe))
        for first, after in runs
    ]


def _end(grid: Grid, row: int, timeframe: Timeframe) -> datetime:
    if timeframe.intraday:
        return from_micros(int(grid.closes[row]))
    return from_micros(int(grid.labels[row])) + timeframe.length
