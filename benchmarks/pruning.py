"""What pruning gives back of Dagster's storage, what it takes, and how long others wait meanwhile.

Not here: what the storage grows by (grid). Every partition is materialized, and then refreshed so
many times that all but the last are superseded; one in a hundred is left out of each refresh, so
that the runs before keep something. While it is pruned another process' part is played by a thread
with an instance of its own, which stores an event every 20 ms.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from threading import Event, Thread

import dagster as dg
import numpy as np
from _materialized import log_bytes, materialize
from _place import POSTGRES, SQLITE, Place, place, postgres
from _report import Figure, options, report
from _tracked import instruments

from marketdata_pipeline.defs.assets.ohlcv import OHLCV
from marketdata_pipeline.defs.pruning import Pruned, prune
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.orchestrator import register_instruments

SIZE, QUICK = 1_000, 100
"""Instruments; each has seven partitions."""
REFRESHES = 3
_LEFT_OUT = 0.01
_EVERY = 0.02
_ALONE = 3.0
_PATIENCE = 5.0
"""Seconds that Dagster waits for the file of its runs before it gives up."""


def main() -> int:
    """Measure and report."""
    asked = options(__doc__.partition("\n")[0] if __doc__ else "")
    size, storages = (QUICK, (SQLITE,)) if asked.quick else (SIZE, (SQLITE, POSTGRES))
    figures: list[Figure] = []
    with nullcontext("") if asked.quick else postgres() as server:
        for storage in storages:
            with (
                place(storage, server) as where,
                dg.DagsterInstance.from_config(str(where.home.dagster)) as instance,
            ):
                figures.extend(_measured(where, instance, size, storage))
    return report(figures, asked, {"partitions": size * 7, "refreshes": REFRESHES})


def _measured(
    where: Place, instance: dg.DagsterInstance, size: int, storage: str
) -> Iterator[Figure]:
    folder = where.home.dagster
    names = instruments(size)
    register_instruments(folder, names)
    empty = log_bytes(instance, folder)
    every = [Series(one, frame) for one in names for frame in Timeframe]
    materialize(instance, every)
    once = log_bytes(instance, folder) - empty
    dice = np.random.default_rng(0)
    for _ in range(REFRESHES):
        drawn = dice.random(len(every)) >= _LEFT_OUT
        materialize(instance, [one for one, kept in zip(every, drawn, strict=True) if kept])
    full = log_bytes(instance, folder) - empty
    with _others(where) as alone:
        SystemClock().sleep(_ALONE)
    with _others(where) as meanwhile:
        done, wall, cpu = _pruned(instance, every)
    left = log_bytes(instance, folder) - empty
    for name, value, unit in (
        ("each partition once", once / 1e6, "MB"),
        (f"after {REFRESHES} refreshes", full / 1e6, "MB"),
        ("pruned", left / 1e6, "MB"),
        ("events deleted", done.events, ""),
        ("runs deleted", done.runs, ""),
        ("runs that keep something", done.thinned, ""),
        ("pruning takes", wall, "s"),
        ("... its CPU", cpu, "s"),
    ):
        yield Figure(f"{storage}: {name}", (value,), unit)
    yield Figure(f"{storage}: an event of another process, alone", tuple(alone), "s")
    yield Figure(f"{storage}: the same while it is pruned", tuple(meanwhile), "s")
    yield Figure(f"{storage}: ... the longest", (max(meanwhile),), "s", _PATIENCE)


def _pruned(instance: dg.DagsterInstance, every: Sequence[Series]) -> tuple[Pruned, float, float]:
    """Prune all that there is; what it did, wall and CPU seconds."""
    began, used = time.perf_counter(), time.process_time()
    done = prune(instance, datetime.now(UTC), SystemClock(), _say)
    took = time.perf_counter() - began, time.process_time() - used
    if instance.get_materialized_partitions(OHLCV) != {str(one) for one in every}:
        raise RuntimeError("pruning changed what is materialized")
    return done, *took


@contextmanager
def _others(where: Place) -> Iterator[list[float]]:
    """Store an event now and then while the block runs; how long each took."""
    waits: list[float] = []
    over = Event()

    def store() -> None:
        event = dg.AssetMaterialization("other")
        with dg.DagsterInstance.from_config(str(where.home.dagster)) as instance:
            while not over.wait(_EVERY):
                began = time.perf_counter()
                instance.report_runless_asset_event(event)
                waits.append(time.perf_counter() - began)

    thread = Thread(target=store)
    thread.start()
    try:
        yield waits
    finally:
        over.set()
        thread.join()


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
