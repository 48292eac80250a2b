from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.simulator.rows import Market
from marketdata_pipeline_tests.simulator.histories import SATURDAY, at, listing, seconds

D1, H1, M1 = Timeframe.D1, Timeframe.H1, Timeframe.M1
SPLIT = Action(date(2024, 3, 13), ActionKind.SPLIT, Fraction(7))
DIVIDEND = Action(date(2024, 3, 14), ActionKind.DIVIDEND, Fraction("0.53"))


def stamps(rows: pd.DataFrame) -> list[str]:
    return [f"{datetime.fromtimestamp(int(one), UTC):%m-%dT%H:%M:%S}" for one in rows.index]


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("AAPL", "03-11T13:30:00"),
        ("AZN.L", "03-11T08:00:00"),
        ("BTC-USD", "03-11T00:00:00"),
        ("EURUSD=X", "03-11T00:00:00"),
        ("GC=F", "03-11T04:00:00"),
    ],
)
def test_a_day_is_stamped_as_yahoo_stamps_its_class(symbol: str, expected: str) -> None:
    rows = Market(listing(symbol), SATURDAY).rows(D1)
    assert stamps(rows)[0] == expected


def test_an_fx_day_in_summer_is_stamped_with_londons_midnight() -> None:
    summer = TimeRange(at("2024-07-01T00:00Z"), at("2024-07-03T00:00Z"))
    rows = Market(listing("EURUSD=X", within=summer), SATURDAY + timedelta(days=200)).rows(D1)
    assert stamps(rows) == ["06-30T23:00:00", "07-01T23:00:00"]


def test_intraday_rows_are_stamped_with_their_open() -> None:
    rows = Market(listing("AAPL", H1), at("2024-03-11T19:30:00Z")).rows(H1)
    assert stamps(rows)[:2] == ["03-11T13:30:00", "03-11T14:30:00"]


def test_bars_after_the_market_instant_do_not_exist() -> None:
    market = Market(listing("AAPL", D1, M1), at("2024-03-12T13:30:00Z"))
    assert stamps(market.rows(D1)) == ["03-11T13:30:00"]
    assert stamps(market.rows(M1))[-1] == "03-11T20:00:00"


def test_a_timeframe_that_the_history_lacks_has_no_rows() -> None:
    assert Market(listing("AAPL", D1), SATURDAY).rows(M1).empty
    assert Market(listing("AAPL", D1), at("2000-01-01T00:00Z")).rows(D1).empty


def test_the_day_in_progress_holds_what_was_traded_so_far() -> None:
    whole = Market(listing(), SATURDAY).rows(D1).iloc[1]
    market = Market(listing(), at("2024-03-12T16:45:00Z"))  # half of 13:30 to 20:00
    forming = market.rows(D1).iloc[1]
    assert stamps(market.rows(D1))[-1] == "03-12T13:30:00"
    assert forming["open"] == whole["open"]
    assert forming["volume"] == 500
    assert forming["close"] != whole["close"]
    assert forming["low"] <= forming["close"] <= forming["high"]


def test_a_rising_day_falls_first_and_a_falling_one_rises_first() -> None:
    early = at("2024-03-11T14:00:00Z")
    rising = listing()
    falling = replace(rising, bars={D1: rising.bars[D1].assign(close=99.5)})
    forming = [Market(of, early).rows(D1).iloc[0] for of in (rising, falling)]
    assert forming[0]["close"] < forming[0]["open"] == forming[0]["high"]
    assert forming[1]["close"] > forming[1]["open"] == forming[1]["low"]


@given(st.integers(1, 6 * 3600 + 1799))
def test_a_bar_in_progress_stays_inside_the_finished_one(passed: int) -> None:
    whole = Market(listing(), SATURDAY).rows(D1).iloc[0]
    now = at("2024-03-11T13:30:00Z") + timedelta(seconds=passed)
    forming = Market(listing(), now).rows(D1).iloc[0]
    assert whole["low"] <= forming["low"] <= min(forming["open"], forming["close"])
    assert max(forming["open"], forming["close"]) <= forming["high"] <= whole["high"]
    assert 0 <= forming["volume"] <= whole["volume"]


def test_a_closed_bar_is_whole_from_the_closing_second_on() -> None:
    whole = Market(listing(), SATURDAY).rows(D1).iloc[:1]
    assert Market(listing(), at("2024-03-11T20:00:00Z")).rows(D1).equals(whole)


def test_behind_intraday_rows_stands_the_last_trade_flat_and_without_volume() -> None:
    market = Market(listing("AAPL", H1), at("2024-03-11T15:15:27.5Z"))
    rows = market.rows(H1)
    assert stamps(rows) == [
        "03-11T13:30:00",
        "03-11T14:30:00",
        "03-11T15:15:27",
    ]
    last, forming = rows.iloc[-1], rows.iloc[-2]
    assert set(last[["open", "high", "low", "close"]]) == {forming["close"]}
    assert last["volume"] == 0
    trade = market.last_trade()
    assert trade
    assert trade[0] == seconds("2024-03-11T15:15:27Z")
    assert trade[1].equals(last)


def test_in_the_first_second_of_a_bar_no_stamp_comes_twice() -> None:
    rows = Market(listing("AAPL", H1), at("2024-03-11T14:30:00.5Z")).rows(H1)
    assert stamps(rows) == ["03-11T13:30:00", "03-11T14:30:00"]


def test_after_the_close_the_last_trade_is_stamped_with_the_close() -> None:
    rows = Market(listing("AAPL", H1), at("2024-03-12T02:00:00Z")).rows(H1)
    assert stamps(rows)[-2:] == ["03-11T19:30:00", "03-11T20:00:00"]


def test_a_split_divides_all_earlier_prices_from_its_sessions_open_on() -> None:
    of = listing(actions=[SPLIT])
    before = Market(of, at("2024-03-13T13:29:59Z")).rows(D1)
    after = Market(of, at("2024-03-13T13:30:00Z")).rows(D1)
    assert before["close"].tolist() == [100.5, 101.5]
    assert after["close"].tolist() == [float(np.float32(one)) for one in (14.357143, 14.5)]
    assert after["volume"].tolist() == [7000, 7007]


def test_prices_are_float32_numbers_widened() -> None:
    rows = Market(listing(actions=[SPLIT]), SATURDAY).rows(D1)
    prices = rows[["open", "high", "low", "close", "adjclose"]].to_numpy()
    assert (prices.astype(np.float32) == prices).all()
    assert rows["close"].iloc[0] != 100.5 / 7


def test_a_reverse_split_rounds_volumes_to_whole_units() -> None:
    reverse = Action(date(2024, 3, 13), ActionKind.SPLIT, Fraction(1, 8))
    rows = Market(listing(actions=[reverse]), SATURDAY).rows(D1)
    assert rows["volume"].tolist() == [125, 125, 1002, 1003, 1004]
    assert rows["close"].iloc[0] == 804


def test_the_adjusted_close_takes_dividends_out() -> None:
    market = Market(listing(actions=[DIVIDEND]), SATURDAY)
    rows = market.rows(D1)
    expected = 101.5 * (1 - 0.53 / 102.5)
    assert rows["adjclose"].iloc[1] == pytest.approx(expected, rel=1e-7)
    assert rows["adjclose"].iloc[3] == rows["close"].iloc[3]
    early = Market(listing(actions=[DIVIDEND]), at("2024-03-13T21:00Z")).rows(D1)
    assert early["adjclose"].equals(early["close"]), "not paid yet"


def test_a_missing_price_stays_missing() -> None:
    of = listing("AAPL", D1, H1)
    daily = of.bars[D1].copy()
    daily.iloc[4] = np.nan
    market = Market(replace(of, bars={D1: daily}), SATURDAY)
    assert market.rows(D1).iloc[4].isna().all()
    last = market.last_trade()
    assert last
    assert last[1]["close"] == 103.5, "the last price that there is"


def test_before_the_first_bar_there_is_no_last_trade() -> None:
    assert Market(listing(), at("2020-01-01T00:00Z")).last_trade() is None


def test_a_day_that_the_calendar_does_not_know_is_a_local_day() -> None:
    of = listing()
    index = pd.DatetimeIndex([at("2024-03-16T00:00Z")], name="ts").as_unit("us")
    saturday = of.bars[D1].iloc[:1].set_index(index)
    rows = Market(replace(of, bars={D1: saturday}), at("2024-03-18T00:00Z")).rows(D1)
    assert stamps(rows) == ["03-16T04:00:00"]
    assert rows["volume"].tolist() == [1000]
    noon = Market(replace(of, bars={D1: saturday}), at("2024-03-16T16:00:00Z")).rows(D1)
    assert noon["volume"].tolist() == [500]
