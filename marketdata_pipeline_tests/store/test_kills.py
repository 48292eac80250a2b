import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import monotonic

import pytest
from sqlalchemy import Engine, select

from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import chunks
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.gc import Collector
from marketdata_pipeline.store.verify import Verifier
from marketdata_pipeline_tests.children import PROCESSES
from marketdata_pipeline_tests.store.acknowledged import assert_nothing_lost
from marketdata_pipeline_tests.store.writer import Job, keep_writing, told_in
from marketdata_pipeline_tests.store.writes import COIN

WRITERS = 4


@dataclass
class Storm:
    """Four writers of one series that compact and collect too, killed and begun again."""

    url: str
    folder: Path
    told: Path
    stored: list[Job] = field(default_factory=list)
    begun: list[Job] = field(default_factory=list)
    kills: int = 0
    seeds: Iterator[int] = field(default_factory=count)
    dice: random.Random = field(default_factory=lambda: random.Random(11))  # noqa: S311 - repeatable

    def rage(self, *, kills: int, acknowledged: int) -> None:
        """Until that many were killed and that many writes acknowledged, in two minutes each."""
        running = [self._begin() for _ in range(WRITERS)]
        until = monotonic() + 600
        try:
            while self.kills < kills or len(self.stored) < acknowledged:
                assert monotonic() < until, f"{self.kills} kills, {len(self.stored)} acknowledged"
                slot = min(range(WRITERS), key=lambda one: running[one][1])
                process, deadline, told = running[slot]
                process.join(max(0.0, deadline - monotonic()))
                self._end(process, told)
                # Once enough were killed they live longer: a busy machine starts them slowly.
                running[slot] = self._begin(1.0 if self.kills < kills else 5.0)
            for process, _, told in running:
                self._end(process, told)
        finally:
            for process, _, _ in running:
                process.kill()

    def _begin(self, times: float = 1.0) -> tuple[BaseProcess, float, Path]:
        seed = next(self.seeds)
        told = self.told / f"{seed}.jsonl"
        arguments = (self.url, self.folder, seed, told)
        process = PROCESSES.Process(target=keep_writing, args=arguments)
        process.start()
        return process, monotonic() + times * self.dice.uniform(0.1, 1.2), told

    def _end(self, process: BaseProcess, told: Path) -> None:
        assert process.is_alive(), "a writer broke off by itself"
        process.kill()
        process.join()
        self.kills += 1
        lines = told.read_text().splitlines() if told.exists() else []
        stored, begun = told_in(lines)
        self.stored += stored
        self.begun += begun


def assert_whole(engine: Engine, folder: Path, storm: Storm) -> None:
    """Nothing acknowledged is missing or wrong, nothing is at fault, and nothing is left over."""
    store = BarStore(engine, folder, SystemClock())
    assert_nothing_lost(store, storm.stored, storm.begun)
    verifier = Verifier(engine, folder, SystemClock())
    assert [*verifier.faults(COIN), *verifier.everywhere()] == []
    at_once = timedelta(0)
    Collector(engine, folder, SystemClock(), kept=at_once, grace=at_once).collect()
    with reading(engine) as connection:
        named = set(connection.execute(select(chunks.c.path)).scalars()) - {None}
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert left == named
    assert_nothing_lost(store, storm.stored, storm.begun)
    assert verifier.faults(COIN) == []


@pytest.mark.proof
def test_of_killed_writers_that_compact_and_collect_nothing_acknowledged_is_lost(
    engine: Engine, catalog_url: str, tmp_path: Path
) -> None:
    storm = Storm(catalog_url, tmp_path / "bars", tmp_path)
    storm.rage(kills=10, acknowledged=20)
    assert_whole(engine, storm.folder, storm)


@pytest.mark.proof
def test_of_200_kills_and_2000_acknowledged_writes_nothing_is_lost(
    engine: Engine, catalog_url: str, tmp_path: Path
) -> None:
    storm = Storm(catalog_url, tmp_path / "bars", tmp_path)
    storm.rage(kills=200, acknowledged=2000)
    assert_whole(engine, storm.folder, storm)
    print(f"{storm.kills} kills, {len(storm.stored)} acknowledged writes: 0 missing, 0 wrong")  # noqa: T201 - the figure
