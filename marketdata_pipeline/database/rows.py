"""All rows of a catalog: copied from one database into another, and summed up so as to compare.

Not here: making the tables (migrate), the file that a copy lies in (snapshot). Nothing here knows
what a table means: the tables are those of a revision, on SQLite as on Postgres.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    MetaData,
    Row,
    Table,
    create_engine,
    func,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.pool import StaticPool

from marketdata_pipeline.database.dialect import is_postgres
from marketdata_pipeline.database.migrate import move_within

_BATCH = 200
"""Rows at once; a chunk's row holds up to 100 kB."""
_MODULUS = 2**256
_VERSION = "alembic_version"

Told = Callable[[str, int, int], None]
"""Is told of progress: of what, how much is done, of how much."""


def untold(_what: str, _done: int, _total: int) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class TableSum:
    """What tells whether two tables hold the same.

    Attributes:
        rows: how many there are.
        digest: 64 hexadecimal digits that depend on every value and on no order. The sum, modulo
            2**256, of the SHA-256 of each row as JSON: its values in the order of the columns'
            names, bytes as the hexadecimal digits of their own SHA-256.
        last_id: the highest id that was ever given to a row; None: the table counts none.
    """

    rows: int
    digest: str
    last_id: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """The tables of one revision, those that others refer to first.

    Attributes:
        counted: the names of those whose ids are never given again.
    """

    all: tuple[Table, ...]
    counted: frozenset[str]

    def __getitem__(self, name: str) -> Table:
        """The table of that name; KeyError: this revision has none."""
        return {one.name: one for one in self.all}[name]


@cache
def tables_at(revision: str) -> Tables:
    """The tables of a revision, read from an empty catalog that its migrations made in memory."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    try:
        with engine.begin() as connection:
            move_within(connection, revision)
            found = MetaData()
            found.reflect(connection)
            counting = text("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'")
            counted = frozenset(connection.execute(counting).scalars())
    finally:
        engine.dispose()
    ours = tuple(one for one in found.sorted_tables if one.name != _VERSION)
    return Tables(ours, counted)


def ours_within(connection: Connection, tables: Tables) -> list[str]:
    """The names of tables that a catalog would have and that are there already."""
    names = {_VERSION, *(one.name for one in tables.all)}
    return sorted(names & set(inspect(connection).get_table_names()))


def copy_rows(
    source: Connection, target: Connection, tables: Tables, told: Told = untold
) -> dict[str, TableSum]:
    """Copy all rows into tables that are empty, and what they sum up to, by table.

    Ids stay, and so does the highest that was ever given. Each connection is in a transaction of
    the caller's, who sees to it that ``source`` does not change meanwhile.
    """

    def enter(table: Table, rows: Sequence[Row[*tuple[Any, ...]]]) -> None:
        target.execute(insert(table), [dict(row._mapping) for row in rows])  # noqa: SLF001 - public

    sums = _summed(source, tables, told, "rows copied", enter)
    _set_last_ids(target, {name: one.last_id for name, one in sums.items() if one.last_id})
    return sums


def sum_up(connection: Connection, tables: Tables, told: Told = untold) -> dict[str, TableSum]:
    """What the tables behind a connection sum up to, by name."""
    return _summed(connection, tables, told, "rows compared", lambda _table, _rows: None)


def _summed(
    connection: Connection,
    tables: Tables,
    told: Told,
    doing: str,
    each: Callable[[Table, Sequence[Row[*tuple[Any, ...]]]], None],
) -> dict[str, TableSum]:
    counts = {one: _count(connection, one) for one in tables.all}
    total, done, sums = sum(counts.values()), 0, {}
    for table in tables.all:
        rows, digest = 0, 0
        for batch in _batches(connection, table):
            each(table, batch)
            rows += len(batch)
            digest = sum(map(_digest, batch), start=digest) % _MODULUS
            told(doing, done + rows, total)
        done += rows
        last_id = _last_id(connection, table) if table.name in tables.counted else None
        sums[table.name] = TableSum(rows, f"{digest:064x}", last_id)
    return sums


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _batches(connection: Connection, table: Table) -> Iterator[Sequence[Row[*tuple[Any, ...]]]]:
    """The rows in the order of their keys, each with its values in the order of columns' names."""
    columns = sorted(table.c, key=lambda one: one.name)
    wanted = select(*columns).order_by(*table.primary_key.columns)
    streamed = connection.execute(wanted.execution_options(yield_per=_BATCH))
    yield from streamed.partitions()


def _digest(row: Row[*tuple[Any, ...]]) -> int:
    return int.from_bytes(hashlib.sha256(_JSON.encode(tuple(row)).encode()).digest())


def _of_bytes(value: object) -> str:
    if not isinstance(value, bytes):
        raise TypeError(f"no catalog holds a {type(value).__name__}")
    return hashlib.sha256(value).hexdigest()


_JSON = json.JSONEncoder(separators=(",", ":"), default=_of_bytes)


def _last_id(connection: Connection, table: Table) -> int:
    """The highest id that a table ever gave to a row; 0: none yet."""
    if is_postgres(connection):
        sequence = _sequence(connection, table.name)
        given = text(f"SELECT last_value - (NOT is_called)::int FROM {sequence}")  # noqa: S608
    else:
        given = text("SELECT max(seq) FROM sqlite_sequence WHERE name = :name")
        given = given.bindparams(name=table.name)
    highest = connection.execute(select(func.max(table.c.id))).scalar()
    return max(int(connection.execute(given).scalar() or 0), int(highest or 0))


def _set_last_ids(connection: Connection, last_ids: Mapping[str, int | None]) -> None:
    for name, last in last_ids.items():
        bound = {"name": name, "last": last}
        if is_postgres(connection):
            raising = text("SELECT setval(CAST(:sequence AS regclass), :last)")
            bound = {"sequence": _sequence(connection, name), "last": last}
        else:
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), bound)
            raising = text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)")
        connection.execute(raising, bound)


def _sequence(connection: Connection, table: str) -> str:
    """The sequence that numbers a table's rows, as SQL spells it."""
    found = text("SELECT pg_get_serial_sequence(:name, 'id')")
    return str(connection.execute(found, {"name": f'"{table}"'}).scalar_one())
