"""`backfill` with all that it started killed by -9, again and again: it ends with the same bars."""

import os
import signal
import subprocess
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from marketdata_pipeline.database.home import History, Home, Replay, make_home
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.simulator.limits import Latency, Limits
from marketdata_pipeline.simulator.server import Simulator
from marketdata_pipeline.simulator.synthetic import SyntheticHistory
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline_tests.cli.terminal import PROGRAM, environment, program
from marketdata_pipeline_tests.ingest.world import day

START = day("2024-12-02")
"""A Monday's first minute: no market opens while the test runs, so nothing new closes."""
STOCKS = ("AAPL", "MSFT", "IBM", "KO", "PEP")
SERIES = [f"{stock}|{frame}" for stock in STOCKS for frame in ("1h", "4h", "1d", "1wk")]
KILLS = 5


def killed_after(lines: int, env: dict[str, str]) -> int:
    """Start the backfill and kill its whole family once so many series are done; how many were."""
    done = 0
    with subprocess.Popen(
        [*PROGRAM, "backfill", *STOCKS],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as started:
        assert started.stdout is not None
        for line in started.stdout:
            done += "new bars" in line
            if done >= lines:
                break
        os.killpg(started.pid, signal.SIGKILL)
    return done


def bars_of(home: Home) -> dict[str, pd.DataFrame]:
    store = BarStore(home.engine, home.bars, home.clock)
    return {key: store.read(Series.parse(key)) for key in SERIES}


@pytest.mark.proof
def test_a_killed_run_that_is_started_again_ends_with_the_same_bars(tmp_path: Path) -> None:
    replay = Replay(History.SYNTHETIC, START, seed=9)
    with (
        make_home(tmp_path / "killed", replay=replay) as home,
        make_home(tmp_path / "whole", replay=replay) as whole,
        Simulator(
            SyntheticHistory(9), home.clock, limits=Limits(latency=Latency(0.15))
        ).in_thread() as simulator,
    ):
        settings = {"MARKETDATA_SIMULATOR_PORT": simulator.port}
        env = environment(MARKETDATA_HOME=home.folder, **settings)
        hits = [killed_after(1 + 3 * number, env) for number in range(KILLS)]
        assert all(hits), "each was at work when it was killed"
        for one in (home, whole):
            env = environment(MARKETDATA_HOME=one.folder, **settings)
            ended = program(tmp_path, env, "backfill", *STOCKS)
            assert ended.code == 0, ended
        expected = bars_of(whole)
        for key, bars in bars_of(home).items():
            assert len(bars) > 90, key
            pd.testing.assert_frame_equal(bars, expected[key], check_exact=True)
        with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
            told = instance.get_materialized_partitions(dg.AssetKey("ohlcv"))
        assert told == set(SERIES), "Dagster shows all that is stored, whatever was killed"
