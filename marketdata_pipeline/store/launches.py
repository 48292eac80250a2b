"""The rows of the queue on their way: asked of a run, begun by it, concluded or lost.

Not here: putting rows in (backfills), and what becomes of which error (ingest.after).
On Postgres all instants are the database's own clock.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Text,
    Update,
    bindparam,
    delete,
    func,
    select,
    tuple_,
    update,
)

from marketdata_pipeline.database.dialect import one_of, wall_expression, wall_micros
from marketdata_pipeline.database.happening import backfill_queue
from marketdata_pipeline.domain.backfill import Backfill, Claim, Status
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import MICROSECOND, from_micros, to_micros
from marketdata_pipeline.store.backfills import OPEN, backfill_of

_ROW = backfill_queue.c


@dataclass(frozen=True, slots=True)
class After:
    """What becomes of a row that a run was at.

    Attributes:
        retry_after: wall instant before which it is not begun again; None: at once.
        own: it failed by its own fault; ``setback``: by nobody's. A row that is given back is
            neither.
    """

    status: Status
    retry_after: datetime | None = None
    own: bool = False
    setback: bool = False
    category: str | None = None
    message: str | None = None


def due(connection: Connection, clock: Clock, *, at_most: int) -> list[Backfill]:
    """Rows that may be begun now and that no run was asked for, locked.

    The most urgent come first, of those the oldest; so many at most.
    """
    now = wall_micros(connection, clock)
    waiting = (_ROW.status.in_(OPEN), _ROW.retry_after <= now, _ROW.asked_at.is_(None))
    found = select(backfill_queue).where(*waiting).order_by(_ROW.priority, _ROW.id).limit(at_most)
    return [backfill_of(row) for row in connection.execute(found.with_for_update(skip_locked=True))]


def next_due(connection: Connection) -> int | None:
    """The wall instant, in microseconds, at which the first row that waits is due; None: none."""
    waiting = (_ROW.status.in_(OPEN), _ROW.asked_at.is_(None))
    return connection.execute(select(func.min(_ROW.retry_after)).where(*waiting)).scalar()


def ask(connection: Connection, clock: Clock, batches: Mapping[int, str]) -> None:
    """Note that a run was asked for these rows, by id, and the batch that each is part of."""
    if not batches:
        return
    now = wall_micros(connection, clock)
    values = [{"of": one, "named": batch, "now": now} for one, batch in batches.items()]
    connection.execute(_asked(), values)


def start(
    connection: Connection, clock: Clock, claims: Collection[Claim], run_id: str, lease: timedelta
) -> list[Backfill]:
    """Have those of the claimed rows that are still to be begun; a lease on them from now on."""
    if not claims:
        return []
    now = wall_expression(connection, clock)
    begun = (
        update(backfill_queue)
        .where(
            tuple_(_ROW.id, _ROW.launch).in_([(one.id, one.launch) for one in claims]),
            _ROW.status.in_(OPEN),
        )
        .values(
            status=Status.IN_PROGRESS,
            run_id=run_id,
            lease_until=now + lease // MICROSECOND,
            updated_at=now,
        )
        .returning(backfill_queue)
    )
    return sorted(map(backfill_of, connection.execute(begun)), key=lambda one: one.id)


def renew(connection: Connection, clock: Clock, run_id: str, lease: timedelta) -> int:
    """Have a run's rows for that long from now on; how many are its own still."""
    until = wall_expression(connection, clock) + lease // MICROSECOND
    mine = (_ROW.run_id == run_id, _ROW.status == Status.IN_PROGRESS)
    return connection.execute(
        update(backfill_queue).where(*mine).values(lease_until=until)
    ).rowcount


def at_work(connection: Connection, run_id: str) -> list[Backfill]:
    """The rows that a run is at, locked."""
    mine = (_ROW.run_id == run_id, _ROW.status == Status.IN_PROGRESS)
    return _locked(connection, *mine)


def lost(connection: Connection, clock: Clock, grace: timedelta) -> list[Backfill]:
    """The rows whose run let its lease run out and was then not heard of for ``grace``, locked.

    That counts from the first look at a lease that is over, which ``updated_at`` holds from then
    on: while the catalog is away, or the machine sleeps, no run can renew its lease.
    """
    now = from_micros(wall_micros(connection, clock))
    over = _locked(connection, _ROW.status == Status.IN_PROGRESS, _ROW.lease_until < to_micros(now))
    first = [one.id for one in over if one.lease_until and one.updated_at <= one.lease_until]
    if first:
        noticed = update(backfill_queue).where(_ROW.id.in_(first))
        connection.execute(noticed.values(updated_at=to_micros(now)))
    return [one for one in over if one.id not in first and one.updated_at <= now - grace]


def claimed(connection: Connection, claims: Collection[Claim]) -> list[Backfill]:
    """The rows that are still to be begun by these claims, locked."""
    pairs = [(one.id, one.launch) for one in claims]
    return _locked(connection, tuple_(_ROW.id, _ROW.launch).in_(pairs), _ROW.status.in_(OPEN))


def forgotten(connection: Connection, clock: Clock, asked_before: timedelta) -> list[Backfill]:
    """The rows that a run was asked for longer ago than that, and that none has begun, locked.

    Those of a batch were asked for at one instant, so they are all there or none: one that
    somebody is at just now is waited for, since a run of the others would have the batch's name.
    """
    until = wall_micros(connection, clock) - asked_before // MICROSECOND
    return _locked(connection, _ROW.status.in_(OPEN), _ROW.asked_at <= until, skip=False)


def _locked(
    connection: Connection, *wanted: ColumnElement[bool], skip: bool = True
) -> list[Backfill]:
    """The rows that nobody else is at just now; without ``skip`` others are waited for."""
    found = select(backfill_queue).where(*wanted).order_by(_ROW.id)
    return [backfill_of(row) for row in connection.execute(found.with_for_update(skip_locked=skip))]


def conclude(connection: Connection, clock: Clock, after: Sequence[tuple[Backfill, After]]) -> int:
    """Write what became of rows at their present launch; of how many that was still to be said."""
    now, changed = wall_micros(connection, clock), 0
    for row, then in after:
        changed += connection.execute(_concluded(), _values(row, then, now)).rowcount
    return changed


def _values(row: Backfill, after: After, now: int) -> dict[str, Any]:
    ended = after.status in {Status.COMPLETED, Status.FAILED}
    retry_after = now if after.retry_after is None else to_micros(after.retry_after)
    return {
        "of": row.id,
        "at_launch": row.launch,
        "new_status": after.status,
        "new_retry_after": retry_after,
        "new_attempts": row.attempts + after.own,
        "new_setbacks": _setbacks(row, after),
        "new_launch": row.launch if ended else row.launch + 1,
        "new_batch": row.batch if ended else None,
        "new_run_id": row.run_id if ended else None,
        "new_asked_at": to_micros(row.asked_at) if ended and row.asked_at else None,
        "new_category": after.category,
        "new_message": after.message,
        "new_completed_at": now if after.status is Status.COMPLETED else None,
        "now": now,
    }


def _setbacks(row: Backfill, after: After) -> int:
    """In a row: an answer ends it, but not that there was no turn to ask."""
    answered = after.own or after.status is Status.COMPLETED
    return 0 if answered else row.setbacks + after.setback


@cache
def _concluded() -> Update:
    unsaid = _ROW.status.in_([*OPEN, Status.IN_PROGRESS])
    mine = (_ROW.id == bindparam("of"), _ROW.launch == bindparam("at_launch"), unsaid)
    return (
        update(backfill_queue)
        .where(*mine)
        .values(
            status=bindparam("new_status", type_=Text),
            retry_after=bindparam("new_retry_after", type_=BigInteger),
            attempts=bindparam("new_attempts", type_=Integer),
            setbacks=bindparam("new_setbacks", type_=Integer),
            launch=bindparam("new_launch", type_=Integer),
            batch=bindparam("new_batch", type_=Text),
            asked_at=bindparam("new_asked_at", type_=BigInteger),
            run_id=bindparam("new_run_id", type_=Text),
            error_category=bindparam("new_category", type_=Text),
            error_message=bindparam("new_message", type_=Text),
            completed_at=bindparam("new_completed_at", type_=BigInteger),
            updated_at=bindparam("now", type_=BigInteger),
            lease_until=None,
        )
    )


@cache
def _asked() -> Update:
    named = {"batch": bindparam("named", type_=Text), "asked_at": bindparam("now")}
    return update(backfill_queue).where(_ROW.id == bindparam("of")).values(**named)


def retry(connection: Connection, clock: Clock, ids: Collection[int] | None) -> int:
    """Give failed rows all their attempts again; how many of these there were. None: all."""
    now = wall_expression(connection, clock)
    failed = update(backfill_queue).where(_ROW.status == Status.FAILED)
    if ids is not None:
        failed = failed.where(_ROW.id.in_(list(ids)))
    anew = failed.values(
        status=Status.PENDING,
        attempts=0,
        setbacks=0,
        launch=_ROW.launch + 1,
        batch=None,
        asked_at=None,
        run_id=None,
        retry_after=now,
        updated_at=now,
    )  # fmt: skip
    return connection.execute(anew).rowcount


def drop(connection: Connection, ids: Collection[int]) -> int:
    """Remove rows that wait or have failed, a run being asked for them or not; how many."""
    gone = (_ROW.id.in_(list(ids)), _ROW.status.in_([*OPEN, Status.FAILED]))
    return connection.execute(delete(backfill_queue).where(*gone)).rowcount


def drop_waiting(connection: Connection, instruments: Collection[Instrument]) -> None:
    """Remove the rows of these instruments that wait: nobody wants them any more."""
    if instruments:
        theirs = one_of(connection, _ROW.instrument, [one.key for one in instruments])
        connection.execute(delete(backfill_queue).where(theirs, _ROW.status.in_(OPEN)))


def prune(connection: Connection, clock: Clock, kept: timedelta) -> int:
    """Remove what was completed longer ago than that; how many rows those were."""
    until = wall_micros(connection, clock) - kept // MICROSECOND
    old = (_ROW.status == Status.COMPLETED, _ROW.completed_at < until)
    return connection.execute(delete(backfill_queue).where(*old)).rowcount
