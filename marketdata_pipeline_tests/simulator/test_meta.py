from dataclasses import replace
from datetime import date
from fractions import Fraction

import pytest

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline_tests.simulator.histories import SATURDAY, asked, at, listing, seconds

D1, H1 = Timeframe.D1, Timeframe.H1
WEDNESDAY = {
    "interval": "1d",
    "period1": seconds("2024-03-13T04:00Z"),
    "period2": seconds("2024-03-14T04:00Z"),
}


@pytest.mark.parametrize(
    ("symbol", "kind", "zone"),
    [
        ("AAPL", "EQUITY", "America/New_York"),
        ("TLT", "ETF", "America/New_York"),
        ("^GSPC", "INDEX", "America/New_York"),
        ("VFINX", "MUTUALFUND", "America/New_York"),
        ("AZN.L", "EQUITY", "Europe/London"),
        ("BTC-USD", "CRYPTOCURRENCY", "UTC"),
        ("EURUSD=X", "CURRENCY", "Europe/London"),
        ("GC=F", "FUTURE", "America/New_York"),
    ],
)
def test_each_class_has_its_type_and_zone(symbol: str, kind: str, zone: str) -> None:
    meta = asked(listing(symbol), SATURDAY, **WEDNESDAY)["meta"]
    assert (meta["symbol"], meta["instrumentType"]) == (symbol, kind)
    assert meta["exchangeTimezoneName"] == zone


def test_the_currency_is_the_listings() -> None:
    meta = asked(listing("AZN.L", currency="GBp"), SATURDAY, **WEDNESDAY)["meta"]
    assert meta["currency"] == "GBp"


def test_the_market_price_is_the_last_trade() -> None:
    meta = asked(listing(), at("2024-03-16T12:00Z"), **WEDNESDAY)["meta"]
    assert meta["regularMarketTime"] == seconds("2024-03-15T20:00Z")
    assert meta["regularMarketPrice"] == 104.5
    assert meta["regularMarketDayHigh"] == 105
    assert meta["fiftyTwoWeekLow"] == 99
    assert meta["firstTradeDate"] == seconds("2024-03-11T13:30Z")


def test_during_a_session_the_last_trade_is_now() -> None:
    now = at("2024-03-13T15:00:01.7Z")
    meta = asked(listing(), now, **WEDNESDAY)["meta"]
    assert meta["regularMarketTime"] == seconds("2024-03-13T15:00:01Z")


def test_the_previous_close_is_the_one_before_the_range() -> None:
    assert asked(listing(), SATURDAY, **WEDNESDAY)["meta"]["chartPreviousClose"] == 101.5
    split = Action(date(2024, 3, 14), ActionKind.SPLIT, Fraction(2))
    meta = asked(listing(actions=[split]), SATURDAY, **WEDNESDAY)["meta"]
    assert meta["chartPreviousClose"] == 50.75


def test_before_a_listings_first_day_its_own_close_stands_for_the_previous_one() -> None:
    meta = asked(listing(), SATURDAY, interval="1d", range="max")["meta"]
    assert meta["chartPreviousClose"] == 100.5
    assert meta["regularMarketPrice"] == 104.5


def test_only_intraday_replies_say_the_previous_close_twice() -> None:
    meta = asked(listing("AAPL", D1, H1), SATURDAY, **{**WEDNESDAY, "interval": "1h"})["meta"]
    assert meta["previousClose"] == meta["chartPreviousClose"] == 101.5
    assert meta["scale"] == 3
    assert "previousClose" not in asked(listing(), SATURDAY, **WEDNESDAY)["meta"]


def test_the_trading_period_is_todays_or_that_of_the_last_session() -> None:
    for now in ("2024-03-15T09:00Z", "2024-03-17T12:00Z"):
        period = asked(listing(), at(now), **WEDNESDAY)["meta"]["currentTradingPeriod"]
        assert period["pre"]["start"] == seconds("2024-03-15T08:00Z")
        assert period["regular"] == {
            "timezone": "EDT",
            "start": seconds("2024-03-15T13:30Z"),
            "end": seconds("2024-03-15T20:00Z"),
            "gmtoffset": -14400,
        }
        assert period["post"]["end"] == seconds("2024-03-16T00:00Z")


def test_a_market_that_never_closes_has_a_day_to_one_minute_before_midnight() -> None:
    now = at("2024-03-13T12:00Z")
    period = asked(listing("BTC-USD"), now, **WEDNESDAY)["meta"]["currentTradingPeriod"]
    assert period["regular"]["start"] == seconds("2024-03-13T00:00Z")
    assert period["regular"]["end"] == seconds("2024-03-13T23:59Z")
    assert period["pre"]["start"] == period["pre"]["end"]


def test_offset_and_abbreviation_are_those_of_the_day() -> None:
    summer = asked(listing(), SATURDAY, **WEDNESDAY)["meta"]
    assert (summer["gmtoffset"], summer["timezone"]) == (-14400, "EDT")


def test_before_the_first_trade_no_price_is_named() -> None:
    now = at("2024-03-08T12:00Z")
    meta = asked(listing(), now, interval="1d", range="5d")["meta"]
    assert "regularMarketPrice" not in meta
    assert meta["regularMarketTime"] is None


def test_name_and_exchange_are_the_listings_where_it_has_them() -> None:
    of = replace(listing("IBM"), name="IBM Corporation", exchange=("NYQ", "NYSE"))
    meta = asked(of, SATURDAY, **WEDNESDAY)["meta"]
    assert (meta["longName"], meta["exchangeName"]) == ("IBM Corporation", "NYQ")
    assert meta["fullExchangeName"] == "NYSE"


def test_small_prices_have_four_digits() -> None:
    of = listing()
    penny = replace(of, bars={D1: of.bars[D1] / 1000})
    meta = asked(penny, SATURDAY, **WEDNESDAY)["meta"]
    assert meta["priceHint"] == 4
    assert meta["chartPreviousClose"] == 0.1015
    assert asked(of, SATURDAY, **WEDNESDAY)["meta"]["priceHint"] == 2
