"""The rows of the queue: putting backfills into it, reading them.

Not here: who does them and what becomes of them (launches), and what that means (ingest.queue).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Insert,
    Row,
    Select,
    Update,
    and_,
    bindparam,
    case,
    func,
    insert,
    select,
)
from sqlalchemy import update as update_of

from marketdata_pipeline.database.dialect import is_postgres, one_of, wall_micros
from marketdata_pipeline.database.happening import backfill_queue
from marketdata_pipeline.database.metadata import instruments, tracked_instruments
from marketdata_pipeline.domain.backfill import Backfill, Status
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import MICROSECOND, from_micros, to_micros
from marketdata_pipeline.domain.timeframe import Timeframe

PRIORITIES = tuple(Priority)
OPEN = (Status.PENDING, Status.RATE_LIMITED)
"""No run is at it; it may be waiting for one that was asked for."""
_ROW = backfill_queue.c
_DOOR = 0x62_66_71_75
"""The number of Postgres' advisory lock that whoever puts rows into the queue holds."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """History that somebody wants to be there.

    Attributes:
        start, end: label range, half-open; None: as the instrument is tracked, and up to the last
            closed bar.
    """

    instrument: Instrument
    timeframes: tuple[Timeframe, ...]
    start: datetime | None = None
    end: datetime | None = None
    priority: Priority = Priority.TRACKED


@dataclass(slots=True)
class _Open:
    """A row that no run is at; ``fixed``: a run was asked for it, so it stays as it is."""

    id: int
    wanted: Wanted
    since: datetime | None
    fixed: bool
    changed: bool = field(default=False)

    def takes(self, other: Wanted) -> bool:
        """Make the other one part of this, if it is or can be."""
        mine = self.wanted
        joined = tuple(one for one in Timeframe if one in {*mine.timeframes, *other.timeframes})
        span = _joined(mine, other, self.since)
        if span is None:
            return False
        urgent = min(mine.priority, other.priority, key=PRIORITIES.index)
        grown = Wanted(mine.instrument, joined, *span, urgent)
        if self.fixed and grown != mine:
            return False
        self.wanted = grown
        self.changed = self.changed or grown != mine
        return True


_Span = tuple[datetime | None, datetime | None]


def _joined(mine: Wanted, other: Wanted, since: datetime | None) -> _Span | None:
    """The range of both, or None where they have a gap between them.

    A row without a start reaches back to ``since``, whatever that is once it is begun.
    """
    end = None if mine.end is None or other.end is None else max(mine.end, other.end)
    if mine.start is None or other.start is None:
        dated = other.start if mine.start is None else mine.start
        inside = dated is None or (since is not None and dated >= since)
        return (None, end) if inside else None
    first, second = (mine, other) if mine.start <= other.start else (other, mine)
    if first.end is not None and second.start is not None and first.end < second.start:
        return None
    return first.start, end


def add_all(connection: Connection, clock: Clock, wanted: Sequence[Wanted]) -> list[int]:
    """Put what is wanted into the queue; the ids of the rows, in the order of ``wanted``.

    What touches the range of a row that is still to be begun becomes part of that one, so that the
    same wish twice is one row. The caller commits; others that put rows in wait until then.
    """
    _close_door(connection)
    now = wall_micros(connection, clock)
    rows = _open_rows(connection, {one.instrument for one in wanted})
    fresh: list[_Open] = []
    taken: list[_Open] = []
    for one in wanted:
        into = next((row for row in rows[one.instrument] if row.takes(one)), None)
        if into is None:
            into = _Open(0, one, None, fixed=False)
            rows[one.instrument].append(into)
            fresh.append(into)
        taken.append(into)
    _insert(connection, fresh, now)
    new = {id(one) for one in fresh}
    grown = {one.id: one for one in taken if one.changed and id(one) not in new}
    if grown:
        values = [{"of": one.id, "now": now, **_columns(one.wanted)} for one in grown.values()]
        connection.execute(_grown(), values)
    return [one.id for one in taken]


def _close_door(connection: Connection) -> None:
    """On SQLite a writing transaction is alone anyway."""
    if is_postgres(connection):
        connection.execute(select(func.pg_advisory_xact_lock(_DOOR)))


def _open_rows(
    connection: Connection, wanted: Collection[Instrument]
) -> dict[Instrument, list[_Open]]:
    found = select(backfill_queue, tracked_instruments.c.since).where(
        one_of(connection, _ROW.instrument, [one.key for one in wanted]), _ROW.status.in_(OPEN)
    )
    kept = (
        tracked_instruments.c.instrument_id == instruments.c.id,
        tracked_instruments.c.untracked_at.is_(None),
    )
    found = found.outerjoin_from(
        backfill_queue, instruments, instruments.c.key == _ROW.instrument
    ).outerjoin(tracked_instruments, and_(*kept))
    # No run begins one of them while it grows: what it had not read would be taken for done.
    found = found.order_by(_ROW.id).with_for_update(of=backfill_queue)
    rows: dict[Instrument, list[_Open]] = defaultdict(list)
    for row in connection.execute(found):
        one = backfill_of(row)
        wish = Wanted(one.instrument, one.timeframes, one.start, one.end, one.priority)
        fixed = one.asked_at is not None
        rows[one.instrument].append(_Open(one.id, wish, _instant(row.since), fixed))
    return rows


def _insert(connection: Connection, fresh: Sequence[_Open], now: int) -> None:
    if not fresh:
        return
    known = {
        "status": Status.PENDING, "retry_after": now, "attempts": 0, "setbacks": 0, "launch": 0,
        "created_at": now, "updated_at": now,
    }  # fmt: skip
    values = [{"instrument": one.wanted.instrument.key, **known, **_columns(one.wanted)}
              for one in fresh]  # fmt: skip
    for one, number in zip(fresh, connection.execute(_inserted(), values).scalars(), strict=True):
        one.id = int(number)


@cache
def _inserted() -> Insert:
    return insert(backfill_queue).returning(_ROW.id, sort_by_parameter_order=True)


@cache
def _grown() -> Update:
    """A more urgent one waits for nothing that the row waited for; it may have a turn."""
    names = ("timeframes", "start", "end", "priority")
    values = {name: bindparam(name, type_=_ROW[name].type) for name in names}
    now = bindparam("now", type_=BigInteger)
    due = case((_ROW.priority > values["priority"], now), else_=_ROW.retry_after)
    changed = update_of(backfill_queue).where(_ROW.id == bindparam("of"))
    return changed.values(**values, retry_after=due, updated_at=now)


def _columns(wanted: Wanted) -> dict[str, Any]:
    return {
        "timeframes": ",".join(map(str, wanted.timeframes)),
        "start": None if wanted.start is None else to_micros(wanted.start),
        "end": None if wanted.end is None else to_micros(wanted.end),
        "priority": PRIORITIES.index(wanted.priority),
    }


def get(connection: Connection, number: int) -> Backfill | None:
    """The row of an id, or None."""
    row = connection.execute(select(backfill_queue).where(_ROW.id == number)).one_or_none()
    return None if row is None else backfill_of(row)


def some(
    connection: Connection, *, statuses: Iterable[Status] = Status, at_most: int
) -> list[Backfill]:
    """Rows of these statuses: the most urgent first, of those the ones that are due first."""
    found = select(backfill_queue).where(_ROW.status.in_(list(statuses)))
    found = found.order_by(_ROW.priority, _ROW.retry_after, _ROW.id).limit(at_most)
    return [backfill_of(row) for row in connection.execute(found)]


def open_instruments(connection: Connection, keys: Iterable[str]) -> set[str]:
    """Of these instruments those that a row is waiting for, or that a run is at."""
    statuses = [*OPEN, Status.IN_PROGRESS]
    wanted: Select[Any] = select(_ROW.instrument).distinct().where(_ROW.status.in_(statuses))
    return set(
        connection.execute(wanted.where(one_of(connection, _ROW.instrument, keys))).scalars()
    )


def given_up(
    connection: Connection, clock: Clock, keys: Iterable[str], within: timedelta
) -> set[str]:
    """Of these instruments those of which a row was given up in that stretch of wall time."""
    return _ended(connection, clock, keys, Status.FAILED, within)


def completed(
    connection: Connection, clock: Clock, keys: Iterable[str], within: timedelta
) -> set[str]:
    """The same for rows that were completed."""
    return _ended(connection, clock, keys, Status.COMPLETED, within)


def _ended(
    connection: Connection, clock: Clock, keys: Iterable[str], status: Status, within: timedelta
) -> set[str]:
    since = wall_micros(connection, clock) - within // MICROSECOND
    wanted = select(_ROW.instrument).distinct()
    wanted = wanted.where(_ROW.status == status, _ROW.updated_at >= since)
    return set(
        connection.execute(wanted.where(one_of(connection, _ROW.instrument, keys))).scalars()
    )


def backfill_of(row: Row[*tuple[Any, ...]]) -> Backfill:
    """The value of a row that has all columns of the table."""
    return Backfill(
        id=int(row.id),
        instrument=Instrument.parse(row.instrument),
        timeframes=tuple(Timeframe.parse(one) for one in row.timeframes.split(",")),
        status=Status(row.status),
        priority=PRIORITIES[row.priority],
        attempts=int(row.attempts),
        setbacks=int(row.setbacks),
        launch=int(row.launch),
        batch=row.batch,
        run_id=row.run_id,
        error_category=row.error_category,
        error_message=row.error_message,
        retry_after=from_micros(row.retry_after),
        created_at=from_micros(row.created_at),
        updated_at=from_micros(row.updated_at),
        **{name: _instant(getattr(row, name)) for name in _OPTIONAL},
    )


_OPTIONAL = ("start", "end", "asked_at", "lease_until", "completed_at")


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
