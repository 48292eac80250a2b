"""A run that is killed at any moment and started again ends as one that was not."""

import multiprocessing
import signal
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from marketdata_pipeline.database.home import Mode, make_home
from marketdata_pipeline.domain.resample import derive
from marketdata_pipeline_tests.ingest.killed import DERIVED, FETCHED, SPLIT, update, world_of

KILLS = 10
MANY = 100


_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["marketdata_pipeline_tests.ingest.killed"])


def _killed_after(seconds: float, folder: Path, database_url: str) -> bool:
    """Start an update and kill it that long after it began; whether it was still at work."""
    begun = _PROCESSES.Event()
    child = _PROCESSES.Process(target=update, args=(folder, database_url, begun))
    child.start()
    assert begun.wait(60)
    child.join(seconds)
    child.kill()
    child.join()
    return child.exitcode == -signal.SIGKILL


def _assert_whole(folder: Path, database_url: str) -> None:
    """Every series holds the truth, no more and no less, and nothing is missing or due."""
    world = world_of(folder, database_url)
    for one in FETCHED:
        whole = world.provider.truth[one]
        stored = world.store.read(one)
        pd.testing.assert_frame_equal(stored, whole.loc[stored.index[0] :])
        assert world.catalog.summaries([one])[0].rows == len(stored)
    for one in DERIVED:
        assert one.base is not None
        truth = derive(world.store.read(one.base), one, [SPLIT])
        pd.testing.assert_frame_equal(world.store.read(one), truth)
    outcomes = list(world.updater.update_many([*FETCHED, *DERIVED]))
    assert sum(one.requests + one.rows_new for one in outcomes) == 0
    assert all(one.judgement and one.judgement.score == 1.0 for one in outcomes)
    world.home.engine.dispose()


def _kill_and_start_again(tmp_path: Path, database_url: str, kills: int) -> int:
    """Kill ``kills`` updates of one home, each a bit later, then let one finish."""
    folder = tmp_path / "home"
    make_home(folder, database_url=database_url, mode=Mode.LIVE).engine.dispose()
    hit = 0
    for attempt in range(kills):
        hit += _killed_after(0.02 + 0.08 * (attempt % 10), folder, database_url)
    update(folder, database_url)
    _assert_whole(folder, database_url)
    return hit


def test_an_update_killed_ten_times_ends_with_the_same_bars(
    tmp_path: Path, database_url: str
) -> None:
    assert _kill_and_start_again(tmp_path, database_url, KILLS) > 0


@pytest.mark.proof
def test_every_single_kill_of_a_hundred_leaves_a_home_that_goes_on(
    tmp_path: Path, database_url: str
) -> None:
    started = time.monotonic()
    hit = 0
    for attempt in range(MANY // 10):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        if database_url.startswith("sqlite"):
            url = f"sqlite:///{folder / 'catalog.sqlite'}"
            hit += _kill_and_start_again(folder, url, KILLS)
    if not database_url.startswith("sqlite"):
        hit += _kill_and_start_again(tmp_path, database_url, MANY)
    took = time.monotonic() - started
    sys.stdout.write(f"{hit} of {MANY} updates were killed at work, {took:.0f} s\n")
    assert hit > 0
