"""Closures in the catalog: what persons said of single days, and putting it in force.

Not here: what a closure is and does to a calendar (domain.closures), and what becomes of gaps when
one is made or taken back (ingest.closing).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, select, true

from marketdata_pipeline.database.dialect import upsert, wall_micros
from marketdata_pipeline.database.doubting import closures
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import coverage, instruments, series
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.closures import Closure, Closures, put_in_force
from marketdata_pipeline.domain.coverage import SpanKind
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.series import Series

_ALL = select(closures).order_by(closures.c.calendar, closures.c.session)
_ASKED_AGAIN = (SpanKind.HOLE.value, SpanKind.PROVISIONAL.value)


def read_closures(engine: Engine) -> Closures:
    """All closures of a catalog.

    Raises:
        StoreError: the database does not answer.
    """
    with reading(engine) as connection:
        return Closures(tuple(_closure(row) for row in connection.execute(_ALL)))


def heed(engine: Engine) -> None:
    """From here on calendars of this process are as the catalog says.

    Raises:
        StoreError: the database does not answer.
    """
    put_in_force(read_closures(engine))


def keep(connection: Connection, closure: Closure, clock: Clock) -> Closure:
    """Enter a closure in place of what was said of that day; as it is kept."""
    hours = closure.hours
    made = wall_micros(connection, clock)
    row = {
        "calendar": closure.calendar,
        "session": closure.session.isoformat(),
        "opens": None if hours is None else to_micros(hours.start),
        "closes": None if hours is None else to_micros(hours.end),
        "reason": closure.reason,
        "evidence": closure.evidence,
        "made_at": made,
    }
    upsert(connection, closures, ("calendar", "session"), [row])
    return replace(closure, made_at=from_micros(made))


def remove(connection: Connection, calendar: str, session: date) -> None:
    """Take back what was said of a day."""
    same = (closures.c.calendar == calendar, closures.c.session == session.isoformat())
    connection.execute(delete(closures).where(*same))


def series_on(engine: Engine, calendar: str) -> dict[Series, TimeRange | None]:
    """The series of a calendar's instruments, sorted, each with the span of its stored labels.

    The span is from the first label to the last, both within it; None: nothing is stored.
    """
    columns = series.c["key", "first_ts", "last_ts"]
    wanted = select(*columns).join_from(series, instruments).where(instruments.c.venue == calendar)
    with reading(engine) as connection:
        rows = connection.execute(wanted.order_by(series.c.key)).all()
    return {Series.parse(row.key): _span(row) for row in rows}


def covered_on(
    engine: Engine, calendar: str, within: TimeRange, *, asked_again: bool = False
) -> Sequence[Series]:
    """The series of a calendar's instruments with coverage in a range, sorted.

    ``asked_again``: only those of which something there is a hole or provisional.
    """
    wanted = (
        select(series.c.key)
        .distinct()
        .join_from(coverage, series)
        .join(instruments)
        .where(
            instruments.c.venue == calendar,
            coverage.c.start < to_micros(within.end),
            coverage.c.end > to_micros(within.start),
            coverage.c.kind.in_(_ASKED_AGAIN) if asked_again else true(),
        )
        .order_by(series.c.key)
    )
    with reading(engine) as connection:
        return [Series.parse(row.key) for row in connection.execute(wanted)]


def _span(row: Row[*tuple[Any, ...]]) -> TimeRange | None:
    if row.first_ts is None:
        return None
    return TimeRange(from_micros(row.first_ts), from_micros(row.last_ts + 1))


def _closure(row: Row[*tuple[Any, ...]]) -> Closure:
    hours = None
    if row.opens is not None:
        hours = TimeRange(from_micros(row.opens), from_micros(row.closes))
    day = date.fromisoformat(row.session)
    return Closure(row.calendar, day, hours, row.reason, row.evidence, from_micros(row.made_at))
