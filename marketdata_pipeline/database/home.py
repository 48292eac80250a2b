"""The home: the folder with catalog, bars and Dagster instance, live or replay for life.

Not here: which folder it is (config). ``make_home`` is the only thing that makes one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL, Connection, Engine, Row, insert, select

from marketdata_pipeline.database import metadata
from marketdata_pipeline.database.claim import claim, new_name, refuse_foreign
from marketdata_pipeline.database.dialect import wall_micros
from marketdata_pipeline.database.engine import open_engine, reading, writing
from marketdata_pipeline.database.folders import BARS, CATALOG, DAGSTER, folders_of
from marketdata_pipeline.database.migrate import check_schema_within, revision
from marketdata_pipeline.database.upgrade import upgrade_home
from marketdata_pipeline.domain.clock import Clock, ReplayClock, SystemClock
from marketdata_pipeline.domain.ranges import from_micros, to_micros
from marketdata_pipeline.errors import HomeError

_HomeRow = Row[*tuple[Any, ...]]


class Mode(StrEnum):
    """What a home is for life: real providers and real time, or the simulator and replayed time."""

    LIVE = "live"
    REPLAY = "replay"


class History(StrEnum):
    """What a replay home's simulator serves."""

    RECORDED = "recorded"
    SYNTHETIC = "synthetic"
    MIXED = "mixed"

    @property
    def seeded(self) -> bool:
        """Whether any of it is made up, from a seed."""
        return self is not History.RECORDED


@dataclass(frozen=True, slots=True, eq=False)
class Home:
    """An opened home; ``clock`` is the replayed one in a replay home, else the machine's.

    ``history`` is None in a live home, ``seed`` where nothing is made up. As a context manager it
    closes its connections at the end.
    """

    folder: Path
    engine: Engine
    mode: Mode
    history: History | None
    clock: Clock
    seed: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.dispose()

    @property
    def bars(self) -> Path:
        """Where Parquet files of bars are."""
        return self.folder / BARS

    @property
    def dagster(self) -> Path:
        """DAGSTER_HOME."""
        return self.folder / DAGSTER

    @property
    def cache(self) -> Path:
        """What may be deleted at any time."""
        return self.folder / "cache"


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay home replays, for life.

    Attributes:
        history: what its simulator serves.
        market_start: the market instant that a new home starts at; a home that is there keeps its
            own.
        wall_start: the wall instant of that start; None for now.
        seed: of what is made up; None where nothing is.

    Raises:
        HomeError: made-up history without a seed, or a seed without any.
    """

    history: History
    market_start: datetime | None = None
    wall_start: datetime | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.history.seeded is (self.seed is None):
            needs = "needs a seed" if self.history.seeded else "has no seed"
            raise HomeError(f"{self.history} history {needs}")

    def row(self, now: int) -> dict[str, object]:
        """What the home's row says of it, the home being made at ``now`` in microseconds."""
        if self.market_start is None:
            raise HomeError("a new replay home needs the market instant that it starts at")
        return {
            "history": self.history.value,
            "seed": self.seed,
            "market_start": to_micros(self.market_start),
            "wall_start": now if self.wall_start is None else to_micros(self.wall_start),
        }


def make_home(
    folder: Path,
    *,
    database_url: str | None = None,
    replay: Replay | None = None,
) -> Home:
    """Make the home, or open and upgrade the one that is there; the same call twice is one.

    A replay home that is there keeps its own pair of instants. When making fails, what was made
    of the folder is removed again; the row that says that a home is here is written last. Before an
    upgrade a backup is taken (see database.upgrade).

    Args:
        folder: made with its parents where absent, for its owner alone.
        database_url: None for SQLite in the folder.
        replay: what a replay home replays; None for a live home.

    Raises:
        HomeError: the folder cannot be made or written, or holds a home of another mode, history
            or seed, or of a newer version.
        StoreError: the database is unreachable.
    """
    folder = folder.expanduser().absolute()
    with folders_of(folder):
        engine = open_engine(database_url or catalog_url(folder))
        try:
            with writing(engine) as connection:
                upgrade_home(connection, folder)
                _enter(connection, folder, replay)
                refuse_foreign(connection, folder / BARS)
                row = connection.execute(select(metadata.home)).one()
            with reading(engine) as connection:
                claim(connection, folder / BARS)
        except BaseException:
            engine.dispose()
            raise
    return _opened(folder, engine, row)


def open_home(folder: Path, *, database_url: str | None = None) -> Home:
    """Open the home in ``folder``.

    Raises:
        HomeError: no home is there, or one of an older or newer version.
        StoreError: the database is unreachable.
    """
    folder = folder.expanduser().absolute()
    engine = _engine(folder, database_url)
    try:
        row = _stored(engine)
    except BaseException:
        engine.dispose()
        raise
    if row is None:
        engine.dispose()
        raise _absent(folder)
    return _opened(folder, engine, row)


@contextmanager
def catalog_of(folder: Path, *, database_url: str | None = None) -> Iterator[Engine]:
    """The catalog of the home in ``folder``, at whatever revision; closed again at the end.

    Raises:
        HomeError: no home is there.
    """
    engine = _engine(folder.expanduser().absolute(), database_url)
    try:
        yield engine
    finally:
        engine.dispose()


def upgraded_home(folder: Path, *, database_url: str | None = None) -> Home | None:
    """Open the home in ``folder``, whatever it replays, its tables upgraded; None: none is there.

    Raises:
        HomeError: one of a newer version.
        StoreError: the database is unreachable.
    """
    folder = folder.expanduser().absolute()
    if not folder.is_dir() or not (database_url or (folder / CATALOG).is_file()):
        return None
    engine = open_engine(database_url or catalog_url(folder))
    try:
        with writing(engine) as connection:
            known = revision(connection) is not None
            if known:
                upgrade_home(connection, folder)
            row = connection.execute(select(metadata.home)).first() if known else None
    except BaseException:
        engine.dispose()
        raise
    if row is None:
        engine.dispose()
        return None
    return _opened(folder, engine, row)


def _engine(folder: Path, database_url: str | None) -> Engine:
    if not folder.is_dir() or not (database_url or (folder / CATALOG).is_file()):
        raise _absent(folder)
    return open_engine(database_url or catalog_url(folder))


def _absent(folder: Path) -> HomeError:
    return HomeError(f"no home at {folder}; run marketdata init or make run")


def _stored(engine: Engine) -> _HomeRow | None:
    """The home's row, or None where there are no tables or no row."""
    with reading(engine) as connection:
        if revision(connection) is None:
            return None
        check_schema_within(connection)
        return connection.execute(select(metadata.home)).first()


def catalog_url(folder: Path) -> URL:
    """The catalog of a home that names no other database."""
    return URL.create("sqlite", database=str(folder / CATALOG))  # a path may hold ? or %


def _enter(connection: Connection, folder: Path, replay: Replay | None) -> None:
    """Write the home's row unless it is there, or refuse a home of another kind."""
    row = connection.execute(select(metadata.home)).first()
    mode = Mode.LIVE if replay is None else Mode.REPLAY
    if row is None:
        now = wall_micros(connection, SystemClock())
        values: dict[str, object] = {"id": 1, "mode": mode.value, "created_at": now}
        values["catalog"] = new_name()
        values |= {} if replay is None else replay.row(now)
        connection.execute(insert(metadata.home).values(values))
        return
    kept = _kind(row.mode, row.history, row.seed)
    asked = _kind(mode, replay.history if replay else None, replay.seed if replay else None)
    if kept != asked:
        raise HomeError(
            f"{folder} is a {kept} home for life; name another folder for a {asked} one"
        )


def _kind(mode: str, history: str | None, seed: int | None) -> str:
    told = [] if history is None else [str(history)]
    if seed is not None:
        told.append(f"seed {seed}")
    return f"{mode} ({', '.join(told)})" if told else str(mode)


def _opened(folder: Path, engine: Engine, row: _HomeRow) -> Home:
    clock: Clock = SystemClock()
    if row.mode == Mode.REPLAY:
        clock = ReplayClock(from_micros(row.market_start), from_micros(row.wall_start))
    history = None if row.history is None else History(row.history)
    return Home(folder, engine, Mode(row.mode), history, clock, row.seed)
