"""Bars to Parquet bytes and back, every number to its last bit.

Not here: where the bytes lie (chunks, files). One row group holds 8,192 bars, so that the newest
are read without the rest; time and volume are delta coded, prices are dictionary coded, which on
decimal prices beats every other encoding that was measured. A file says nothing of its fetch where
all its bars come from the same one.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.bars import COLUMNS, PRICES, labels_of, values_of
from marketdata_pipeline.domain.ranges import TimeRange, to_micros
from marketdata_pipeline.domain.sessions import Micros

SCHEMA = 1
"""Of the files written now: ts, open, high, low, close, volume, and maybe fetch_id and state."""
_ROW_GROUP = 8192
_TOO_LARGE = 2.0**63


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Bars as arrays of one length: labels in microseconds, five columns, fetch and state."""

    ts: Micros
    columns: dict[str, np.ndarray]
    fetch_id: np.ndarray
    state: np.ndarray

    def where(self, keep: np.ndarray | slice) -> "Rows":
        """The rows that a mask, an order or a slice selects."""
        columns = {name: column[keep] for name, column in self.columns.items()}
        return Rows(self.ts[keep], columns, self.fetch_id[keep], self.state[keep])

    def within(self, span: TimeRange | None) -> "Rows":
        """The rows whose label is in ``span`` (None: all); labels are sorted."""
        if span is None:
            return self
        first, after = np.searchsorted(self.ts, [to_micros(span.start), to_micros(span.end)])
        return self.where(slice(first, after))


def encode(bars: pd.DataFrame) -> bytes:
    """The Parquet file of a frame of bars, which must not be empty."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    *prices, volume = values_of(bars)
    whole = _whole(volume)
    arrays = {"ts": pa.array(labels_of(bars), pa.timestamp("us", tz="UTC"))}
    arrays |= {name: pa.array(price) for name, price in zip(PRICES, prices, strict=True)}
    arrays["volume"] = pa.array(volume.astype(np.int64) if whole else volume)
    delta = ["ts", "volume"] if whole else ["ts"]
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.table(arrays),
        sink,
        row_group_size=_ROW_GROUP,
        compression="zstd",
        compression_level=3,
        use_dictionary=[name for name in COLUMNS if name not in delta],
        column_encoding=dict.fromkeys(delta, "DELTA_BINARY_PACKED"),
        store_schema=False,  # Arrow's copy of the schema is a fifth of a small chunk
    )
    return bytes(sink.getvalue())


def decode(
    data: bytes, *, fetch_id: int | None, state: int | None, within: TimeRange | None
) -> Rows:
    """The bars of a file whose label is in ``within`` (None: all).

    ``fetch_id`` and ``state`` hold for each bar where they are given, else the file says.

    Raises:
        pyarrow.ArrowException: the bytes are no Parquet file.
        KeyError: a column is missing.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(data))
    table = file.read_row_groups(_row_groups(file, within), use_threads=False)
    ts = table["ts"].cast(pa.int64()).to_numpy()
    return Rows(
        ts,
        {name: table[name].to_numpy().astype(np.float64) for name in COLUMNS},
        _constant_or(table, "fetch_id", fetch_id, np.int32),
        _constant_or(table, "state", state, np.int8),
    ).within(within)


def checksum(data: bytes) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def _whole(volume: np.ndarray) -> bool:
    """Whether 64-bit integers hold each volume exactly; minus zero they do not."""
    exact = (np.abs(volume) < _TOO_LARGE) & (np.trunc(volume) == volume)
    return bool((exact & ~np.signbit(volume)).all())


def _constant_or(table: Any, name: str, constant: int | None, dtype: type) -> np.ndarray:
    if constant is None:
        return np.asarray(table[name].to_numpy(), dtype=dtype)
    return np.full(table.num_rows, constant, dtype=dtype)


def _row_groups(file: Any, within: TimeRange | None) -> list[int]:
    """The row groups that may hold a label in ``within``."""
    groups = range(file.num_row_groups)
    if within is None:
        return list(groups)
    spans = [file.metadata.row_group(group).column(0).statistics for group in groups]
    return [
        group
        for group, span in zip(groups, spans, strict=True)
        if span.max >= within.start and span.min < within.end
    ]
