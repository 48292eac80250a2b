"""Moving the instant at which holes of many series at once are asked for again.

Not here: which holes there are (gaps), and when they are asked for (domain.incident).
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, and_, literal_column, or_, select, update

from marketdata_pipeline.database.dialect import one_of_ids
from marketdata_pipeline.database.metadata import coverage, instruments, series
from marketdata_pipeline.domain.incident import weeks_of
from marketdata_pipeline.domain.ranges import TimeRange, to_micros
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.store.gaps import tracked_series

_SPAN = coverage.c
_HOLE = _SPAN.kind == literal_column("'hole'")
_TERMS = 200
"""SQLite takes no expression of more than a thousand."""


def retry_at(
    connection: Connection,
    calendar: str,
    ranges: Sequence[TimeRange],
    at: datetime,
    *,
    only: Collection[int] | None = None,
    but: Collection[int] = (),
) -> int:
    """Have a calendar's holes that lie in some ranges asked for at ``at``; how many there are.

    Those of weeks where they lie in the weeks of these ranges. The caller commits.

    Args:
        connection: in a transaction that writes.
        calendar: of the tracked instruments.
        ranges: of labels.
        at: market instant.
        only: ids of the series; None: all.
        but: those of series that stay as they are.
    """
    weekly = series.c.timeframe == str(Timeframe.W1)
    moved = 0
    for frame, inside in ((~weekly, ranges), (weekly, weeks_of(ranges))):
        ours = select(series.c.id).select_from(tracked_series())
        ours = ours.where(instruments.c.venue == calendar, frame)
        if only is not None:
            ours = ours.where(one_of_ids(connection, series.c.id, only))
        if but:
            ours = ours.where(~one_of_ids(connection, series.c.id, but))
        there = [
            and_(_SPAN.start >= to_micros(one.start), _SPAN.end <= to_micros(one.end))
            for one in inside
        ]
        change_of = update(coverage).where(_HOLE, or_(*there), _SPAN.series_id.in_(ours))
        change_of = change_of.where(_SPAN.recheck_at != to_micros(at))
        moved += connection.execute(change_of.values(recheck_at=to_micros(at))).rowcount
    return moved


def park(
    connection: Connection,
    calendar: str,
    holes: Mapping[Timeframe, Collection[TimeRange]],
    at: datetime,
    *,
    but: Collection[int] = (),
) -> int:
    """Have a calendar's holes of just these ranges asked for at ``at``; how many there are.

    As ``retry_at`` does it; the caller commits.
    """
    moved = 0
    for frame, ranges in holes.items():
        ours = select(series.c.id).select_from(tracked_series())
        ours = ours.where(instruments.c.venue == calendar, series.c.timeframe == str(frame))
        if but:
            ours = ours.where(~one_of_ids(connection, series.c.id, but))
        each = sorted(ranges)
        for some in (each[at : at + _TERMS] for at in range(0, len(each), _TERMS)):
            there = [
                and_(_SPAN.start == to_micros(one.start), _SPAN.end == to_micros(one.end))
                for one in some
            ]
            such = update(coverage).where(_HOLE, or_(*there), _SPAN.series_id.in_(ours))
            such = such.where(_SPAN.recheck_at != to_micros(at))
            moved += connection.execute(such.values(recheck_at=to_micros(at))).rowcount
    return moved
