"""Whether a reply agrees with known splits."""

from datetime import date
from fractions import Fraction

import pandas as pd
import pytest

from marketdata_pipeline.domain.actions import Action, ActionKind, raw_from_split_adjusted
from marketdata_pipeline.domain.bars import empty
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.quality.plausible import contradicted_split, emptier
from marketdata_pipeline_tests.ingest.world import days, walk

AAPL = Series.parse("AAPL|1d")
YEAR = days("2023-03-15", "2024-03-16")
RATIOS = [Fraction(2), Fraction(4), Fraction(3, 2), Fraction(20), Fraction(1, 8), Fraction(1, 25)]


def _split(ratio: Fraction, day: str = "2024-01-10") -> Action:
    return Action(date.fromisoformat(day), ActionKind.SPLIT, ratio)


def _forgot(traded: pd.DataFrame, split: Action) -> pd.DataFrame:
    """What un-splitting makes of prices that the provider had not divided."""
    return raw_from_split_adjusted(traded, AAPL, [split])


@pytest.mark.parametrize("ratio", RATIOS, ids=str)
def test_true_raw_bars_across_a_split_are_plausible(ratio: Fraction) -> None:
    split = _split(ratio)
    assert contradicted_split(walk(AAPL, YEAR, split), empty(), AAPL, [split]) is None


@pytest.mark.parametrize("ratio", RATIOS, ids=str)
def test_bars_across_a_split_that_were_not_divided_contradict_it(ratio: Fraction) -> None:
    split = _split(ratio)
    reply = _forgot(walk(AAPL, YEAR, split), split)
    assert contradicted_split(reply, empty(), AAPL, [split]) == split


@pytest.mark.parametrize("ratio", RATIOS, ids=str)
def test_the_stored_bar_beside_an_earlier_window_tells(ratio: Fraction) -> None:
    split = _split(ratio)
    traded = walk(AAPL, YEAR, split)
    stored, window = traded.loc["2023-12-01":], traded.loc[:"2023-11-30"]
    assert contradicted_split(window, stored, AAPL, [split]) is None
    assert contradicted_split(_forgot(window, split), stored, AAPL, [split]) == split


@pytest.mark.parametrize("ratio", RATIOS, ids=str)
def test_the_same_bars_stored_tell(ratio: Fraction) -> None:
    split = _split(ratio)
    traded = walk(AAPL, YEAR, split)
    window = traded.loc["2023-10-01":"2023-11-30"]
    assert contradicted_split(window, window, AAPL, [split]) is None
    assert contradicted_split(_forgot(window, split), window, AAPL, [split]) == split


def test_a_later_window_has_nothing_to_do_with_a_split_before_it() -> None:
    split = _split(Fraction(2), "2023-01-10")
    traded = walk(AAPL, YEAR, split)
    halved = traded.copy()
    halved.loc["2023-07-01":, ["open", "high", "low", "close"]] /= 2
    assert contradicted_split(halved, empty(), AAPL, [split]) is None


def test_a_bad_day_is_no_split() -> None:
    split = _split(Fraction(2))
    traded = walk(AAPL, YEAR, split)
    crashed = traded.copy()
    crashed.loc["2024-01-10":, ["open", "high", "low", "close"]] *= 0.8
    assert contradicted_split(crashed, empty(), AAPL, [split]) is None


def test_a_split_too_small_to_be_told_from_a_move_is_not_judged() -> None:
    split = _split(Fraction(11, 10))
    reply = _forgot(walk(AAPL, YEAR, split), split)
    assert contradicted_split(reply, empty(), AAPL, [split]) is None


def test_dividends_and_an_empty_reply_are_no_reason() -> None:
    paid = Action(date(2024, 1, 10), ActionKind.DIVIDEND, Fraction(4))
    assert contradicted_split(walk(AAPL, YEAR), empty(), AAPL, [paid]) is None
    assert contradicted_split(empty(), walk(AAPL, YEAR), AAPL, [_split(Fraction(4))]) is None


def test_a_bar_without_volume_is_emptier_than_a_stored_one_with_some() -> None:
    stored = walk(AAPL, days("2024-02-01", "2024-02-08")).iloc[:4]
    stored = stored.assign(volume=[10.0, 10.0, 0.0, 10.0])
    reply = walk(AAPL, days("2024-02-01", "2024-02-08")).assign(volume=[0.0, 5.0, 0.0, 0.0, 0.0])
    assert emptier(reply, stored).tolist() == [True, False, False, True, False]
    assert emptier(reply, empty()).tolist() == [False] * 5
    assert emptier(empty(), stored).tolist() == []
