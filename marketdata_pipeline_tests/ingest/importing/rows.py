"""Frames and files as other programs make them, from bars of ours.

Not here: importing them.
"""

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.ranges import TimeRange, from_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.ingest.importing.place import Place
from marketdata_pipeline.ingest.importing.tables import Table, tables_of

PLACE = Place("bars.csv", "line")


def table_of(frame: pd.DataFrame, first_line: int = 2) -> Table:
    """The one table of a frame."""
    (table,) = tables_of(frame, PLACE, first_line)
    return table


def titled(bars: pd.DataFrame, **columns: Any) -> pd.DataFrame:
    """Bars with yfinance's names of columns, and more of them by keyword (``Adj_Close``)."""
    named = bars.rename(columns=str.title)
    return named.assign(**{name.replace("_", " "): value for name, value in columns.items()})


def yahoo_daily(bars: pd.DataFrame, zone: str = "America/New_York") -> pd.DataFrame:
    """Daily bars as ``Ticker.history(auto_adjust=False)`` gives them: at midnight there."""
    frame = titled(bars, Adj_Close=bars["close"], Dividends=0.0, Stock_Splits=0.0)
    naive = pd.DatetimeIndex(bars.index).tz_localize(None)
    return frame.set_axis(naive.tz_localize(zone).rename("Date"))


def at_closes(bars: pd.DataFrame, series: Series) -> pd.DataFrame:
    """The same bars, each labelled by the instant at which it closes."""
    labels = contract.labels_of(bars)
    within = TimeRange(from_micros(int(labels[0])), from_micros(int(labels[-1]) + 1))
    grid = calendar_of(series.instrument).grid(series.timeframe, within)
    closes = grid.closes[np.isin(grid.labels, labels)]
    index = pd.DatetimeIndex(closes.astype("datetime64[us]"), tz="UTC", name="ts")
    return bars.set_axis(index)


def naive(frame: pd.DataFrame, zone: str) -> pd.DataFrame:
    """The same with times as the clocks of a zone show them, in a column ``time``."""
    local = pd.DatetimeIndex(frame.index).tz_convert(zone).tz_localize(None)
    return frame.set_axis(local.rename("time")).reset_index()


def write_csv(frame: pd.DataFrame, path: Path, **options: Any) -> Path:
    """The frame as a CSV file, gzipped where its name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = frame.to_csv(**{"index": isinstance(frame.index, pd.DatetimeIndex), **options})
    data = text.encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.name.endswith(".gz") else data)
    return path


def columns_of(**columns: Mapping[str, object] | object) -> pd.DataFrame:
    """A frame of one bar a row: prices 1 unless given."""
    given = pd.DataFrame(columns)
    missing = {name: 1.0 for name in contract.COLUMNS if name not in given}
    return given.assign(**missing)
