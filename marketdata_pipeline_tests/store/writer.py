"""Processes that settle overlapping windows of one series and tell each write that they know of.

A line of JSON goes into a file before each write (what it is about to write) and after it (that it
was acknowledged). Not here: starting and killing them (test_writers, test_kills).
"""

import json
import random
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TextIO

import numpy as np

from marketdata_pipeline.database.engine import open_engine
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.errors import WriteConflict
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.compact import Compactor
from marketdata_pipeline.store.gc import Collector
from marketdata_pipeline_tests.store.writes import COIN, START, bars_at, minutes, settle, write_of

SPAN = 400
_COMPACTS, _COLLECTS = 0.25, 0.35
LARGE = 4200
"""Rows of the writes that become files; they start where the small ones do."""


@dataclass(frozen=True)
class Job:
    """A window of minutes, and the microsecond after START at which it was fetched."""

    first: int
    count: int
    fetched: int

    @classmethod
    def draw(cls, dice: random.Random) -> "Job":
        count = LARGE if dice.random() < 0.15 else dice.randrange(1, 60)
        return cls(dice.randrange(SPAN), count, dice.randrange(1, 10**9))

    @property
    def labels(self) -> np.ndarray:
        return minutes(self.first, self.count)


def write(url: str, folder: Path, seed: int, told: Path, count: int) -> None:
    """Write so many windows."""
    dice = random.Random(seed)  # noqa: S311 - repeatable, not secret
    engine = open_engine(url)
    store = BarStore(engine, folder, SystemClock())
    with told.open("w") as out:
        for _ in range(count):
            _write(store, Job.draw(dice), out)
    engine.dispose()


def keep_writing(url: str, folder: Path, seed: int, told: Path) -> None:
    """Write, compact and collect until killed; superseded bars go at once, files after 4 s."""
    dice = random.Random(seed)  # noqa: S311 - repeatable, not secret
    engine, clock, grace = open_engine(url), SystemClock(), timedelta(seconds=4)
    store = BarStore(engine, folder, clock, grace=grace)
    compactor = Compactor(engine, folder, clock, grace=grace)
    collector = Collector(engine, folder, clock, kept=timedelta(0), grace=grace)
    with told.open("w") as out:
        while True:
            with suppress(WriteConflict):  # the others kept coming first; nothing was written
                chance = dice.random()
                if chance < _COMPACTS:
                    compactor.compact(COIN)
                elif chance < _COLLECTS:
                    collector.collect()
                else:
                    _write(store, Job.draw(dice), out)


def _write(store: BarStore, job: Job, out: TextIO) -> None:
    told = [job.first, job.count, job.fetched]
    print(json.dumps(["tries", told]), file=out, flush=True)
    fetched_at = START + timedelta(microseconds=job.fetched)
    settle(store, write_of(bars_at(job.labels, job.fetched), fetched_at=fetched_at))
    print(json.dumps(["stored", told]), file=out, flush=True)


def told_in(lines: list[str]) -> tuple[list[Job], list[Job]]:
    """What a writer had stored, and what it had at least begun, by the whole lines that it told."""
    whole = [json.loads(line) for line in lines if line.endswith("]]")]
    stored = [Job(*job) for what, job in whole if what == "stored"]
    begun = [Job(*job) for what, job in whole if what == "tries"]
    return stored, begun
