"""Splits and payments that stand beside bars."""

from datetime import date
from fractions import Fraction
from typing import Any

import pandas as pd
import pytest

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing.placing import placed
from marketdata_pipeline.ingest.importing.terms import Side
from marketdata_pipeline.ingest.importing.times import stamps_of
from marketdata_pipeline.ingest.importing.told import Told, told_by
from marketdata_pipeline_tests.ingest.importing.rows import table_of, titled, yahoo_daily
from marketdata_pipeline_tests.ingest.world import days, walk

DAILY = Series.parse("AAPL|1d")
BARS = walk(DAILY, days("2024-01-02", "2024-01-13"))


def _told(frame: pd.DataFrame, series: Series = DAILY) -> Told:
    table = table_of(frame)
    return told_by(table, placed(stamps_of(table), Side.OPEN, "UTC", series), series)


def _on(row: int, frame: pd.DataFrame = BARS, **values: Any) -> pd.DataFrame:
    found = yahoo_daily(frame)
    for name, value in values.items():
        found[name.replace("_", " ")] = 0.0
        found.loc[found.index[row], name.replace("_", " ")] = value
    return found


@pytest.mark.parametrize(
    ("number", "ratio"),
    [
        (10.0, Fraction(10)),
        (1.5, Fraction(3, 2)),
        (0.125, Fraction(1, 8)),
        (0.3333333333333333, Fraction(1, 3)),
        (1.0714285714285714, Fraction(15, 14)),
        (1.054321, Fraction("1.054321")),
    ],
)
def test_a_split_is_the_ratio_of_whole_numbers_that_is_meant(
    number: float, ratio: Fraction
) -> None:
    found = _told(_on(4, Stock_Splits=number))
    assert found.actions == (Action(date(2024, 1, 8), ActionKind.SPLIT, ratio),)


def test_payments_are_the_decimals_that_are_written() -> None:
    found = _told(_on(2, Dividends=0.24, Capital_Gains=1.1))
    assert set(found.actions) == {
        Action(date(2024, 1, 4), ActionKind.DIVIDEND, Fraction("0.24")),
        Action(date(2024, 1, 4), ActionKind.CAPITAL_GAIN, Fraction("1.1")),
    }


def test_all_splits_of_the_rows_days_are_listed_where_there_is_a_column_for_them() -> None:
    assert _told(yahoo_daily(BARS)).within == days("2024-01-02", "2024-01-13")
    assert _told(titled(BARS, Dividends=0.0)) == Told()


def test_a_row_without_a_price_tells_its_payment_all_the_same() -> None:
    frame = _on(2, Dividends=0.24)
    frame.loc[frame.index[2], ["Open", "High", "Low", "Close"]] = float("nan")
    assert len(_told(frame).actions) == 1


def test_intraday_rows_tell_the_exchanges_date_and_repeat_one_payment() -> None:
    minutes = walk(Series.parse("AAPL|1h"), days("2024-01-08", "2024-01-10"))
    frame = titled(minutes, Dividends=0.0, Stock_Splits=0.0)
    frame.loc[frame.index[:7], "Dividends"] = 0.24
    found = _told(frame, Series.parse("AAPL|1h"))
    assert found.actions == (Action(date(2024, 1, 8), ActionKind.DIVIDEND, Fraction("0.24")),)
    assert found.within == days("2024-01-08", "2024-01-10")


@pytest.mark.parametrize("name", ["BTC-USD|1d", "EURUSD=X|1d", "^GSPC|1d", "AAPL|1wk"])
def test_what_has_no_actions_and_a_week_tell_none(name: str) -> None:
    assert _told(_on(2, Dividends=0.24), Series.parse(name)) == Told()


@pytest.mark.parametrize("value", [-2.0, float("inf")])
def test_an_action_that_cannot_be_is_named_with_its_line(value: float) -> None:
    with pytest.raises(BadInput, match=r"bars.csv, line 4: a split of .* cannot be"):
        _told(_on(2, Stock_Splits=value))


def test_two_splits_of_one_day_are_refused_and_one_for_one_is_none() -> None:
    hours = walk(Series.parse("AAPL|1h"), days("2024-01-08", "2024-01-09"))
    frame = titled(hours, Stock_Splits=0.0)
    frame.loc[frame.index[0], "Stock Splits"] = 1.0
    assert _told(frame, Series.parse("AAPL|1h")).actions == ()
    frame.loc[frame.index[1], "Stock Splits"] = 2.0
    with pytest.raises(BadInput, match="two different splits on 2024-01-08"):
        _told(frame, Series.parse("AAPL|1h"))
