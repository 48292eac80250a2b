"""The rows of ``flights``: taking a lease on an instrument, renewing leases, giving one up.

Not here: waiting for one (flights) and when to renew (renewing). On Postgres all instants are the
database's own clock, read once the row is locked.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache

from sqlalchemy import BigInteger, Connection, Update, bindparam, select, update

from marketdata_pipeline.database.dialect import (
    greatest,
    insert_missing,
    is_postgres,
    one_of,
    wall_expression,
    wall_micros,
)
from marketdata_pipeline.database.governing import flights
from marketdata_pipeline.domain.clock import Clock

_ROW = flights.c
_NOBODY = ""
_LOCKED = select(flights).where(_ROW.instrument == bindparam("of")).with_for_update()
_TAKEN = (
    update(flights)
    .where(_ROW.instrument == bindparam("of"))
    .values(holder=bindparam("by"), until=bindparam("end"))
)


@dataclass(frozen=True, slots=True)
class Lease:
    """An instrument's key, and the name of who holds it; no two leases have the same name."""

    instrument: str
    holder: str


@dataclass(frozen=True, slots=True)
class Taken:
    """The lease is the caller's.

    Attributes:
        ended_at: when somebody last gave one on this instrument up; 0: nobody did.
        abandoned: the one before was never given up: its time was over.
    """

    ended_at: int
    abandoned: bool


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody else's, who has it until that wall microsecond and may renew it."""

    holder: str
    until: int


def take(connection: Connection, clock: Clock, lease: Lease, ttl: int) -> Taken | Held:
    """Have the lease for ``ttl`` microseconds from now, unless somebody holds one."""
    asked = {"of": lease.instrument}
    row = connection.execute(_LOCKED, asked).one_or_none()
    if row is None:
        nobodys = {"instrument": lease.instrument, "holder": _NOBODY, "until": 0, "ended_at": 0}
        insert_missing(connection, flights, nobodys)
        row = connection.execute(_LOCKED, asked).one()
    now = wall_micros(connection, clock)
    if row.holder != _NOBODY and row.until > now:
        return Held(row.holder, int(row.until))
    connection.execute(_TAKEN, asked | {"by": lease.holder, "end": now + ttl})
    return Taken(int(row.ended_at), abandoned=row.holder != _NOBODY)


def held(connection: Connection, clock: Clock, instrument: str) -> Held | None:
    """Who holds an instrument now, or None; takes nothing."""
    wanted = select(flights).where(
        _ROW.instrument == instrument,
        _ROW.holder != _NOBODY,
        _ROW.until > wall_expression(connection, clock),
    )
    row = connection.execute(wanted).one_or_none()
    return None if row is None else Held(row.holder, int(row.until))


def renew(connection: Connection, clock: Clock, leases: Collection[Lease], ttl: int) -> set[Lease]:
    """Have these for ``ttl`` microseconds from now; those that are still their holders'.

    One whose time was over is renewed too where nobody took it meanwhile.
    """
    extended = (
        update(flights)
        .where(
            one_of(connection, _ROW.instrument, [one.instrument for one in leases]),
            one_of(connection, _ROW.holder, [one.holder for one in leases]),
        )
        .values(until=wall_expression(connection, clock) + ttl)
        .returning(_ROW.instrument, _ROW.holder)
    )
    return {Lease(row.instrument, row.holder) for row in connection.execute(extended)}


def give_up(connection: Connection, clock: Clock, lease: Lease) -> None:
    """Leave the instrument to others; one that is not its holder's any more stays as it is.

    ``ended_at`` rises each time, whatever the clock says: it tells what was known before from what
    came after.
    """
    now = wall_micros(connection, clock)
    asked = {"of": lease.instrument, "by": lease.holder, "now": now}
    connection.execute(_given_up(postgres=is_postgres(connection)), asked)


@cache
def _given_up(*, postgres: bool) -> Update:
    """The statement, made once: making one takes longer than executing it."""
    now = bindparam("now", type_=BigInteger)
    later = greatest(now, _ROW.ended_at + 1, postgres=postgres)
    mine = _ROW.instrument == bindparam("of"), _ROW.holder == bindparam("by")
    return update(flights).where(*mine).values(holder=_NOBODY, until=now, ended_at=later)


def ended(connection: Connection, instruments: Iterable[str]) -> dict[str, int]:
    """When somebody last gave up each of these; those that nobody ever did are absent."""
    ours = one_of(connection, _ROW.instrument, instruments)
    rows = connection.execute(select(_ROW.instrument, _ROW.ended_at).where(ours))
    return {row.instrument: int(row.ended_at) for row in rows}
