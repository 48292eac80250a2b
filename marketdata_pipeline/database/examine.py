"""A catalog looked at from outside: where it is, whether it answers, the revision of its tables.

Not here: locks and sessions (locks, sessions), and opening a home (home).
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine, text

from marketdata_pipeline.database.engine import reading, shown
from marketdata_pipeline.database.migrate import revision
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.errors import StoreError


@dataclass(frozen=True, slots=True)
class CatalogState:
    """A catalog from outside.

    Attributes:
        where: its URL without password.
        server: whether it is on a Postgres server; else it is a file of SQLite.
        there: whether there is one to ask: a server, or the file.
        revision: of its tables; None: it has none of ours.
        trip: a round trip to it and back.
        trouble: why it cannot be used; empty where it can.
    """

    where: str
    server: bool
    there: bool = True
    revision: str | None = None
    trip: timedelta = timedelta(0)
    trouble: str = ""


def catalog_state(engine: Engine, clock: Clock) -> CatalogState:
    """Ask the catalog for its revision; makes no file where there is none."""
    where, server = shown(engine), engine.dialect.name == "postgresql"
    if not server and not Path(str(engine.url.database)).is_file():
        return CatalogState(where, server, there=False)
    try:
        with reading(engine) as connection:
            began = clock.wall_now()
            connection.execute(text("SELECT 1")).scalar_one()
            trip = clock.wall_now() - began
            return CatalogState(where, server, revision=revision(connection), trip=trip)
    except StoreError as error:
        return CatalogState(where, server, trouble=str(error))
