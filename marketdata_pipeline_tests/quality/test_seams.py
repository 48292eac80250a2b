"""Which jumps of a reply among stored bars are held, and which are the market's own."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.bars import COLUMNS, PRICES, empty
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.reply import Basis, Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.verdict import Finding
from marketdata_pipeline.quality.gate import Around, suspicions
from marketdata_pipeline.quality.levels import level_shifts
from marketdata_pipeline_tests.ingest.world import FRIDAY_CLOSE, days, walk
from marketdata_pipeline_tests.quality.test_levels import times

AAPL = Series.parse("AAPL|1d")
TRUTH = walk(AAPL, days("2023-03-15", "2024-03-16"))
TRUTH = TRUTH.assign(volume=4e6 + TRUTH["volume"] / 1000)
COUNT = len(TRUTH)


def seen(bars: pd.DataFrame, stored: pd.DataFrame, series: Series = AAPL) -> list[Finding]:
    reply = Reply(
        series=series,
        window=TimeRange(bars.index[0], bars.index[-1] + timedelta(days=1)),
        bars=bars,
        basis=Basis.RAW,
        actions=(),
        actions_within=None,
        currency="USD",
        market_at=FRIDAY_CLOSE,
        fetched_at=FRIDAY_CLOSE,
        provider="truth",
        origin="truth",
        requests=1,
    )
    return suspicions(reply, bars, Around(series, stored, (), "USD"))


def split_at(bars: pd.DataFrame, at: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    return bars.iloc[:at], bars.iloc[at:]


def doubted(found: list[Finding], bars: pd.DataFrame) -> list[bool]:
    return [any(one.within.start <= at < one.within.end for one in found) for at in bars.index]


def put(bars: pd.DataFrame, row: int, factor: float, *names: str) -> pd.DataFrame:
    """The bars with some values of one of them multiplied."""
    values = contract.values_of(bars).copy()
    values[[COLUMNS.index(name) for name in names], row] *= factor
    return contract.frame_on(bars.index, values)


@pytest.mark.parametrize("factor", [0.6, 1.25, 1.7, 2, 9, 100])
def test_a_bar_asked_again_at_another_level_is_doubted_alone(factor: float) -> None:
    again = put(TRUTH.iloc[-5:], 3, factor, *PRICES)
    found = seen(again, TRUTH.iloc[:-1])
    assert doubted(found, again) == [False, False, False, True, False]
    assert found[0].rule == ("level_shift" if factor == 100 else "at_odds")


@pytest.mark.parametrize(
    ("name", "factor"), [("high", 10), ("low", 0.5), ("volume", 0.01), ("volume", 1000)]
)
def test_a_bar_asked_again_with_one_value_far_off_is_doubted(name: str, factor: float) -> None:
    again = put(TRUTH.iloc[-5:], 3, factor, name)
    found = seen(again, TRUTH.iloc[:-1])
    assert [one.rule for one in found] == ["at_odds"]
    assert doubted(found, again) == [False, False, False, True, False]


@pytest.mark.parametrize(("name", "factor"), [("high", 1.01), ("volume", 3), ("volume", 0)])
def test_what_a_bar_asked_again_may_differ_by_is_not_doubted(name: str, factor: float) -> None:
    again = put(TRUTH.iloc[-5:], 3, factor, name)
    assert seen(again, TRUTH.iloc[:-1]) == []


def test_a_right_bar_that_comes_for_an_odd_stored_one_passes() -> None:
    stored = put(TRUTH, -3, 1.7, *PRICES)
    assert seen(TRUTH.iloc[-6:-1], stored.iloc[:-1]) == []
    little = put(TRUTH, -3, 0.01, "volume")
    assert seen(TRUTH.iloc[-6:-1], little.iloc[:-1]) == []


def test_a_bar_without_the_crash_that_is_stored_is_doubted() -> None:
    crashed = times(TRUTH, COUNT - 3, COUNT, 0.7)
    again = put(crashed.iloc[-5:], 2, 1 / 0.7, *PRICES)
    assert doubted(seen(again, crashed), again) == [False, False, True, False, False]


@pytest.mark.parametrize("factor", [0.55, 0.72, 0.76, 1.3, 2.2])
@pytest.mark.parametrize("at", [40, 200, COUNT - 1])
def test_a_jump_that_stays_holds_nothing_of_a_first_backfill(factor: float, at: int) -> None:
    bars = times(TRUTH, at, COUNT, factor)
    assert seen(bars, empty()) == []
    assert level_shifts(bars, AAPL, ()) or abs(np.log(factor)) < 0.35, "the rules report it"


@pytest.mark.parametrize("factor", [100, 0.001, 0.5])
def test_of_a_first_backfill_only_a_small_part_is_held_for_its_level(factor: float) -> None:
    few = times(TRUTH, COUNT - 10, COUNT, factor)
    assert doubted(seen(few, empty()), few) == [False] * (COUNT - 10) + [True] * 10
    early = times(TRUTH, 0, 10, factor)
    assert doubted(seen(early, empty()), early) == [True] * 10 + [False] * (COUNT - 10)
    assert seen(times(TRUTH, COUNT // 2, COUNT, factor), empty()) == []


def test_an_untold_split_in_older_years_does_not_hold_those_before_it() -> None:
    bars = times(TRUTH, 0, 100, 2)
    assert seen(bars.iloc[:180], bars.iloc[180:]) == []


def test_a_wrong_unit_in_new_bars_is_held_to_their_end() -> None:
    stored, new = split_at(times(TRUTH, COUNT - 30, COUNT, 100), COUNT - 60)
    assert doubted(seen(new, stored.iloc[-30:]), new) == [False] * 30 + [True] * 30


@pytest.mark.parametrize("factor", [0.5, 0.72, 1.5, 3, 100])
@pytest.mark.parametrize("later", [1, 2, 5, 30])
def test_a_jump_between_stored_bars_holds_no_new_ones(factor: float, later: int) -> None:
    stored, new = split_at(times(TRUTH, COUNT - 40, COUNT, factor), COUNT - 40 + later)
    assert seen(new.iloc[:1], stored) == []
    assert seen(pd.concat([stored.iloc[-3:], new]), stored) == []


@pytest.mark.parametrize("volumes", [(5, 1.8, 1.3), (8, 3, 2), (10, 4, 2.5)])
@pytest.mark.parametrize("size", [0.5, 0.6, 0.75])
def test_a_crash_is_news_on_each_day_after_it(size: float, volumes: tuple[float, ...]) -> None:
    first = COUNT - 12
    bars = times(TRUTH, first, COUNT, size)
    for day, more in enumerate(volumes):
        bars = put(bars, first + day, more, "volume")
    for after in range(first + 1, COUNT + 1):
        assert seen(bars.iloc[max(after - 3, first) : after], bars.iloc[: after - 1]) == []
        assert seen(bars.iloc[first:after], bars.iloc[:first]) == []


@pytest.mark.parametrize(
    ("key", "factor"),
    [
        ("ARS=X|1d", 2.2), ("EURCHF=X|1d", 0.8), ("^GSPC|1d", 0.88), ("LUNA1-USD|1d", 0.5),
        ("LUNA1-USD|1d", 0.03), ("CL=F|1d", 0.75), ("NG=F|1d", 1.25), ("AAPL|1d", 1.3),
        ("AAPL|1d", 0.8), ("AAPL|1d", 1.6), ("AAPL|1d", 0.6),
    ],
)  # fmt: skip
def test_what_happens_in_markets_is_not_held_whatever_the_volume(key: str, factor: float) -> None:
    series = Series.parse(key)
    truth = walk(series, days("2023-03-15", "2024-03-16"))
    for volume in (0.0, 1.0):
        bars = times(truth, len(truth) - 1, len(truth), factor)
        bars = bars.assign(volume=bars["volume"] * volume)
        assert seen(bars.iloc[-1:], bars.iloc[:-1], series) == []


@pytest.mark.parametrize("factor", [0.5, 2, 3, 0.1, 1.5, 100, 0.01, 1000])
def test_a_new_bar_off_by_a_unit_or_a_split_is_held(factor: float) -> None:
    bars = times(TRUTH, COUNT - 1, COUNT, factor)
    assert doubted(seen(bars.iloc[-1:], bars.iloc[:-1]), bars.iloc[-1:]) == [True]


@pytest.mark.parametrize("factor", [100, 0.01, 1000, 0.001])
@pytest.mark.parametrize("away", [5, 12, 20, 60])
def test_a_wrong_unit_is_held_however_long_it_lasts(factor: float, away: int) -> None:
    stored = TRUTH.iloc[: COUNT - 3 - away]
    assert seen(TRUTH.iloc[-3:], stored) == []
    wrong = times(TRUTH, 0, COUNT, factor)
    found = seen(wrong.iloc[-3:], stored)
    assert [one.rule for one in found] == ["level_shift"]
    assert doubted(found, wrong.iloc[-3:]) == [True] * 3
    early = seen(wrong.iloc[:3], TRUTH.iloc[3 + away :])
    assert doubted(early, wrong.iloc[:3]) == [True] * 3


def test_of_two_bars_asked_again_only_the_odd_one_is_doubted() -> None:
    for row in (0, 1):
        again = put(TRUTH.iloc[-3:-1], row, 1.7, *PRICES)
        assert doubted(seen(again, TRUTH.iloc[:-1]), again) == [row == 0, row == 1]


@pytest.mark.parametrize("factor", [0.5, 3])
def test_a_jump_that_stored_bars_on_both_sides_confirm_is_not_held(factor: float) -> None:
    bars = times(TRUTH, COUNT - 30, COUNT, factor)
    stored = pd.concat([bars.iloc[: COUNT - 30], bars.iloc[COUNT - 25 :]])
    assert seen(bars.iloc[COUNT - 30 : COUNT - 25], stored) == []


def test_new_bars_that_go_on_at_a_stored_level_are_not_held_when_it_ends() -> None:
    bars = times(TRUTH, COUNT - 12, COUNT - 2, 0.6)
    assert seen(bars.iloc[-8:], bars.iloc[:-8]) == []
    assert doubted(seen(bars.iloc[-20:], bars.iloc[:-20]), bars.iloc[-20:]) == (
        [False] * 8 + [True] * 10 + [False] * 2
    )
