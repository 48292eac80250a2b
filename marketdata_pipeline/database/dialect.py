"""The few expressions that SQLite and Postgres spell differently, each behind one name.

Not here: engines and their pragmas (engine).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    any_,
    bindparam,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy import extract as extract_field
from sqlalchemy.dialects import postgresql, sqlite

from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.ranges import to_micros

_SECOND = 1_000_000


def is_postgres(connection: Connection) -> bool:
    """Whether the database has a server, with a clock and row locks of its own."""
    return connection.dialect.name == "postgresql"


def wall_expression(connection: Connection, clock: Clock) -> ColumnElement[int]:
    """The wall instant in microseconds, as SQL.

    On Postgres it is the database's own clock, read when the row is (after any wait for a lock),
    so that all hosts agree; on SQLite the clock's instant now.
    """
    if is_postgres(connection):
        return server_clock()
    return literal(to_micros(clock.wall_now()), BigInteger)


@cache
def server_clock() -> ColumnElement[int]:
    """The same where there is a server, for statements that are made once."""
    epoch = extract_field("epoch", func.clock_timestamp())
    return cast(func.floor(epoch * _SECOND), BigInteger)


@cache
def _asked_server_clock() -> Select[int]:
    return select(server_clock())


def wall_micros(connection: Connection, clock: Clock) -> int:
    """The wall instant in microseconds since 1970 UTC: the database's on Postgres."""
    if is_postgres(connection):
        return int(connection.execute(_asked_server_clock()).scalar_one())
    return to_micros(clock.wall_now())


def greatest(*values: ColumnElement[int], postgres: bool) -> ColumnElement[int]:
    """The largest of several values of one row; none may be NULL."""
    return func.greatest(*values) if postgres else func.max(*values)


def least(*values: ColumnElement[int], postgres: bool) -> ColumnElement[int]:
    """The smallest of several values of one row; none may be NULL."""
    return func.least(*values) if postgres else func.min(*values)


def one_of(connection: Connection, column: ColumnElement[str], keys: Iterable[str]) -> Any:
    """``column IN keys`` with one bound value, however many keys there are."""
    wanted = list(keys)
    if is_postgres(connection):
        return column == any_(cast(bindparam(None, wanted), ARRAY(Text)))
    return column.in_(select(func.json_each(json.dumps(wanted)).table_valued("value").c.value))


def one_of_ids(connection: Connection, column: ColumnElement[int], ids: Iterable[int]) -> Any:
    """The same for a column of whole numbers."""
    wanted = list(ids)
    if is_postgres(connection):
        return column == any_(cast(bindparam(None, wanted), ARRAY(BigInteger)))
    return column.in_(select(func.json_each(json.dumps(wanted)).table_valued("value").c.value))


def insert_missing(connection: Connection, table: Table, *rows: Mapping[str, object]) -> None:
    """Insert rows of one shape, each unless one with the same key is there."""
    build = postgresql.insert if is_postgres(connection) else sqlite.insert
    connection.execute(build(table).on_conflict_do_nothing(), list(rows))


def upsert(
    connection: Connection, table: Table, keys: Sequence[str], rows: Sequence[Mapping[str, object]]
) -> None:
    """Insert rows of one shape; a row with the same keys gets the other columns replaced."""
    if not rows:
        return
    statement = _upsert(table, tuple(keys), tuple(rows[0]), postgres=is_postgres(connection))
    connection.execute(statement, list(rows))


@cache
def _upsert(
    table: Table, keys: tuple[str, ...], columns: tuple[str, ...], *, postgres: bool
) -> postgresql.Insert | sqlite.Insert:
    """The statement, made once: making one takes as long as executing it."""
    statement = (postgresql.insert if postgres else sqlite.insert)(table)
    rest = {name: statement.excluded[name] for name in columns if name not in keys}
    return statement.on_conflict_do_update(index_elements=list(keys), set_=rest)
