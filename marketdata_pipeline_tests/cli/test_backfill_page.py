"""Backfills as people launch them on Dagster's page: a real webserver, daemon and simulator."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from marketdata_pipeline.database.home import History, Home, Replay, make_home
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.orchestrator import register_instruments
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline_tests.cli.page import Counts, Page, page_of
from marketdata_pipeline_tests.ports import free_port

START = datetime(2024, 12, 2, 21, 30, tzinfo=UTC)
TWENTY = (
    *("AAPL", "MSFT", "SPY", "AZN.L", "VOD.L", "0700.HK", "0005.HK", "7203.T", "6758.T"),
    *("^GSPC", "^N225", "^FTSE", "EURUSD=X", "JPY=X", "BTC-USD", "ETH-USD", "ES=F", "GC=F"),
    *("SAP.DE", "RY.TO"),
)
OTHERS = tuple(f"T{number:03d}" for number in range(21))
BROKEN = {"T003": 500, "T010": 503, "T017": 404}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    replay = Replay(History.SYNTHETIC, START, seed=5)
    with make_home(tmp_path / "home", replay=replay) as made:
        register_instruments(made.dagster, [Instrument.parse(one) for one in (*TWENTY, *OTHERS)])
        yield made


def _everything_of(page: Page, home: Home) -> None:
    """20 instruments x 7 timeframes: green, and bars of every series are stored."""
    keys = [f"{one}|{frame}" for one in TWENTY for frame in Timeframe]
    status, counts = page.ended(page.backfill(keys), 400)
    assert (status, counts) == ("COMPLETED_SUCCESS", Counts(140, 140, 0))
    store = BarStore(home.engine, home.bars, home.clock)
    lengths = {key: len(store.tail(Series.parse(key), 50)) for key in keys}
    assert set(lengths.values()) == {50}, lengths
    assert page.failed_partitions() == set()


def _three_of_21_fail(page: Page, simulator: str) -> None:
    """18 stay materialized, exactly three are failed, each with its reason in the run."""
    faults = [{"kind": "status", "symbol": key, "status": BROKEN[key]} for key in BROKEN]
    assert requests.post(f"{simulator}/simulator/faults", json=faults, timeout=5).ok
    backfill = page.backfill([f"{one}|1d" for one in OTHERS])
    status, counts = page.ended(backfill, 200)
    assert (status, counts) == ("COMPLETED_FAILED", Counts(21, 18, 3))
    expected = {f"{one}|1d" for one in BROKEN}
    assert page.failed_partitions() == expected
    (run,) = page.runs(backfill)
    assert run["status"] == "FAILURE"
    assert set(json.loads(run["failure"]["failed_partitions"])) == expected
    for key, code in BROKEN.items():
        (row,) = [line for line in run["failure"]["failed"].splitlines() if key in line]
        assert f"HTTP {code}" in row, row


@pytest.mark.proof
def test_backfills_of_the_partitions_page(home: Home, tmp_path: Path) -> None:
    port, simulator = free_port(), free_port()
    with page_of(home.folder, port, simulator, tmp_path / "log") as page:
        _everything_of(page, home)
        _three_of_21_fail(page, f"http://127.0.0.1:{simulator}")
