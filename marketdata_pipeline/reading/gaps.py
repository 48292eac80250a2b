"""The gaps of a home: every missing bar with its reason, and the incidents that it is part of.

Not here: the states (domain.gap), what is done about them (ingest.gaps).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.calendars import Calendar, calendar_of
from marketdata_pipeline.domain.gap import Facts, Gap, GapState, gaps_of
from marketdata_pipeline.domain.incident import Incident, ranges_of
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import (
    MICROSECOND,
    TimeRange,
    depth_edge,
    from_micros,
    span,
)
from marketdata_pipeline.domain.schedules import EARLIEST
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.store import gaps, incidents
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.catalog import Catalog
from marketdata_pipeline.store.tracking import Tracking


@dataclass(frozen=True, slots=True)
class InState:
    """How much is missing for one reason."""

    state: GapState
    series: int
    gaps: int
    bars: int


@dataclass(frozen=True, slots=True)
class GapReport:
    """The gaps of a home at a market instant.

    Attributes:
        looked_at: how many series were looked at.
        incidents: those that are open, and the newest ones that are not.
        gaps: in the order of the series, oldest first.
    """

    at: datetime
    looked_at: int
    incidents: tuple[Incident, ...]
    gaps: tuple[Gap, ...]

    @property
    def states(self) -> list[InState]:
        """A line a state, in the order of ``GapState``, of those that there are."""
        found: dict[GapState, list[Gap]] = defaultdict(list)
        for one in self.gaps:
            found[one.state].append(one)
        return [
            InState(
                state,
                len({one.series for one in found[state]}),
                len(found[state]),
                sum(one.bars for one in found[state]),
            )
            for state in GapState
            if state in found
        ]


def read_gaps(
    home: Home,
    *,
    instruments: Collection[Instrument] = (),
    timeframes: Collection[Timeframe] = (),
    states: Collection[GapState] = (),
) -> GapReport:
    """The gaps of an opened home, in a constant number of queries.

    Args:
        home: the one to look at.
        instruments: only of these, tracked or not; empty: of all that are tracked.
        timeframes: only of these; empty: of all.
        states: only these; empty: all but what was not listed yet.

    Raises:
        BadInput: nothing of one of the instruments is kept.
        StoreError: the catalog is unreadable.
    """
    now = home.clock.market_now()
    since = kept_series(home, instruments, timeframes)
    coverage = BarStore(home.engine, home.bars, home.clock).coverage(since)
    known = _Known.of(home, since, now)
    found = [
        gap
        for one, start in since.items()
        if (wanted := _wanted(one, start, now)) is not None
        for gap in gaps_of(one, coverage[one], wanted, known.facts(one))
        if (gap.state in states if states else gap.state is not GapState.NOT_LISTED)
    ]
    with reading(home.engine) as connection:
        told = [*incidents.open_ones(connection), *incidents.newest(connection, 5)]
    return GapReport(now, len(since), tuple(dict.fromkeys(told)), tuple(found))


def kept_series(
    home: Home, instruments: Collection[Instrument], timeframes: Collection[Timeframe]
) -> dict[Series, datetime | None]:
    """The series that are tracked, or all of named instruments, with the instant since when.

    Raises:
        BadInput: nothing of one of the instruments is kept.
    """
    tracked = Tracking(home.engine, home.clock).all()
    found = {
        Series(one.instrument, frame): one.since for one in tracked for frame in one.timeframes
    }
    if instruments:
        stored = Catalog(home.engine, home.clock).summaries()
        others = {one.series: None for one in stored if one.series not in found}
        found = {
            one: at for one, at in {**found, **others}.items() if one.instrument in instruments
        }
        unknown = set(instruments) - {one.instrument for one in found}
        if unknown:
            names = " ".join(map(str, sorted(unknown)))
            raise BadInput(f"not kept here: {names}; run: marketdata track {names}")
    return {one: at for one, at in found.items() if not timeframes or one.timeframe in timeframes}


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of all series, read at once."""

    now: datetime
    first_trades: Mapping[Instrument, date | None]
    open_incidents: Sequence[Incident]
    held: Mapping[Series, tuple[TimeRange, ...]]

    @classmethod
    def of(cls, home: Home, series: Iterable[Series], now: datetime) -> "_Known":
        asked = {one.instrument for one in series}
        facts = Catalog(home.engine, home.clock).facts(asked)
        with reading(home.engine) as connection:
            known = incidents.open_ones(connection)
            held = gaps.held_apart(connection)
        return cls(now, {one: it.first_trade for one, it in facts.items()}, known, held)

    def facts(self, series: Series) -> Facts:
        calendar = calendar_of(series.instrument)
        ours = [
            one for one in self.open_incidents if one.calendar == series.instrument.venue.calendar
        ]
        return Facts(
            market_now=self.now,
            closed_until=calendar.closed_until(series.timeframe, self.now),
            first_trade=self.first_trades[series.instrument],
            depth=series.timeframe.depth,
            outages=tuple(part for one in ours for part in ranges_of(calendar, one.sessions)),
            held=_held(calendar, series.timeframe, self.held.get(series, ())),
        )


def _held(
    calendar: Calendar, timeframe: Timeframe, labels: Iterable[TimeRange]
) -> tuple[TimeRange, ...]:
    """What is held, each up to where its last bar ends; one where no bar is expected between."""
    found: list[TimeRange] = []
    for one in sorted(labels):
        end = _end(calendar, timeframe, one.end - MICROSECOND)
        between = span(found[-1].end, one.start) if found else None
        if found and (between is None or not len(calendar.grid(timeframe, between).labels)):
            last = found.pop()
            found.append(TimeRange(last.start, max(last.end, end)))
        else:
            found.append(TimeRange(one.start, end))
    return tuple(found)


def _end(calendar: Calendar, timeframe: Timeframe, label: datetime) -> datetime:
    """Where the bar of a label ends, as holes do."""
    if timeframe.intraday:
        closes = calendar.grid(timeframe, TimeRange(label, label + MICROSECOND)).closes
        if len(closes):
            return from_micros(int(closes[0]))
    return label + timeframe.length


def _wanted(series: Series, since: datetime | None, now: datetime) -> TimeRange | None:
    """The label range that is kept: from ``since`` or the usual depth up to the last closed bar."""
    frame = series.timeframe
    until = calendar_of(series.instrument).closed_until(frame, now)
    usual = EARLIEST if frame.depth is None else depth_edge(now, frame.depth)
    start = since or usual
    if not frame.intraday:
        start = datetime.combine(start.date(), time.min, tzinfo=UTC)
    if frame is Timeframe.W1:
        start -= timedelta(days=start.weekday())
    return None if until is None else span(start, until)
