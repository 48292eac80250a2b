"""Which windows to ask for, as pure functions of what is wanted, covered and possible.

Not here: asking (update) and what becomes of an answer (settle).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

import numpy as np

from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.coverage import Coverage, Span, SpanKind, absent_ranges
from marketdata_pipeline.domain.ranges import (
    TimeRange,
    cut,
    depth_edge,
    from_micros,
    intersect,
    span,
    subtract,
)
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.providers.base import Capability
from marketdata_pipeline.store.catalog import SeriesSummary

DAWN = datetime(1900, 1, 1, tzinfo=UTC)
"""Stands for "all there is" until a provider has told a listing's first day."""
_NEIGHBOURS = timedelta(days=10)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to come: its ``window``, and the missing ``parts`` of it that it is for."""

    window: TimeRange
    parts: tuple[TimeRange, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask, newest window first; ``out_of_depth`` is older than the provider serves."""

    asks: tuple[Ask, ...]
    out_of_depth: TimeRange | None = None


def wanted_range(
    series: Series, since: datetime | None, until: datetime | None, market_now: datetime
) -> TimeRange | None:
    """Label range that is wanted and closed; None where no bar of it can exist yet.

    ``since`` None means the timeframe's usual depth; ``until`` None up to the last closed bar.
    """
    closed = calendar_of(series.instrument).closed_until(series.timeframe, market_now)
    if closed is None:
        return None
    end = closed if until is None else min(closed, until)
    start = since or _usual_start(series, market_now)
    return span(label_floor(series, max(start, DAWN)), end)


def _usual_start(series: Series, market_now: datetime) -> datetime:
    depth = series.timeframe.depth
    return DAWN if depth is None else depth_edge(market_now, depth)


def label_floor(series: Series, since: datetime) -> datetime:
    """The label of the bar that an instant falls in.

    Days and weeks are labelled at 00:00 UTC: a purchase at noon wants that day's bar too.
    """
    if series.timeframe.intraday:
        return since
    day = datetime.combine(since.date(), time.min, tzinfo=UTC)
    return day - timedelta(days=day.weekday()) if series.timeframe is Timeframe.W1 else day


def plan(
    series: Series,
    wanted: TimeRange,
    coverage: Coverage,
    capability: Capability,
    *,
    first_trade: date | None,
    market_now: datetime,
) -> Plan:
    """The requests that bring what is wanted, not covered, listed, and within the depth.

    Missing parts without any expected bar are not asked for. Missing parts that fit into one
    window share one request, since turns are scarcer than rows.
    """
    reachable, too_old = _within_depth(wanted, capability.depth, market_now)
    listed = after_listing(reachable, first_trade)
    missing = coverage.missing([] if listed is None else [listed], market_now)
    due = {one: part for one in missing if (part := _expected_part(series, one)) is not None}
    windows = [
        window
        for group in _grouped(list(due.values()), capability.longest_window)
        for window in cut(group, capability.longest_window)
    ]
    asks = [Ask(window, tuple(_parts(window, due))) for window in windows]
    return Plan(tuple(reversed([ask for ask in asks if ask.parts])), too_old)


def with_neighbours(ask: Ask, wanted: TimeRange, longest: timedelta | None) -> Ask | None:
    """The same with stored bars asked again: they tell a split from a bad day.

    None: a provider whose windows end somewhere is not asked for more.
    """
    if longest is not None:
        return None
    start = max(ask.window.start - _NEIGHBOURS, wanted.start)
    end = min(ask.window.end + _NEIGHBOURS, wanted.end)
    return Ask(TimeRange(start, end), ask.parts)


def never_asked(
    holes: Iterable[Span],
    depths: Sequence[timedelta | None],
    first_trade: date | None,
    market_now: datetime,
) -> list[Span]:
    """What becomes of wanted holes that are due and that no plan ever asks for.

    Before the listing nothing is missing, so it counts as answered; what lies beyond ``depths``,
    those of all providers, is out of depth and keeps its history.
    """
    found: list[Span] = []
    for hole in holes:
        listed = after_listing(hole.within, first_trade)
        before = subtract([hole.within], [] if listed is None else [listed])
        found += [Span(one, SpanKind.ANSWERED) for one in before]
        old = None if listed is None else _beyond(listed, depths, market_now)
        if old is not None:
            found.append(replace(hole, within=old, kind=SpanKind.OUT_OF_DEPTH, recheck_at=None))
    return found


def _beyond(
    wanted: TimeRange, depths: Sequence[timedelta | None], market_now: datetime
) -> TimeRange | None:
    parts = [_within_depth(wanted, one, market_now)[1] for one in depths]
    ends = [None if one is None else one.end for one in parts]
    reached = [one for one in ends if one is not None]
    return span(wanted.start, min(reached)) if reached and len(reached) == len(ends) else None


def _parts(window: TimeRange, due: Mapping[TimeRange, TimeRange]) -> Iterator[TimeRange]:
    """What an answer for ``window`` answers: nights and weekends beside expected bars as well."""
    for missing, expected in due.items():
        part = window.intersect(expected)
        if part is not None:
            start = missing.start if part.start == expected.start else part.start
            end = missing.end if part.end == expected.end else part.end
            yield TimeRange(start, end)


def _within_depth(
    wanted: TimeRange, depth: timedelta | None, market_now: datetime
) -> tuple[TimeRange | None, TimeRange | None]:
    if depth is None:
        return wanted, None
    edge = depth_edge(market_now, depth)
    return span(max(wanted.start, edge), wanted.end), span(wanted.start, min(edge, wanted.end))


def after_listing(wanted: TimeRange | None, first_trade: date | None) -> TimeRange | None:
    """The part from the listing's first day on; None: nothing of it."""
    if wanted is None or first_trade is None:
        return wanted
    listed = datetime.combine(first_trade, time.min, tzinfo=UTC)
    return span(max(wanted.start, listed), wanted.end)


def _expected_part(series: Series, missing: TimeRange) -> TimeRange | None:
    """The range from the first expected bar to the last; all of it before calendars begin."""
    calendar = calendar_of(series.instrument)
    grid = calendar.grid(series.timeframe, missing)
    if not len(grid.labels):
        return span(missing.start, min(missing.end, calendar.begins))
    start = from_micros(int(grid.labels[0]))
    last = from_micros(int(grid.labels[-1])) + series.timeframe.length
    first = missing.start if missing.start < calendar.begins else start
    return TimeRange(first, min(missing.end, last))


def _grouped(parts: Sequence[TimeRange], longest: timedelta | None) -> list[TimeRange]:
    """Neighbouring parts as one range as long as one request can span them."""
    groups: list[TimeRange] = []
    for part in parts:
        if groups and (longest is None or part.end - groups[-1].start <= longest):
            groups[-1] = TimeRange(groups[-1].start, part.end)
        else:
            groups.append(part)
    return groups


def bars_before(
    actions_known: Sequence[TimeRange], stored: Iterable[SeriesSummary]
) -> datetime | None:
    """The first label of bars that are older than all known actions; None: there are none.

    A provider's bars come with their actions; imported ones may have come without.
    """
    firsts = [one.first for one in stored if one.first is not None]
    known = min((one.start for one in actions_known), default=None)
    return min((one for one in firsts if known is not None and one < known), default=None)


def absent_labels(
    series: Series, parts: Sequence[TimeRange], present: np.ndarray, first_trade: date | None
) -> list[TimeRange]:
    """What the calendar expects in ``parts`` and is not ``present``, as label ranges."""
    listed = [one for part in parts if (one := after_listing(part, first_trade)) is not None]
    if not listed:
        return []
    hull = TimeRange(listed[0].start, listed[-1].end)
    grid = calendar_of(series.instrument).grid(series.timeframe, hull)
    return intersect(listed, absent_ranges(grid, present, series.timeframe))
