"""An import that is killed leaves whole series only, and the same import again does the rest."""

import signal
from pathlib import Path

import pandas as pd
import pytest

from marketdata_pipeline.database.home import make_home
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.catalog import Catalog
from marketdata_pipeline_tests.children import PROCESSES
from marketdata_pipeline_tests.ingest.importing.killed import SERIES, SPAN, import_all
from marketdata_pipeline_tests.ingest.importing.rows import write_csv
from marketdata_pipeline_tests.ingest.world import walk

TRUTH = {one: walk(one, SPAN) for one in SERIES}


def _killed_after(seconds: float, folder: Path, database_url: str, source: Path) -> bool:
    """Start an import and kill it that long after it began; whether it was still at work."""
    begun = PROCESSES.Event()
    child = PROCESSES.Process(target=import_all, args=(folder, database_url, source, begun))
    child.start()
    assert begun.wait(60)
    child.join(seconds)
    child.kill()
    child.join()
    return child.exitcode == -signal.SIGKILL


def _whole(folder: Path, database_url: str) -> int:
    """How many series are stored; each is the truth, its coverage and its summary agree."""
    with make_home(folder, database_url=database_url) as home:
        store = BarStore(home.engine, home.bars, home.clock)
        summaries = Catalog(home.engine, home.clock).summaries(SERIES)
        coverage = store.coverage(SERIES)
        for summary in summaries:
            truth = TRUTH[summary.series]
            expected = truth if summary.rows else truth.iloc[:0]
            stored = store.read(summary.series)
            pd.testing.assert_frame_equal(stored, expected, check_freq=False)
            assert [one.within for one in coverage[summary.series].spans] == (
                [SPAN] if summary.rows else []
            )
            assert summary.version == (1 if summary.rows else 0)
        return sum(one.rows > 0 for one in summaries)


def _kill_until_done(tmp_path: Path, database_url: str, kills: int, step: float) -> None:
    folder, source = tmp_path / "home", tmp_path / "in"
    for one, bars in TRUTH.items():
        write_csv(bars, source / one.slug / "all.csv.gz")
    make_home(folder, database_url=database_url).engine.dispose()
    before, hits = 0, 0
    for attempt in range(kills):
        hits += _killed_after(0.02 + step * attempt, folder, database_url, source)
        now = _whole(folder, database_url)
        assert now >= before
        before = now
    assert hits
    assert len(import_all(folder, database_url, source)) == len(SERIES) - before
    assert _whole(folder, database_url) == len(SERIES)
    assert import_all(folder, database_url, source) == []


@pytest.mark.proof
def test_an_import_that_is_killed_again_and_again_ends_whole(
    tmp_path: Path, database_url: str
) -> None:
    _kill_until_done(tmp_path, database_url, 5, 0.1)


@pytest.mark.proof
@pytest.mark.parametrize("turn", range(5))
def test_thirty_kills_a_home_leave_whole_series_only(
    turn: int, tmp_path: Path, database_url: str
) -> None:
    _kill_until_done(tmp_path, database_url, 30, 0.011 + 0.002 * turn)
