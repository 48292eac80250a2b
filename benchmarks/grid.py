"""What the partition grid costs at 700, 7,000 and 56,000 partitions, on SQLite and on Postgres.

Not here: updating series (orchestration). A home and a Dagster instance grow from size to size:
every instrument at all seven timeframes, coverage as a year of use leaves it, a tenth of the series
due, 98 % of the partitions materialized with holes at random. Measured are adding the partition
keys, what Dagster's page asks for the grid (of a real web server, by HTTP), the tick of
`bars_refresh` (in a process of its own), what the event log takes, and memory.
"""

import math
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from statistics import mean

import dagster as dg
import numpy as np
from _materialized import RUN, log_bytes, materialize
from _page import Page, served
from _place import POSTGRES, SQLITE, Place, place, postgres
from _process import peak_of
from _report import Figure, growth, options, report
from _tick import Look, looking
from _tracked import CLOSED, OPEN, SEED, fill, instruments

from marketdata_pipeline.defs.assets.ohlcv import OHLCV
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.orchestrator import register_instruments

SIZES = (100, 1_000, 8_000)
"""Instruments; each has seven partitions. The quick form leaves out the last one, and Postgres."""
STORAGES = (SQLITE, POSTGRES)
_MATERIALIZED = 0.98
_LINEAR, _TOLERANCE = 1.0, 0.1


class Measure(Enum):
    """What is measured: its name, unit, whether growth matters, the aim at the largest size."""

    KEYS = ("adding the partition keys", "s", True, None)
    LOG = ("event log, each partition once", "MB", True, None)
    EACH = ("event log, a materialization", "B", False, None)
    COLD = ("UI query, cold", "s", True, None)
    LATER = ("UI query, after a run of 700 series", "s", True, None)
    WARM = ("UI query, warm", "s", True, 2.0)
    SIZE = ("UI query, the answer", "kB", False, None)
    PAGE = ("memory of the web server", "MB", True, None)
    FIRST = ("tick, the first of a process", "s", False, 10.0)
    CLOSED = ("tick, market closed", "s", True, 10.0)
    OPEN = ("tick, market open", "s", True, 10.0)
    TICK = ("memory of the tick's process", "MB", True, None)
    DUE = ("series due, market closed", "", False, None)
    RUNS = ("runs that the tick asks for, market open", "", False, None)
    CONFIG = ("largest run config of them", "kB", False, None)
    REPLY = ("all that the tick tells the daemon", "kB", False, None)

    def __init__(self, title: str, unit: str, grows: bool, most: float | None) -> None:  # noqa: FBT001 - a table
        self.title = title
        self.unit = unit
        self.grows = grows
        self.most = most


@dataclass(frozen=True, slots=True)
class Sample:
    """Values of a measure, one a round; of a time also its CPU seconds, without Postgres'.

    What is NaN is not known on this system, and left out.
    """

    values: Sequence[float]
    cpu: Sequence[float] = ()

    def __post_init__(self) -> None:
        for name in ("values", "cpu"):
            known = [one for one in getattr(self, name) if not math.isnan(one)]
            object.__setattr__(self, name, known)


Found = Mapping[tuple[str, int, Measure], Sample]
"""By storage, number of instruments, and measure."""
_Samples = Iterator[tuple[Measure, Sample]]


@dataclass
class Scene:
    """A home and an instance that grow, and the two processes that look at them."""

    where: Place
    instance: dg.DagsterInstance
    page: Page
    look: Look
    rounds: int
    events: int = 0

    def log_bytes(self) -> int:
        """What the event log takes."""
        return log_bytes(self.instance, self.where.home.dagster)

    def materialize(self, series: Sequence[Series]) -> None:
        """Store a materialization of each."""
        materialize(self.instance, series)
        self.events += len(series)


def main() -> int:
    """Measure and report."""
    asked = options(__doc__.partition("\n")[0] if __doc__ else "")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # or nothing is cleaned up
    sizes, storages = (SIZES[:-1], STORAGES[:1]) if asked.quick else (SIZES, STORAGES)
    rounds = 3 if asked.quick else 5
    found: dict[tuple[str, int, Measure], Sample] = {}
    with nullcontext("") if asked.quick else postgres() as server:
        for storage in storages:
            with _scene(storage, server, rounds) as scene:
                for size, measure, sample in _grown(scene, sizes):
                    found[storage, size, measure] = sample
    return report(_figures(found), asked, {"seed": SEED, "rounds": rounds})


@contextmanager
def _scene(storage: str, server: str, rounds: int) -> Iterator[Scene]:
    with (
        place(storage, server) as where,
        dg.DagsterInstance.from_config(str(where.home.dagster)) as instance,
        served(where.environment, where.home.cache / "page.log") as page,
        looking(where.environment) as look,
    ):
        yield Scene(where, instance, page, look, rounds)


def _grown(scene: Scene, sizes: Sequence[int]) -> Iterator[tuple[int, Measure, Sample]]:
    """All samples, by number of instruments."""
    empty = scene.log_bytes()
    materialized = 0
    for before, size in pairwise((0, *sizes)):
        names = instruments(size)
        _say(f"{size * 7:,} partitions: filling {scene.where.home.engine.dialect.name}")
        fill(scene.where.home.engine, names[before:], before)
        fresh = _lucky(names[before:], before)
        scene.materialize(fresh)
        materialized += len(fresh)
        each = (scene.log_bytes() - empty) / scene.events
        scene.page.wait()
        _say(f"{size * 7:,} partitions: measuring")
        yield size, Measure.LOG, Sample([each * materialized / 1e6])
        yield size, Measure.EACH, Sample([each])
        for part in (_keys(scene, names), _ticks(scene), _page(scene, fresh, materialized)):
            yield from ((size, measure, sample) for measure, sample in part)
    if size == SIZES[-1]:
        with looking(scene.where.environment) as look:
            yield size, Measure.FIRST, Sample(look(CLOSED, 1).wall)


def _lucky(names: Sequence[Instrument], before: int) -> list[Series]:
    series = [Series(one, frame) for one in names for frame in Timeframe]
    luck = np.random.default_rng((SEED, before)).random(len(series))
    return [one for one, drawn in zip(series, luck, strict=True) if drawn < _MATERIALIZED]


def _keys(scene: Scene, names: Sequence[Instrument]) -> _Samples:
    """All at once, as new ones, beside the grid's own."""
    register_instruments(scene.where.home.dagster, names)
    keys = [str(one) for one in names]
    wall, cpu = [], []
    for number in range(scene.rounds):
        started, used = time.perf_counter(), time.process_time()
        scene.instance.add_dynamic_partitions(f"{len(keys)} new ones, {number}", keys)
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - used)
    yield Measure.KEYS, Sample(wall, cpu)


def _ticks(scene: Scene) -> _Samples:
    closed, opened = scene.look(CLOSED, scene.rounds), scene.look(OPEN, scene.rounds)
    yield Measure.CLOSED, Sample(closed.wall, closed.cpu)
    yield Measure.OPEN, Sample(opened.wall, opened.cpu)
    yield Measure.TICK, Sample([opened.peak])
    yield Measure.DUE, Sample([closed.series])
    yield Measure.RUNS, Sample([opened.runs])
    yield Measure.CONFIG, Sample([opened.largest / 1e3])
    yield Measure.REPLY, Sample([opened.reply / 1e3])


def _page(scene: Scene, fresh: Sequence[Series], materialized: int) -> _Samples:
    cold = []
    for _ in range(scene.rounds):
        scene.instance.event_log_storage.wipe_asset_cached_status(OHLCV)
        cold.append(scene.page.ask())
    if cold[-1].materialized != materialized:
        raise RuntimeError(f"{materialized} partitions are materialized, the page says {cold[-1]}")
    scene.materialize(fresh[:RUN])
    later, warm = scene.page.ask(), [scene.page.ask() for _ in range(scene.rounds)]
    for measure, asked in ((Measure.COLD, cold), (Measure.LATER, [later]), (Measure.WARM, warm)):
        yield measure, Sample([one.wall for one in asked], [one.cpu for one in asked])
    yield Measure.SIZE, Sample([later.kilobytes])
    yield Measure.PAGE, Sample([peak_of(scene.page.child.pid)])


def _figures(found: Found) -> list[Figure]:
    everything = [(measure, storage) for measure in Measure for storage in STORAGES]
    return [
        figure
        for measure, storage in everything
        for part in (_sizes, _growth)
        for figure in part(found, measure, storage)
    ]


def _sizes(found: Found, measure: Measure, storage: str) -> Iterator[Figure]:
    """Each size where growth matters, else the largest one; CPU seconds of the largest."""
    for size in SIZES if measure.grows else SIZES[-1:]:
        sample = found.get((storage, size, measure), Sample(()))
        aim = measure.most if size == SIZES[-1] else None
        name = f"{measure.title}, {storage}, {size * 7:,}"
        if sample.values or aim is not None:
            yield Figure(name, tuple(sample.values), measure.unit, aim)
        if sample.cpu and size == SIZES[-1]:
            yield Figure("... its CPU", tuple(sample.cpu), "s")


def _growth(found: Found, measure: Measure, storage: str) -> Iterator[Figure]:
    """The exponent over all sizes, of the best rounds; and that of CPU over the last step alone.

    There fixed costs hide least. It is for reading: a garbage collection more or less in the middle
    size moves it by a tenth (the UI query takes 23 us of CPU a partition at 7,000, 35 from 14,000
    to 56,000).
    """
    samples = {one: found.get((storage, one, measure), Sample(())) for one in SIZES}
    known = {size: one for size, one in samples.items() if one.values}
    if not measure.grows or len(known) < len(SIZES[:-1]):
        return
    exponent = growth(list(known), [min(one.values) for one in known.values()])
    said = f"... growth, exponent (1, {_TOLERANCE} tolerated)"
    yield Figure(said, (exponent,), "", _LINEAR + _TOLERANCE)
    used = {size: mean(one.cpu) for size, one in known.items() if len(one.cpu) > 1}
    if len(used) == len(SIZES):
        last = growth(list(used)[1:], list(used.values())[1:])
        yield Figure("... growth of its CPU in the last step alone", (last,))


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
