"""Bars to Parquet bytes and back, every number to its last bit.

Not here: where the bytes lie (chunks, files), whether they are whole (checksums), and numbers as
decimals (decimals). One row group holds 8,192 bars, so that the newest are read without the rest.
Whatever is a whole number or a decimal is delta coded: on prices that takes a third to two thirds
less than dictionaries of floats, which are left to numbers that are neither. A file says nothing of
fetch and state where all its bars have the same ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.bars import COLUMNS, labels_of, values_of
from marketdata_pipeline.domain.ranges import TimeRange, to_micros
from marketdata_pipeline.domain.sessions import Micros
from marketdata_pipeline.store.decimals import from_arrow, to_arrow

SCHEMA = 2
"""Of the files written now: ts, open, high, low, close, volume, and maybe fetch_id and state.

In those of the first, prices are floats; in those of the second, decimals where they can be.
"""
_ROW_GROUP = 8192


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


def rows_of(bars: pd.DataFrame, fetch_id: int, state: int) -> Rows:
    """The bars of one fetch as arrays."""
    count = len(bars)
    return Rows(
        labels_of(bars),
        dict(zip(COLUMNS, values_of(bars), strict=True)),
        np.full(count, fetch_id, dtype=np.int32),
        np.full(count, state, dtype=np.int8),
    )


def encode(rows: Rows, *, fetched: bool = False) -> bytes:
    """The Parquet file of some bars, at least one; ``fetched``: with fetch and state of each."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = {"ts": pa.array(rows.ts, pa.timestamp("us", tz="UTC"))}
    arrays |= {name: to_arrow(rows.columns[name]) for name in COLUMNS}
    if fetched:
        arrays |= {"fetch_id": pa.array(rows.fetch_id), "state": pa.array(rows.state)}
    floats = [name for name, array in arrays.items() if pa.types.is_floating(array.type)]
    delta = [name for name in arrays if name not in {*floats, "state"}]
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.table(arrays),
        sink,
        row_group_size=_ROW_GROUP,
        compression="zstd",
        compression_level=3,
        use_dictionary=[name for name in arrays if name not in delta],
        column_encoding=dict.fromkeys(delta, "DELTA_BINARY_PACKED"),
        store_decimal_as_integer=True,
        write_statistics=["ts"],  # nobody asks for the others
        store_schema=False,  # Arrow's copy of the schema is a fifth of a small chunk
    )
    return bytes(sink.getvalue())


class Encoded:
    """The bars of one chunk, read as they are asked for.

    Not in memory but behind a file where ``source`` is one: only what is asked for is read of it.

    Args:
        source: the bytes, or a binary file.
        fetch_id: of each bar; None: the file says.
        state: of each bar; None: the file says.

    Raises:
        pyarrow.ArrowException: on reading, the bytes are no Parquet file.
        KeyError: on reading, a column is missing.
    """

    def __init__(self, source: bytes | BinaryIO, fetch_id: int | None, state: int | None) -> None:
        self._source = source
        self._fetch_id = fetch_id
        self._state = state

    def last(self, count: int) -> Rows:
        """The last ``count`` bars, or all where there are fewer; no row group before is read."""
        file = _opened(self._source)
        first, rows = file.num_row_groups, 0
        while first and rows < count:
            first -= 1
            rows += file.metadata.row_group(first).num_rows
        found = self._rows(file, range(first, file.num_row_groups))
        return found.where(slice(max(0, len(found.ts) - count), None))

    def within(self, span: TimeRange | None) -> Rows:
        """The bars whose label is in ``span`` (None: all)."""
        if span is None:  # one read instead of one for each column of each row group
            whole = self._source if isinstance(self._source, bytes) else self._source.read()
            file = _opened(whole)
            return self._rows(file, range(file.num_row_groups))
        file = _opened(self._source)
        told = file.metadata
        labels = [
            told.row_group(group).column(0).statistics for group in range(told.num_row_groups)
        ]
        groups = [
            group
            for group, label in enumerate(labels)
            if label.max >= span.start and label.min < span.end
        ]
        return self._rows(file, groups).within(span)

    def _rows(self, file: Any, groups: Sequence[int]) -> Rows:
        import pyarrow as pa

        table = file.read_row_groups(list(groups), use_threads=False)
        return Rows(
            table["ts"].cast(pa.int64()).to_numpy(),
            {name: from_arrow(table[name]) for name in COLUMNS},
            _constant_or(table, "fetch_id", self._fetch_id, np.int32),
            _constant_or(table, "state", self._state, np.int8),
        )


def _opened(source: bytes | BinaryIO) -> Any:
    """A ``ParquetFile`` that reads in this thread alone.

    Reading ahead is done by pyarrow's own threads, which wait for the interpreter and for a core.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if isinstance(source, bytes):
        opened = pa.BufferReader(source)
    else:  # pyarrow takes what can also be written, as BytesIO can, for write-only
        opened = pa.PythonFile(source, mode="r")
    return pq.ParquetFile(opened, pre_buffer=False)


def _constant_or(table: Any, name: str, constant: int | None, dtype: type) -> np.ndarray:
    if constant is None:
        return np.asarray(table[name].to_numpy(), dtype=dtype)
    return np.full(table.num_rows, constant, dtype=dtype)
