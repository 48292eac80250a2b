"""Homes to run in, on SQLite and on Postgres, each a copy of one that was made beforehand.

Not here: what runs in them. No bar is stored in such a home; every instrument is tracked and has
its partition key, and what is older than the served bars is marked as answered, so that each
fetched series lacks exactly those.
"""

import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from _history import FETCHED, MARKET_START, World
from sqlalchemy import create_engine, text

from marketdata_pipeline.database.home import History, Replay, make_home, open_home
from marketdata_pipeline.domain.coverage import Span, SpanKind
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.ingest.plan import wanted_range
from marketdata_pipeline.ingest.track import track
from marketdata_pipeline.orchestrator import register_instruments
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.catalog import Catalog
from marketdata_pipeline.store.tracking import Tracking

SQLITE, POSTGRES = "sqlite", "postgres"
_STORAGE = "\nstorage:\n  postgres:\n    postgres_url: "
_PLENTY = "100000"
"""Requests an hour, and at once: no turn is waited for."""


@dataclass(frozen=True, slots=True)
class Place:
    """A home of a world, and the URL of its catalog on Postgres (None: SQLite in the folder)."""

    world: World
    folder: Path
    catalog: str | None

    def environment(self) -> Mapping[str, str]:
        """What a process needs to know to work in it."""
        url = {} if self.catalog is None else {"MARKETDATA_DATABASE_URL": self.catalog}
        return url | {
            "DAGSTER_HOME": str(self.folder / "dagster"),
            "MARKETDATA_HOME": str(self.folder),
            "MARKETDATA_SIMULATOR_PORT": str(self.world.port),
            "MARKETDATA_YAHOO_REQUESTS_PER_HOUR": _PLENTY,
            "MARKETDATA_YAHOO_BURST": _PLENTY,
        }

    def rows(self) -> dict[Timeframe, int]:
        """How many bars are stored, by timeframe."""
        found = dict.fromkeys(Timeframe, 0)
        with open_home(self.folder, database_url=self.catalog) as home:
            for one in Catalog(home.engine, home.clock).summaries():
                found[one.series.timeframe] += one.rows
        return found


@dataclass
class Stage:
    """Makes homes of a world; ``server`` is a Postgres' URL with `{database}` in it.

    The catalog and Dagster's own storage are two databases of that server, since both keep the
    revision of their tables in a table of the same name.
    """

    world: World
    folder: Path
    server: str
    _made: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def place(self, database: str) -> Iterator[Place]:
        """A home without bars, gone at the end of the block."""
        if database not in self._made:
            self._made[database] = self._filled(database)
        name = self._new(database, like=self._made[database])
        try:
            yield self._at(name, database)
        finally:
            shutil.rmtree(self.folder / name)
            self._administer(database, name, "DROP DATABASE {} WITH (FORCE)")

    def _new(self, database: str, like: str | None = None) -> str:
        """The name of a new home, with its databases; ``like``: a copy of that one."""
        name = uuid.uuid4().hex
        template = "" if like is None else f" TEMPLATE {{}}_{like}"
        self._administer(database, name, "CREATE DATABASE {}", template)
        if like is not None:
            shutil.copytree(self.folder / like, self.folder / name)
            self._name_storage(database, name)
        return name

    def _at(self, name: str, database: str) -> Place:
        url = self.server.format(database=f"catalog_{name}") if database == POSTGRES else None
        return Place(self.world, self.folder / name, url)

    def _filled(self, database: str) -> str:
        name = self._new(database)
        place, clock = self._at(name, database), self.world.clock
        with make_home(
            place.folder,
            database_url=place.catalog,
            replay=Replay(History.SYNTHETIC, clock.market_start, clock.wall_start, seed=0),
        ) as home:
            self._name_storage(database, name)
            names = self.world.names()
            track(Tracking(home.engine, clock), clock, names, timeframes=tuple(Timeframe))
            register_instruments(home.dagster, names)
            store = BarStore(home.engine, home.bars, clock)
            for series in (Series(one, frame) for one in names for frame in FETCHED):
                store.cover(series, self._older(series))
        return name

    def _older(self, series: Series) -> list[Span]:
        """What is wanted of a series and older than its first bar, as answered."""
        wanted, first = wanted_range(series, None, None, MARKET_START), self.world.first(series)
        if wanted is None or wanted.start >= first:
            return []
        return [Span(TimeRange(wanted.start, first), SpanKind.ANSWERED)]

    def _name_storage(self, database: str, name: str) -> None:
        """Tell Dagster where its own records are."""
        if database == POSTGRES:
            settings = self.folder / name / "dagster" / "dagster.yaml"
            ours, _, _ = settings.read_text().partition(_STORAGE)
            url = self.server.format(database=f"dagster_{name}")
            settings.write_text(f"{ours}{_STORAGE}{url}\n")

    def _administer(self, database: str, name: str, statement: str, rest: str = "") -> None:
        if database != POSTGRES:
            return
        engine = create_engine(
            self.server.format(database="postgres"), isolation_level="AUTOCOMMIT"
        )
        with engine.connect() as connection:
            for kind in ("catalog", "dagster"):
                said = statement.format(f"{kind}_{name}") + rest.format(kind)
                connection.execute(text(said))
        engine.dispose()
