"""`init`, `quickstart`: a home, five stocks, their bars, a page to look at.

Not here: the update (ingest), drawing the page (reading.page).
"""

import sys
from pathlib import Path
from shlex import quote
from shutil import which
from typing import Annotated

import typer

from marketdata_pipeline.cli.child import Run, materialize_range
from marketdata_pipeline.cli.progress import followed, refuse_failure
from marketdata_pipeline.cli.reading import overview_table, page_path
from marketdata_pipeline.cli.simulating import market_start, simulator_beside
from marketdata_pipeline.cli.state import State, console, state_of, taken
from marketdata_pipeline.database.home import History, Home, Mode, make_home, open_home
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput, HomeError
from marketdata_pipeline.ingest.track import track
from marketdata_pipeline.orchestrator import partition_range, register_instruments
from marketdata_pipeline.providers.yahoo.reachable import yahoo_answers
from marketdata_pipeline.reading.homepage import write_home_page
from marketdata_pipeline.reading.opened import data_of
from marketdata_pipeline.store.tracking import Tracking

STOCKS = tuple(Instrument(key) for key in ("AAPL", "MSFT", "IBM", "GOOGL", "META"))
FRAMES = (Timeframe.D1, Timeframe.W1)
_PATIENCE = 3.0
_LIVE, _DEMO = Path(".marketdata"), Path(".marketdata-demo")


def init(
    context: typer.Context,
    *,
    demo: Annotated[bool, typer.Option("--demo", help="A replay home of recorded bars.")] = False,
) -> None:
    """Make the home, or upgrade the one that is there."""
    state = state_of(context)
    folder = state.settings.home if _named(state) or not demo else _DEMO.absolute()
    home = _replay_home(state, folder) if demo else _live_home(state)
    home.engine.dispose()
    console().print(f"{home.mode} home at {home.folder}")
    console().print(_export(home))


def quickstart(context: typer.Context) -> None:
    """From nothing to true bars: five stocks, daily and weekly, through Dagster."""
    state = state_of(context)
    home = _home(state)
    try:
        if home.mode is Mode.REPLAY:
            with simulator_beside(home, state.settings.simulator_port):
                run = _materialize(home, debug=state.debug)
        else:
            run = _materialize(home, debug=state.debug)
        _report(home, run)
    finally:
        home.engine.dispose()
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
    answer = yahoo_answers(within=_PATIENCE)
    if answer.yes:
        out.print(f"Yahoo answers: live home at {live}")
        return make_home(live, database_url=state.settings.database, mode=Mode.LIVE)
    out.print(f"Yahoo does not answer ({answer.why}): demo with recorded bars in {demo}")
    port = state.settings.simulator_port
    if not demo.exists() and taken(port):
        raise BadInput(
            f"port {port} of 127.0.0.1 is taken; set MARKETDATA_SIMULATOR_PORT to a free one"
        )
    return _replay_home(state, demo)


def _named(state: State) -> bool:
    """Whether somebody said which home, so that no other one is meant."""
    return state.home is not None or "home" in state.settings.model_fields_set


def _live_home(state: State) -> Home:
    return make_home(state.settings.home, database_url=state.settings.database, mode=Mode.LIVE)


def _replay_home(state: State, folder: Path) -> Home:
    return make_home(
        folder,
        database_url=state.settings.database,
        mode=Mode.REPLAY,
        history=History.RECORDED,
        market_start=market_start(),
    )


def _materialize(home: Home, *, debug: bool) -> Run:
    track(Tracking(home.engine, home.clock), home.clock, STOCKS, timeframes=FRAMES)
    register_instruments(home.dagster, STOCKS)
    keys = partition_range(home.dagster, STOCKS, FRAMES)
    total = len(STOCKS) * len(FRAMES)
    console().print(f"Dagster materializes ohlcv {keys}")
    return followed(lambda follow: materialize_range(home, keys, follow, debug=debug), total=total)


def _report(home: Home, run: Run) -> None:
    out = console()
    data = data_of(home)
    overviews = data.overviews([Series(one, frame) for one in STOCKS for frame in FRAMES])
    sent = {one.series: one.requests for one in run.done}
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
