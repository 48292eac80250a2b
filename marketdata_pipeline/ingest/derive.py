"""Derived series: which of their bars are due after their base changed, and writing them.

Not here: the arithmetic of a derived bar (domain.resample) and updating the base (update).
"""

from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import Action
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.coverage import Coverage, Span, SpanKind
from marketdata_pipeline.domain.ranges import (
    MICROSECOND,
    TimeRange,
    from_micros,
    intersect,
    merge,
    span,
    subtract,
    to_micros,
)
from marketdata_pipeline.domain.reply import Basis
from marketdata_pipeline.domain.resample import derive
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import WEEK, monday_of
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.ingest.commit import commit_over
from marketdata_pipeline.ingest.plan import after_listing
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.write import Committed, Fetch, FetchKind, Snapshot, Write

_OVER = (SpanKind.NO_TRADE, SpanKind.PROVISIONAL, SpanKind.HOLE, SpanKind.OUT_OF_DEPTH)
"""What a base's span makes of a derived bar that it touches, the last one counting. A bar is there
once anything of its base was traded."""


@dataclass(frozen=True, slots=True)
class Base:
    """What a derived series is made from: its base's coverage, origin, version, actions, changes.

    Before ``first_trade`` nothing is needed of the base. ``changed`` is the label range in which
    the base has other bars than at the last derivation; None: none.
    """

    coverage: Coverage
    origin: str
    version: int
    actions: tuple[Action, ...]
    changed: TimeRange | None
    first_trade: date | None = None


def due_parts(
    series: Series, wanted: TimeRange, coverage: Coverage, base: Base, clock: Clock
) -> list[TimeRange]:
    """The ranges, aligned to the series' own bars, that are to be derived (again).

    What is missing of ``wanted``, but no bar that is wanted in part only; and what was derived
    before and has another base by now, wanted or not: the derivation will count as one from the
    base's newest version, so nobody would come back to it.
    """
    missing = _missing(series, wanted, coverage, base, clock)
    if base.changed is None:
        return missing
    derived = [one.within for one in coverage.spans]
    return merge([*missing, *intersect([aligned(series, base.changed)], derived)])


def _missing(
    series: Series, wanted: TimeRange, coverage: Coverage, base: Base, clock: Clock
) -> list[TimeRange]:
    """What was never derived, or is due again, and has a base that was answered in full."""
    whole = whole_bars(series, wanted)
    if whole is None:
        return []
    parts = coverage.missing([whole], clock.market_now())
    known = [aligned(series, one.within) for one in base.coverage.spans]
    reachable = intersect([aligned(series, part) for part in parts], known)
    asked = subtract(reachable, _not_covered(series, whole, base))
    return intersect(asked, [whole])


def _not_covered(series: Series, wanted: TimeRange, base: Base) -> list[TimeRange]:
    """Bars of the series whose base was not answered in full."""
    needed = after_listing(aligned(series, wanted), base.first_trade)
    known = [one.within for one in base.coverage.spans]
    open_ranges = subtract([] if needed is None else [needed], known)
    return [
        aligned(series, one)
        for one in open_ranges
        if _expects(Series(series.instrument, _base_timeframe(series)), one)
    ]


def _base_timeframe(series: Series) -> Timeframe:
    base = series.timeframe.base
    return series.timeframe if base is None else base


def _expects(series: Series, within: TimeRange) -> bool:
    grid = calendar_of(series.instrument).grid(series.timeframe, within)
    return len(grid.labels) > 0


def whole_bars(series: Series, wanted: TimeRange) -> TimeRange | None:
    """The range without the bars at its ends that it holds in part; None: no whole bar."""
    around = aligned(series, wanted)
    start, end = wanted.start, wanted.end
    if around.start < start:
        start = aligned(series, TimeRange(start, start + MICROSECOND)).end
    if around.end > end:
        end = aligned(series, TimeRange(end - MICROSECOND, end)).start
    return span(start, end)


def aligned(series: Series, one: TimeRange) -> TimeRange:
    """The range widened to whole bars of the series; ends between sessions stay."""
    if series.timeframe is Timeframe.W1:
        first, last = monday_of(np.array([to_micros(one.start), to_micros(one.end) - 1])).tolist()
        return TimeRange(from_micros(first), from_micros(last + WEEK))
    step = series.timeframe.length
    around = TimeRange(one.start - 2 * step, one.end + step)
    grid = calendar_of(series.instrument).grid(series.timeframe, around)
    start, end = to_micros(one.start), to_micros(one.end)
    first = int(np.searchsorted(grid.labels, start, side="right")) - 1
    if first >= 0 and start < grid.closes[first]:
        start = int(grid.labels[first])
    last = int(np.searchsorted(grid.labels, end)) - 1
    if last >= 0 and end < grid.closes[last]:
        end = int(grid.closes[last])
    return TimeRange(from_micros(start), from_micros(end))


def write_derived(
    store: BarStore,
    series: Series,
    parts: list[TimeRange],
    base: Base,
    clock: Clock,
    run_id: str | None,
) -> Committed:
    """Derive ``parts`` (aligned, base answered) and store bars and coverage in one transaction.

    A bar whose base has a hole is made of what is there, and its range is a hole that is due when
    the base's is; a bar that reaches out of the base's depth is not made.
    """
    scope = TimeRange(parts[0].start, parts[-1].end)
    stored = store.read(Series(series.instrument, _base_timeframe(series)), scope)
    made = derive(stored, series, base.actions)
    spans = [one for part in parts for one in _projected(series, part, base.coverage)]
    good = [one.within for one in spans if one.kind is not SpanKind.OUT_OF_DEPTH]
    market_now = clock.market_now()
    keep = contract.labels_inside(contract.labels_of(made), good)
    bars = contract.validate(made[keep], series, market_now)
    fetch = Fetch(
        kind=FetchKind.DERIVED,
        provider="derived",
        origin=base.origin,
        window=scope,
        basis=Basis.RAW,
        currency=None,
        market_at=market_now,
        fetched_at=clock.wall_now(),
        requests=0,
        dropped=(),
        # Not that of the bars read just now: what others wrote since is derived next time.
        base_version=base.version,
        run_id=run_id,
    )

    final = tuple(one.within for one in spans if one.kind is SpanKind.ANSWERED)
    settled = contract.labels_inside(contract.labels_of(bars), final)

    def judged(stored: Snapshot) -> tuple[Write, bool]:
        kept = np.isin(contract.labels_of(bars), stored.finals()) & ~settled
        return Write(
            series,
            fetch,
            bars[~kept],
            lambda before: before.overlay(spans),
            final=final,
            reason="its base was restated",
        ), False

    return commit_over(store, series, scope, judged)


def _projected(series: Series, part: TimeRange, base: Coverage) -> list[Span]:
    """The base's coverage of ``part`` in whole bars of the series."""
    result = Coverage((Span(part, SpanKind.ANSWERED),))
    special = [one for one in base.spans if one.kind in _OVER]
    for one in sorted(special, key=lambda one: _OVER.index(one.kind)):
        touched = one.within.intersect(part)
        if touched is None:
            continue
        lacking = one.kind is SpanKind.NO_TRADE
        whole = whole_bars(series, touched) if lacking else aligned(series, touched)
        inside = None if whole is None else whole.intersect(part)
        if inside is not None:
            result = result.overlay([replace(one, within=inside)])
    return list(result.spans)
