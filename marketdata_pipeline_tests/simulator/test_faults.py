import json
from datetime import date
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.simulator.faults import (
    KINDS,
    ON_ANSWER,
    ON_LISTING,
    Fault,
    Faults,
    Taken,
    Target,
    parse_faults,
)
from marketdata_pipeline.simulator.history import Listing
from marketdata_pipeline.simulator.wire import Answer
from marketdata_pipeline.simulator.yahoo import chart
from marketdata_pipeline_tests.simulator.histories import SATURDAY, asked, listing, quote

ALL = {"interval": "1d", "range": "max"}
WEDNESDAY = (date(2024, 3, 13),)
SPLIT = Action(date(2024, 3, 13), ActionKind.SPLIT, Fraction(4))
GOOD = chart(listing(), ALL, SATURDAY)


def spoiled(of: Listing, fault: Fault) -> dict[str, list[float | None]]:
    return quote(asked(Taken((fault,)).on_listing(of), SATURDAY, **ALL))


def sent(fault: Fault) -> Answer:
    return Taken((fault,)).on_answer(GOOD)


def test_a_dropped_session_is_absent_and_the_others_are_not() -> None:
    assert spoiled(listing(), Fault("drop", dates=WEDNESDAY))["open"] == [100, 101, 103, 104]


def test_a_dropped_session_takes_its_intraday_bars_along() -> None:
    of = Taken((Fault("drop", dates=WEDNESDAY),)).on_listing(listing("AAPL", Timeframe.H1))
    assert len(of.bars[Timeframe.H1]) == 4 * 7
    days = pd.DatetimeIndex(of.bars[Timeframe.H1].index).tz_convert("America/New_York").day
    assert 13 not in days


def test_a_session_is_a_date_of_the_exchange() -> None:
    sydney = listing("BHP.AX", Timeframe.H1)
    of = Taken((Fault("drop", dates=WEDNESDAY),)).on_listing(sydney)
    gone = sydney.bars[Timeframe.H1].index.difference(of.bars[Timeframe.H1].index)
    assert str(gone[0]) == "2024-03-12 23:00:00+00:00"
    assert str(gone[-1]) < "2024-03-13 06"


def test_a_null_row_keeps_its_stamp() -> None:
    assert spoiled(listing(), Fault("null", dates=WEDNESDAY))["open"] == [100, 101, None, 103, 104]


def test_a_bad_row_has_its_high_below_its_low() -> None:
    found = spoiled(listing(), Fault("bad_ohlc", dates=WEDNESDAY))
    wrong = [high < low for high, low in zip(found["high"], found["low"], strict=True)]  # type: ignore[operator] # no nulls here
    assert wrong == [False, False, True, False, False]


def test_x100_is_in_all_prices_of_a_session() -> None:
    found = spoiled(listing(), Fault("x100", dates=WEDNESDAY))
    assert found["open"] == [100, 101, 10200, 103, 104]
    assert found["close"][2] == 10250
    assert found["volume"][2] == 1002


def test_a_split_that_is_not_applied_leaves_earlier_prices_undivided() -> None:
    of = listing(actions=[SPLIT])
    assert quote(asked(of, SATURDAY, **ALL))["open"] == [25, 25.25, 102, 103, 104]
    for dates in ((), WEDNESDAY):
        found = spoiled(of, Fault("split_not_applied", dates=dates))
        assert found["open"] == [100, 101, 102, 103, 104]
        assert found["volume"] == [1000, 1001, 1002, 1003, 1004]
    other = Fault("split_not_applied", dates=(date(2024, 3, 12),))
    assert spoiled(of, other)["open"][0] == 25


def test_a_fault_leaves_the_history_as_it_was() -> None:
    of = listing()
    before = of.bars[Timeframe.D1].copy()
    for kind in ON_LISTING:
        Taken((Fault(kind, dates=WEDNESDAY),)).on_listing(of)
    assert of.bars[Timeframe.D1].equals(before)


def test_a_status_may_say_when_to_come_back() -> None:
    limited = sent(Fault("status", status=429, retry_after=13))
    assert (limited.status, limited.headers["Retry-After"]) == (429, "13")
    assert b"Too Many Requests" in limited.body
    assert "Retry-After" not in sent(Fault("status", status=503)).headers


def test_bodies_are_broken_as_their_names_say() -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(sent(Fault("invalid_json")).body)
    assert sent(Fault("empty")).body == b""
    assert sent(Fault("empty")).status == sent(Fault("html")).status == 200
    assert b"<html>" in sent(Fault("html")).body
    assert 0 < (sent(Fault("truncated")).sent or 0) < len(GOOD.body)
    assert sent(Fault("slow", seconds=3)).delay == 3
    assert sent(Fault("reset")).reset


def test_a_reply_may_be_for_another_symbol() -> None:
    content = json.loads(sent(Fault("wrong_symbol", other="MSFT")).body)
    assert content["chart"]["result"][0]["meta"]["symbol"] == "MSFT"
    refused = chart(None, ALL, SATURDAY)
    again = Taken((Fault("wrong_symbol"),)).on_answer(refused)
    assert json.loads(again.body) == json.loads(refused.body), "an error names no symbol"


def test_faults_are_counted_down() -> None:
    faults = Faults()
    faults.add(Fault("empty", times=2))
    assert [len(faults.take(Target.CHART, "AAPL").faults) for _ in range(3)] == [1, 1, 0]
    assert faults.active() == ()


def test_two_equal_faults_count_each_for_itself() -> None:
    faults = Faults()
    faults.add(Fault("empty", times=1), Fault("empty", times=1))
    assert len(faults.take(Target.CHART).faults) == 2
    assert faults.active() == ()


def test_faults_without_a_number_stay_until_cleared() -> None:
    faults = Faults()
    faults.add(Fault("empty"), Fault("slow"))
    assert [len(faults.take(Target.CHART).faults) for _ in range(3)] == [2, 2, 2]
    faults.clear()
    assert faults.take(Target.CHART) == Taken()


def test_a_fault_may_be_for_one_symbol_or_one_route() -> None:
    faults = Faults()
    faults.add(Fault("empty", symbol="msft", times=1), Fault("html", target=Target.CRUMB, times=1))
    assert faults.take(Target.CHART, "AAPL") == Taken()
    assert [one.kind for one in faults.take(Target.CHART, "MSFT").faults] == ["empty"]
    assert [one.kind for one in faults.take(Target.CRUMB).faults] == ["html"]


@pytest.mark.parametrize("kind", KINDS)
def test_each_fault_survives_the_way_as_json(kind: str) -> None:
    fault = Fault(kind, "AAPL", 3, Target.CRUMB, 503, 7, 0.5, WEDNESDAY, "IBM")
    assert parse_faults(json.dumps(fault.written()).encode()) == [fault]
    assert parse_faults(json.dumps([fault.written()] * 2).encode()) == [fault, fault]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "7",
        "{}",
        '{"kind": "typo"}',
        '{"kind": "empty", "typo": 1}',
        '{"kind": "drop", "dates": ["soon"]}',
        '{"kind": "empty", "target": "moon"}',
    ],
)
def test_what_is_no_fault_is_refused(body: str) -> None:
    with pytest.raises(BadInput):
        parse_faults(body.encode())


def test_each_kind_is_in_one_table() -> None:
    assert not set(ON_ANSWER) & set(ON_LISTING)
    assert np.all([Fault(kind).kind == kind for kind in KINDS])
