"""Totals over all series, added up by the database: how many, how complete, how new, how fast.

Not here: single series (catalog), and what the totals mean (reading). Groups are few, however many
series there are: those that are alike in class, venue, timeframe and newest bar come as one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Subquery, and_, case, func, or_, select

from marketdata_pipeline.database.dialect import one_of, wall_micros
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import (
    fetches,
    instruments,
    quality,
    tracked_instruments,
)
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.instrument import AssetClass, Instrument
from marketdata_pipeline.domain.ranges import MICROSECOND, from_micros
from marketdata_pipeline.domain.timeframe import Timeframe

_MINUTE, _HOUR = timedelta(minutes=1) // MICROSECOND, timedelta(hours=1) // MICROSECOND
_PROBES = tuple(4**power for power in range(4, 16))
"""How far behind the newest fetch to look for one that is old enough: 256 to a thousand million."""
_DISORDER = 5 * _MINUTE
"""Ids rise with the instant of the commit, but for writers at once and clocks that are set back."""


@dataclass(frozen=True, slots=True)
class TrackedGroup:
    """Tracked instruments alike in class, venue and timeframes; ``example`` is one of them.

    ``first`` of them are held by a portfolio, or named as such that come first.
    """

    asset_class: AssetClass
    example: Instrument
    timeframes: tuple[Timeframe, ...]
    instruments: int
    first: int = 0


@dataclass(frozen=True, slots=True)
class StoredGroup:
    """Series that were asked for, alike in class and timeframe, and all tracked or none.

    Attributes:
        series: those that are tracked; others once they have bars, unless their instrument is
            tracked no longer (as ``Verdicts.kept`` has it).
        complete: those that pass the rule ``completeness``.
        completeness: the sum of that rule's scores, each 0 to 1; a series without verdict adds 0.
        failing: those whose last update failed.
    """

    asset_class: AssetClass
    timeframe: Timeframe
    tracked: bool
    series: int
    complete: int
    completeness: float
    failing: int


@dataclass(frozen=True, slots=True)
class NewestGroup:
    """Tracked series of one venue and timeframe whose newest bar has the label ``last``.

    None: they have no bar. ``example`` is one of their instruments.
    """

    example: Instrument
    timeframe: Timeframe
    last: datetime | None
    series: int


@dataclass(frozen=True, slots=True)
class UpdatedGroup:
    """Tracked series of one venue and timeframe, last updated without a failure in one minute.

    ``at`` is the minute's start in wall time; None: there was no such update yet.
    """

    example: Instrument
    timeframe: Timeframe
    at: datetime | None
    series: int


@dataclass(frozen=True, slots=True)
class Written:
    """What was committed in a stretch of wall time: requests that were answered, bars written."""

    requests: int = 0
    bars: int = 0


@dataclass(frozen=True, slots=True)
class Totals:
    """Everything at one state of the catalog, whose wall instant is ``at``.

    ``minute`` and ``hour`` are the last ones.
    """

    at: datetime
    tracked: tuple[TrackedGroup, ...] = ()
    stored: tuple[StoredGroup, ...] = ()
    newest: tuple[NewestGroup, ...] = ()
    updated: tuple[UpdatedGroup, ...] = ()
    minute: Written = Written()
    hour: Written = Written()


def read_totals(engine: Engine, clock: Clock, named: Iterable[Instrument] = ()) -> Totals:
    """The totals of the catalog behind ``engine``, in a constant number of queries.

    ``named`` are instruments that come first beside those that are held.
    """
    with reading(engine) as connection:
        now = wall_micros(connection, clock)
        first = _first_fetch(connection, now - _HOUR)
        return Totals(
            at=from_micros(now),
            tracked=tracked_groups(connection, [one.key for one in named]),
            stored=_stored(connection),
            newest=newest_groups(connection),
            updated=_updated(connection),
            minute=_written(connection, first, now - _MINUTE),
            hour=_written(connection, first, now - _HOUR),
        )


def tracked_groups(connection: Connection, named: Sequence[str] = ()) -> tuple[TrackedGroup, ...]:
    """The tracked instruments, those together that are alike; arguments as above."""
    comes_first = or_(
        tracked_instruments.c.holders > 0, one_of(connection, instruments.c.key, named)
    )
    alike = (instruments.c.asset_class, instruments.c.venue, tracked_instruments.c.timeframes)
    wanted = (
        select(
            *alike,
            func.min(instruments.c.key).label("example"),
            func.count().label("instruments"),
            func.sum(case((comes_first, 1), else_=0)).label("first"),
        )
        .join_from(tracked_instruments, instruments)
        .where(tracked_instruments.c.untracked_at.is_(None))
        .group_by(*alike)
        .order_by(*alike)
    )
    return tuple(
        TrackedGroup(
            AssetClass(row.asset_class),
            Instrument.parse(row.example),
            tuple(Timeframe.parse(one) for one in row.timeframes.split(",")),
            row.instruments,
            int(row.first),
        )
        for row in connection.execute(wanted)
    )


def _each_series() -> Subquery:
    """Every series with its instrument; 1 where it is tracked, or was and is no longer."""
    row, instrument, tracked = series_table.c, instruments.c, tracked_instruments.c
    named = ("," + tracked.timeframes + ",").like("%," + row.timeframe + ",%")
    among = and_(named, tracked.untracked_at.is_(None))
    join = series_table.join(instruments).outerjoin(
        tracked_instruments, tracked.instrument_id == row.instrument_id
    )
    return (
        select(
            *(row[name] for name in ("id", "timeframe", "rows", "last_ts", "updated_at")),
            *(instrument[name] for name in ("key", "asset_class", "venue")),
            row.error_category.is_not(None).label("failing"),
            case((among, 1), else_=0).label("tracked"),
            case((tracked.untracked_at.is_not(None), 1), else_=0).label("released"),
        )
        .select_from(join)
        .subquery()
    )


def _stored(connection: Connection) -> tuple[StoredGroup, ...]:
    each, verdict = _each_series(), quality.c
    alike = (each.c.asset_class, each.c.timeframe, each.c.tracked)
    join = each.outerjoin(
        quality, and_(verdict.series_id == each.c.id, verdict.rule == "completeness")
    )
    wanted = (
        select(
            *alike,
            func.count().label("series"),
            func.sum(case((verdict.passed, 1), else_=0)).label("complete"),
            func.coalesce(func.sum(verdict.score), 0.0).label("completeness"),
            func.sum(case((each.c.failing, 1), else_=0)).label("failing"),
        )
        .select_from(join)
        .where((each.c.tracked == 1) | ((each.c.rows > 0) & (each.c.released == 0)))
        .group_by(*alike)
        .order_by(*alike)
    )
    return tuple(
        StoredGroup(
            asset_class=AssetClass(row.asset_class),
            timeframe=Timeframe.parse(row.timeframe),
            tracked=bool(row.tracked),
            series=row.series,
            complete=int(row.complete),
            completeness=float(row.completeness),
            failing=int(row.failing),
        )
        for row in connection.execute(wanted)
    )


def newest_groups(connection: Connection) -> tuple[NewestGroup, ...]:
    """The tracked series, those together whose newest bar has the same label."""
    each = _each_series()
    alike = (each.c.venue, each.c.timeframe, each.c.last_ts)
    wanted = (
        select(*alike, func.min(each.c.key).label("example"), func.count().label("series"))
        .where(each.c.tracked == 1)
        .group_by(*alike)
        .order_by(*alike)
    )
    return tuple(
        NewestGroup(
            Instrument.parse(row.example),
            Timeframe.parse(row.timeframe),
            _instant(row.last_ts),
            row.series,
        )
        for row in connection.execute(wanted)
    )


def _updated(connection: Connection) -> tuple[UpdatedGroup, ...]:
    each = _each_series()
    minute = (each.c.updated_at - each.c.updated_at % _MINUTE).label("at")
    minutes = select(each.c.key, each.c.venue, each.c.timeframe, minute)
    found = minutes.where(each.c.tracked == 1).subquery()
    alike = (found.c.venue, found.c.timeframe, found.c.at)
    wanted = (
        select(*alike, func.min(found.c.key).label("example"), func.count().label("series"))
        .group_by(*alike)
        .order_by(*alike)
    )
    return tuple(
        UpdatedGroup(
            Instrument.parse(row.example),
            Timeframe.parse(row.timeframe),
            _instant(row.at),
            row.series,
        )
        for row in connection.execute(wanted)
    )


def _first_fetch(connection: Connection, since: int) -> int:
    """The id of a fetch after which all that were committed ``since`` come, and few others.

    There is no index on the instant: looked for are fetches 256, 1024, ... ids before the newest.
    """
    newest = connection.execute(select(func.max(fetches.c.id))).scalar() or 0
    before = [newest - step for step in _PROBES if newest > step]
    old = select(func.max(fetches.c.id)).where(
        fetches.c.id.in_(before), fetches.c.committed_at < since - _DISORDER
    )
    return connection.execute(old).scalar() or 0


def _written(connection: Connection, first: int, since: int) -> Written:
    wanted = select(func.sum(fetches.c.requests), func.sum(fetches.c.rows)).where(
        fetches.c.id > first, fetches.c.committed_at >= since
    )
    requests, bars = connection.execute(wanted).one()
    return Written(int(requests or 0), int(bars or 0))


def _instant(micros: Any) -> datetime | None:
    return None if micros is None else from_micros(micros)
