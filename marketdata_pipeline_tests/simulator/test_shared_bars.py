"""Real bars of public sample sets as a history, read back from Yahoo's format."""

from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marketdata_pipeline.domain import bars
from marketdata_pipeline.domain.actions import Action, ActionKind, raw_from_split_adjusted
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.simulator.history import Listing
from marketdata_pipeline_tests.simulator.histories import asked, quote

SPLITS = tuple(
    Action(day, ActionKind.SPLIT, Fraction(ratio))
    for day, ratio in (
        (date(2000, 6, 21), 2),
        (date(2005, 2, 28), 2),
        (date(2014, 6, 9), 7),
        (date(2020, 8, 31), 4),
    )
)


def read(shared: Path, file: str, symbol: str, timeframe: Timeframe) -> Listing:
    table = pd.read_csv(shared / "bars/lean" / file)
    column = "date" if timeframe is Timeframe.D1 else "ts"
    stamps = pd.to_datetime(table[column], utc=True).dt.tz_localize(None)
    labels = stamps.to_numpy().astype("datetime64[us]").astype(np.int64)
    columns = {"volume": np.zeros(len(table)), **{name: table[name] for name in table.columns}}
    frame = bars.frame(labels, {name: columns[name] for name in bars.COLUMNS})
    return Listing(Instrument.parse(symbol), "USD", {timeframe: frame})


def test_raw_days_come_back_from_a_ratio_of_112_to_the_digit(shared: Path) -> None:
    of = read(shared, "aapl_1d_raw.csv.gz", "AAPL", Timeframe.D1)
    of = Listing(of.instrument, "USD", of.bars, SPLITS)
    reply = asked(of, datetime(2021, 4, 1, 12, tzinfo=UTC), interval="1d", range="max")
    raw = of.bars[Timeframe.D1]
    assert len(reply["timestamp"]) == len(raw)
    served = bars.frame(bars.labels_of(raw), quote(reply))
    back = raw_from_split_adjusted(served, Series(of.instrument, Timeframe.D1), SPLITS)
    assert back.equals(raw)
    assert not served["close"].equals(raw["close"])


@pytest.mark.parametrize(
    ("file", "symbol", "timeframe", "interval"),
    [
        ("eurusd_1h_bid.csv.gz", "EURUSD=X", Timeframe.H1, "1h"),
        ("btcusd_coinbase_1m.csv.gz", "BTC-USD", Timeframe.M1, "1m"),
    ],
)
def test_intraday_bars_are_served_at_their_open(
    shared: Path, file: str, symbol: str, timeframe: Timeframe, interval: str
) -> None:
    of = read(shared, file, symbol, timeframe)
    raw = of.bars[timeframe]
    last = raw.index[-1].to_pydatetime()
    week = raw[raw.index >= last - pd.Timedelta(days=5)]
    reply = asked(
        of,
        last + pd.Timedelta(hours=2),
        interval=interval,
        period1=int(week.index[0].timestamp()),
        period2=int(last.timestamp()),
    )
    assert reply["timestamp"] == [int(one.timestamp()) for one in week.index]
    assert quote(reply)["open"] == week["open"].astype(np.float32).tolist()
