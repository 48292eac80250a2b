"""What the gate finds odd about a reply beside what is stored."""

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.bars import PRICES, empty
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.reply import Basis, Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.verdict import Finding
from marketdata_pipeline.quality.gate import Around, suspicions
from marketdata_pipeline_tests.ingest.world import FRIDAY_CLOSE, days, walk

AAPL = Series.parse("AAPL|1d")
YEAR = days("2023-03-15", "2024-03-16")
TRUTH = walk(AAPL, YEAR)
TRUTH = TRUTH.assign(volume=4e6 + TRUTH["volume"] / 1000)  # trade is brisk, day by day
WINDOW = days("2024-01-02", "2024-03-16")
BARS = TRUTH.loc["2024-01-02":]


def _reply(bars: pd.DataFrame, *actions: Action) -> Reply:
    return Reply(
        series=AAPL,
        window=WINDOW,
        bars=bars,
        basis=Basis.RAW,
        actions=actions,
        actions_within=None,
        currency="USD",
        market_at=FRIDAY_CLOSE,
        fetched_at=FRIDAY_CLOSE,
        provider="truth",
        origin="truth",
        requests=1,
    )


def _rules(
    bars: pd.DataFrame, stored: pd.DataFrame, *actions: Action, currency: str | None = None
) -> list[str]:
    reply = _reply(bars, *actions)
    found = suspicions(reply, bars, Around(AAPL, stored, actions, currency))
    return [one.rule for one in found]


def _scaled(bars: pd.DataFrame, factor: float) -> pd.DataFrame:
    return bars.assign(**{name: bars[name] * factor for name in PRICES})


@pytest.mark.parametrize(
    "stored", [empty(), TRUTH, TRUTH.loc[:"2024-01-01"], TRUTH.loc["2024-02-01":]],
    ids=["nothing", "all", "before", "a part"],
)  # fmt: skip
def test_true_bars_are_not_suspected(stored: pd.DataFrame) -> None:
    assert _rules(BARS, stored, currency="USD") == []


@pytest.mark.parametrize("factor", [100, 0.01, 1000, 1.27, 0.5])
def test_another_level_than_the_same_stored_bars_is_a_level_shift(factor: float) -> None:
    found = suspicions(_reply(BARS), _scaled(BARS, factor), Around(AAPL, TRUTH, (), None))
    assert "level_shift" in {one.rule for one in found}
    assert found[0].within.start == BARS.index[0]
    assert found[0].evidence["factor"] == pytest.approx(factor)


def test_other_closes_than_the_stored_ones_are_of_another_series() -> None:
    other = BARS.assign(**{name: BARS[name].to_numpy()[::-1] for name in PRICES})
    assert "wrong_symbol" in _rules(other, TRUTH)


def test_a_reply_without_most_of_the_stored_bars_is_shrunken() -> None:
    assert "shrunken" in _rules(BARS.iloc[::3], TRUTH)
    assert "shrunken" in _rules(empty(), TRUTH)
    assert "shrunken" not in _rules(BARS.iloc[::3], TRUTH.loc[:"2024-01-01"])


def test_pence_are_no_pounds_but_one_unit_may_be_spelled_twice() -> None:
    reply = replace(_reply(BARS), currency="GBp")
    for known, rules in (("GBP", ["currency"]), ("GBX", []), (None, [])):
        found = suspicions(reply, BARS, Around(AAPL, empty(), (), known))
        assert [one.rule for one in found] == rules


def _paid(cash: float) -> Action:
    return Action(date(2024, 2, 7), ActionKind.DIVIDEND, Fraction(cash))


@pytest.mark.parametrize("cash", [-1, 0, 60, 1000])
def test_a_dividend_that_cannot_have_been_paid_is_doubted_by_its_day(cash: float) -> None:
    before = float(BARS["close"].loc["2024-02-06"])
    found = suspicions(_reply(BARS, _paid(cash / 100 * before)), BARS, Around(AAPL, TRUTH, ()))
    assert [one.rule for one in found] == ["impossible_dividend"]
    assert found[0].within == days("2024-02-07", "2024-02-08")


def test_usual_dividends_and_a_special_one_that_shows_in_the_price_are_possible() -> None:
    assert _rules(BARS, TRUTH, _paid(0.24)) == []
    fallen = pd.concat([BARS.loc[:"2024-02-06"], _scaled(BARS.loc["2024-02-07":], 0.35)])
    special = _paid(0.65 * float(BARS["close"].loc["2024-02-06"]))
    assert "impossible_dividend" not in _rules(fallen, empty(), special)


def _seen(bars: pd.DataFrame, stored: pd.DataFrame, *actions: Action) -> list[Finding]:
    window = TimeRange(bars.index[0], bars.index[-1] + timedelta(days=1))
    reply = replace(_reply(bars), window=window)
    return suspicions(reply, bars, Around(AAPL, stored, actions, None))


BEFORE, AFTER = TRUTH.loc[:"2024-01-01"], TRUTH.loc["2024-02-01":]
JANUARY = TRUTH.loc["2024-01-02":"2024-01-31"]


@pytest.mark.parametrize("factor", [100, 0.01, 1000, 3, 0.25])
@pytest.mark.parametrize("stored", [BEFORE, AFTER, pd.concat([BEFORE, AFTER])])
def test_another_level_than_the_bars_beside_is_doubted_from_end_to_end(
    factor: float, stored: pd.DataFrame
) -> None:
    found = _seen(_scaled(JANUARY, factor), stored)
    assert {one.rule for one in found} <= {"level_shift", "split_like"}
    assert found[0].within == days("2024-01-02", "2024-02-01")


def test_one_new_bar_at_half_the_price_is_doubted_unless_it_is_news() -> None:
    today = _scaled(TRUTH.iloc[-1:], 0.5)
    assert [one.rule for one in _seen(today, TRUTH.iloc[:-1])] == ["split_like"]
    busy = today.assign(volume=float(TRUTH["volume"].max()) * 10)
    assert _seen(busy, TRUTH.iloc[:-1]) == []


def test_the_split_that_explains_a_jump_at_the_seam_clears_it() -> None:
    split = Action(JANUARY.index[0].date(), ActionKind.SPLIT, Fraction(4))
    later = _scaled(JANUARY, 0.25)
    assert [one.rule for one in _seen(later, BEFORE)] == ["split_like"]
    assert _seen(later, BEFORE, split) == []


def test_a_part_of_a_reply_that_is_off_leaves_the_rest_alone() -> None:
    mixed = pd.concat([BARS.iloc[:10], _scaled(BARS.iloc[10:14], 100), BARS.iloc[14:]])
    found = _seen(mixed, BEFORE)
    assert [one.rule for one in found] == ["level_shift"]
    inside = (mixed.index >= found[0].within.start) & (mixed.index < found[0].within.end)
    assert inside.tolist() == [10 <= row < 14 for row in range(len(mixed))]


def test_yesterday_told_again_is_stale() -> None:
    again = TRUTH.iloc[-2:-1].set_axis(TRUTH.index[-1:])
    found = _seen(again, TRUTH.iloc[:-1])
    assert [one.rule for one in found] == ["stale_repeat"]
    assert found[0].within.start == TRUTH.index[-1]


def test_closes_that_differ_by_less_than_bars_move_are_the_same_series() -> None:
    dice = np.random.default_rng(3)
    for noise in (np.full(len(BARS), 0.995), 1 + dice.normal(0, 0.001, len(BARS))):
        rounded = BARS.assign(**{name: BARS[name] * noise for name in PRICES})
        assert _rules(rounded, TRUTH) == []


def test_what_a_reply_is_unlike_changes_with_neither_the_unit_nor_a_second_look() -> None:
    mixed = pd.concat([BARS.iloc[:20], _scaled(BARS.iloc[20:24], 0.01), BARS.iloc[24:]])
    found = _seen(mixed, BEFORE)
    pence = _seen(_scaled(mixed, 100), _scaled(BEFORE, 100))
    assert [(one.rule, one.within) for one in pence] == [(one.rule, one.within) for one in found]
    inside = (mixed.index >= found[0].within.start) & (mixed.index < found[0].within.end)
    accepted = mixed[~inside]
    assert _seen(accepted, pd.concat([BEFORE, accepted])) == []


def test_a_dividend_far_from_any_known_price_is_not_judged() -> None:
    paid = Action(date(2030, 2, 7), ActionKind.DIVIDEND, Fraction(900))
    assert _rules(BARS, TRUTH, paid) == []


def test_a_dividend_in_pence_among_ones_in_pounds_is_impossible() -> None:
    usual = [
        Action(date(2023, month, 7), ActionKind.DIVIDEND, Fraction("0.3")) for month in (5, 8, 11)
    ]
    assert _rules(BARS, TRUTH, *usual, _paid(0.3)) == []
    assert _rules(BARS, TRUTH, *usual, _paid(30)) == ["impossible_dividend"]
