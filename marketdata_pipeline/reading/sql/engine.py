"""Running a query: DuckDB over tables that are handed to it, and over nothing else.

Not here: where the tables come from (exported, snapshot), which queries are let through (query).

DuckDB opens no file and no connection: pyarrow reads the bars, and DuckDB is told what of them it
needs. So nothing that a query says can write, whatever future versions can say. Reading Parquet
itself it would need the folder allowed, and then writes there as well: COPY stands in a WITH clause
of a SELECT (2.0). It takes up to twice the time over ten million bars, less over one instrument.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from marketdata_pipeline.errors import BadInput, StoreError
from marketdata_pipeline.reading.sql.query import Query, sentence
from marketdata_pipeline.reading.sql.tables import TABLES, Tables

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BATCH = 10_000
_UNREADABLE = "reading the stream registered as"
_FAILED = ("IOException", "OutOfMemoryException", "FatalException", "InternalException")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an answer; ``kind`` is DuckDB's name of its type."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a query answers; rows come as they are asked for, instants in UTC."""

    columns: Sequence[Column]
    rows: Iterator[Sequence[Any]]


@contextmanager
def answering(query: Query, tables: Tables) -> Iterator[Answer]:
    """The answer of a query, whose rows can be read until the end of the context.

    Ctrl-C ends a query that is under way.

    Raises:
        BadInput: it cannot be answered; the text is DuckDB's own. Rows raise it too.
        StoreError: a file of bars cannot be read, or memory or disk do not suffice.
    """
    import duckdb

    with (
        tempfile.TemporaryDirectory(prefix="marketdata-sql-") as spill,
        duckdb.connect(":memory:", config=_config(spill)) as connection,
        ThreadPoolExecutor(1) as thread,
    ):
        try:
            _bind(connection, query, tables)
        except duckdb.Error as error:
            raise _translated(error) from error

        def asked(work: Callable[[], _T]) -> _T:
            """DuckDB hears no signal; another thread waits for it."""
            try:
                return thread.submit(work).result()
            except duckdb.Error as error:
                raise _translated(error) from error
            except (ArithmeticError, ValueError) as error:  # an interval of a million years
                raise BadInput(f"a value is too large to be shown ({error}); cast it") from error
            except BaseException:
                connection.interrupt()
                raise

        described = asked(lambda: connection.execute(query.text).description)
        columns = [Column(str(name), str(kind)) for name, kind, *_ in described or ()]
        yield Answer(columns, _rows(lambda: asked(lambda: connection.fetchmany(_BATCH))))


def _rows(batch: Callable[[], list[Any]]) -> Iterator[Sequence[Any]]:
    while rows := batch():
        yield from rows


def _config(spill: str) -> dict[str, str | bool | int | float | list[str]]:
    """No extension and no variable of ours; what does not fit into memory goes to ``spill``."""
    return {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "python_enable_replacements": "false",
        "temp_directory": spill,
    }


def _bind(connection: "DuckDBPyConnection", query: Query, tables: Tables) -> None:
    """Every table gets its name; one that the query does not mention says so where it is read."""
    for name, columns in tables.columns().items():
        if query.mentions(name):
            connection.register(name, tables.table(name))
        else:
            connection.execute(_unmentioned(name, columns))
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _unmentioned(name: str, columns: Mapping[str, str]) -> str:
    """A view that has the table's columns, for SHOW and DESCRIBE."""
    typed = ", ".join(f'NULL::{kind} AS "{column}"' for column, kind in columns.items())
    return (
        f"CREATE VIEW {name} AS SELECT {typed} "
        f"WHERE error('{name} is not made ready: its name has to stand in the query')"
    )


def _translated(error: Exception) -> BadInput | StoreError:
    told = sentence(error)
    if _UNREADABLE in told:
        return StoreError(f"a file of bars cannot be read: {told.partition(': IOError: ')[2]}")
    if type(error).__name__ in _FAILED:
        return StoreError(told)
    if type(error).__name__ == "PermissionException":
        names = ", ".join(["bars", *TABLES])
        return BadInput(f"a query reads its tables ({names}) and nothing else: {told}")
    return BadInput(told)
