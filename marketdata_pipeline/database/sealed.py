"""SQLite files that hold a copy of a catalog: one that is being filled, and a finished one.

Not here: the catalog that a home works with (engine), and the rows (rows).
"""

import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from marketdata_pipeline.database.engine import begin_sqlite

_FILLING = ("foreign_keys = ON", "journal_mode = MEMORY", "synchronous = OFF")
_READING = ("trusted_schema = OFF", "query_only = ON")


def open_new_file(path: Path) -> Engine:
    """An engine for a file that nobody else knows of and that is thrown away on any failure.

    A commit is not durable; who made the file syncs it, once, when it is whole.
    """
    engine = create_engine(URL.create("sqlite", database=str(path)))

    def prepare(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # as in engine: we say BEGIN
        for pragma in _FILLING:
            connection.cursor().execute(f"PRAGMA {pragma}")

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", begin_sqlite)
    return engine


def open_sealed_file(path: Path) -> Engine:
    """An engine that reads a finished file and writes nothing, neither into it nor beside it.

    The file may come from anywhere, so that what its schema says is not trusted.
    """

    def connect() -> sqlite3.Connection:
        where = f"file:{quote(str(path))}?mode=ro&immutable=1"
        connection = sqlite3.connect(where, uri=True, isolation_level=None, check_same_thread=False)
        for pragma in _READING:
            connection.execute(f"PRAGMA {pragma}")
        return connection

    engine = create_engine(URL.create("sqlite", database=str(path)), creator=connect)
    event.listen(engine, "begin", begin_sqlite)
    return engine
