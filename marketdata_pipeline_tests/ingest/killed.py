"""An update that is made to be killed: a process of its own over a home that is there.

Not here: killing it and looking at what is left (test_kills).
"""

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from multiprocessing.synchronize import Event
from pathlib import Path

from marketdata_pipeline.database.home import open_home
from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.governor.flights import Flights
from marketdata_pipeline_tests.fakes import FrozenClock, RealWall
from marketdata_pipeline_tests.ingest.world import FRIDAY_CLOSE, TruthProvider, World, days, walk

SPLIT = Action(date(2023, 6, 12), ActionKind.SPLIT, Fraction(4))
FETCHED = [
    Series.parse(f"{instrument}|{timeframe}")
    for instrument in ("AAPL", "MSFT", "IBM", "KO")
    for timeframe in ("1h", "1d")
]
DERIVED = [
    Series.parse(f"{instrument}|{timeframe}")
    for instrument in ("AAPL", "MSFT", "IBM", "KO")
    for timeframe in ("4h", "1wk")
]
SPAN = days("2021-01-04", "2024-03-16")


def provider(clock: FrozenClock) -> TruthProvider:
    """Three years of truth with a split in it; the hourly series are long enough for files."""
    truth = {one: walk(one, SPAN, SPLIT) for one in FETCHED}
    return TruthProvider(truth, clock, actions=(SPLIT,), first_trade=date(2021, 1, 4))


def world_of(folder: Path, database_url: str) -> World:
    """The world over an existing home."""
    clock = FrozenClock(FRIDAY_CLOSE, FRIDAY_CLOSE)
    return World(open_home(folder, database_url=database_url), clock, provider(clock))


def update(folder: Path, database_url: str, begun: Event | None = None) -> None:
    """Update everything once; tells by ``begun`` when it is about to begin.

    What a killed one had for itself is free after a fifth of a second.
    """
    world = world_of(folder, database_url)
    flights = Flights(
        world.home.engine,
        RealWall(),
        max_wait=timedelta(minutes=1),
        ttl=timedelta(milliseconds=200),
        poll=timedelta(milliseconds=10),
    )
    if begun is not None:
        begun.set()
    for outcome in replace(world.updater, flights=flights).update_many([*FETCHED, *DERIVED]):
        if outcome.error is not None:
            raise outcome.error
