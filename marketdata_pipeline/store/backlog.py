"""The queue in numbers: how many rows stand how, how fast they are done, which ones are stuck.

Not here: single rows (backfills), and what people read of it (reading.queue).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Engine, and_, case, func, select

from marketdata_pipeline.database.dialect import wall_micros
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.happening import backfill_queue
from marketdata_pipeline.domain.backfill import Backfill, Status
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.ranges import MICROSECOND, from_micros
from marketdata_pipeline.errors import UnknownSymbol
from marketdata_pipeline.store.backfills import OPEN, backfill_of

_ROW = backfill_queue.c
_HOUR = timedelta(hours=1) // MICROSECOND
_UNRESOLVED = and_(_ROW.status.in_(OPEN), _ROW.error_category == UnknownSymbol.category)
"""No provider knows the instrument; it is asked for again, since one may know it some day."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The rows of one status.

    Attributes:
        oldest: when the first of them was put in.
        next_at: wall instant from which on one of them may be begun; None: none of them waits.
        unresolved: those of them whose symbol no provider knows.
    """

    status: Status
    rows: int
    oldest: datetime
    next_at: datetime | None
    unresolved: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """The queue at one wall instant.

    Attributes:
        standings: of the statuses that rows have, in the order of ``Status``.
        done: completed in the last hour; ``took``: their mean time in the queue, None: none was.
        failed, unresolved: the first of these rows.
    """

    at: datetime
    standings: tuple[Standing, ...] = ()
    done: int = 0
    took: timedelta | None = None
    failed: tuple[Backfill, ...] = ()
    unresolved: tuple[Backfill, ...] = ()


def read_backlog(engine: Engine, clock: Clock, *, named: int) -> Backlog:
    """The queue behind ``engine`` in five queries; so many rows of each kind are named."""
    with reading(engine) as connection:
        now = wall_micros(connection, clock)
        done, took = _lately(connection, now)
        return Backlog(
            at=from_micros(now),
            standings=_standings(connection),
            done=done,
            took=took,
            failed=_some(connection, _ROW.status == Status.FAILED, named),
            unresolved=_some(connection, _UNRESOLVED, named),
        )


def _standings(connection: Connection) -> tuple[Standing, ...]:
    waits = and_(_ROW.status.in_(OPEN), _ROW.asked_at.is_(None))
    wanted = select(
        _ROW.status,
        func.count().label("rows"),
        func.min(_ROW.created_at).label("oldest"),
        func.min(case((waits, _ROW.retry_after))).label("next_at"),
        func.sum(case((_UNRESOLVED, 1), else_=0)).label("unresolved"),
    ).group_by(_ROW.status)
    found = {row.status: row for row in connection.execute(wanted)}
    return tuple(
        Standing(
            status=one,
            rows=row.rows,
            oldest=from_micros(row.oldest),
            next_at=None if row.next_at is None else from_micros(row.next_at),
            unresolved=int(row.unresolved),
        )
        for one in Status
        if (row := found.get(one)) is not None
    )


def _lately(connection: Connection, now: int) -> tuple[int, timedelta | None]:
    taken = _ROW.completed_at - _ROW.created_at
    late = (_ROW.status == Status.COMPLETED, _ROW.completed_at > now - _HOUR)
    done, took = connection.execute(select(func.count(), func.avg(taken)).where(*late)).one()
    return int(done), None if took is None else round(took) * MICROSECOND


def _some(connection: Connection, such: ColumnElement[bool], at_most: int) -> tuple[Backfill, ...]:
    wanted = select(backfill_queue).where(such).order_by(_ROW.priority, _ROW.id).limit(at_most)
    return tuple(backfill_of(row) for row in connection.execute(wanted))
