"""Columns in any spelling, yfinance's levels, and files of several instruments."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from marketdata_pipeline.domain.bars import COLUMNS
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing.tables import joined, tables_of
from marketdata_pipeline_tests.ingest.importing.rows import PLACE, columns_of, table_of

DAYS = pd.DatetimeIndex(["2024-01-02", "2024-01-03"])


def _frame(*names: str) -> pd.DataFrame:
    return pd.DataFrame([range(len(names)), range(10, 10 + len(names))], columns=list(names))


@pytest.mark.parametrize(
    "names",
    [
        ("Date", "Open", "High", "Low", "Close", "Volume"),
        ("datetime", "o", "h", "l", "c", "v"),
        ("TIMESTAMP", "OPEN", "HIGH", "LOW", "CLOSE", "VOL"),
        ("<DATE>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<VOL>"),
        ("ts", "open", "high", "low", "close", "volume"),
        ("Unnamed: 0", "open", "high", "low", "close", "volume"),
        ("", "open", "high", "low", "close", "volume"),
    ],
)
def test_usual_spellings_of_columns_are_known(names: tuple[str, ...]) -> None:
    table = table_of(_frame(*names))
    assert [table.columns[name].tolist() for name in COLUMNS] == [[n, 10 + n] for n in range(1, 6)]
    assert table.times.tolist() == [0, 10]


def test_the_order_of_columns_and_those_that_nobody_knows_do_not_matter() -> None:
    table = table_of(_frame("close", "note", "low", "high", "open", "adj_close", "time", "volume"))
    assert table.columns["adj_close"].tolist() == [5, 15]
    assert table.columns["open"].tolist() == [4, 14]
    assert "note" not in table.columns


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("date", "open", "high", "low"), "has no column of close; its columns are: date, open"),
        (("open", "high", "low", "close"), "has no column of time"),
        (("date", "time", "open", "high", "low", "close"), "two columns of time, date and time"),
        (
            ("date", "open", "high", "low", "close", "Close"),
            "two columns of close, close and Close",
        ),
    ],
)
def test_columns_that_are_missing_or_twofold_are_named(names: tuple[str, ...], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        table_of(_frame(*names))


def test_a_cell_that_is_no_number_is_named_with_its_line() -> None:
    frame = columns_of(date=["2024-01-02", "2024-01-03"], volume=["12", "1,234"])
    with pytest.raises(BadInput, match=r"bars.csv, line 3: volume is '1,234'; write plain numbers"):
        table_of(frame)


def test_decimals_are_numbers() -> None:
    frame = columns_of(date=["2024-01-02"], close=[Decimal("12.34")])
    assert table_of(frame).columns["close"].tolist() == [12.34]


def test_an_index_of_times_is_one_whatever_its_name() -> None:
    bars = columns_of(open=[1.0, 2.0])
    for name in (None, "Date", "when"):
        table = table_of(bars.set_axis(DAYS.rename(name)))
        assert table.times.tolist() == DAYS.tolist()
    assert table_of(bars.set_axis(pd.Index(["2024-01-02", "x"], name="ts"))).times.tolist() == [
        "2024-01-02",
        "x",
    ]


def _levels(first: str) -> pd.DataFrame:
    prices = columns_of(open=[1.0, 2.0]).set_axis(DAYS).rename(columns=str.title)
    both = pd.concat({"AAPL": prices, "MSFT": prices * 10}, axis=1, names=["Ticker", "Price"])
    return both if first == "Ticker" else both.swaplevel(axis=1).sort_index(axis=1)


@pytest.mark.parametrize("first", ["Ticker", "Price"])
def test_a_frame_of_several_tickers_is_a_table_of_each_in_either_order(first: str) -> None:
    aapl, msft = tables_of(_levels(first), PLACE)
    assert (aapl.symbol, msft.symbol) == ("AAPL", "MSFT")
    assert aapl.columns["open"].tolist() == [1.0, 2.0]
    assert msft.columns["open"].tolist() == [10.0, 20.0]
    assert aapl.yahoo


def test_tickers_may_stand_below_each_other() -> None:
    """``yfinance.download([...]).stack()``."""
    wide = _levels("Ticker").rename_axis(index="Date")
    parts = {name: wide[name] for name in ("AAPL", "MSFT")}
    aapl, msft = tables_of(pd.concat(parts, names=["Ticker"]).swaplevel(), PLACE)
    assert (aapl.symbol, aapl.columns["open"].tolist()) == ("AAPL", [1.0, 2.0])
    assert (msft.symbol, msft.times.tolist()) == ("MSFT", DAYS.tolist())


def test_levels_without_prices_are_refused() -> None:
    frame = _levels("Ticker").rename(columns={"Open": "Erster"}, level=1)
    with pytest.raises(BadInput, match="columns of two levels, neither of them open, high"):
        list(tables_of(frame, PLACE))
    three = pd.concat({"x": _levels("Ticker")}, axis=1)
    with pytest.raises(BadInput, match="columns of 3 levels"):
        list(tables_of(three, PLACE))


def test_rows_that_name_their_instrument_are_a_table_of_each() -> None:
    frame = columns_of(
        symbol=["AAPL", "MSFT", "AAPL", None],
        interval=["1d", "1d", "1h", "1d"],
        date=list("abcd"),
        open=[1.0, 2.0, 3.0, 4.0],
    )
    found = list(tables_of(frame, PLACE, first_line=2))
    assert [(one.symbol, one.timeframe, one.times.tolist()) for one in found] == [
        ("AAPL", "1d", ["a"]),
        ("MSFT", "1d", ["b"]),
        ("AAPL", "1h", ["c"]),
        (None, "1d", ["d"]),
    ]
    assert [one.spot(0) for one in found] == [f"bars.csv, line {line}" for line in (2, 3, 4, 5)]


def test_only_what_yfinance_alone_names_so_is_taken_for_its_frame() -> None:
    plain = columns_of(date=["2024-01-02"])
    titled = plain.rename(columns=str.title)
    assert not table_of(plain).yahoo
    assert not table_of(titled).yahoo
    assert not table_of(plain.assign(adj_close=1.0)).yahoo
    assert table_of(titled.assign(**{"Adj Close": 1.0})).yahoo
    assert table_of(titled.assign(**{"Stock Splits": 0.0})).yahoo


def test_files_of_one_series_are_joined_and_each_row_keeps_its_place() -> None:
    one = table_of(columns_of(date=["a"], open=[1.0], adj_close=[1.0]))
    other = table_of(columns_of(date=["b", "c"], open=[2.0, 3.0]), first_line=7)
    (whole,) = joined([one, other])
    assert whole.times.tolist() == ["a", "b", "c"]
    assert whole.columns["open"].tolist() == [1.0, 2.0, 3.0]
    assert "adj_close" not in whole.columns
    assert [whole.spot(row) for row in range(3)] == [f"bars.csv, line {line}" for line in (2, 7, 8)]


def test_volume_in_some_of_the_files_only_is_refused() -> None:
    with_volume = columns_of(date=["a"])
    with pytest.raises(BadInput, match="no column of volume, the files beside it have"):
        joined([table_of(with_volume), table_of(with_volume.drop(columns="volume"))])


def test_rows_without_any_price_are_told_apart() -> None:
    frame = columns_of(date=["a", "b"])
    frame.loc[0, ["open", "high", "low", "close"]] = np.nan
    assert table_of(frame).priced().tolist() == [False, True]
