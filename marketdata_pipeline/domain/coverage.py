"""What was asked and answered of a series, and what follows from one more answer.

Not here: where coverage is kept, and which windows a provider allows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from functools import partial

import numpy as np

from marketdata_pipeline.domain.calendars import Grid
from marketdata_pipeline.domain.ranges import (
    TimeRange,
    deadline_of,
    from_micros,
    intersect,
    merge,
    parts_inside,
    parts_outside,
    subtract,
)
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
_LAST_LOOK = timedelta(days=1)
"""Before a provider forgets a bar: runs may be late by some hours."""


class SpanKind(Enum):
    """What is known of a covered range.

    Provisional is what was answered before its settlement: it is due again at ``recheck_at``. No
    trade is what the calendar expects, the provider answered without, and is asked no more.
    """

    ANSWERED = "answered"
    PROVISIONAL = "provisional"
    HOLE = "hole"
    NO_TRADE = "no_trade"
    OUT_OF_DEPTH = "out_of_depth"


@dataclass(frozen=True, slots=True)
class Span:
    """A covered range.

    Attributes:
        recheck_at: when a hole or a provisional range counts as missing again.
        tries: how often a hole was asked again.
        since: market instant at which a hole was first seen; None: before that was noted.
    """

    within: TimeRange
    kind: SpanKind
    recheck_at: datetime | None = None
    tries: int = 0
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a series is covered: as much of its coverage as tells whether it can have news.

    Attributes:
        until: the end of the last span; None: nothing was ever answered.
        due: the end of the newest hole that counts as missing by now; None: there is none.
    """

    until: datetime | None = None
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """The spans of one series, sorted, none overlapping. Empty: nothing was ever answered."""

    spans: tuple[Span, ...] = ()

    def missing(self, wanted: Iterable[TimeRange], market_now: datetime) -> list[TimeRange]:
        """The part of ``wanted`` that is to be asked: never answered, or a hole that is due."""
        known = [span.within for span in self.spans if not _due(span, market_now)]
        return subtract(wanted, known)

    def present(self) -> list[TimeRange]:
        """The ranges that were answered with all that is expected, settled or not."""
        there = {SpanKind.ANSWERED, SpanKind.PROVISIONAL}
        return [span.within for span in self.spans if span.kind in there]

    def holes(self) -> list[Span]:
        """The ranges that were expected but absent from the answer."""
        return [span for span in self.spans if span.kind is SpanKind.HOLE]

    def after(
        self,
        answered: TimeRange | Sequence[TimeRange],
        absent: Sequence[TimeRange],
        market_now: datetime,
        unsettled: Sequence[Span] = (),
        *,
        depth: timedelta | None = None,
    ) -> "Coverage":
        """The coverage once one or more ranges were answered without the ``absent`` parts of them.

        A part that was a hole before waits longer than the last time; one that was not starts
        with the shortest delay, also where it borders on an old hole. Since when it is one is
        kept. None waits past the day before a provider that serves ``depth`` (None: all) forgets
        its first bar. What lies in a span of ``unsettled`` is provisional as that one is.
        """
        parts = [answered] if isinstance(answered, TimeRange) else answered
        gaps = intersect(parts, absent)
        known = [hole.within for hole in self.holes()]
        seen = partial(_hole, market_now=market_now, depth=depth)
        fresh = [seen(part, 0, market_now) for part in subtract(gaps, known)]
        again = [
            seen(part, hole.tries + 1, hole.since)
            for hole in self.holes()
            for part in parts_inside(hole.within, gaps)
        ]
        full = subtract(parts, gaps)
        open_yet = [
            replace(one, within=part)
            for one in unsettled
            for part in parts_inside(one.within, full)
        ]
        closed = subtract(full, [one.within for one in unsettled])
        answered_spans = [Span(one, SpanKind.ANSWERED) for one in closed]
        return self.overlay([*answered_spans, *open_yet, *fresh, *again])

    def in_vain(self, asked: Sequence[TimeRange], market_now: datetime) -> "Coverage":
        """The coverage once what is provisional in some ranges was asked again without an answer.

        It is due again later, each time later than the last one.
        """
        due = [one for one in self.spans if one.kind is SpanKind.PROVISIONAL]
        later = [
            replace(one, within=part, recheck_at=_after(one.tries, market_now), tries=one.tries + 1)
            for one in due
            if _due(one, market_now)
            for part in parts_inside(one.within, asked)
        ]
        return self.overlay(later)

    def overlay(self, spans: Iterable[Span]) -> "Coverage":
        """The coverage with ``spans``, none of which overlap, put over what was known there."""
        fresh = list(spans)
        over = merge(span.within for span in fresh)
        kept = [
            replace(old, within=part)
            for old in self.spans
            for part in parts_outside(old.within, over)
        ]
        return Coverage(tuple(_joined(sorted([*kept, *fresh], key=lambda one: one.within))))


def _hole(
    within: TimeRange,
    tries: int,
    since: datetime | None,
    *,
    market_now: datetime,
    depth: timedelta | None,
) -> Span:
    again = _after(tries, market_now)
    last = None if depth is None else deadline_of(within.start, depth) - _LAST_LOOK
    if last is not None and market_now < last < again:
        again = last
    return Span(within, SpanKind.HOLE, again, tries, since)


def _after(tries: int, market_now: datetime) -> datetime:
    return market_now + RECHECK_AFTER[min(tries, len(RECHECK_AFTER) - 1)]


def _due(span: Span, market_now: datetime) -> bool:
    return span.recheck_at is not None and span.recheck_at <= market_now


def _joined(spans: Iterable[Span]) -> Iterable[Span]:
    """Neighbours that touch and say the same become one."""
    last: Span | None = None
    for span in spans:
        if last and _same(last, span) and last.within.end == span.within.start:
            last = replace(last, within=TimeRange(last.within.start, span.within.end))
            continue
        if last:
            yield last
        last = span
    if last:
        yield last


def _same(left: Span, right: Span) -> bool:
    return replace(left, within=right.within) == right


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
