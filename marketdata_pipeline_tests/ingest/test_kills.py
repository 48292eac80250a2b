"""A run that is killed at any moment and started again ends as one that was not."""

import signal
from pathlib import Path

import pandas as pd
import pytest

from marketdata_pipeline.database.home import make_home
from marketdata_pipeline.domain.resample import derive
from marketdata_pipeline_tests.children import PROCESSES
from marketdata_pipeline_tests.ingest.killed import DERIVED, FETCHED, SPLIT, update, world_of

KILLS = 10


def _killed_after(seconds: float, folder: Path, database_url: str) -> bool:
    """Start an update and kill it that long after it began; whether it was still at work."""
    begun = PROCESSES.Event()
    child = PROCESSES.Process(target=update, args=(folder, database_url, begun))
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


def _kill_and_start_again(tmp_path: Path, database_url: str, first: float) -> None:
    """Kill ten updates of one home, each a while later than the one before, then let one finish.

    The last ones may find nothing left to do.
    """
    folder = tmp_path / "home"
    make_home(folder, database_url=database_url).engine.dispose()
    hits = sum(
        _killed_after(first + 0.05 * attempt, folder, database_url) for attempt in range(KILLS)
    )
    assert hits >= KILLS / 3
    update(folder, database_url)
    _assert_whole(folder, database_url)


@pytest.mark.proof
def test_an_update_killed_ten_times_ends_with_the_same_bars(
    tmp_path: Path, database_url: str
) -> None:
    _kill_and_start_again(tmp_path, database_url, 0.01)


@pytest.mark.proof
@pytest.mark.parametrize("home", range(10))
def test_ten_times_ten_kills_leave_a_home_that_goes_on(
    home: int, tmp_path: Path, database_url: str
) -> None:
    folder = tmp_path / str(home)
    folder.mkdir()
    _kill_and_start_again(folder, database_url, 0.01 + 0.005 * home)
