"""Faults of the data that is served."""

from datetime import date
from fractions import Fraction

import pandas as pd

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.simulator.fault import Fault
from marketdata_pipeline.simulator.faults import Taken
from marketdata_pipeline.simulator.history import Listing
from marketdata_pipeline.simulator.on_listing import ON_LISTING
from marketdata_pipeline_tests.simulator.histories import SATURDAY, asked, listing, quote

ALL = {"interval": "1d", "range": "max"}
WEDNESDAY = (date(2024, 3, 13),)
SPLIT = Action(date(2024, 3, 13), ActionKind.SPLIT, Fraction(4))


def spoiled(of: Listing, fault: Fault) -> dict[str, list[float | None]]:
    return quote(asked(Taken((fault,)).on_listing(of), SATURDAY, **ALL))


def test_a_dropped_session_is_absent_and_the_others_are_not() -> None:
    assert spoiled(listing(), Fault("drop", dates=WEDNESDAY))["open"] == [100, 101, 103, 104]


def test_without_dates_every_session_is_dropped_and_the_listing_stays_as_old_as_it_was() -> None:
    of = Taken((Fault("drop"),)).on_listing(listing())
    reply = asked(of, SATURDAY, **ALL)
    assert "timestamp" not in reply
    assert reply["meta"]["firstTradeDate"] == asked(listing(), SATURDAY)["meta"]["firstTradeDate"]


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


def test_without_dates_every_row_is_null() -> None:
    assert spoiled(listing(), Fault("null"))["open"] == [None] * 5


def test_a_bad_row_has_its_high_below_its_low() -> None:
    found = spoiled(listing(), Fault("bad_ohlc", dates=WEDNESDAY))
    wrong = [high < low for high, low in zip(found["high"], found["low"], strict=True)]  # type: ignore[operator] # no nulls here
    assert wrong == [False, False, True, False, False]


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
