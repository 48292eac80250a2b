"""Databases for tests: empty ones of a Postgres server, and catalogs whose tables are made already.

Not here: the server, and which test gets what (conftest).
To make a database, to bring its tables up revision by revision and to drop it again takes some
hundred times as long as to empty it. So each is given out again and again, and a catalog's tables
are made once, unless a test is about making them.
"""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg2
from sqlalchemy import make_url

from marketdata_pipeline.database.engine import open_engine
from marketdata_pipeline.database.metadata import metadata
from marketdata_pipeline.database.migrate import upgrade

_SECONDS = 10
_SESSIONS = f"""
    SELECT pg_terminate_backend(pid, {_SECONDS * 1000}) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend'
    AND pid <> pg_backend_pid()
"""  # noqa: S608 - a number of ours
_SCHEMAS = r"""
    SELECT nspname FROM pg_namespace
    WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'
"""
_SHAPE = """
    SELECT (SELECT version_num FROM alembic_version), array(
        SELECT (c.oid, c.relname, a.attname, a.atttypid, a.attnotnull)::text
        FROM pg_class AS c LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'public'::regnamespace
        UNION ALL SELECT oid::text FROM pg_constraint
        UNION ALL SELECT oid::text FROM pg_trigger
        UNION ALL SELECT oid::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT nspname::text FROM pg_namespace
        ORDER BY 1
    )
"""
_COUNT_FROM_ONE = """
    SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, 1, false) FROM pg_sequences
"""


def lay_catalog(file: Path) -> None:
    """Put a SQLite catalog with empty tables there, and the folders above it."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.write_bytes(_catalog())


@cache
def _catalog() -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "catalog.sqlite"
        engine = open_engine(f"sqlite:///{file}")
        upgrade(engine)
        engine.dispose()
        return file.read_bytes()


class Databases:
    """The databases of a Postgres server that one process of tests uses.

    ``server`` is the server's URL for SQLAlchemy with ``{database}`` in it.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._all: list[str] = []
        self._empty: list[str] = []
        self._catalogs: list[tuple[str, Any]] = []

    @contextmanager
    def empty(self) -> Iterator[str]:
        """The URL of a database without tables."""
        name = self._empty.pop() if self._empty else self._made()
        try:
            yield self._server.format(database=name)
        finally:
            self._clear(name)
            self._empty.append(name)

    @contextmanager
    def catalog(self) -> Iterator[str]:
        """The URL of a database with all tables of the newest revision and no row in them."""
        name, shape = self._catalogs.pop() if self._catalogs else self._migrated()
        try:
            yield self._server.format(database=name)
        finally:
            self._end_sessions(name)
            if self._shape(name) == shape:
                self._delete_rows(name)
                self._catalogs.append((name, shape))
            else:
                self._clear(name)
                self._empty.append(name)

    def drop(self) -> None:
        """Leave the server as it was."""
        while self._all:
            self._run("postgres", f"DROP DATABASE {self._all.pop()} WITH (FORCE)")

    def _made(self) -> str:
        name = f"test_{uuid.uuid4().hex}"
        self._run("postgres", f"CREATE DATABASE {name}")
        self._all.append(name)
        return name

    def _migrated(self) -> tuple[str, Any]:
        name = self._empty.pop() if self._empty else self._made()
        engine = open_engine(self._server.format(database=name))
        upgrade(engine)
        engine.dispose()
        return name, self._shape(name)

    def _shape(self, name: str) -> Any:
        """What is the same as long as nobody changed a table; None where there are none."""
        there = "SELECT to_regclass('public.alembic_version') IS NOT NULL"
        return self._run(name, _SHAPE) if self._run(name, there) == [(True,)] else None

    def _delete_rows(self, name: str) -> None:
        tables = [f"DELETE FROM {one.name}" for one in reversed(metadata.sorted_tables)]  # noqa: S608 - names of ours
        self._run(name, *tables, _COUNT_FROM_ONE)

    def _clear(self, name: str) -> None:
        self._end_sessions(name)
        schemas = [f'DROP SCHEMA "{schema}" CASCADE' for (schema,) in self._run(name, _SCHEMAS)]
        self._run(name, *schemas, "CREATE SCHEMA public")

    def _end_sessions(self, name: str) -> None:
        self._run(name, _SESSIONS)

    def _run(self, name: str, *statements: str) -> Sequence[tuple[Any, ...]]:
        """Run statements; the rows of the last one, or none."""
        url = make_url(self._server.format(database=name)).set(drivername="postgresql")
        with closing(psycopg2.connect(url.render_as_string(hide_password=False))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
