"""Looks at everything that `doctor` tells of, each look within bounds of time.

Not here: what is around a home (around), asking providers (asking), judging (reading.health).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic

from sqlalchemy import Engine

from marketdata_pipeline.cli.around import (
    Instance,
    look_at_keys,
    look_at_machine,
    look_at_settings,
)
from marketdata_pipeline.cli.asking import Asker, late
from marketdata_pipeline.cli.state import State
from marketdata_pipeline.config import Settings
from marketdata_pipeline.database.claim import refuse_foreign
from marketdata_pipeline.database.engine import open_engine, reading
from marketdata_pipeline.database.examine import catalog_state
from marketdata_pipeline.database.home import Home, Mode, catalog_url, open_home
from marketdata_pipeline.database.locks import file_state
from marketdata_pipeline.database.machine import file_system_of, folder_at, mounted
from marketdata_pipeline.database.sessions import server_state
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.contact import ClockReading
from marketdata_pipeline.errors import (
    BadInput,
    HomeError,
    MarketDataError,
    SettingsError,
    StoreError,
)
from marketdata_pipeline.reading.health.finding import Finding, Mark, wrong
from marketdata_pipeline.reading.health.given import refused_settings
from marketdata_pipeline.reading.health.home import (
    foreign_bars,
    judge_catalog,
    judge_file,
    judge_folders,
    judge_home,
    judge_server,
    no_home,
)
from marketdata_pipeline.reading.health.outside import judge_clock

_CLOCK = SystemClock()
_LONGEST = 10.0
"""Seconds after which nobody waits any more for what runs beside the rest."""


def examined(state: State) -> list[Finding]:
    """Everything, in the order in which a person would mend it."""
    until = monotonic() + _LONGEST
    try:
        settings = state.settings
    except SettingsError as error:
        return [refused_settings(str(error)), *look_at_machine(None)]
    return [
        look_at_settings(home_named=state.home is not None),
        *look_at_keys(settings.environment),
        *_look_at_home(settings, until),
    ]


def _look_at_home(settings: Settings, until: float) -> Iterator[Finding]:
    folder = settings.home
    instance = Instance(folder / "dagster") if (folder / "dagster").is_dir() else None
    try:
        engine = open_engine(settings.database or catalog_url(folder), hurried=True)
    except BadInput as error:
        yield wrong("catalog", str(error), "correct MARKETDATA_DATABASE_URL")
    else:
        yield from _look_behind(engine, settings, until)
        engine.dispose()
    yield from look_at_machine(folder if folder.is_dir() else None)
    if instance is not None:
        yield from instance.look(until)


def _look_behind(engine: Engine, settings: Settings, until: float) -> Iterator[Finding]:
    """The home whose catalog is behind ``engine``, and its providers."""
    folder = folder_at(settings.home)
    state = catalog_state(engine, _CLOCK) if folder.mode is not None else None
    if state is None or not state.there:
        yield no_home(folder)
        yield from _answers(Asker(settings), {}, until)
        return
    catalog = judge_catalog(state)
    if catalog.mark is Mark.WRONG:
        yield catalog
        return
    try:
        home = open_home(settings.home, database_url=settings.database)
    except MarketDataError as error:
        yield wrong("home", str(error), "marketdata init")
        return
    with home:
        yield judge_home(home, folder)
        yield from judge_folders(folder, folder_at(home.bars), folder_at(home.dagster))
        if _foreign(home):
            yield foreign_bars(home.bars)
        yield catalog
        way = _in_the_way(engine)
        yield from way.findings
        yield from _answers(Asker(settings, home, engine, way.free), way.clocks, until)


def _foreign(home: Home) -> bool:
    """Whether another catalog has marked the folder of bars as its own."""
    try:
        with reading(home.engine) as connection:
            refuse_foreign(connection, home.bars)
    except HomeError:
        return True
    except (OSError, StoreError):  # said of the folders and of the catalog themselves
        return False
    return False


@dataclass(frozen=True, slots=True)
class _Way:
    """Whether the way is free for a writer, what is in it, and the database's clock."""

    free: bool
    findings: list[Finding]
    clocks: Mapping[str, ClockReading] = field(default_factory=dict)


def _in_the_way(engine: Engine) -> _Way:
    try:
        if engine.dialect.name == "sqlite":
            file = file_state(engine, _CLOCK)
            kind = file_system_of(file.path, mounted())
            return _Way(file.waited is not None, judge_file(file, kind))
        server = server_state(engine, _CLOCK)
        free = not server.read_only and not server.blocked
        return _Way(free, judge_server(server), {"the database": server.clock})
    except StoreError as error:
        return _Way(free=False, findings=[wrong("locks", str(error), "docs/recover.md")])


def _answers(asker: Asker, clocks: Mapping[str, ClockReading], until: float) -> Iterator[Finding]:
    """What providers answer, and this machine's clock against theirs and the database's."""
    known = dict(clocks)
    for name, work in asker.begin().items():
        told = work.told(until=until)
        for one in [late(name)] if told is None else told:
            yield one.finding
            if one.clock is not None:
                known[name] = one.clock
    live = asker.home is None or asker.home.mode is Mode.LIVE
    clock = judge_clock(known, needed=live)
    if clock is not None:
        yield clock
