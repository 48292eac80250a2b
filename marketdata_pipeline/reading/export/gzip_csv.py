"""A series as one gzipped CSV file a year, each with a JSON file that says what it holds.

Not here: Parquet (parquet), and what is said of the whole export (facts, manifest).

The same bars make the same bytes, whenever and wherever: neither file says when it was made. A
number is the shortest decimal that reads as the same float64.
"""

import gzip
import hashlib
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.bars import labels_of
from marketdata_pipeline.reading.export.extract import Extract, spelled

_LEVEL = 6


def files_of(extract: Extract) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of ``AAPL%7C1d/2024.csv.gz`` and ``AAPL%7C1d/2024.json`` for each year.

    A year is that of the label in UTC, so that a week belongs to the year of its Monday. Nothing
    where there are no bars.
    """
    years = pd.DatetimeIndex(extract.bars.index).year.to_numpy()
    borders = [*np.flatnonzero(np.diff(years, prepend=-1)).tolist(), len(years)]
    for first, after in pairwise(borders):
        part, year = extract.rows(slice(first, after)), int(years[first])
        name = f"{extract.series.slug}/{year:04d}"
        packed = gzip.compress(_csv(part.bars), _LEVEL, mtime=0)
        yield f"{name}.csv.gz", packed
        yield f"{name}.json", _described(part, year, packed)


def _csv(bars: pd.DataFrame) -> bytes:
    """``ts`` as 2024-01-31T14:30:00Z, then the columns; ten times as fast as pandas writes it."""
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    seconds = np.datetime_as_string(labels_of(bars).view("datetime64[us]"), unit="s")
    arrays = {"ts": pa.array(np.char.add(seconds, "Z"))}  # every grid is one of whole seconds
    arrays |= {str(name): pa.array(bars[name].to_numpy()) for name in bars.columns}
    sink = pa.BufferOutputStream()
    plain = arrow_csv.WriteOptions(include_header=False, quoting_style="none")
    arrow_csv.write_csv(pa.table(arrays), sink, plain)
    return ",".join(arrays).encode() + b"\n" + bytes(sink.getvalue())


def _described(part: Extract, year: int, packed: bytes) -> bytes:
    sources = list(part.sources.values())
    newest = max((one.fetched_at for one in sources), default=None)
    index = pd.DatetimeIndex(part.bars.index)
    told: dict[str, Any] = {
        "symbol": str(part.series.instrument),
        "timeframe": str(part.series.timeframe),
        "series": str(part.series),
        "year": year,
        "rows": len(index),
        "first": spelled(index[0]),
        "last": spelled(index[-1]),
        "columns": ["ts", *map(str, part.bars.columns)],
        "basis": part.basis,
        "currency": part.currency,
        "providers": sorted({one.provider for one in sources}),
        "origins": sorted({one.origin for one in sources}),
        "fetched_at": None if newest is None else spelled(newest),
        "file": f"{year:04d}.csv.gz",
        "sha256": hashlib.sha256(packed).hexdigest(),
    }
    return (json.dumps(told, indent=2) + "\n").encode()
