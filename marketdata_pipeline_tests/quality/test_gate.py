"""What the gate finds odd about a reply beside what is stored."""

from dataclasses import replace
from datetime import date
from fractions import Fraction

import pandas as pd
import pytest

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.bars import PRICES, empty
from marketdata_pipeline.domain.reply import Basis, Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.quality.gate import Around, suspicions
from marketdata_pipeline_tests.ingest.world import FRIDAY_CLOSE, days, walk

AAPL = Series.parse("AAPL|1d")
YEAR = days("2023-03-15", "2024-03-16")
TRUTH = walk(AAPL, YEAR)
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
