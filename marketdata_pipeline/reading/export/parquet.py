"""A series as one Parquet file, and the path that tells readers its timeframe and instrument.

Not here: CSV (gzip_csv), and the store's own files (store.codec).

One file a series, hive-partitioned by timeframe and instrument, not by year: a reader opens each
file, so that a query of 25 years of 700 instruments by the day took 22 times as long over files of
a year, in 1.7 times the room. The statistics of row groups leave out other years as well.
Instants are microseconds: DuckDB makes TIMESTAMPTZ_NS of nanoseconds, which it cannot compare with
a parameter. Columns have one type in all files, or readers could not take them for one table.
"""

from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from marketdata_pipeline.domain.bars import COLUMNS, labels_of
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.reading.export.extract import STATES, Extract

ADJ_CLOSE = "adj_close"
FORMAT = 1
"""Of what a file holds; another one once its columns or their meaning change."""
_ROW_GROUP = 32_768
_DELTA = ("ts", "fetch_id")


def path_of(series: Series, name: str = "bars.parquet") -> PurePosixPath:
    """``timeframe=1d/instrument=EURUSD%3DX/bars.parquet``: safe on every file system.

    Readers of hive partitions undo the percent-encoding.
    """
    instrument = quote(str(series.instrument), safe="")
    return PurePosixPath(f"timeframe={series.timeframe}") / f"instrument={instrument}" / name


def encode(extract: Extract) -> bytes:
    """The file of a series that has bars; the same bytes for the same bars.

    Columns: ts (timestamp[us, UTC]), open, high, low, close, volume and maybe adj_close (double),
    provider (string), fetch_id (int64), state (string: ``provisional``, ``final``). Series,
    version, basis and currency stand in the file's metadata.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    bars = extract.bars
    arrays: dict[str, Any] = {"ts": pa.array(labels_of(bars), pa.timestamp("us", tz="UTC"))}
    arrays |= {str(name): pa.array(bars[name].to_numpy(), pa.float64()) for name in bars.columns}
    arrays["provider"] = pa.array(extract.providers(), pa.string())
    arrays["fetch_id"] = pa.array(extract.fetch_id, pa.int64())
    arrays["state"] = pa.array(STATES[extract.state], pa.string())
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.table(arrays).replace_schema_metadata(_metadata(extract)),
        sink,
        row_group_size=_ROW_GROUP,
        compression="zstd",
        use_dictionary=[name for name in arrays if name not in _DELTA],
        column_encoding=dict.fromkeys(_DELTA, "DELTA_BINARY_PACKED"),
    )
    return bytes(sink.getvalue())


def _metadata(extract: Extract) -> dict[str, str]:
    told = {
        "series": str(extract.series),
        "instrument": str(extract.series.instrument),
        "timeframe": str(extract.series.timeframe),
        "basis": extract.basis,
        "currency": extract.currency or "",
        "version": str(extract.version),
        "format": str(FORMAT),
    }
    return {f"marketdata.{name}": value for name, value in told.items()}


def columns(*, adj_close: bool) -> dict[str, str]:
    """The columns that a file has, and what DuckDB calls their types."""
    double = [*COLUMNS, *([ADJ_CLOSE] if adj_close else [])]
    return {
        "ts": "TIMESTAMPTZ",
        **dict.fromkeys(double, "DOUBLE"),
        "provider": "VARCHAR",
        "state": "VARCHAR",
        "fetch_id": "BIGINT",
    }
