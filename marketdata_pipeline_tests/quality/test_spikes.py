"""Spikes: prices that stand out and come back."""

import numpy as np
import pandas as pd
import pytest

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.bars import COLUMNS
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.quality.spikes import spikes
from marketdata_pipeline_tests.ingest.world import days, walk
from marketdata_pipeline_tests.quality.test_levels import lean, times

AAPL = Series.parse("AAPL|1d")
HOURS = Series.parse("AAPL|1h")
TRUTH = walk(AAPL, days("2023-03-15", "2024-03-16"))


def _changed(bars: pd.DataFrame, row: int, **factors: float) -> pd.DataFrame:
    values = contract.values_of(bars).copy()
    for name, factor in factors.items():
        values[COLUMNS.index(name), row] *= factor
    values[1, row], values[2, row] = values[:4, row].max(), values[:4, row].min()
    return contract.frame_on(bars.index, values)


@pytest.mark.parametrize("name", ["open", "high", "low", "close"])
@pytest.mark.parametrize("factor", [0.6, 1.6, 3.0])
def test_a_price_that_stands_out_is_found_at_its_bar(name: str, factor: float) -> None:
    if (name, factor > 1) in {("high", False), ("low", True)}:
        pytest.skip("that is no longer a high or a low")
    found = spikes(_changed(TRUTH, 120, **{name: factor}), AAPL, ())
    assert [one.within.start for one in found] == [TRUTH.index[120]]
    assert found[0].rule == "spike"
    assert found[0].evidence["price"] == name


def test_hours_move_less_than_days() -> None:
    bars = walk(HOURS, days("2024-01-02", "2024-03-16"))
    quiet = contract.frame_on(
        bars.index, np.vstack([100 + (contract.values_of(bars)[:4] - 100) / 20, bars["volume"]])
    )
    assert spikes(quiet, HOURS, ()) == []
    assert len(spikes(_changed(quiet, 50, close=1.06), HOURS, ())) == 1
    daily = contract.frame_on(TRUTH.index, contract.values_of(_changed(TRUTH, 50, close=1.06)))
    assert spikes(daily, AAPL, ()) == []


def test_a_crash_that_stays_and_a_true_series_have_no_spike() -> None:
    assert spikes(TRUTH, AAPL, ()) == []
    assert spikes(times(TRUTH, 120, len(TRUTH), 0.5), AAPL, ()) == []
    assert spikes(TRUTH.iloc[:2], AAPL, ()) == []


def test_bad_lows_of_a_real_file_are_found_and_hardly_anything_else() -> None:
    aapl = lean("lean/aapl_1d_raw").loc["2005-03-01":"2014-06-01"]
    days_found = [one.within.start.date().isoformat() for one in spikes(aapl, AAPL, ())]
    assert days_found == ["2009-09-21", "2010-08-31", "2011-01-03"]
