"""Gaps: bars that a calendar expects and a series lacks, and the states of their life.

Not here: coverage, which they are read from, what moves a hole from one state to the next (hole),
outages of many series (incident).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from itertools import pairwise

from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.coverage import Coverage, Span, SpanKind
from marketdata_pipeline.domain.hole import is_exhausted, was_tried_enough
from marketdata_pipeline.domain.ranges import TimeRange, deadline_of, depth_edge, subtract
from marketdata_pipeline.domain.series import Series

_BARS = {SpanKind.ANSWERED, SpanKind.PROVISIONAL}


class GapState(Enum):
    """Why bars are missing, and what follows.

    ``retried``: it is asked for again without anybody's doing. ``absent``: it counts as a bar that
    should be there.
    """

    NEVER_ASKED = ("never_asked", True, True)
    NEW = ("new", True, True)
    """An answer lacked it; not asked again yet."""
    RETRYABLE = ("retryable", True, True)
    PROVIDER_HOLE = ("provider_hole", True, True)
    """Asked for at least three times over at least three days: the provider does not have it."""
    EXHAUSTED = ("exhausted", True, True)
    """Asked for as often as the ladder says, for 30 days; from now on once in 30 days."""
    REOPENED = ("reopened", True, True)
    """One that was given up, asked for anew."""
    OUTAGE = ("outage", False, True)
    """Part of an open incident, whose probes see to it."""
    QUARANTINED = ("quarantined", True, True)
    """Bars came and are kept apart until somebody judges them."""
    NO_TRADE = ("no_trade", False, False)
    """Nothing traded: the rest of the session is there, and an answer after settlement lacked it
    still."""
    MARKET_CLOSED = ("market_closed", False, False)
    """A person says so; the calendar does not know it."""
    NOT_LISTED = ("not_listed", False, False)
    OUT_OF_DEPTH = ("out_of_depth", False, False)
    """Older than the provider serves."""
    NOT_CLOSED_YET = ("not_closed_yet", False, False)

    def __init__(self, spelling: str, retried: bool, absent: bool) -> None:  # noqa: FBT001 - a row of the table above
        self.spelling = spelling
        self.retried = retried
        self.absent = absent

    def __str__(self) -> str:
        return self.spelling


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a series beside its coverage. Ranges are of labels.

    Attributes:
        closed_until: the end of the last closed bar; None: none has closed.
        first_trade: the listing's first day.
        depth: how far back the provider serves; None: all.
        closed: days that a person calls closed.
        outages: sessions of the open incidents of its calendar.
        held: what quarantine holds of it.
    """

    market_now: datetime
    closed_until: datetime | None = None
    first_trade: date | None = None
    depth: timedelta | None = None
    closed: tuple[TimeRange, ...] = ()
    outages: tuple[TimeRange, ...] = ()
    held: tuple[TimeRange, ...] = ()

    @property
    def listed(self) -> datetime | None:
        """The first label that can have a bar."""
        if self.first_trade is None:
            return None
        return datetime.combine(self.first_trade, time.min, tzinfo=UTC)

    @property
    def reach(self) -> datetime | None:
        """Labels before it are served no more."""
        return None if self.depth is None else depth_edge(self.market_now, self.depth)


@dataclass(frozen=True, slots=True)
class Gap:
    """Missing bars of one series that are missing for one reason.

    Attributes:
        bars: how many are expected.
        since: market instant at which an answer lacked them first; None: unknown, or never asked.
        tries: how often they were asked for again.
        next_try: market instant; None: nobody asks for them by itself.
        deadline: market instant from which on the provider serves the first of them no more.
    """

    series: Series
    within: TimeRange
    state: GapState
    bars: int
    since: datetime | None = None
    tries: int = 0
    next_try: datetime | None = None
    deadline: datetime | None = None


def state_of(span: Span | None, start: datetime, facts: Facts) -> GapState | None:
    """The state of missing bars from the label ``start`` on; None: they are answered.

    ``span`` is what coverage says of them; None: nothing.
    """
    if span is not None and span.kind in _BARS:
        return None
    found = (state for state, holds in _REASONS if holds(span, start, facts))
    return next(found, None) or _of_hole(span, facts.market_now)


def _no_longer_served(span: Span | None, start: datetime, facts: Facts) -> bool:
    noted = span is not None and span.kind is SpanKind.OUT_OF_DEPTH
    return noted or (facts.reach is not None and start < facts.reach)


def _not_closed_yet(span: Span | None, start: datetime, facts: Facts) -> bool:
    return span is None and (facts.closed_until is None or start >= facts.closed_until)


_Holds = Callable[[Span | None, datetime, Facts], bool]
_REASONS: tuple[tuple[GapState, _Holds], ...] = (
    (GapState.NOT_LISTED, lambda _, at, known: known.listed is not None and at < known.listed),
    (GapState.MARKET_CLOSED, lambda _, at, known: _inside(at, known.closed)),
    (GapState.NO_TRADE, lambda span, *_: span is not None and span.kind is SpanKind.NO_TRADE),
    (GapState.OUT_OF_DEPTH, _no_longer_served),
    (GapState.NOT_CLOSED_YET, _not_closed_yet),
    (GapState.QUARANTINED, lambda _, at, known: _inside(at, known.held)),
    (GapState.NEVER_ASKED, lambda span, *_: span is None),
    (GapState.OUTAGE, lambda _, at, known: _inside(at, known.outages)),
)
"""The first that holds is the reason."""


def _of_hole(hole: Span | None, market_now: datetime) -> GapState:
    if hole is None:
        return GapState.NEVER_ASKED
    if hole.since is not None and hole.recheck_at is not None and hole.recheck_at <= hole.since:
        return GapState.REOPENED
    if is_exhausted(hole, market_now):
        return GapState.EXHAUSTED
    if was_tried_enough(hole, market_now):
        return GapState.PROVIDER_HOLE
    return GapState.RETRYABLE if hole.tries else GapState.NEW


def _inside(at: datetime, ranges: Iterable[TimeRange]) -> bool:
    return any(one.start <= at < one.end for one in ranges)


def gaps_of(series: Series, coverage: Coverage, wanted: TimeRange, facts: Facts) -> list[Gap]:
    """Every expected bar in ``wanted`` that was not answered, in ranges of one reason each."""
    spans: list[tuple[TimeRange, Span | None]] = [
        (part, span)
        for span in coverage.spans
        if (part := span.within.intersect(wanted)) is not None and span.kind not in _BARS
    ]
    unknown = subtract([wanted], [span.within for span in coverage.spans])
    spans += [(part, None) for part in unknown]
    edges = _edges(facts)
    found = [
        gap
        for within, span in sorted(spans, key=lambda one: one[0])
        for part in _cut(within, edges)
        if (gap := _gap(series, part, span, facts)) is not None
    ]
    return list(_joined(found))


def _edges(facts: Facts) -> list[datetime]:
    """Where the reason may change within a span."""
    single = [facts.listed, facts.reach, facts.closed_until]
    ranges = [*facts.closed, *facts.outages, *facts.held]
    both = [at for one in ranges for at in (one.start, one.end)]
    return sorted({at for at in [*single, *both] if at is not None})


def _cut(within: TimeRange, edges: Sequence[datetime]) -> Iterator[TimeRange]:
    inside = [at for at in edges if within.start < at < within.end]
    for start, end in pairwise([within.start, *inside, within.end]):
        yield TimeRange(start, end)


def _gap(series: Series, within: TimeRange, span: Span | None, facts: Facts) -> Gap | None:
    bars = len(calendar_of(series.instrument).grid(series.timeframe, within).labels)
    state = state_of(span, within.start, facts)
    if not bars or state is None:
        return None
    again = None if span is None or not state.retried else span.recheck_at
    return Gap(
        series=series,
        within=within,
        state=state,
        bars=bars,
        since=None if span is None else span.since,
        tries=0 if span is None else span.tries,
        next_try=again,
        deadline=None if facts.depth is None else deadline_of(within.start, facts.depth),
    )


def _joined(gaps: Iterable[Gap]) -> Iterator[Gap]:
    """Neighbours that say the same become one, the earlier deadline its own."""
    last: Gap | None = None
    for gap in gaps:
        if last is not None and _alike(last, gap):
            both = TimeRange(last.within.start, gap.within.end)
            last = replace(last, within=both, bars=last.bars + gap.bars)
            continue
        if last is not None:
            yield last
        last = gap
    if last is not None:
        yield last


def _alike(left: Gap, right: Gap) -> bool:
    same = replace(left, within=right.within, bars=right.bars, deadline=right.deadline) == right
    return same and left.within.end == right.within.start
