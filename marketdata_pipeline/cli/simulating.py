"""`simulate`, and starting the simulator beside another command.

Not here: the simulator; it is a process of its own.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import Enum
from http.client import HTTPException
from pathlib import Path
from typing import Annotated
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import typer

from marketdata_pipeline.cli.state import console, state_of
from marketdata_pipeline.database.home import History, Home, Mode, Replay, make_home, upgraded_home
from marketdata_pipeline.domain.clock import Clock, ReplayClock, SystemClock
from marketdata_pipeline.errors import BadInput, MarketDataError
from marketdata_pipeline.reading.health.outside import Listener

_MODULE = "marketdata_pipeline.simulator"
_TRIES = 100
_PAUSE = 0.1
_SEED = 1
_QUOTA = re.compile(r"([1-9]\d{0,6}/[1-9]\d{0,5},?)+(?<!,)(@(?P<after>\d{1,6}))?", re.ASCII)


HistoryOption = Annotated[
    History | None,
    typer.Option("--history", help="What a new replay home replays.", show_default=False),
]
SeedOption = Annotated[
    int | None, typer.Option("--seed", min=0, help="Of what is made up; default 1.")
]
QuotaOption = Annotated[
    list[str] | None,
    typer.Option(
        "--quota",
        help="Hidden quotas, requests/seconds: 10/1,2000/3600. Again, for another one from a "
        "second on: 30/60@600.",
        show_default=False,
    ),
]


class Announced(Enum):
    """How a 429 says when to come back."""

    SECONDS = "seconds"
    DATE = "date"
    OFF = "off"


def simulate(
    context: typer.Context,
    *,
    history: HistoryOption = None,
    seed: SeedOption = None,
    quota: QuotaOption = None,
    retry_after: Annotated[
        Announced, typer.Option(help="How a 429 says when to come back.")
    ] = Announced.SECONDS,
    latency: Annotated[float, typer.Option(min=0, help="Median seconds of an answer.")] = 0.0,
) -> None:
    """Serve a replay home's bars on 127.0.0.1 as the provider would, until Ctrl-C.

    With --history the home is made where there is none.
    """
    state = state_of(context)
    refuse_quotas(quota or ())
    if history is not None or seed is not None:
        folder, database = state.settings.home, state.settings.database
        replay_home(folder, database, history, seed).engine.dispose()
    limits = [f"--quota={one}" for one in quota or ()]
    limits += [f"--retry-after={retry_after.value}", f"--latency={latency}"]
    with state.opened() as home:
        refuse_live(home)
        url, now = state.settings.simulator_url, home.clock.market_now()
        if serves(home, url):
            raise BadInput(f"a simulator of this home runs on {url} already; nothing to start")
    with _started(home, state.settings.simulator_port, limits) as child:
        _await(child, home, url)
        console().print(f"simulator on {url}, market time {now:%Y-%m-%d %H:%M} UTC; Ctrl-C ends it")
        if child.wait():
            raise MarketDataError(f"the simulator ended with code {child.returncode}")


def refuse_quotas(quotas: Sequence[str]) -> None:
    """What the simulator would refuse as well, before there is a home for it.

    Raises:
        BadInput: one is spelled otherwise, or they are not in the order of their times.
    """
    times = []
    for one in quotas:
        found = _QUOTA.fullmatch(one)
        if not found:
            raise BadInput(f"{one[:40]!r} is no quota; write requests/seconds, e.g. 2000/3600")
        times.append(int(found["after"] or 0))
    if times != sorted(set(times)):
        raise BadInput("each --quota needs a later @second than the one before it: 30/60@600")


def refuse_live(home: Home) -> None:
    """Only a replay home may be served.

    Raises:
        BadInput: it is a live one.
    """
    if home.mode is not Mode.REPLAY:
        raise BadInput(
            f"{home.folder} is a live home and refuses the simulator; "
            "name a replay home, e.g. marketdata --home .marketdata-demo simulate"
        )


def replay_home(
    folder: Path, database: str | None, history: History | None = None, seed: int | None = None
) -> Home:
    """The replay home that is there, upgraded; else a new one: mixed history where nobody says.

    Raises:
        HomeError: it cannot be made, or another kind of home is there.
        MarketDataError: the recorded bars are not installed.
    """
    there = upgraded_home(folder, database_url=database)
    if there is not None:
        there.engine.dispose()
        history, seed = history or there.history, there.seed if seed is None else seed
    history = history or History.MIXED
    if history.seeded and seed is None:
        seed = _SEED
    start = market_start(history) if there is None else None
    return make_home(folder, database_url=database, replay=Replay(history, start, seed=seed))


def market_start(history: History) -> datetime:
    """The market instant at which a new replay home of a history starts.

    Raises:
        MarketDataError: the recorded bars are not installed.
    """
    told = subprocess.run(  # noqa: S603 - our own module by our own interpreter
        [sys.executable, "-m", _MODULE, "--describe", history.value],
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode:
        raise MarketDataError(told.stderr.strip() or "the simulator does not start")
    return datetime.fromisoformat(json.loads(told.stdout)["market_start"])


@contextmanager
def simulator_beside(home: Home, port: int) -> Iterator[str]:
    """A simulator of this home for as long as the block runs, the running one if there is one.

    Raises:
        BadInput: the port is taken by something else.
    """
    url = f"http://127.0.0.1:{port}"
    if serves(home, url):
        yield url
        return
    with _started(home, port) as child:
        _await(child, home, url)
        yield url


@contextmanager
def _started(home: Home, port: int, more: Sequence[str] = ()) -> Iterator["subprocess.Popen[str]"]:
    environment = {
        **os.environ,
        "MARKETDATA_HOME": str(home.folder),
        "MARKETDATA_SIMULATOR_PORT": str(port),
    }
    with subprocess.Popen(  # noqa: S603 - our own module by our own interpreter
        [sys.executable, "-m", _MODULE, "--beside", *more],
        env=environment,
        stdin=subprocess.PIPE,  # closed by our end, however we end: then it ends as well
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            yield child
        finally:
            child.terminate()


def _await(child: "subprocess.Popen[str]", home: Home, url: str) -> None:
    clock: Clock = SystemClock()
    for _ in range(_TRIES):
        if child.poll() is not None:
            said = child.stderr.read().strip() if child.stderr else ""
            raise BadInput(said or f"the simulator ended at once on {url}")
        if serves(home, url):
            return
        clock.sleep(_PAUSE)
    raise MarketDataError(f"the simulator does not answer on {url}")


def serves(home: Home, url: str) -> bool:
    """Whether a simulator of this very home answers there."""
    return listener(home, url) is Listener.OURS


def listener(home: Home, url: str) -> Listener:
    """Who answers where this home's simulator should; waits a second at most."""
    try:
        # A proxy of the environment is not meant for this very machine.
        with build_opener(ProxyHandler({})).open(f"{url}/simulator", timeout=1) as reply:
            told = json.load(reply)
        starts = [datetime.fromisoformat(told[key]) for key in ("market_start", "wall_start")]
    except URLError as error:
        refused = isinstance(error.reason, ConnectionRefusedError)
        return Listener.NOBODY if refused else Listener.STRANGER
    except (OSError, HTTPException, ValueError, TypeError, KeyError):
        return Listener.STRANGER
    clock = home.clock
    ours = isinstance(clock, ReplayClock) and starts == [clock.market_start, clock.wall_start]
    return Listener.OURS if ours else Listener.OTHER_HOME
