"""Made-up listings: the same for a seed, on true calendars, with all that happens to shares."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pandas as pd
import pytest

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import ActionKind, splits_of
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.instrument import AssetClass, Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.simulator.lives import Life, life_of
from marketdata_pipeline.simulator.recorded import recorded_history
from marketdata_pipeline.simulator.synthetic import MixedHistory, SyntheticHistory
from marketdata_pipeline.simulator.walk import days_of
from marketdata_pipeline_tests.ingest.world import days

NOW = datetime(2024, 12, 2, 15, 30, tzinfo=UTC)
FAR = datetime(2040, 1, 1, tzinfo=UTC)
MARKETS = {
    "AAPL": (AssetClass.EQUITY, "USD"),
    "SPY": (AssetClass.ETF, "USD"),
    "AZN.L": (AssetClass.EQUITY, "GBp"),
    "0700.HK": (AssetClass.EQUITY, "HKD"),
    "7203.T": (AssetClass.EQUITY, "JPY"),
    "^GSPC": (AssetClass.INDEX, "USD"),
    "TLT": (AssetClass.BOND, "USD"),
    "EURUSD=X": (AssetClass.FX, "USD"),
    "JPY=X": (AssetClass.FX, "JPY"),
    "BTC-USD": (AssetClass.CRYPTO, "USD"),
    "ES=F": (AssetClass.FUTURE, "USD"),
}
AGAIN = {"7203.T", "0700.HK", "JPY=X"}
"""Of a class that another one has."""
HISTORY = SyntheticHistory(seed=1)


def instrument(key: str) -> Instrument:
    return Instrument.parse(key)


@pytest.mark.parametrize(
    "key",
    [pytest.param(key, marks=[pytest.mark.proof] if key in AGAIN else []) for key in MARKETS],
)
def test_every_class_has_its_kind_currency_and_bars_that_keep_the_contract(key: str) -> None:
    listing = HISTORY.listing(instrument(key), NOW)
    assert (listing.kind, listing.currency) == MARKETS[key]
    for timeframe, frame in listing.bars.items():
        assert len(frame) > 400
        contract.validate(frame, Series(instrument(key), timeframe), FAR)
    assert listing.bars[Timeframe.D1].index[0].date() == listing.first_trade


def test_it_depends_on_seed_and_spelling_alone() -> None:
    first = SyntheticHistory(3).listing(instrument("AAPL"), NOW)
    other = SyntheticHistory(4).listing(instrument("AAPL"), NOW)
    again = days_of(first.instrument, life_of(first.instrument, 3), 3, date(2032, 1, 1))
    pd.testing.assert_frame_equal(first.bars[Timeframe.D1], again.bars, check_exact=True)
    assert not first.bars[Timeframe.D1].equals(other.bars[Timeframe.D1])
    msft = SyntheticHistory(3).listing(instrument("MSFT"), NOW)
    assert not first.bars[Timeframe.D1].equals(msft.bars[Timeframe.D1])


def test_time_that_passes_only_adds_bars() -> None:
    now, later = NOW, NOW + timedelta(days=9)
    before = HISTORY.listing(instrument("BTC-USD"), now).bars[Timeframe.M5].loc["2024-11-01":]
    after = HISTORY.listing(instrument("BTC-USD"), later).bars[Timeframe.M5]
    common = before.index.intersection(after.index)
    assert len(common) == len(before)
    pd.testing.assert_frame_equal(before, after.loc[common], check_exact=True)
    life = life_of(instrument("MSFT"), 1)
    short = days_of(instrument("MSFT"), life, 1, date(2020, 1, 1)).bars
    long = days_of(instrument("MSFT"), life, 1, date(2021, 1, 1)).bars
    pd.testing.assert_frame_equal(short, long.loc[: short.index[-1]], check_exact=True)


def test_a_life_ends_at_its_delisting() -> None:
    apple = instrument("AAPL")
    life = replace(life_of(apple, 1), delisted=date(2024, 11, 20))
    listing = SyntheticHistory(1, {apple: life}).listing(apple, NOW)
    for timeframe in (Timeframe.M1, Timeframe.H1, Timeframe.D1):
        assert listing.bars[timeframe].index[-1].date() == date(2024, 11, 19)
    assert SyntheticHistory(1, {apple: life}).instruments() == (apple,)


def test_a_futures_contract_lives_five_quarters_up_to_its_third_friday() -> None:
    listing = HISTORY.listing(instrument("ESZ24.CME"), NOW)
    days_ = listing.bars[Timeframe.D1].index
    assert (days_[0].date(), days_[-1].date()) == (date(2023, 9, 22), date(2024, 12, 20))
    assert life_of(instrument("ES=F"), 1).delisted is None


def test_some_stocks_are_delisted_and_some_are_split_and_some_pay() -> None:
    lives = [life_of(instrument(f"S{number}"), 1) for number in range(400)]
    assert 2 <= sum(one.delisted is not None for one in lives) <= 20
    assert 200 <= sum(bool(one.splits) for one in lives) <= 330
    assert 180 <= sum(bool(one.pays) for one in lives) <= 300
    others = [life_of(instrument(key), 1) for key in ("BTC-USD", "EURUSD=X", "ES=F", "^GSPC")]
    assert not any(one.splits or one.pays or one.delisted for one in others)


def test_prices_fall_by_the_ratio_of_a_split_and_volume_rises() -> None:
    apple = instrument("AAPL")
    life = replace(life_of(apple, 1), splits=((date(2020, 8, 29), 4.0),), volatility=0.005)
    made = days_of(apple, life, 1, date(2021, 1, 1))
    (split,) = splits_of(made.actions)
    assert (split.ex_date, split.value) == (date(2020, 8, 31), Fraction(4))
    close, volume = made.bars["close"], made.bars["volume"]
    assert close.loc["2020-08-28"] / close.loc["2020-08-31"] == pytest.approx(4, rel=0.05)
    assert volume.loc["2020-09"].mean() / volume.loc["2020-08-01":"2020-08-28"].mean() > 2.5


def test_dividends_go_ex_on_sessions_four_times_a_year() -> None:
    payer = instrument("SPY")
    made = days_of(payer, life_of(payer, 1), 1, date(2024, 1, 1))
    paid = [one for one in made.actions if one.kind is ActionKind.DIVIDEND]
    assert sum(one.ex_date.year == 2020 for one in paid) == 4
    assert {one.ex_date for one in paid} <= {label.date() for label in made.bars.index}
    assert all(one.value.denominator in {1, 2, 4, 5, 10, 20, 25, 50, 100} for one in paid)


def test_nothing_is_traded_in_a_life_that_never_began() -> None:
    apple = instrument("AAPL")
    life = Life(AssetClass.EQUITY, "USD", date(2031, 12, 31), date(2031, 12, 30), 9.0, 2, 0.1, 10.0)
    listing = SyntheticHistory(1, {apple: life}).listing(apple, NOW)
    assert listing.first_trade is None
    assert all(frame.empty for frame in listing.bars.values())


def test_intraday_bars_begin_before_yahoo_stops_serving_them() -> None:
    bars = HISTORY.listing(instrument("BTC-USD"), NOW).bars
    for timeframe, lookback in ((Timeframe.M1, 30), (Timeframe.M15, 60), (Timeframe.H1, 730)):
        assert bars[timeframe].index[0] <= NOW - timedelta(days=lookback)
        assert bars[timeframe].index[-1] >= NOW


def test_recorded_days_stay_what_they_are_in_a_mixture_and_get_minutes() -> None:
    mixed = MixedHistory(recorded_history(), HISTORY)
    apple = instrument("AAPL")
    now = datetime(2013, 2, 15, 21, tzinfo=UTC)
    listing, recorded = mixed.listing(apple, now), recorded_history().listings[apple]
    daily = recorded.bars[Timeframe.D1]
    assert listing.bars[Timeframe.D1].equals(daily)
    assert listing.actions == recorded.actions
    hourly = listing.bars[Timeframe.H1]
    within = calendar_of(apple).grid(Timeframe.H1, days("2013-02-15", "2013-02-16"))
    assert len(hourly.loc["2013-02-15"]) == len(within.labels) == 7
    assert hourly.loc["2013-02-15"]["high"].max() == daily["high"].loc["2013-02-15"]
    assert mixed.instruments() == recorded_history().instruments()


def test_a_mixture_says_of_each_timeframe_whether_it_is_recorded() -> None:
    mixed = MixedHistory(recorded_history(), HISTORY)
    sources = mixed.listing(instrument("AAPL"), NOW).sources
    assert {one.key for one, source in sources.items() if source == "recorded"} == {"1d", "1wk"}
    assert set(mixed.listing(instrument("BTC-USD"), NOW).sources.values()) == {"synthetic"}
