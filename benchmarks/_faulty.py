"""A batch of series whose provider does all that the simulator can do wrong, and what comes of it.

Not here: what becomes of each fault by itself (the tests of ingest say it). The real Updater, the
real provider with yfinance, a governor, a fresh replay home on SQLite, over a simulator in a thread
of this process. Each kind of its catalogue befalls an equal part of a tenth of the requests, drawn
with a seed. Times of the governor, of retries, of limits and of faults are scaled alike; what does
not scale, a Retry-After, is a second. No batch is ended early.

Complete is a series whose update ended without an error, and of which each bar that the simulator
has (the truth) is stored, but for those that lie in holes: ranges that an answer lacked, and that
are asked for again later. Whether they then come is shown by the same call an hour later, at which
nothing goes wrong. Wrong is a stored bar that is none of the truth, or differs from it anywhere.
"""

import logging
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import numpy as np
from _report import Figure
from _troubled import ASKED, FRAMES, NOW, SHARE, NotedFaults, all_faults, history
from sqlalchemy import func, select

from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.governing import requests
from marketdata_pipeline.database.home import History, Home, Replay, make_home
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.clock import Clock, ReplayClock
from marketdata_pipeline.domain.gate import Ending, Limits, RateLimit
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.thresholds import Thresholds
from marketdata_pipeline.domain.tuning import Tuning
from marketdata_pipeline.errors import (
    CircuitOpen,
    MarketDataError,
    QuarantinedReply,
    SplitContradicted,
)
from marketdata_pipeline.governor.flights import Flights
from marketdata_pipeline.governor.governor import Governor
from marketdata_pipeline.ingest.judge import Judge
from marketdata_pipeline.ingest.outcome import Outcome
from marketdata_pipeline.ingest.retries import WAITS
from marketdata_pipeline.ingest.update import Updater
from marketdata_pipeline.providers.yahoo import Yahoo
from marketdata_pipeline.providers.yahoo.endpoint import Endpoint, Timeouts
from marketdata_pipeline.simulator.faults import KINDS
from marketdata_pipeline.simulator.server import Simulator, running
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.catalog import Catalog
from marketdata_pipeline.store.tracking import Tracking
from marketdata_pipeline.store.verdicts import Verdicts

_LATER = timedelta(hours=1, minutes=1)
"""A hole is asked again after an hour of market time."""
_LEAST_COMPLETE = 99.0
_LONGEST_SENTENCE = 300
_CATEGORIES = {
    *map(str, Ending),
    CircuitOpen.category,
    QuarantinedReply.category,
    SplitContradicted.category,
}


@dataclass(frozen=True, slots=True)
class Scale:
    """How many instruments, each with two series; the factor of all times; a seed a round."""

    instruments: int
    times: float
    seeds: Sequence[int]


QUICK, FULL = Scale(10, 1 / 30, (1,)), Scale(100, 1 / 10, (1, 2, 3, 4, 5))


@dataclass(frozen=True, slots=True)
class Checked:
    """A series beside the truth.

    Attributes:
        wrong: it has a bar that is not true.
        lacking: bars that are not stored, in no hole; ``in_holes``: those in one.
    """

    wrong: bool
    lacking: int
    in_holes: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What came of it: each series' update and how it then stood, and how its requests ended.

    ``befell``: which kinds of faults did.
    """

    outcomes: Mapping[Series, Outcome]
    checked: Mapping[Series, Checked]
    endings: Mapping[str, int]
    seconds: float
    befell: AbstractSet[str]

    def complete(self) -> float:
        """The percentage of series that are complete."""
        fine = sum(
            outcome.error is None and not self.checked[one].wrong and not self.checked[one].lacking
            for one, outcome in self.outcomes.items()
        )
        return 100 * fine / len(self.outcomes)

    def wrong(self) -> float:
        """How many series have a wrong bar."""
        return float(sum(one.wrong for one in self.checked.values()))

    def with_holes(self) -> float:
        """How many series have a hole."""
        return float(sum(one.in_holes > 0 for one in self.checked.values()))

    def errors(self) -> list[MarketDataError]:
        """Of those that failed."""
        return [one.error for one in self.outcomes.values() if one.error is not None]


Rounds = Sequence[tuple[Batch, Batch]]
"""The batch, and the same call an hour later, when nothing goes wrong; of each round."""


def measured(scale: Scale, folder: Path) -> Rounds:
    """Each round in a home of its own, its faults drawn with a seed of its own."""
    logging.getLogger("marketdata_pipeline").addHandler(logging.NullHandler())
    return [_round(scale, folder / f"home {one}", one) for one in scale.seeds]


def _round(scale: Scale, folder: Path, seed: int) -> tuple[Batch, Batch]:
    start = datetime.now(UTC)
    clock, later = ReplayClock(NOW, start), ReplayClock(NOW + _LATER, start)
    served = history(scale.instruments)
    series = [Series(*one) for one in product(served.instruments(), FRAMES)]
    replay = Replay(History.SYNTHETIC, NOW, start, seed=0)
    faults = NotedFaults(seed)
    with make_home(folder, replay=replay) as home, running(served, clock) as simulator:
        simulator.faults = faults
        faults.add(*all_faults(scale.times))
        first = _batch(home, simulator, clock, series, scale)
        befell = frozenset(faults.befell)
        faults.clear()
        simulator.clock = later
        again = _batch(home, simulator, later, series, scale)
        return replace(first, befell=befell), again


def figures(found: Rounds, *, quick: bool) -> Iterator[Figure]:
    """What is complete and true, and how what failed is told."""
    first, again = [one for one, _ in found], [one for _, one in found]
    number = len(first[0].outcomes)
    name = f"batch of {number}, {100 * SHARE:.0f} % of requests faulty: complete"
    aim = None if quick else _LEAST_COMPLETE
    yield Figure(name, tuple(one.complete() for one in first), "%", least=aim)
    yield Figure("... series with a wrong bar", (sum(one.wrong() for one in first),), "", 0.0)
    errors = [one.errors() for one in first]
    unclear = sum(not _clear(one) for some in errors for one in some)
    yield Figure("... failures without a category and one sentence", (float(unclear),), "", 0.0)
    yield Figure("... complete but for holes", tuple(one.with_holes() for one in first))
    kinds = len(set().union(*(one.befell for one in first)))
    every = None if quick else float(len(KINDS))
    yield Figure(f"... kinds of faults that befell, of {len(KINDS)}", (float(kinds),), least=every)
    for category in sorted({one.category for some in errors for one in some}):
        count = tuple(float(sum(one.category == category for one in some)) for some in errors)
        yield Figure(f"... failed, {category}", count)
    for ending in sorted({one for batch in first for one in batch.endings}):
        count = tuple(float(one.endings.get(ending, 0)) for one in first)
        yield Figure(f"... requests, {ending}", count)
    yield Figure("... took", tuple(one.seconds for one in first), "s")
    complete = tuple(one.complete() for one in again)
    yield Figure("the same an hour later, without faults: complete", complete, "%", least=100.0)
    yield Figure("... with holes", (sum(one.with_holes() for one in again),), "", 0.0)
    yield Figure("... series with a wrong bar", (sum(one.wrong() for one in again),), "", 0.0)
    for sentence in sorted({f"{one.category}: {one}" for some in errors for one in some}):
        print(f"  {sentence}", file=sys.stderr, flush=True)


def _clear(error: MarketDataError) -> bool:
    text = str(error)
    one_line = len(text.splitlines()) == 1 and len(text) <= _LONGEST_SENTENCE
    return error.category in _CATEGORIES and one_line


def _batch(
    home: Home, simulator: Simulator, clock: Clock, series: Sequence[Series], scale: Scale
) -> Batch:
    store = BarStore(home.engine, home.bars, clock)
    updater = _updater(home, store, clock, simulator.url, scale.times)
    before, started = _endings(home), time.perf_counter()
    outcomes = {one.series: one for one in updater.update_many(series, ASKED)}
    took = time.perf_counter() - started
    checked = {one: _checked(store, simulator, one, clock) for one in series}
    return Batch(outcomes, checked, _endings(home) - before, took, frozenset())


def _updater(home: Home, store: BarStore, clock: Clock, url: str, times: float) -> Updater:
    """As the pipeline has it, but for the scaled times."""
    usual = Tuning()
    tuning = replace(usual.scaled(times), urgent_within=usual.urgent_within)
    governor = Governor(home.engine, clock, tuning)
    governor.register(Yahoo.name, Limits((RateLimit(2000, times * timedelta(hours=1), 200),)))
    wait = times * timedelta(minutes=10)
    gate = governor.gate(Yahoo.name, max_wait=wait)
    limits = Timeouts()
    limits = Timeouts(limits.connect * times, limits.read * times)
    return Updater(
        store=store,
        catalog=Catalog(home.engine, clock),
        tracking=Tracking(home.engine, clock),
        judge=Judge(store, Verdicts(home.engine, clock), clock, Thresholds()),
        providers=[Yahoo(gate, clock, Endpoint.simulator(url), limits)],
        clock=clock,
        flights=Flights(home.engine, clock, wait),
        retry_waits=tuple(times * one for one in WAITS),
    )


def _endings(home: Home) -> Counter[str]:
    """How the requests ended that the log has."""
    asked = select(requests.c.ending, func.count()).group_by(requests.c.ending)
    with reading(home.engine) as connection:
        return Counter({str(ending): int(count) for ending, count in connection.execute(asked)})


def _checked(store: BarStore, simulator: Simulator, series: Series, clock: Clock) -> Checked:
    now = clock.market_now()
    listing = simulator.history.listing(series.instrument, now)
    until = calendar_of(series.instrument).closed_until(series.timeframe, now)
    if listing is None or until is None:
        raise RuntimeError(f"the simulator has nothing of {series}")
    truth = listing.bars[series.timeframe].loc[ASKED.start : until - timedelta(microseconds=1)]
    stored = store.read(series)
    true = bool(stored.index.isin(truth.index).all()) and np.array_equal(
        truth.loc[stored.index].to_numpy(), stored.to_numpy()
    )
    coverage = store.coverage([series]).get(series)
    holes = [] if coverage is None else [one.within for one in coverage.holes()]
    absent = truth.index.difference(stored.index)
    within = sum(any(hole.start <= one < hole.end for hole in holes) for one in absent)
    return Checked(not true, len(absent) - within, within)
