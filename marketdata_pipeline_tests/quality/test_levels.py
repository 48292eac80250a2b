"""Levels: what is off by a factor, and which moves are the market's own."""

import gzip
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.bars import COLUMNS
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.verdict import Finding
from marketdata_pipeline.quality.levels import level_shifts
from marketdata_pipeline.quality.runs import flat_runs, stale_repeats, zero_volume_runs
from marketdata_pipeline.quality.spikes import spikes
from marketdata_pipeline_tests.ingest.world import days, walk

AAPL = Series.parse("AAPL|1d")
YEAR = days("2023-03-15", "2024-03-16")
TRUTH = walk(AAPL, YEAR)
BARS = Path(__file__).resolve().parents[3] / "shared" / "bars"
DETECTORS = (level_shifts, spikes, flat_runs, zero_volume_runs, stale_repeats)


def times(
    bars: pd.DataFrame, first: int, after: int, factor: float, volume: float = 1.0
) -> pd.DataFrame:
    """The bars with the prices from one position to before another multiplied."""
    values = contract.values_of(bars).copy()
    values[:4, first:after] *= factor
    values[4, first:after] *= volume
    return contract.frame_on(bars.index, values)


def lean(name: str) -> pd.DataFrame:
    """Real bars, skipped where they are not there."""
    path = BARS / f"{name}.csv.gz"
    if not path.exists():
        pytest.skip("the real bars of ../shared are not there")
    table = pd.read_csv(StringIO(gzip.decompress(path.read_bytes()).decode()))
    labels = pd.DatetimeIndex(pd.to_datetime(table["date"], utc=True)).as_unit("us").asi8
    return contract.frame(labels, {one: table[one].to_numpy(np.float64) for one in COLUMNS})


def _rules(found: Sequence[Finding]) -> list[str]:
    return [one.rule for one in found]


def _everything(bars: pd.DataFrame, actions: Sequence[Action]) -> list[tuple[str, str]]:
    return [(one.rule, str(one.within)) for find in DETECTORS for one in find(bars, AAPL, actions)]


@pytest.mark.parametrize("factor", [100, 0.01, 1000, 0.1])
@pytest.mark.parametrize("size", [1, 3, 40])
def test_a_block_in_another_unit_is_found_where_it_is(factor: float, size: int) -> None:
    found = level_shifts(times(TRUTH, 100, 100 + size, factor), AAPL, ())
    assert _rules(found) == ["level_shift"]
    within = found[0].within
    assert within.start == TRUTH.index[100]
    assert TRUTH.index[99 + size] < within.end <= TRUTH.index[100 + size]
    assert found[0].evidence["factor"] == pytest.approx(factor, rel=0.1)


@pytest.mark.parametrize("ratio", [2, 3, 20, 1.5, 0.2])
def test_a_split_that_no_action_tells_is_found_at_its_jump(ratio: float) -> None:
    found = level_shifts(times(TRUTH, 150, len(TRUTH), 1 / ratio, ratio), AAPL, ())
    assert len(found) == 1
    assert found[0].rule in {"split_like", "level_shift"}
    assert found[0].within.start == TRUTH.index[149]


@pytest.mark.parametrize("ratio", ["2", "7", "3/2", "1/8"])
def test_a_known_split_is_no_shift_unless_it_was_taken_out_days_off(ratio: str) -> None:
    action = Action(TRUTH.index[150].date(), ActionKind.SPLIT, Fraction(ratio))
    true = times(TRUTH, 0, 150, float(action.value), 1 / float(action.value))
    assert level_shifts(true, AAPL, [action]) == []
    early = times(true, 148, 150, 1 / float(action.value))
    assert _rules(level_shifts(early, AAPL, [action]))


def test_a_crash_on_many_times_the_volume_is_the_markets_own() -> None:
    crashed = times(TRUTH, 150, len(TRUTH), 0.5)
    assert _rules(level_shifts(crashed, AAPL, ())) == ["split_like"]
    values = contract.values_of(crashed).copy()
    values[4] = 1e6
    values[4, 150:] *= 1 + 9 * np.exp(-np.arange(len(TRUTH) - 150) / 3)
    assert level_shifts(contract.frame_on(TRUTH.index, values), AAPL, ()) == []


def test_a_fall_by_a_special_dividend_is_explained() -> None:
    close = float(TRUTH["close"].iloc[149])
    paid = Action(TRUTH.index[150].date(), ActionKind.DIVIDEND, Fraction(round(close / 2, 2)))
    fallen = times(TRUTH, 150, len(TRUTH), 0.5)
    assert level_shifts(fallen, AAPL, [paid]) == []
    assert level_shifts(fallen, AAPL, [replace(paid, ex_date=date(2023, 5, 1))])


def test_bars_far_apart_are_not_compared() -> None:
    apart = pd.concat([TRUTH.iloc[:100], times(TRUTH, 0, len(TRUTH), 2).iloc[130:]])
    assert level_shifts(apart, AAPL, ()) == []


def test_real_crashes_splits_and_earnings_are_no_shifts() -> None:
    aapl = lean("lean/aapl_1d_raw")
    known = [
        Action(date.fromisoformat(day), ActionKind.SPLIT, Fraction(ratio))
        for day, ratio in (
            ("2000-06-21", 2), ("2005-02-28", 2), ("2014-06-09", 7), ("2020-08-31", 4)
        )
    ]  # fmt: skip
    assert level_shifts(aapl, AAPL, known) == []
    unknown = level_shifts(aapl, AAPL, known[:2])
    assert [one.within.end.date().isoformat() for one in unknown] == ["2014-06-10", "2020-09-01"]
    assert level_shifts(lean("lean/btcusd_coinbase_1d"), Series.parse("BTC-USD|1d"), ()) == []
    assert level_shifts(lean("lean/spy_1d_raw"), Series.parse("SPY|1d"), ()) == []


@pytest.mark.parametrize(
    ("symbol", "split"),
    [
        ("AAPL", ["2000-06-21", "2005-02-28"]),
        ("FB", []),
        ("GOOG", []),
        ("IBM", []),
        ("MSFT", ["2003-02-18"]),
    ],
)
def test_in_thirteen_years_of_real_shares_only_their_splits_are_found(
    symbol: str, split: list[str]
) -> None:
    from bokeh_sampledata import stocks

    table = pd.DataFrame(getattr(stocks, symbol)).sort_values("date")
    labels = pd.DatetimeIndex(pd.to_datetime(table["date"], utc=True)).as_unit("us").asi8
    values = {name: table[name].to_numpy(np.float64) for name in COLUMNS}
    bars, series = contract.frame(labels, values), Series.parse(f"{symbol}|1d")
    found = [one for find in DETECTORS for one in find(bars, series, ())]
    assert [one.rule for one in found] == ["split_like"] * len(split)
    for one, day in zip(found, split, strict=True):
        assert one.within.start < pd.Timestamp(day, tz="UTC") < one.within.end


@settings(max_examples=15, deadline=None)
@given(factor=st.floats(0.01, 1e5), seed=st.integers(0, 100))
def test_the_unit_of_a_whole_series_changes_nothing(factor: float, seed: int) -> None:
    start = seed % 50
    bars = TRUTH.iloc[start : start + 180]
    broken = times(times(bars, 60, 70, 100), 100, 101, 1.8)
    for one in (bars, broken):
        scaled = times(one, 0, len(one), factor)
        assert _everything(scaled, ()) == _everything(one, ())


@settings(max_examples=15, deadline=None)
@given(at=st.integers(10, 200), ratio=st.sampled_from(["2", "4", "3/2", "10", "1/5", "1/20"]))
def test_a_split_with_its_action_changes_nothing(at: int, ratio: str) -> None:
    action = Action(TRUTH.index[at].date(), ActionKind.SPLIT, Fraction(ratio))
    split = times(TRUTH, 0, at, float(action.value), 1 / float(action.value))
    assert _everything(split, [action]) == []
