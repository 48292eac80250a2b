"""A hole of coverage: when it is exhausted, what ends it, what makes it due again.

Not here: how a hole comes to be (coverage), what else a gap can be (gap).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.coverage import (
    RECHECK_AFTER,
    Coverage,
    Span,
    SpanKind,
    absent_ranges,
)
from marketdata_pipeline.domain.ranges import TimeRange, intersect, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import Micros
from marketdata_pipeline.domain.settlement import unsettled
from marketdata_pipeline.domain.timeframe import Timeframe

LADDER = len(RECHECK_AFTER) - 1
"""Tries after which the wait grows no longer."""
TRIED_FOR = timedelta(days=30)
"""Until then a hole is no exhausted one, however often it was asked for."""
_OFTEN = 3
_LONG = timedelta(days=3)
"""So many tries over that time say that the provider does not have it."""
_NOTHING: Micros = np.zeros(0, dtype=np.int64)


def is_exhausted(hole: Span, market_now: datetime) -> bool:
    """Whether a hole is 30 days old and was asked for as often as the ladder says."""
    return hole.tries >= LADDER and _seen_since(hole) <= market_now - TRIED_FOR


def _seen_since(hole: Span) -> datetime:
    """One of an older catalog is at least as old as its tries took."""
    if hole.since is not None:
        return hole.since
    waited = sum(RECHECK_AFTER[: hole.tries + 1], timedelta(0))
    return hole.within.end if hole.recheck_at is None else hole.recheck_at - waited


def was_tried_enough(hole: Span, market_now: datetime) -> bool:
    """Whether three tries over three days say that the provider does not have it."""
    return hole.tries >= _OFTEN and _seen_since(hole) <= market_now - _LONG


def given_up(
    series: Series,
    coverage: Coverage,
    present: Micros,
    market_now: datetime,
    *,
    came: Micros = _NOTHING,
) -> Coverage:
    """The coverage with holes as no trade where a session has other bars and was asked often.

    That is of intraday bars, once an answer after their settlement lacked them that was not the
    first, or three more than the first over three days. ``present`` are the labels of bars that
    there are; a session without any stays a hole, since that is no lack of trade. So does a row
    that ``came`` and was not stored: it was dropped, or is kept apart.
    """
    if not series.timeframe.intraday:
        return coverage
    spans = [
        replace(hole, within=part, kind=SpanKind.NO_TRADE, recheck_at=None)
        for hole in coverage.holes()
        if hole.tries
        for part in _untraded(series, hole, (present, came), market_now)
    ]
    return coverage.overlay(spans) if spans else coverage


def _untraded(
    series: Series, hole: Span, labels: tuple[Micros, Micros], market_now: datetime
) -> list[TimeRange]:
    present, came = labels
    calendar = calendar_of(series.instrument)
    grid = calendar.grid(series.timeframe, hole.within)
    traded = np.unique(calendar.bucket(Timeframe.D1, present))
    done = np.isin(calendar.bucket(Timeframe.D1, grid.labels), traded[traded >= 0])
    if not was_tried_enough(hole, market_now):
        open_yet = unsettled(series, market_now)
        if open_yet:
            done &= grid.labels < to_micros(open_yet[0].within.start)
    done &= ~np.isin(grid.labels, came)
    runs = absent_ranges(grid, grid.labels[~done], series.timeframe)
    return intersect(runs, [hole.within])


def made_due(coverage: Coverage, within: Sequence[TimeRange], market_now: datetime) -> Coverage:
    """The coverage with the holes in these ranges due; what was given up there is reopened.

    That one begins with the shortest wait again, and keeps since when it is missing.
    """
    spans = [
        replace(_due(span, market_now), within=part)
        for span in coverage.spans
        if span.kind in {SpanKind.HOLE, SpanKind.NO_TRADE}
        for part in intersect([span.within], within)
    ]
    return coverage.overlay(spans) if spans else coverage


def _due(span: Span, market_now: datetime) -> Span:
    if span.kind is SpanKind.HOLE and not is_exhausted(span, market_now):
        return replace(span, recheck_at=min(span.recheck_at or market_now, market_now))
    since = span.since or market_now
    return Span(span.within, SpanKind.HOLE, since, 0, since)


def beyond_depth(coverage: Coverage, before: datetime) -> Coverage:
    """The coverage with the holes before a label as out of depth; their history is kept."""
    spans = [
        replace(hole, within=part, kind=SpanKind.OUT_OF_DEPTH, recheck_at=None)
        for hole in coverage.holes()
        if hole.within.start < before
        for part in [TimeRange(hole.within.start, min(hole.within.end, before))]
    ]
    return coverage.overlay(spans) if spans else coverage


def is_due(hole: Span, market_now: datetime) -> bool:
    """Whether it counts as missing by now."""
    return hole.recheck_at is not None and hole.recheck_at <= market_now


def due_within(coverage: Coverage, wanted: TimeRange | None, market_now: datetime) -> list[Span]:
    """The wanted parts of the holes that are due; None: nothing is wanted."""
    due = [one for one in coverage.holes() if wanted is not None and is_due(one, market_now)]
    parts = [(hole, intersect([hole.within], [wanted] if wanted else [])) for hole in due]
    return [replace(hole, within=part) for hole, inside in parts for part in inside]


def answered_where(coverage: Coverage, idle: Callable[[TimeRange], bool]) -> Coverage:
    """The coverage with holes answered in which no bar is expected any more."""
    spans = [Span(one.within, SpanKind.ANSWERED) for one in coverage.holes() if idle(one.within)]
    return coverage.overlay(spans) if spans else coverage
