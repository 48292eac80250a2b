"""Engines for the catalog, and the two ways to use one: ``reading`` and ``writing``.

Not here: tables (metadata), repeating a transaction that found the catalog busy (retry), engines
for a copy of a catalog in a file (sealed).
SQLite runs in WAL mode with synchronous=FULL, so that an acknowledged commit survives a power cut;
a writing transaction takes the write lock at its start (BEGIN IMMEDIATE), since a lock that is
asked for half way is refused at once when another writer came first.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from marketdata_pipeline.errors import BadInput, StoreError, WriteConflict

LOCK_SECONDS = 10
_POSTGRES = "postgresql+psycopg2"
_CONNECT_SECONDS = 5
_HURRIED_LOCK_SECONDS, _HURRIED_SECONDS = 1, 3
_BUSY_SQLSTATES = frozenset({"40001", "40P01", "55P03"})
"""Serialization failure, deadlock, lock not available (PostgreSQL manual, appendix A)."""
_BUSY_TEXTS = ("database is locked", "database table is locked", "database schema is locked")


class Busy(WriteConflict):
    """Another transaction was in the way; this one was rolled back and may be made again."""


def open_engine(url: str | URL, *, hurried: bool = False) -> Engine:
    """An engine for ``sqlite:///file`` or ``postgresql://user:password@host/name``.

    Nothing is connected yet. Close it with ``engine.dispose()``. A ``hurried`` one, for a look,
    waits a second for SQLite's locks and three for each step of a server, whatever the URL says.

    Raises:
        BadInput: any other URL.
    """
    parsed = _parsed(url)
    if parsed.drivername == _POSTGRES:
        arguments = _postgres_args(parsed) | (_in_a_hurry(parsed) if hurried else {})
        engine = create_engine(parsed, pool_pre_ping=True, connect_args=arguments)
    else:
        bounds = {} if "timeout" in parsed.query else {"timeout": LOCK_SECONDS}
        bounds |= {"timeout": _HURRIED_LOCK_SECONDS} if hurried else {}
        engine = create_engine(parsed, connect_args=bounds)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", begin_sqlite)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one and the same state of the catalog throughout.

    Raises:
        StoreError: the catalog is unreachable or unreadable.
    """
    with _translated(engine), engine.connect() as plain:
        connection = plain
        if engine.dialect.name == "postgresql":
            connection = plain.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        with connection.begin():
            yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction that commits at the end, or rolls back on any exception.

    Raises:
        Busy: a lock, a deadlock or a serialization failure; nothing was written.
        StoreError: the catalog is unreachable or refuses the write.
    """
    with _translated(engine), engine.connect() as plain:
        connection = plain.execution_options(catalog_writes=True)
        with connection.begin():
            yield connection


def shown(engine: Engine) -> str:
    """The engine's URL for people: without any password."""
    url = engine.url.difference_update_query(["password", "passfile", "sslpassword"])
    return url.render_as_string(hide_password=True)


def _parsed(url: str | URL) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:  # no cause: its text repeats the URL with the password
        parsed = None
    if parsed is None or parsed.get_backend_name() not in {"sqlite", "postgresql", "postgres"}:
        raise BadInput(
            "the database URL must look like sqlite:///folder/catalog.sqlite or "
            "postgresql://user:password@host/name"
        )
    if parsed.get_backend_name() == "sqlite":
        if parsed.host or parsed.username or parsed.database in {None, "", ":memory:"}:
            raise BadInput("the catalog needs a file: sqlite:///folder/catalog.sqlite")
        return parsed.set(drivername="sqlite")
    return parsed.set(drivername=_POSTGRES)


def _postgres_args(url: URL) -> dict[str, object]:
    """Connecting, dead peers and locks are bounded, unless the URL says otherwise."""
    bounds: dict[str, object] = {
        "connect_timeout": _CONNECT_SECONDS,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "options": f"-c lock_timeout={LOCK_SECONDS}s",
    }
    return {name: value for name, value in bounds.items() if name not in url.query}


def _in_a_hurry(url: URL) -> dict[str, object]:
    """Bounds for each step: a connection, an answer to what was sent, a lock, a statement."""
    milliseconds = 1000 * _HURRIED_SECONDS
    given = url.query.get("options", "")
    options = given if isinstance(given, str) else " ".join(given)
    return {
        "connect_timeout": _HURRIED_SECONDS,
        "tcp_user_timeout": milliseconds,
        "options": f"{options} -c lock_timeout={milliseconds} -c statement_timeout={milliseconds}",
    }


def _prepare_sqlite(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # sqlite3 keeps its hands off: we say BEGIN
    cursor = connection.cursor()
    for pragma in ("foreign_keys = ON", "synchronous = FULL", "journal_mode = WAL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def begin_sqlite(connection: Connection) -> None:
    """What SQLite is told at the start of a transaction: to wait for the write lock, or not."""
    writes = connection.get_execution_options().get("catalog_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if _is_busy(error):
            raise Busy(f"the catalog {shown(engine)} is busy; try again") from error
        raise StoreError(_sentence(engine, error.orig or error)) from error
    except SQLAlchemyError as error:
        raise StoreError(_sentence(engine, error)) from error


def _is_busy(error: DBAPIError) -> bool:
    code = getattr(error.orig, "pgcode", None)
    return code in _BUSY_SQLSTATES or str(error.orig).startswith(_BUSY_TEXTS)


def _sentence(engine: Engine, error: BaseException) -> str:
    reason = str(error).strip().partition("\n")[0][:200] or type(error).__name__
    if engine.url.password:
        reason = reason.replace(str(engine.url.password), "***")
    return f"the catalog {shown(engine)} cannot be used: {reason}"
