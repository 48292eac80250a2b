"""The store itself as one that keeps bars: commits, reads, and a year as it stands after a year.

Not here: its peers (_peers, _arctic), and many small series (_crowd).
"""

import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
from _walk import SESSION
from sqlalchemy import func, select

from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.database.metadata import chunks
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.reply import Basis
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.compact import Compactor
from marketdata_pipeline.store.gc import Collector
from marketdata_pipeline.store.write import Fetch, FetchKind, Write

_DAY = timedelta(days=1)
_INLINE = func.coalesce(func.sum(func.length(chunks.c.data)), 0)


class Store:
    """The bar store of a home."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._store = BarStore(home.engine, home.bars, home.clock)
        self._compactor = Compactor(home.engine, home.bars, home.clock)
        self._collector = Collector(
            home.engine, home.bars, home.clock, kept=timedelta(0), grace=timedelta(0)
        )

    def write(self, series: Series, bars: pd.DataFrame) -> None:
        """One fetch with all that it answers, from the first bar's day to the last one's."""
        self._store.commit(fetched(series, bars), expected_version=None)

    def append(self, series: Series, bars: pd.DataFrame) -> None:
        """Another fetch."""
        self.write(series, bars)

    def read(self, series: Series) -> pd.DataFrame:
        """All of it."""
        return self._store.read(series)

    def tail(self, series: Series, rows: int) -> pd.DataFrame:
        """Its last rows."""
        return self._store.tail(series, rows)

    def write_daily(self, series: Series, bars: pd.DataFrame) -> float:
        """A fetch a session of minutes, and then what keeps a series small; seconds a session.

        Commits compact by themselves now and then; that is part of it.
        """
        started = time.perf_counter()
        for at in range(0, len(bars), SESSION):
            self.write(series, bars.iloc[at : at + SESSION])
        self._compactor.compact(series)
        took = time.perf_counter() - started
        self._collector.collect()
        return took * SESSION / len(bars)

    def stored_bytes(self, series: Series) -> int:
        """What its chunks take: in the catalog and in files."""
        ours = select(_INLINE).join_from(chunks, series_table)
        with reading(self._home.engine) as connection:
            told = connection.execute(ours.where(series_table.c.key == str(series))).scalar_one()
        files = (self._home.bars / series.slug).glob("*.parquet")
        return int(told) + sum(one.stat().st_size for one in files)

    def inline_bytes(self) -> int:
        """What all chunks in the catalog take."""
        with reading(self._home.engine) as connection:
            return int(connection.execute(select(_INLINE)).scalar_one())

    def catalog_bytes(self) -> int:
        """The size of a catalog on SQLite without free pages."""
        copy = self._home.cache / "vacuumed.sqlite"
        with closing(sqlite3.connect(str(self._home.engine.url.database))) as connection:
            connection.execute("VACUUM INTO ?", (str(copy),))
        size = copy.stat().st_size
        copy.unlink()
        return size


def fetched(series: Series, bars: pd.DataFrame) -> Write:
    """A reply that answers whole days: the bars', and weekends before them."""
    first, last = (_midnight(bars.index[at]) for at in (0, -1))
    window = TimeRange(first - (2 * _DAY if first.weekday() == 0 else 0 * _DAY), last + _DAY)
    fetch = Fetch(
        kind=FetchKind.REPLY,
        provider="yahoo",
        origin="simulator:synthetic",
        window=window,
        basis=Basis.RAW,
        currency="USD",
        market_at=window.end,
        fetched_at=window.end,
        requests=1,
    )
    return Write(
        series, fetch, bars, coverage=lambda before: before.after(window, [], fetch.market_at)
    )


def _midnight(label: pd.Timestamp) -> datetime:
    return datetime(label.year, label.month, label.day, tzinfo=UTC)


def folder_bytes(folder: Path) -> int:
    """The size of all files below a folder."""
    return sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())
