import json
from dataclasses import replace
from datetime import date
from fractions import Fraction

import numpy as np
import pytest

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.simulator.recorded import recorded_history
from marketdata_pipeline.simulator.yahoo import chart, cookie, crumb, elsewhere, listing_of
from marketdata_pipeline_tests.simulator.histories import (
    SATURDAY,
    asked,
    at,
    error,
    history,
    listing,
    quote,
    seconds,
)

D1, H1 = Timeframe.D1, Timeframe.H1
SPLIT = Action(date(2024, 3, 13), ActionKind.SPLIT, Fraction(3, 2))
DIVIDEND = Action(date(2024, 3, 12), ActionKind.DIVIDEND, Fraction("0.53"))
GAIN = Action(date(2024, 3, 14), ActionKind.CAPITAL_GAIN, Fraction("1.25"))
ALL = {"interval": "1d", "range": "max", "events": "div,splits,capitalGains"}


def test_the_range_is_kept_on_both_sides() -> None:
    reply = asked(
        listing(),
        SATURDAY,
        period1=seconds("2024-03-12T04:00Z"),
        period2=seconds("2024-03-14T04:00Z"),
        interval="1d",
    )
    assert reply["timestamp"] == [seconds("2024-03-12T13:30Z"), seconds("2024-03-13T13:30Z")]
    assert quote(reply)["close"] == [101.5, 102.5]
    assert reply["indicators"]["adjclose"] == [{"adjclose": [101.5, 102.5]}]


def test_whole_numbers_are_written_without_a_fraction() -> None:
    text = chart(listing(), ALL, SATURDAY).body.decode()
    assert '"open":[100,101,' in text
    assert '"volume":[1000,1001,' in text


def test_missing_prices_are_written_as_null() -> None:
    of = listing()
    daily = of.bars[D1].copy()
    daily.iloc[2] = np.nan
    reply = asked(replace(of, bars={D1: daily}), SATURDAY, **ALL)
    assert quote(reply)["close"] == [100.5, 101.5, None, 103.5, 104.5]
    assert quote(reply)["volume"][2] is None
    assert reply["indicators"]["adjclose"][0]["adjclose"][2] is None


def test_intraday_replies_have_no_adjusted_close() -> None:
    reply = asked(listing("AAPL", H1), SATURDAY, interval="60m", range="1d")
    assert set(reply["indicators"]) == {"quote"}
    assert reply["meta"]["dataGranularity"] == "1h"
    assert reply["timestamp"][0] == seconds("2024-03-15T13:30Z")
    assert len(reply["timestamp"]) == 7 + 1


def test_a_range_in_days_counts_sessions() -> None:
    monday_morning = at("2024-03-18T08:00Z")
    for days in (1, 2, 5):
        reply = asked(listing(), monday_morning, interval="1d", range=f"{days}d")
        assert len(reply["timestamp"]) == days


def test_a_range_without_rows_has_no_timestamps() -> None:
    span = {"period1": seconds("2024-03-16T04:00Z"), "period2": seconds("2024-03-18T04:00Z")}
    reply = asked(listing(), at("2024-03-18T08:00Z"), interval="1d", **span)
    assert "timestamp" not in reply
    assert reply["indicators"] == {"quote": [{}], "adjclose": [{}]}


def test_an_interval_that_is_not_served_has_no_rows() -> None:
    reply = asked(listing(), SATURDAY, interval="2m", range="5d")
    assert reply["indicators"] == {"quote": [{}]}


def test_events_are_written_as_yahoo_writes_them() -> None:
    reply = asked(listing(actions=[SPLIT, DIVIDEND, GAIN]), SATURDAY, **ALL)
    split, paid = seconds("2024-03-13T13:30Z"), seconds("2024-03-12T13:30Z")
    gain = seconds("2024-03-14T13:30Z")
    assert reply["events"] == {
        "dividends": {str(paid): {"amount": 0.353333, "date": paid}},
        "splits": {
            str(split): {"date": split, "numerator": 3, "denominator": 2, "splitRatio": "3:2"}
        },
        "capitalGains": {str(gain): {"amount": 1.25, "date": gain}},
    }


def test_cash_is_as_paid_until_the_split() -> None:
    reply = asked(listing(actions=[SPLIT, DIVIDEND]), at("2024-03-12T22:00Z"), **ALL)
    assert [one["amount"] for one in reply["events"]["dividends"].values()] == [0.53]
    assert "splits" not in reply["events"], "it has not happened yet"


@pytest.mark.parametrize(
    ("events", "kinds"),
    [("", None), ("div", {"dividends"}), ("split", {"splits"}), ("earn", None)],
)
def test_only_events_that_were_asked_for_are_listed(events: str, kinds: set[str] | None) -> None:
    reply = asked(listing(actions=[SPLIT, DIVIDEND]), SATURDAY, **{**ALL, "events": events})
    assert set(reply.get("events", {})) == (kinds or set())


def test_only_events_inside_the_range_are_listed_but_all_splits_are_applied() -> None:
    reply = asked(
        listing(actions=[SPLIT, DIVIDEND]),
        SATURDAY,
        interval="1d",
        events="div,splits",
        period1=seconds("2024-03-11T04:00Z"),
        period2=seconds("2024-03-12T04:00Z"),
    )
    assert "events" not in reply
    assert quote(reply)["close"] == [67]


def test_an_unknown_symbol_is_not_found() -> None:
    known = history(listing())
    for symbol in ("NOSUCH", "A|B", "..%2F", "AAPL.ZZ"):
        answer = chart(listing_of(known, symbol, SATURDAY), ALL, SATURDAY)
        assert error(answer) == (404, "Not Found", "No data found, symbol may be delisted")
    assert listing_of(known, "aapl", SATURDAY) is known.listings[known.instruments()[0]]


def test_a_range_before_the_listing_is_refused() -> None:
    span = {"period1": "1577836800", "period2": "1578009600"}
    assert error(chart(listing(), {**span, "interval": "1d"}, SATURDAY)) == (
        400,
        "Bad Request",
        "Data doesn't exist for startDate = 1577836800, endDate = 1578009600",
    )


def test_bad_parameters_are_refused_before_bars_are_looked_at() -> None:
    assert error(chart(listing(), {"interval": "7m"}, SATURDAY))[0] == 400


def test_the_same_request_has_the_same_bytes() -> None:
    known = recorded_history()
    now = at("2013-02-20T16:12:13Z")
    first, again = (chart(listing_of(known, "MSFT", now), ALL, now).body for _ in range(2))
    assert first == again
    assert json.loads(first)["chart"]["result"][0]["meta"]["symbol"] == "MSFT"


def test_the_crumb_wants_the_cookie() -> None:
    refused = crumb({})
    assert refused.status == 401
    assert b"Invalid Cookie" in refused.body
    name, _, value = cookie().headers["Set-Cookie"].partition(";")[0].partition("=")
    assert crumb({name: value}).body.decode().strip()


def test_the_cookie_may_travel_over_plain_http() -> None:
    answer = cookie()
    assert answer.status == 404
    assert "secure" not in answer.headers["Set-Cookie"].lower()
    assert "Domain=.yahoo.com" in answer.headers["Set-Cookie"]


def test_any_other_page_is_missing() -> None:
    assert elsewhere().status == 404


def test_events_before_the_range_are_not_listed() -> None:
    reply = asked(
        listing(actions=[DIVIDEND]),
        SATURDAY,
        interval="1d",
        events="div",
        period1=seconds("2024-03-13T04:00Z"),
        period2=seconds("2024-03-16T04:00Z"),
    )
    assert "events" not in reply


def test_a_range_in_days_lists_the_events_of_its_sessions() -> None:
    friday = Action(date(2024, 3, 15), ActionKind.DIVIDEND, Fraction("0.53"))
    monday = at("2024-03-18T08:00Z")
    reply = asked(listing(actions=[friday]), monday, interval="1d", range="1d", events="div")
    assert list(reply["events"]["dividends"]) == [str(seconds("2024-03-15T13:30Z"))]
    assert reply["meta"]["chartPreviousClose"] == 103.5


def test_cash_on_the_day_of_a_split_is_for_each_new_share() -> None:
    paid = Action(SPLIT.ex_date, ActionKind.DIVIDEND, Fraction("0.53"))
    reply = asked(listing(actions=[SPLIT, paid]), SATURDAY, **ALL)
    assert [one["amount"] for one in reply["events"]["dividends"].values()] == [0.53]
