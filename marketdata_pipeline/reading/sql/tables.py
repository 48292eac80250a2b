"""The tables that a query can use: bars, one for each timeframe, and what is known beside them.

Not here: whose bars (exported, snapshot), and DuckDB (engine).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.reading.export import parquet
from marketdata_pipeline.reading.export.facts import Row

_TEXT, _NUMBER, _WHOLE, _INSTANT = "VARCHAR", "DOUBLE", "BIGINT", "TIMESTAMPTZ"
TABLES: Mapping[str, Mapping[str, str]] = {
    "series": {
        "series": _TEXT, "instrument": _TEXT, "timeframe": _TEXT, "rows": _WHOLE,
        "first": _INSTANT, "last": _INSTANT, "version": _WHOLE, "basis": _TEXT,
        "currency": _TEXT,
    },
    "instruments": {
        "instrument": _TEXT, "asset_class": _TEXT, "calendar": _TEXT, "zone": _TEXT,
        "currency": _TEXT, "first_trade": "DATE",
    },
    "quality": {
        "series": _TEXT, "instrument": _TEXT, "timeframe": _TEXT, "rule": _TEXT,
        "score": _NUMBER, "passed": "BOOLEAN", "detail": _TEXT,
    },
    "actions": {
        "instrument": _TEXT, "ex_date": "DATE", "kind": _TEXT, "value": _NUMBER, "ratio": _TEXT,
    },
}  # fmt: skip
"""The tables beside bars, with DuckDB's names of their columns' types."""


def bars_tables() -> dict[str, tuple[Timeframe, ...]]:
    """The tables of bars and the timeframes that each holds."""
    return {"bars": tuple(Timeframe), **{f"bars_{one}": (one,) for one in Timeframe}}


@dataclass(frozen=True, slots=True)
class BarsFile:
    """A Parquet file with all bars of an instrument at a timeframe."""

    instrument: Instrument
    timeframe: Timeframe
    path: Path


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """What a query reads.

    Attributes:
        files: of bars, those of the tables that it mentions.
        facts: for each table in ``TABLES`` a function that gives its rows; called where the query
            mentions it.
        adj_close: whether files have that column.
    """

    files: Sequence[BarsFile]
    facts: Mapping[str, Callable[[], Iterable[Row]]]
    adj_close: bool = False
    _bars: Mapping[str, tuple[Timeframe, ...]] = field(default_factory=bars_tables)

    def columns(self) -> dict[str, Mapping[str, str]]:
        """Each table's columns and DuckDB's names of their types."""
        return {**dict.fromkeys(self._bars, self._bars_columns()), **TABLES}

    def table(self, name: str) -> Any:
        """A table for DuckDB: of bars a dataset that is read when it is scanned."""
        if name in TABLES:
            return _facts(TABLES[name], self.facts[name]())
        return self._dataset([one for one in self.files if one.timeframe in self._bars[name]])

    def _bars_columns(self) -> dict[str, str]:
        keys = {"instrument": _TEXT, "timeframe": _TEXT}
        return {**keys, **parquet.columns(adj_close=self.adj_close)}

    def _dataset(self, files: Sequence[BarsFile]) -> Any:
        import pyarrow.dataset as ds
        from pyarrow.fs import LocalFileSystem

        schema = _schema(self._bars_columns())
        if not files:
            return schema.empty_table()
        return ds.FileSystemDataset.from_paths(
            [str(one.path) for one in files],
            schema=schema,
            format=ds.ParquetFileFormat(),
            filesystem=LocalFileSystem(),
            partitions=[
                (ds.field("instrument") == str(one.instrument))
                & (ds.field("timeframe") == str(one.timeframe))
                for one in files
            ],
        )


def _facts(columns: Mapping[str, str], rows: Iterable[Row]) -> Any:
    """Rows as an Arrow table; dates and instants are spelled in ISO 8601."""
    import pyarrow as pa

    schema = _schema(columns)
    plain = list(rows)
    arrays = [
        _parsed([row.get(name) for row in plain], schema.field(name).type) for name in columns
    ]
    return pa.table(arrays, schema=schema)


def _parsed(values: list[Any], kind: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_temporal(kind):  # through text, which pandas would not take beyond 2262
        return pa.array(values, pa.string()).cast(kind)
    return pa.array(values, kind)


def _schema(columns: Mapping[str, str]) -> Any:
    import pyarrow as pa

    kinds = {
        _TEXT: pa.string(),
        _NUMBER: pa.float64(),
        _WHOLE: pa.int64(),
        _INSTANT: pa.timestamp("us", tz="UTC"),
        "DATE": pa.date32(),
        "BOOLEAN": pa.bool_(),
    }
    return pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
