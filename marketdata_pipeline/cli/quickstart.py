"""`init`, `quickstart`: a home, a few instruments, their bars, a page to look at.

Not here: the update (ingest), drawing the page (reading.page).
"""

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from shutil import which
from typing import Annotated

import typer

from marketdata_pipeline.cli.child import materialize_range
from marketdata_pipeline.cli.progress import followed, refuse_failure
from marketdata_pipeline.cli.reading import overview_table, page_path
from marketdata_pipeline.cli.run import Run
from marketdata_pipeline.cli.simulating import (
    HistoryOption,
    SeedOption,
    replay_home,
    simulator_beside,
)
from marketdata_pipeline.cli.state import State, console, state_of, taken
from marketdata_pipeline.database.home import History, Home, Mode, make_home, open_home
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput, HomeError
from marketdata_pipeline.ingest.track import track
from marketdata_pipeline.orchestrator import partition_range, register_instruments
from marketdata_pipeline.providers.yahoo.endpoint import Endpoint
from marketdata_pipeline.providers.yahoo.reachable import ask
from marketdata_pipeline.reading.homepage import write_home_page
from marketdata_pipeline.reading.opened import data_of
from marketdata_pipeline.store.tracking import Tracking


@dataclass(frozen=True, slots=True)
class Part:
    """Instruments that are kept at the same timeframes: one range of partitions."""

    instruments: tuple[Instrument, ...]
    timeframes: tuple[Timeframe, ...]

    @property
    def series(self) -> list[Series]:
        """Its series, in the order of the grid."""
        return [Series(one, frame) for one in self.instruments for frame in self.timeframes]


STOCKS = Part(
    tuple(Instrument(key) for key in ("AAPL", "MSFT", "IBM", "GOOGL", "META")),
    (Timeframe.D1, Timeframe.W1),
)
ROUND_THE_CLOCK = Part((Instrument("BTC-USD"), Instrument("EURUSD=X")), (Timeframe.H1,))
_PATIENCE = 3.0
_LIVE, _DEMO = Path(".marketdata"), Path(".marketdata-demo")


def init(
    context: typer.Context,
    *,
    demo: Annotated[bool, typer.Option("--demo", help="A replay home: simulated bars.")] = False,
    history: HistoryOption = None,
    seed: SeedOption = None,
) -> None:
    """Make the home, or upgrade the one that is there."""
    state = state_of(context)
    if not demo and (history is not None or seed is not None):
        raise BadInput("--history and --seed are of a replay home; add --demo")
    folder = state.settings.home if _named(state) or not demo else _DEMO.absolute()
    database = state.settings.database
    home = replay_home(folder, database, history, seed) if demo else _live_home(state)
    home.engine.dispose()
    console().print(f"{home.mode} home at {home.folder}")
    console().print(_export(home))


def quickstart(context: typer.Context) -> None:
    """From nothing to true bars: stocks, crypto and FX through Dagster."""
    state = state_of(context)
    home = _home(state)
    parts = [STOCKS] if home.history is History.RECORDED else [STOCKS, ROUND_THE_CLOCK]
    replay, port = home.mode is Mode.REPLAY, state.settings.simulator_port
    try:
        with simulator_beside(home, port) if replay else nullcontext():
            runs = [_materialize(home, part, debug=state.debug) for part in parts]
        _report(home, parts, runs)
    finally:
        home.engine.dispose()
    for run in runs:
        refuse_failure(run)


def _home(state: State) -> Home:
    """The home that is named, else a live one if Yahoo answers, else the demo."""
    out = console()
    named = _named(state)
    if named:
        try:
            home = open_home(state.settings.home, database_url=state.settings.database)
        except HomeError:
            pass
        else:
            out.print(f"{home.mode} home at {home.folder}")
            return home
    live = state.settings.home if named else _LIVE.absolute()
    demo = state.settings.home if named else _DEMO.absolute()
    answer = ask(Endpoint.live(), SystemClock(), within=_PATIENCE)
    if answer.answered:
        out.print(f"Yahoo answers: live home at {live}")
        return make_home(live, database_url=state.settings.database)
    out.print(f"Yahoo does not answer ({answer.outcome}): demo with simulated bars in {demo}")
    port = state.settings.simulator_port
    if not demo.exists() and taken(port):
        raise BadInput(
            f"port {port} of 127.0.0.1 is taken; set MARKETDATA_SIMULATOR_PORT to a free one"
        )
    return replay_home(demo, state.settings.database)


def _named(state: State) -> bool:
    """Whether somebody said which home, so that no other one is meant."""
    return state.home is not None or "home" in state.settings.model_fields_set


def _live_home(state: State) -> Home:
    return make_home(state.settings.home, database_url=state.settings.database)


def _materialize(home: Home, part: Part, *, debug: bool) -> Run:
    asked, frames = part.instruments, part.timeframes
    track(Tracking(home.engine, home.clock), home.clock, asked, timeframes=frames)
    register_instruments(home.dagster, asked)
    keys = partition_range(home.dagster, asked, frames)
    total = len(part.series)
    console().print(f"Dagster materializes ohlcv {keys}")
    return followed(lambda follow: materialize_range(home, keys, follow, debug=debug), total=total)


def _report(home: Home, parts: Sequence[Part], runs: Sequence[Run]) -> None:
    out = console()
    data = data_of(home)
    overviews = data.overviews([one for part in parts for one in part.series])
    sent = {key: sent for run in runs for key, sent in (run.requests_of_each or {}).items()}
    out.print()
    out.print(overview_table(overviews, sent))
    page = page_path(home)
    write_home_page(page, data, overviews, sent, home.clock)
    out.print(f"\ncandles: {page}")
    out.print(_next(home))


def _export(home: Home) -> str:
    folder, dagster = quote(str(home.folder)), quote(str(home.dagster))
    return f"export MARKETDATA_HOME={folder} DAGSTER_HOME={dagster}"


def _next(home: Home) -> str:
    """Commands to try, each as it can be typed here."""
    here = "marketdata" if which("marketdata") else Path(sys.executable).with_name("marketdata")
    return "\n".join(
        [
            "next:",
            f"  {_export(home)}",
            f"  {here} bars AAPL 1d --chart",
            f"  {here} status",
            f"  {here} ui",
        ]
    )
