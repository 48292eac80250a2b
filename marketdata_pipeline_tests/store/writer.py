"""A process that settles overlapping windows of one series and tells each write that it knows of.

``python -m marketdata_pipeline_tests.store.writer URL FOLDER SEED COUNT`` prints a line of JSON
before each write (what it is about to write) and after it (that it was acknowledged).
"""

import json
import random
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np

from marketdata_pipeline.database.engine import open_engine
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline_tests.store.writes import START, bars_at, minutes, settle, write_of

SPAN = 400
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


def main(url: str, folder: str, seed: str, count: str) -> None:
    dice = random.Random(int(seed))  # noqa: S311 - repeatable, not secret
    engine = open_engine(url)
    store = BarStore(engine, Path(folder), SystemClock())
    for _ in range(int(count)):
        job = Job.draw(dice)
        told = [job.first, job.count, job.fetched]
        print(json.dumps(["tries", told]), flush=True)  # noqa: T201 - its parent reads it
        fetched_at = START + timedelta(microseconds=job.fetched)
        settle(store, write_of(bars_at(job.labels, job.fetched), fetched_at=fetched_at))
        print(json.dumps(["stored", told]), flush=True)  # noqa: T201 - its parent reads it
    engine.dispose()


if __name__ == "__main__":
    main(*sys.argv[1:])
