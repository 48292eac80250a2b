"""Holes of many series at once: which are due, which lack the same, and moving their next try.

Not here: the coverage of single series (bars, ledger), and what follows (ingest.gaps).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    and_,
    case,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
)

from marketdata_pipeline.database.doubting import quarantine
from marketdata_pipeline.database.metadata import coverage, instruments, tracked_instruments
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.coverage import Coverage, SpanKind
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import MICROSECOND, TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import DAY
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import StoreError
from marketdata_pipeline.store import identity, ledger

_SPAN = coverage.c
_HOLE = _SPAN.kind == literal_column("'hole'")
"""As the partial index says it: SQLite does not look for a bound value there."""
_LONGEST = 40 * DAY
"""A hole over that is no part of an outage."""
_KEPT = tracked_instruments.c.untracked_at.is_(None)


@dataclass(frozen=True, slots=True)
class DueHoles:
    """Holes of a tracked series that are due: the hull of their ranges."""

    series: Series
    within: TimeRange
    held: bool


@dataclass(frozen=True, slots=True)
class Alike:
    """So many tracked series of a calendar and timeframe have a hole of just this range.

    ``instrument`` is one of theirs.
    """

    calendar: str
    timeframe: Timeframe
    instrument: Instrument
    within: TimeRange
    series: int


class Lacking(NamedTuple):
    """A hole of a tracked series, as it is kept; ``holders`` are portfolios that hold it.

    Thousands are read at once, so it is a row and no more.
    """

    series_id: int
    timeframe: str
    start: int
    end: int
    recheck_at: int
    since: int | None
    holders: int


def _with_coverage() -> FromClause:
    return tracked_series().join(coverage, _SPAN.series_id == series_table.c.id)


@cache
def tracked_series() -> FromClause:
    """Series of the timeframes at which their instruments are tracked."""
    frames = literal(",") + tracked_instruments.c.timeframes + ","
    tracked = frames.like(literal("%,") + series_table.c.timeframe + ",%")
    ours = and_(tracked_instruments.c.instrument_id == instruments.c.id, _KEPT, tracked)
    return series_table.join(instruments, instruments.c.id == series_table.c.instrument_id).join(
        tracked_instruments, ours
    )


def due(connection: Connection, market_now: datetime, at_most: int) -> list[DueHoles]:
    """The tracked series with holes that are due, those longest due first."""
    at = func.min(_SPAN.recheck_at)
    hull = func.min(_SPAN.start), func.max(_SPAN.end)
    columns = series_table.c.key, *hull, func.max(tracked_instruments.c.holders)
    wanted = select(*columns).select_from(_with_coverage()).where(_is_due(market_now))
    wanted = wanted.group_by(series_table.c.id, series_table.c.key).order_by(at, series_table.c.id)
    return [
        DueHoles(Series.parse(key), _range(start, end), held=bool(number))
        for key, start, end, number in connection.execute(wanted.limit(at_most))
    ]


def due_alike(connection: Connection, market_now: datetime) -> list[Alike]:
    """The holes of tracked series that are due, by their range."""
    return _alike(connection, _is_due(market_now))


def having(connection: Connection, one: Alike) -> list[Series]:
    """The series that have such a hole."""
    wanted = select(series_table.c.key).select_from(_with_coverage())
    wanted = wanted.where(
        _HOLE,
        instruments.c.venue == one.calendar,
        series_table.c.timeframe == str(one.timeframe),
        _SPAN.start == to_micros(one.within.start),
        _SPAN.end == to_micros(one.within.end),
    )
    return [Series.parse(key) for key in connection.execute(wanted).scalars()]


def _is_due(market_now: datetime) -> ColumnElement[bool]:
    return and_(_HOLE, _SPAN.recheck_at <= to_micros(market_now))


def alike(
    connection: Connection, *, seen_after: datetime, seen_before: datetime, labels_after: datetime
) -> list[Alike]:
    """Holes of fetched series by their range, first seen between two market instants.

    One whose first answer was not noted counts, too. None counts that ends by ``labels_after``, is
    one of many weeks, or lies before its series' first bar: that may not have been listed.
    """
    since = _SPAN.since.between(to_micros(seen_after), to_micros(seen_before))
    short = and_(_SPAN.end - _SPAN.start <= _LONGEST, _SPAN.end > to_micros(labels_after))
    fetched = and_(series_table.c.timeframe.in_(_fetched()), series_table.c.first_ts < _SPAN.start)
    return _alike(connection, and_(_HOLE, or_(since, _SPAN.since.is_(None)), short, fetched))


def _alike(connection: Connection, such: ColumnElement[bool]) -> list[Alike]:
    group = instruments.c.venue, series_table.c.timeframe, _SPAN.start, _SPAN.end
    columns = *group, func.min(instruments.c.key), func.count()
    wanted = select(*columns).select_from(_with_coverage()).where(such).group_by(*group)
    return [
        Alike(calendar, Timeframe.parse(frame), Instrument.parse(name), _range(start, end), count)
        for calendar, frame, start, end, name, count in connection.execute(wanted)
    ]


def lacking(connection: Connection, calendar: str, ranges: Sequence[TimeRange]) -> list[Lacking]:
    """The holes of the calendar's tracked series that overlap one of some ranges.

    None of many weeks, none of a fetched series before its first bar.
    """
    span = _SPAN["series_id", "start", "end", "recheck_at", "since"]
    names = ("series_id", "timeframe", "start", "end", "recheck_at", "since", "holders")
    named = {
        one.name: one for one in (*span, series_table.c.timeframe, tracked_instruments.c.holders)
    }
    wanted = select(*(named[name] for name in names)).select_from(_with_coverage())
    near = [
        and_(
            _SPAN.start >= to_micros(one.start) - _LONGEST,
            _SPAN.start < to_micros(one.end),
            _SPAN.end > to_micros(one.start),
        )
        for one in ranges
    ]
    listed = or_(series_table.c.timeframe.not_in(_fetched()), series_table.c.first_ts < _SPAN.start)
    wanted = wanted.where(_HOLE, instruments.c.venue == calendar, listed, or_(*near))
    return [Lacking(*row) for row in connection.execute(wanted.order_by(_SPAN.series_id))]


def asked(
    connection: Connection, calendar: str, timeframe: Timeframe, within: TimeRange
) -> tuple[int, int]:
    """How many tracked series were asked for all of a range: those that have it, that lack it.

    A series whose first bar is later was not listed; nor does one lack what is before that bar.
    """
    start, end = to_micros(within.start), to_micros(within.end)

    def spanned(*kinds: SpanKind) -> ColumnElement[bool]:
        # Of each series by its key: a join would walk all spans of the catalog.
        ours = _SPAN.series_id == series_table.c.id, _SPAN.start <= start, _SPAN.end >= end
        return exists().where(*ours, _SPAN.kind.in_([one.value for one in kinds]))

    listed = series_table.c.first_ts < end
    have = and_(listed, spanned(SpanKind.ANSWERED, SpanKind.PROVISIONAL))
    lacking = and_(series_table.c.first_ts < start, spanned(SpanKind.HOLE))
    lacks = func.sum(case((lacking, 1), else_=0))
    wanted = select(func.sum(case((have, 1), else_=0)), lacks).select_from(tracked_series())
    ours = instruments.c.venue == calendar, series_table.c.timeframe == str(timeframe)
    there, lack = connection.execute(wanted.where(*ours)).one()
    return int(there or 0), int(lack or 0)


def some_instrument(connection: Connection, calendar: str) -> Instrument:
    """Any instrument that follows a calendar; StoreError: there is none."""
    wanted = select(func.min(instruments.c.key)).where(instruments.c.venue == calendar)
    key = connection.execute(wanted).scalar()
    if key is None:
        raise StoreError(f"no instrument follows the calendar {calendar}; run marketdata verify")
    return Instrument.parse(key)


def change(
    connection: Connection, series: Series, moved: Callable[[Coverage], Coverage]
) -> Coverage:
    """Apply a function to the coverage of a series as it is now; what it is then."""
    known = identity.lock_series(connection, series)
    return ledger.change_coverage(connection, known, moved)


def held_apart(connection: Connection) -> dict[Series, tuple[TimeRange, ...]]:
    """By series the labels that quarantine holds, from the first to a microsecond past the last."""
    row = quarantine.c
    wanted = select(series_table.c.key, row.first_ts, row.last_ts)
    wanted = wanted.join_from(quarantine, series_table)
    wanted = wanted.where(row.status == "held", row.first_ts.is_not(None))
    found: dict[Series, tuple[TimeRange, ...]] = {}
    for key, first, last in connection.execute(wanted):
        one = Series.parse(key)
        within = TimeRange(from_micros(first), from_micros(last) + MICROSECOND)
        found[one] = (*found.get(one, ()), within)
    return found


@cache
def _fetched() -> tuple[str, ...]:
    return tuple(str(one) for one in Timeframe if not one.derived)


def _range(start: int, end: int) -> TimeRange:
    return TimeRange(from_micros(start), from_micros(end))
