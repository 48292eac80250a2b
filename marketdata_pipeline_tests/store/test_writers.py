import json
import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Engine

from marketdata_pipeline.domain.bars import labels_of
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline_tests.conftest import ROOT
from marketdata_pipeline_tests.store.acknowledged import assert_nothing_lost, newest
from marketdata_pipeline_tests.store.writer import Job, told_in
from marketdata_pipeline_tests.store.writes import COIN

Writer = subprocess.Popen[str]


def start(url: str, folder: Path, seed: int, count: int) -> Writer:
    return subprocess.Popen(
        [
            sys.executable,
            *("-m", "marketdata_pipeline_tests.store.writer"),
            *(url, str(folder), str(seed), str(count)),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def jobs_told(writer: Writer) -> tuple[list[Job], list[Job]]:
    """What a writer had stored, and what it had at least begun, when it ended."""
    said, _ = writer.communicate(timeout=120)
    return told_in(said.splitlines())


def test_of_writers_at_once_none_loses_a_row_and_the_later_fetch_wins(
    store: BarStore, engine: Engine, database_url: str, folder: Path
) -> None:
    writers = [start(database_url, folder, seed, 40) for seed in range(3)]
    told = [jobs_told(writer) for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0]
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
        writer = start(url, folder, seed, 10**6)
        assert writer.stdout is not None
        first = writer.stdout.readline()  # it is past its imports
        with suppress(subprocess.TimeoutExpired):
            writer.wait(timeout=dice.uniform(0, 0.4))
        writer.kill()
        done, tried = jobs_told(writer)
        stored += done
        begun += [Job(*json.loads(first)[1]), *tried]
    assert_nothing_lost(store, stored, begun)
    assert stored, "the writers were killed before they wrote anything"
    again = start(url, folder, 99, 3)
    done, tried = jobs_told(again)
    assert (again.returncode, len(done)) == (0, 3)
    assert_nothing_lost(store, stored + done, begun + tried)


def test_a_killed_writer_loses_no_acknowledged_write(
    store: BarStore, database_url: str, folder: Path
) -> None:
    kill(store, database_url, folder, kills=3)


@pytest.mark.proof
def test_many_killed_writers_lose_no_acknowledged_write(
    store: BarStore, database_url: str, folder: Path
) -> None:
    kill(store, database_url, folder, kills=30)
