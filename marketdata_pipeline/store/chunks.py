"""Chunks: what a write's bars become, and the bars that a series' chunks say.

Not here: when they may be committed (bars), file names (files), bytes (codec).
For one label the chunk with the highest seq, that is the last committed, wins.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Connection, Row, bindparam, insert, select

from marketdata_pipeline.database.metadata import chunks
from marketdata_pipeline.domain.bars import COLUMNS, labels_of
from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.domain.ranges import TimeRange, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import Micros
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import StoreError
from marketdata_pipeline.store.codec import SCHEMA, Rows, checksum, decode, encode
from marketdata_pipeline.store.files import BarFiles
from marketdata_pipeline.store.write import State

MOST_INLINE = 4096
"""Rows above which a chunk is a file of its own instead of a value in the catalog."""
_Span = Row[int, int]
_ChunkRow = Row[*tuple[Any, ...]]
_INSERT = insert(chunks)
_ALL = (
    select(chunks)
    .where(chunks.c.series_id == bindparam("series_id"))
    .order_by(chunks.c.seq, chunks.c.id)
)
_OVERLAPPING = _ALL.where(chunks.c.ts_max >= bindparam("start"), chunks.c.ts_min < bindparam("end"))


@dataclass(frozen=True, slots=True)
class Piece:
    """An encoded part of a write: its bytes, or the path of the file that holds them."""

    part: str
    ts_min: int
    ts_max: int
    rows: int
    checksum: str
    data: bytes | None
    path: str | None


def pieces_of(files: BarFiles, series: Series, bars: pd.DataFrame) -> list[Piece]:
    """Encode a write's bars, part by part; large ones are files from here on.

    Raises:
        StoreError: a file cannot be written; none is left.
    """
    pieces: list[Piece] = []
    try:
        for part, rows in _parts(series, labels_of(bars)):
            pieces.append(_piece(files, series, part, bars.iloc[rows]))
    except BaseException:
        discard(files, pieces)
        raise
    return pieces


def discard(files: BarFiles, pieces: Iterable[Piece]) -> None:
    """Remove the files of a write that was not committed."""
    files.discard(piece.path for piece in pieces if piece.path is not None)


def insert_pieces(
    connection: Connection, pieces: Sequence[Piece], series_id: int, fetch_id: int, seq: int
) -> None:
    """Enter a write's chunks; all of them get the version that the write raised."""
    rows = [
        {
            "series_id": series_id,
            "fetch_id": fetch_id,
            "part": piece.part,
            "seq": seq,
            "ts_min": piece.ts_min,
            "ts_max": piece.ts_max,
            "rows": piece.rows,
            "schema": SCHEMA,
            "state": State.PROVISIONAL.value,
            "data": piece.data,
            "path": piece.path,
            "checksum": piece.checksum,
        }
        for piece in pieces
    ]
    if rows:
        connection.execute(_INSERT, rows)


def overlapping(
    connection: Connection, series_id: int, within: TimeRange | None
) -> Sequence[_ChunkRow]:
    """The chunks that may hold a label in ``within`` (None: all), the winning ones last."""
    asked = {"series_id": series_id}
    if within is None:
        return connection.execute(_ALL, asked).all()
    asked |= {"start": to_micros(within.start), "end": to_micros(within.end)}
    return connection.execute(_OVERLAPPING, asked).all()


def bars_in(
    found: Iterable[_ChunkRow], files: BarFiles, series: Series, within: TimeRange | None
) -> Rows:
    """The bars of some chunks, sorted and unique; the later chunk wins.

    Raises:
        StoreError: a file is missing, damaged, or of a newer version; the text names it.
    """
    return _merged([_rows(row, files, series, within) for row in found])


def newest(
    connection: Connection, files: BarFiles, series: Series, series_id: int, count: int
) -> Rows:
    """The last ``count`` bars of a series, or all where there are fewer.

    Chunks are read from the newest on, until no unread one can hold a label among the last.
    """
    spans = select(chunks.c.id, chunks.c.ts_max).where(chunks.c.series_id == series_id)
    order = connection.execute(spans.order_by(chunks.c.ts_max.desc())).all()
    read: list[tuple[int, int, Rows]] = []
    merged = _merged([])
    for at, batch in _batches(order):
        ids = [row.id for row in batch]
        rows = connection.execute(select(chunks).where(chunks.c.id.in_(ids)))
        read.extend((row.seq, row.id, _rows(row, files, series, None)) for row in rows)
        merged = _merged([part for *_, part in sorted(read, key=lambda one: one[:2])])
        bound = order[at].ts_max if at < len(order) else None
        if bound is None or (merged.ts > bound).sum() >= count:
            break
    return merged.where(slice(max(0, len(merged.ts) - count), None))


def _batches(order: Sequence[_Span]) -> Iterator[tuple[int, Sequence[_Span]]]:
    """Ever larger runs of ``order``, each with the position after it."""
    start, size = 0, 4
    while start < len(order):
        yield min(start + size, len(order)), order[start : start + size]
        start, size = start + size, min(size * 2, 512)


def _rows(row: _ChunkRow, files: BarFiles, series: Series, within: TimeRange | None) -> Rows:
    from pyarrow import ArrowException

    where = f"bar file {files.folder / row.path}" if row.path else f"chunk {row.id} in the catalog"
    if row.schema > SCHEMA:
        raise StoreError(
            f"{series}: {where} was written by a newer version; update marketdata-pipeline"
        )
    data = row.data if row.path is None else files.get(series, row.path)
    if checksum(data) != row.checksum:
        raise StoreError(f"{series}: {where} is damaged: its checksum differs from the catalog's")
    try:
        return decode(data, fetch_id=row.fetch_id, state=row.state, within=within)
    except (ArrowException, KeyError, OSError) as error:
        raise StoreError(f"{series}: {where} cannot be read: {error}") from error


def _merged(parts: Sequence[Rows]) -> Rows:
    if not parts:
        none = np.zeros(0)
        return Rows(
            none.astype(np.int64),
            dict.fromkeys(COLUMNS, none),
            none.astype(np.int32),
            none.astype(np.int8),
        )
    if len(parts) == 1:
        return parts[0]
    every = Rows(
        np.concatenate([part.ts for part in parts]),
        {name: np.concatenate([part.columns[name] for part in parts]) for name in COLUMNS},
        np.concatenate([part.fetch_id for part in parts]),
        np.concatenate([part.state for part in parts]),
    )
    order = np.argsort(every.ts, kind="stable")
    ts = every.ts[order]
    return every.where(order[np.append(ts[1:] != ts[:-1], True)])


def _piece(files: BarFiles, series: Series, part: str, bars: pd.DataFrame) -> Piece:
    data = encode(bars)
    labels = labels_of(bars)
    path = files.put(series, data) if len(bars) > MOST_INLINE else None
    return Piece(
        part,
        int(labels[0]),
        int(labels[-1]),
        len(bars),
        checksum(data),
        data if path is None else None,
        path,
    )


def _parts(series: Series, labels: Micros) -> Iterator[tuple[str, slice]]:
    """The rows of each part: years for 1m and 5m (quarters for crypto's 1m), else all in one."""
    if series.timeframe not in {Timeframe.M1, Timeframe.M5}:
        if len(labels):
            yield "all", slice(0, len(labels))
        return
    crypto = series.instrument.asset_class is AssetClass.CRYPTO
    quarterly = crypto and series.timeframe is Timeframe.M1
    months = labels.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    number = months // (3 if quarterly else 12)
    edges = [0, *(np.flatnonzero(np.diff(number)) + 1), len(labels)]
    for first, after in pairwise(edges):
        if first < after:
            yield _part_name(int(number[first]), quarterly=quarterly), slice(first, after)


def _part_name(number: int, *, quarterly: bool) -> str:
    if quarterly:
        return f"{1970 + number // 4}Q{number % 4 + 1}"
    return str(1970 + number)
