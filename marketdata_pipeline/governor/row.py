"""The row of a provider: reserving a turn, setting a cooldown, looking; one statement each.

Not here: waiting for the turn (governor). On Postgres all instants are the database's own clock.
"""

from dataclasses import dataclass
from functools import cache

from sqlalchemy import BigInteger, Connection, UpdateBase, bindparam, select, update

from marketdata_pipeline.database.dialect import (
    greatest,
    insert_missing,
    is_postgres,
    server_clock,
    wall_expression,
    wall_micros,
)
from marketdata_pipeline.database.metadata import governor
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.ranges import to_micros
from marketdata_pipeline.errors import StoreError
from marketdata_pipeline.governor.gcra import Pace

_ROW = governor.c


def enter(connection: Connection, key: str, pace: Pace) -> None:
    """Make the row, or give the one that is there another pace; turns and cooldown stay."""
    values = {"interval": pace.interval, "tau": pace.tau}
    insert_missing(connection, governor, {"key": key, "tat": 0, "cooldown_until": 0} | values)
    connection.execute(update(governor).where(_ROW.key == key).values(values))


def reserve(connection: Connection, clock: Clock, key: str, max_wait: int) -> int | None:
    """Take the next turn: microseconds until it (never negative), or None.

    None: it is more than ``max_wait`` microseconds away, and nothing was taken. No turn lies
    inside a cooldown; the burst allowance moves turns forward to its end, not into it.
    """
    postgres = is_postgres(connection)
    asked: dict[str, object] = {"of": key, "most": max_wait}
    if not postgres:
        asked["wall"] = to_micros(clock.wall_now())
    taken = connection.execute(_reservation(postgres=postgres), asked).scalar()
    return None if taken is None else max(0, int(taken))


@cache
def _reservation(*, postgres: bool) -> UpdateBase:
    """The statement, made once: making one takes four times as long as executing it."""
    now = server_clock() if postgres else bindparam("wall", type_=BigInteger)
    most = bindparam("most", type_=BigInteger)
    tat, until = _ROW.tat, _ROW.cooldown_until
    start = greatest(tat - _ROW.tau, until, postgres=postgres)
    granted = greatest(tat - _ROW.interval - _ROW.tau, until, postgres=postgres)
    return (
        update(governor)
        .where(_ROW.key == bindparam("of"), start <= now + most)
        .values(tat=greatest(tat, now, until, postgres=postgres) + _ROW.interval)
        .returning((granted - now).label("wait"))
    )


def next_turn(connection: Connection, clock: Clock, key: str) -> tuple[int, int]:
    """Now, and the instant from which a turn is possible, in wall microseconds.

    Raises:
        StoreError: the row is missing.
    """
    postgres = is_postgres(connection)
    start = greatest(_ROW.tat - _ROW.tau, _ROW.cooldown_until, postgres=postgres)
    at = connection.execute(select(start).where(_ROW.key == key)).scalar()
    if at is None:
        raise StoreError(f"the governor does not know {key}; register its rate limit first")
    now = wall_micros(connection, clock)
    return now, max(now, int(at))


@dataclass(frozen=True, slots=True)
class Stored:
    """A provider's row; instants in wall microseconds."""

    key: str
    pace: Pace
    tat: int
    cooldown_until: int


def stored(connection: Connection) -> list[Stored]:
    """Every provider's row, by name."""
    rows = connection.execute(select(governor).order_by(_ROW.key))
    return [
        Stored(row.key, Pace(row.interval, row.tau), row.tat, row.cooldown_until) for row in rows
    ]


def cooling(connection: Connection, clock: Clock, key: str) -> bool:
    """Whether a cooldown holds now."""
    held = select(_ROW.cooldown_until > wall_expression(connection, clock))
    return bool(connection.execute(held.where(_ROW.key == key)).scalar())


def cool_down(connection: Connection, clock: Clock, key: str, micros: int) -> None:
    """Nobody sends for so long from now; a longer cooldown that is there stays."""
    until = wall_expression(connection, clock) + micros
    connection.execute(
        update(governor)
        .where(_ROW.key == key)
        .values(
            cooldown_until=greatest(_ROW.cooldown_until, until, postgres=is_postgres(connection))
        )
    )
