"""What was never asked for of some days, of all tracked series of a timeframe at once.

Not here: holes (gaps), and what follows (ingest.gaps).
"""

import math
from datetime import timedelta

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    and_,
    case,
    func,
    literal,
    select,
)

from marketdata_pipeline.database.dialect import greatest, is_postgres, least
from marketdata_pipeline.database.metadata import (
    coverage,
    instruments,
    series,
    tracked_instruments,
)
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.store.gaps import DueHoles, tracked_series


def not_asked(
    connection: Connection, timeframe: Timeframe, within: TimeRange
) -> list[tuple[DueHoles, list[TimeRange]]]:
    """The tracked series of a timeframe of which a part of some whole days was never asked for.

    What is kept and was listed of the days, and the parts of it that were asked for.
    """
    end = to_micros(within.end)
    begins = _begins(connection, within)
    spans, postgres = coverage.alias(), is_postgres(connection)
    until = least(spans.c.end, literal(end, BigInteger), postgres=postgres)
    known = until - greatest(spans.c.start, begins, postgres=postgres)
    asked = select(func.coalesce(func.sum(known), 0)).where(_overlap(spans, begins, end))
    ours = asked.correlate(series, tracked_instruments, instruments).scalar_subquery()
    wanted = select(series.c.key, begins, tracked_instruments.c.holders)
    wanted = wanted.add_columns(coverage.c.start, coverage.c.end).select_from(
        tracked_series().outerjoin(coverage, _overlap(coverage, begins, end))
    )
    wanted = wanted.where(series.c.timeframe == str(timeframe), begins < end, ours < end - begins)
    found: dict[str, tuple[DueHoles, list[TimeRange]]] = {}
    for key, at, holders, first, last in connection.execute(wanted):
        if key not in found:
            kept = TimeRange(from_micros(at), within.end)
            found[key] = DueHoles(Series.parse(key), kept, held=bool(holders)), []
        if first is not None:
            found[key][1].append(TimeRange(from_micros(first), from_micros(last)))
    return list(found.values())


def _overlap(spans: FromClause, begins: ColumnElement[int], end: int) -> ColumnElement[bool]:
    of = spans.c.series_id == series.c.id
    return and_(of, spans.c.start < end, spans.c.end > begins)


def _begins(connection: Connection, days: TimeRange) -> ColumnElement[int]:
    """The first label of some whole days that a tracked series keeps and that was listed."""
    number = math.ceil(days.length / timedelta(days=1))
    starts = [days.start + timedelta(days=one) for one in range(number)]
    first, listed = to_micros(days.start), instruments.c.first_trade
    cases = [(listed <= str(at.date()), literal(to_micros(at), BigInteger)) for at in starts]
    of_listing = case(
        (listed.is_(None), literal(first, BigInteger)),
        *cases,
        else_=literal(to_micros(days.end), BigInteger),
    )
    since = func.coalesce(tracked_instruments.c.since, literal(first, BigInteger))
    return greatest(of_listing, since, postgres=is_postgres(connection))
