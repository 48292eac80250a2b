"""Faults of a chart's rows as they are written."""

import json
import math
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.simulator.fault import Fault, Moment
from marketdata_pipeline.simulator.faults import Taken
from marketdata_pipeline.simulator.on_rows import ON_ROWS
from marketdata_pipeline.simulator.wire import Answer
from marketdata_pipeline.simulator.yahoo import chart
from marketdata_pipeline_tests.simulator.histories import SATURDAY, at, listing, quote, seconds

DAILY = {"interval": "1d", "range": "max"}
HOURLY = {"interval": "1h", "range": "5d"}
WEDNESDAY = (date(2024, 3, 13),)
THURSDAY_NOON = at("2024-03-14 16:07:13+00:00")
BOTH = (Timeframe.D1, Timeframe.H1)


def spoiled(
    fault: Fault, asked: dict[str, str] = DAILY, now: datetime = SATURDAY, symbol: str = "AAPL"
) -> dict[str, Any]:
    good = chart(listing(symbol, *BOTH), asked, now)
    answer = Taken((fault,)).on_answer(good, Moment(now, now))
    (result,) = json.loads(answer.body)["chart"]["result"]
    return dict(result)


def good(
    asked: dict[str, str] = DAILY, now: datetime = SATURDAY, symbol: str = "AAPL"
) -> dict[str, Any]:
    (result,) = json.loads(chart(listing(symbol, *BOTH), asked, now).body)["chart"]["result"]
    return dict(result)


def test_a_reply_may_be_for_another_symbol() -> None:
    assert spoiled(Fault("wrong_symbol", other="MSFT"))["meta"]["symbol"] == "MSFT"


@pytest.mark.parametrize("kind", ON_ROWS)
def test_what_holds_no_chart_stays_as_it_is(kind: str) -> None:
    refused = chart(None, DAILY, SATURDAY)
    page = Answer(200, b"<html>", "text/html")
    of = Taken((Fault(kind),))
    assert json.loads(of.on_answer(refused, Moment(SATURDAY, SATURDAY)).body) == json.loads(
        refused.body
    )
    assert of.on_answer(page, Moment(SATURDAY, SATURDAY)) == page


@pytest.mark.parametrize("kind", ON_ROWS)
@pytest.mark.parametrize("other", ["WRONG", "no|such", ""])
def test_faults_may_befall_a_chart_together(kind: str, other: str) -> None:
    one = chart(listing(), DAILY, SATURDAY)
    both = Taken((Fault("wrong_symbol", other=other), Fault(kind)))
    assert json.loads(both.on_answer(one, Moment(SATURDAY, SATURDAY)).body)["chart"]["result"]


@pytest.mark.parametrize("kind", ON_ROWS)
def test_a_chart_without_rows_keeps_none(kind: str) -> None:
    night = {"interval": "1h", "period1": str(seconds("2024-03-12 02:00+00:00"))}
    night["period2"] = str(seconds("2024-03-12 03:00+00:00"))
    found = spoiled(Fault(kind), night)
    assert "timestamp" not in found
    assert quote(found) == {}


def test_x100_is_in_all_prices_of_a_session_and_in_nothing_else() -> None:
    found = spoiled(Fault("x100", dates=WEDNESDAY))
    assert quote(found)["open"] == [100, 101, 10200, 103, 104]
    assert quote(found)["close"][2] == 10250
    assert quote(found)["volume"][2] == 1002
    assert found["indicators"]["adjclose"][0]["adjclose"][2] == 10250
    assert found["meta"] == good()["meta"], "what is said of the price stays"


def test_x100_without_dates_is_in_every_row() -> None:
    assert quote(spoiled(Fault("x100")))["open"] == [10000, 10100, 10200, 10300, 10400]


def test_a_session_is_a_date_of_the_exchange() -> None:
    found = spoiled(Fault("x100", dates=WEDNESDAY), HOURLY, symbol="BHP.AX")
    rows = zip(found["timestamp"], quote(found)["open"], strict=True)
    dear = [stamp for stamp, price in rows if price > 1000]
    assert dear[0] == seconds("2024-03-12 23:00+00:00")
    assert dear[-1] == seconds("2024-03-13 04:00+00:00")


def test_nan_is_a_bare_word_in_the_closes() -> None:
    found = quote(spoiled(Fault("nan", dates=WEDNESDAY)))
    assert [math.isnan(one) for one in found["close"]] == [False, False, True, False, False]
    assert found["open"] == [100, 101, 102, 103, 104]


def test_each_row_may_come_twice() -> None:
    found = spoiled(Fault("duplicate"))
    assert found["timestamp"] == [one for one in good()["timestamp"] for _ in range(2)]
    assert quote(found)["volume"] == [1000, 1000, 1001, 1001, 1002, 1002, 1003, 1003, 1004, 1004]


def test_rows_may_be_out_of_order_each_with_its_own_values() -> None:
    found, before = spoiled(Fault("unsorted")), good()
    assert quote(found)["open"] == [101, 103, 100, 102, 104]
    of = dict(zip(before["timestamp"], quote(before)["open"], strict=True))
    assert [of[one] for one in found["timestamp"]] == quote(found)["open"]


@pytest.mark.parametrize(
    ("asked", "symbol", "now", "stamp"),
    [
        (DAILY, "AAPL", SATURDAY, "2024-03-18 13:30+00:00"),
        (DAILY, "AAPL", THURSDAY_NOON, "2024-03-15 13:30+00:00"),
        (HOURLY, "AAPL", THURSDAY_NOON, "2024-03-14 16:30+00:00"),
        (HOURLY, "BTC-USD", THURSDAY_NOON, "2024-03-14 17:00+00:00"),
        (DAILY, "EURUSD=X", THURSDAY_NOON, "2024-03-15 00:00+00:00"),
        (DAILY, "ES=F", THURSDAY_NOON, "2024-03-15 04:00+00:00"),
    ],
)
def test_a_row_of_the_future_is_the_next_bar(
    asked: dict[str, str], symbol: str, now: datetime, stamp: str
) -> None:
    found = spoiled(Fault("future"), asked, now, symbol)
    before = good(asked, now, symbol)
    assert found["timestamp"] == [*before["timestamp"], seconds(stamp)]
    assert quote(found)["open"][:-1] == quote(before)["open"]
    assert quote(found)["open"][-1] == pytest.approx(quote(before)["open"][-1] * 1.01)


@pytest.mark.parametrize(
    ("asked", "symbol", "closes", "rows"),
    [
        (HOURLY, "AAPL", "2024-03-14 16:30+00:00", -1),
        (HOURLY, "BTC-USD", "2024-03-14 17:00+00:00", -1),
        (DAILY, "AAPL", "2024-03-14 20:00+00:00", None),
        (DAILY, "ES=F", "2024-03-14 21:00+00:00", None),
    ],
)
def test_the_bar_in_progress_may_look_finished(
    asked: dict[str, str], symbol: str, closes: str, rows: int | None
) -> None:
    found = spoiled(Fault("forming"), asked, THURSDAY_NOON, symbol)
    before = good(asked, THURSDAY_NOON, symbol)
    assert found["timestamp"] == before["timestamp"][:rows]
    assert quote(found)["close"] == quote(before)["close"][:rows]
    assert found["meta"]["regularMarketTime"] == seconds(closes)


def test_where_no_bar_is_in_progress_none_looks_finished() -> None:
    assert spoiled(Fault("forming")) == good()
    evening = SATURDAY - timedelta(hours=2)
    assert spoiled(Fault("forming"), HOURLY, evening) == good(HOURLY, evening)
