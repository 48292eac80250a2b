"""The peers that are files: gzip CSV, Parquet of a year that is rewritten, rows in SQLite.

Not here: ArcticDB, which has an environment of its own (_arctic), and the store itself (_kept).
Each ends every read in a frame as the store's are. Each is as durable as the store: a new file is
synced, then takes the old one's place, and SQLite syncs at each commit.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.series import Series


class Keeper(Protocol):
    """Something that keeps bars."""

    def write(self, series: Series, bars: pd.DataFrame) -> None:
        """Keep a series that was not there before."""
        ...

    def append(self, series: Series, bars: pd.DataFrame) -> None:
        """Add newer bars to it."""
        ...

    def read(self, series: Series) -> pd.DataFrame:
        """All of it."""
        ...

    def tail(self, series: Series, rows: int) -> pd.DataFrame:
        """The last so many bars."""
        ...


class GzipCsv:
    """A file a series, by pandas' ``to_csv`` and ``read_csv``, gzip at level 9 as pandas has it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder

    def write(self, series: Series, bars: pd.DataFrame) -> None:
        """A new file."""
        with _replaced(self._path(series)) as path:
            bars.to_csv(path, compression="gzip", date_format="%Y-%m-%dT%H:%M:%SZ")

    def append(self, series: Series, bars: pd.DataFrame) -> None:
        """All of it, read and written anew."""
        self.write(series, pd.concat([self.read(series), bars]))

    def read(self, series: Series) -> pd.DataFrame:
        """All of it."""
        return pd.read_csv(self._path(series), index_col="ts", parse_dates=["ts"])

    def tail(self, series: Series, rows: int) -> pd.DataFrame:
        """The end of all of it."""
        return self.read(series).tail(rows)

    def _path(self, series: Series) -> Path:
        return self._folder / f"{series.slug}.csv.gz"


class YearParquet:
    """A file a series, by pandas' ``to_parquet`` with zstd and row groups as the store has them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder

    def write(self, series: Series, bars: pd.DataFrame) -> None:
        """A new file."""
        with _replaced(self.path(series)) as path:
            bars.to_parquet(path, compression="zstd", row_group_size=8192)

    def append(self, series: Series, bars: pd.DataFrame) -> None:
        """All of it, read and written anew."""
        self.write(series, pd.concat([self.read(series), bars]))

    def read(self, series: Series) -> pd.DataFrame:
        """All of it."""
        return pd.read_parquet(self.path(series))

    def tail(self, series: Series, rows: int) -> pd.DataFrame:
        """The last row groups, as many as hold so many rows."""
        file = pq.ParquetFile(self.path(series))
        first, found = file.num_row_groups, 0
        while first and found < rows:
            first -= 1
            found += file.metadata.row_group(first).num_rows
        groups = range(first, file.num_row_groups)
        read: pd.DataFrame = file.read_row_groups(list(groups)).to_pandas()
        return read.tail(rows)

    def path(self, series: Series) -> Path:
        """Its file."""
        return self._folder / f"{series.slug}.parquet"


class SqliteRows:
    """A row a bar, clustered by series and label; a connection that stays open."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._connection = sqlite3.connect(folder / "bars.sqlite")
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute(
            "CREATE TABLE bars (series TEXT, ts INTEGER, open REAL, high REAL, low REAL, "
            "close REAL, volume REAL, PRIMARY KEY (series, ts)) WITHOUT ROWID"
        )

    def write(self, series: Series, bars: pd.DataFrame) -> None:
        """All rows in one transaction."""
        columns = [contract.labels_of(bars), *contract.values_of(bars)]
        rows = zip(repeat(str(series)), *(one.tolist() for one in columns), strict=False)
        with self._connection:
            self._connection.executemany("INSERT INTO bars VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def append(self, series: Series, bars: pd.DataFrame) -> None:
        """The new rows."""
        self.write(series, bars)

    def read(self, series: Series) -> pd.DataFrame:
        """All of it."""
        return self._asked("ORDER BY ts", str(series))

    def tail(self, series: Series, rows: int) -> pd.DataFrame:
        """Its last rows."""
        return self._asked("ORDER BY ts DESC LIMIT ?", str(series), rows)[::-1]

    def close(self) -> None:
        """Bring all of it into one file."""
        self._connection.close()

    def _asked(self, rest: str, *given: object) -> pd.DataFrame:
        columns = "ts, open, high, low, close, volume"
        asked = f"SELECT {columns} FROM bars WHERE series = ? {rest}"  # noqa: S608 - our own words
        rows = self._connection.execute(asked, given).fetchall()
        table = np.array(rows, dtype=np.float64).T  # microseconds of our age are below 2 ** 53
        return contract.frame(
            table[0].astype(np.int64), dict(zip(contract.COLUMNS, table[1:], strict=True))
        )


class BareArrays:
    """``pq.ParquetFile(...).read()`` of a peer's file into six arrays: labels, five float64."""

    def __init__(self, files: YearParquet) -> None:
        self._files = files

    def read(self, series: Series) -> Sequence[np.ndarray]:
        """All of it."""
        table = pq.ParquetFile(self._files.path(series)).read()
        return [table[name].to_numpy() for name in ("ts", *contract.COLUMNS)]


class BareFrame:
    """``pq.ParquetFile(...).read()`` of a peer's file, and that as a frame by ``to_pandas``."""

    def __init__(self, files: YearParquet) -> None:
        self._files = files

    def read(self, series: Series) -> pd.DataFrame:
        """All of it."""
        read: pd.DataFrame = pq.ParquetFile(self._files.path(series)).read().to_pandas()
        return read


@contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """A path to write to; its file is then synced and takes the place of ``path``."""
    unfinished = path.with_name(f"new-{path.name}")
    yield unfinished
    for written in (unfinished, path.parent):
        handle = os.open(written, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
        if written is unfinished:
            unfinished.rename(path)
