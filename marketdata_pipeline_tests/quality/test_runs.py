"""Runs: what stands still, what is silent, what is told again."""

import numpy as np
import pandas as pd
import pytest

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.quality.runs import flat_runs, stale_repeats, zero_volume_runs
from marketdata_pipeline_tests.ingest.world import days, walk

AAPL = Series.parse("AAPL|1d")
HOURS = Series.parse("AAPL|1h")
TRUTH = walk(AAPL, days("2023-03-15", "2024-03-16"))


def _set(bars: pd.DataFrame, rows: slice, *, still: bool, silent: bool) -> pd.DataFrame:
    values = contract.values_of(bars).copy()
    if still:
        values[:4, rows] = values[3, rows.start]
    if silent:
        values[4, rows] = 0
    return contract.frame_on(bars.index, values)


@pytest.mark.parametrize("size", [6, 12, 30])
def test_a_run_that_a_lively_series_does_not_have_is_found(size: int) -> None:
    bars = _set(TRUTH, slice(100, 100 + size), still=True, silent=True)
    for found, rule in (
        (flat_runs(bars, AAPL, ()), "flat_run"),
        (zero_volume_runs(bars, AAPL, ()), "zero_volume_run"),
    ):
        assert [one.rule for one in found] == [rule]
        assert found[0].within.start == TRUTH.index[100]
        assert found[0].evidence["bars"] == size


def test_two_or_three_still_bars_are_nothing() -> None:
    bars = _set(TRUTH, slice(100, 103), still=True, silent=True)
    assert flat_runs(bars, AAPL, ()) == []
    assert zero_volume_runs(bars, AAPL, ()) == []


def test_a_share_that_hardly_trades_stands_still_often() -> None:
    bars = TRUTH
    for first in range(0, 240, 10):
        bars = _set(bars, slice(first, first + 8), still=True, silent=True)
    assert flat_runs(bars, AAPL, ()) == []
    assert zero_volume_runs(bars, AAPL, ()) == []


def test_a_series_without_volume_is_not_silent() -> None:
    bars = _set(TRUTH, slice(0, len(TRUTH)), still=False, silent=True)
    assert zero_volume_runs(bars, AAPL, ()) == []
    assert zero_volume_runs(contract.empty(), AAPL, ()) == []


@pytest.mark.parametrize(("size", "lag"), [(1, 1), (2, 2), (3, 3), (20, 60)])
def test_bars_that_come_again_are_found(size: int, lag: int) -> None:
    values = contract.values_of(TRUTH).copy()
    values[:, -size:] = values[:, -size - lag : len(TRUTH) - lag]
    found = stale_repeats(contract.frame_on(TRUTH.index, values), AAPL, ())
    assert [one.rule for one in found] == ["stale_repeat"]
    assert found[0].within.start == TRUTH.index[-size]
    assert found[0].evidence == {"bars": size, "lag": lag}


def test_one_hour_may_come_again_three_do_not() -> None:
    bars = walk(HOURS, days("2024-01-02", "2024-03-16"))
    for size, found in ((1, 0), (2, 0), (3, 1), (7, 1)):
        values = contract.values_of(bars).copy()
        values[:, 70 : 70 + size] = values[:, 63 : 63 + size]
        again = contract.frame_on(bars.index, values)
        assert len(stale_repeats(again, HOURS, ())) == found


def test_bars_of_one_price_may_come_again() -> None:
    values = np.full((5, 20), 10.0)
    values[:, ::2] += 0.5
    bars = contract.frame_on(TRUTH.index[:20], values)
    assert stale_repeats(bars, AAPL, ()) == []
    assert stale_repeats(TRUTH, AAPL, ()) == []
