import random
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from sqlalchemy import Engine

from marketdata_pipeline.domain.bars import labels_of
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline_tests.children import PROCESSES
from marketdata_pipeline_tests.store.acknowledged import assert_nothing_lost, newest
from marketdata_pipeline_tests.store.writer import Job, told_in, write
from marketdata_pipeline_tests.store.writes import COIN


@dataclass
class Writer:
    """A process that writes, and the file in which it tells of it."""

    process: BaseProcess
    told: Path

    @classmethod
    def start(cls, url: str, folder: Path, seed: int, count: int) -> "Writer":
        told = folder.parent / f"told-{seed}"
        process = PROCESSES.Process(target=write, args=(url, folder, seed, told, count))
        process.start()
        return cls(process, told)

    def await_first(self) -> None:
        """Return once it has told of its first write."""
        while not (self.told.exists() and self.told.stat().st_size):
            assert self.process.is_alive()
            SystemClock().sleep(0.005)

    def jobs(self) -> tuple[list[Job], list[Job]]:
        """What it had stored, and what it had at least begun, when it ended."""
        self.process.join(120)
        return told_in(self.told.read_text().splitlines())


def test_of_writers_at_once_none_loses_a_row_and_the_later_fetch_wins(
    store: BarStore, engine: Engine, catalog_url: str, folder: Path
) -> None:
    writers = [Writer.start(catalog_url, folder, seed, 40) for seed in range(3)]
    told = [writer.jobs() for writer in writers]
    assert [writer.process.exitcode for writer in writers] == [0, 0, 0]
    stored = [job for done, _ in told for job in done]
    assert len(stored) == 120
    found = store.read(COIN)
    assert dict(zip(labels_of(found).tolist(), found["volume"], strict=True)) == newest(stored)
    assert_nothing_lost(store, stored, stored)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT rows, version FROM series").one()
        kept = connection.exec_driver_sql(
            "SELECT count(*), sum(rows) FROM fetches WHERE rows > 0"
        ).one()
        named = connection.exec_driver_sql(
            "SELECT path FROM chunks WHERE path IS NOT NULL UNION SELECT path FROM retired_files"
        )
        paths = {folder / path for path in named.scalars()}
    assert rows[0] == len(found)
    assert rows[1] == kept[0]
    assert set(folder.rglob("*.*")) == paths, "a stale write leaves no file"


def kill(store: BarStore, url: str, folder: Path, kills: int) -> None:
    dice = random.Random(7)  # noqa: S311 - repeatable, not secret
    stored: list[Job] = []
    begun: list[Job] = []
    for seed in range(kills):
        writer = Writer.start(url, folder, seed, 10**6)
        writer.await_first()
        writer.process.join(dice.uniform(0, 0.4))
        writer.process.kill()
        done, tried = writer.jobs()
        stored += done
        begun += tried
    assert_nothing_lost(store, stored, begun)
    assert stored, "the writers were killed before they wrote anything"
    again = Writer.start(url, folder, 99, 3)
    done, tried = again.jobs()
    assert (again.process.exitcode, len(done)) == (0, 3)
    assert_nothing_lost(store, stored + done, begun + tried)


def test_a_killed_writer_loses_no_acknowledged_write(
    store: BarStore, catalog_url: str, folder: Path
) -> None:
    kill(store, catalog_url, folder, kills=3)


@pytest.mark.proof
def test_many_killed_writers_lose_no_acknowledged_write(
    store: BarStore, catalog_url: str, folder: Path
) -> None:
    kill(store, catalog_url, folder, kills=30)
