"""`track` and `untrack`: what is kept, and that Dagster knows of it."""

from datetime import UTC, datetime

import dagster as dg
import pytest

from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.timeframe import DEFAULT_TIMEFRAMES, Timeframe
from marketdata_pipeline.store.tracking import Tracking
from marketdata_pipeline_tests.cli.terminal import Terminal


def _keys(home: Home) -> list[str]:
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        return list(instance.get_dynamic_partitions("instruments"))


def test_tracking_registers_partition_keys_at_once(home: Home, marketdata: Terminal) -> None:
    found = marketdata("track", "aapl", "^GSPC", "BTC-USD", "-t", "1wk,1d")
    assert (found.code, found.err) == (0, "")
    assert found.out.splitlines() == [
        "AAPL: 1d, 1wk",
        "^GSPC: 1d, 1wk",
        "BTC-USD: 1d, 1wk",
        "next: marketdata backfill AAPL ^GSPC BTC-USD",
    ]
    assert _keys(home) == ["AAPL", "^GSPC", "BTC-USD"]


def test_tracking_again_adds_and_repeats_no_key(home: Home, marketdata: Terminal) -> None:
    marketdata("track", "AAPL", "-t", "1d", "--since", "2020-01-31")
    found = marketdata("track", "AAPL", "MSFT", "-t", "1h", "--since", "2019-01-31")
    assert found.out.splitlines()[:2] == [
        "AAPL: 1h, 1d since 2019-01-31",
        "MSFT: 1h since 2019-01-31",
    ]
    assert _keys(home) == ["AAPL", "MSFT"]
    (aapl, _) = Tracking(home.engine, home.clock).all()
    assert aapl.since == datetime(2019, 1, 31, tzinfo=UTC)
    assert aapl.timeframes == (Timeframe.H1, Timeframe.D1)


def test_the_timeframes_of_the_settings_are_the_usual_ones(
    home: Home, marketdata: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    marketdata("track", "AAPL")
    monkeypatch.setenv("MARKETDATA_TIMEFRAMES", "15m")
    marketdata("track", "MSFT")
    kept = {str(one.instrument): one.timeframes for one in Tracking(home.engine, home.clock).all()}
    assert kept == {"AAPL": DEFAULT_TIMEFRAMES, "MSFT": (Timeframe.M15,)}


def test_untracking_keeps_the_others(home: Home, marketdata: Terminal) -> None:
    marketdata("track", "AAPL", "MSFT")
    assert marketdata("untrack", "AAPL").out == "1 no longer tracked; their bars stay\n"
    assert [str(one.instrument) for one in Tracking(home.engine, home.clock).all()] == ["MSFT"]


def test_one_unknown_name_untracks_nothing(home: Home, marketdata: Terminal) -> None:
    marketdata("track", "AAPL")
    assert marketdata("untrack", "AAPL", "MSFT").sentence() == (
        "not tracked: MSFT; see marketdata status"
    )
    assert len(Tracking(home.engine, home.clock).all()) == 1
