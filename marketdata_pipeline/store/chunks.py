"""Chunks: what a write's bars become, and the bars that a series' chunks say.

Not here: when they may be committed (bars), when they are merged (compact), bytes (codec).
For one label the chunk with the highest seq, that is the last committed, wins.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, bindparam, insert, select

from marketdata_pipeline.database.metadata import chunks, retired_files
from marketdata_pipeline.domain.bars import COLUMNS
from marketdata_pipeline.domain.ranges import TimeRange, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import Micros
from marketdata_pipeline.errors import StoreError
from marketdata_pipeline.store.checksums import Damaged, checksum, verify
from marketdata_pipeline.store.codec import SCHEMA, Encoded, Rows, encode
from marketdata_pipeline.store.files import BarFiles
from marketdata_pipeline.store.packed import Packed, is_packed, pack
from marketdata_pipeline.store.parts import parts_of

MOST_INLINE = 4096
"""Rows above which a chunk is a file of its own instead of a value in the catalog."""
ChunkRow = Row[*tuple[Any, ...]]
_INSERT = insert(chunks)
_EVERY = (
    select(chunks)
    .where(chunks.c.series_id == bindparam("series_id"))
    .order_by(chunks.c.seq, chunks.c.id)
)
_LIVE = chunks.c.superseded_at.is_(None)
_IN_RANGE = (chunks.c.ts_max >= bindparam("start"), chunks.c.ts_min < bindparam("end"))
_ASKED = {
    (live, ranged): _EVERY.where(*([_LIVE] if live else []), *(_IN_RANGE if ranged else []))
    for live in (True, False)
    for ranged in (True, False)
}


@dataclass(frozen=True, slots=True)
class Piece:
    """Encoded bars of one part: their bytes, or the path of the file that holds them.

    ``state`` is that of each of them; None: the file says.
    """

    part: str
    ts_min: int
    ts_max: int
    rows: int
    state: int | None
    checksum: str
    data: bytes | None
    path: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What the bars of new chunks are.

    Attributes:
        seq: which version they count from.
        fetch_id: of each of them; None: the file says.
        superseded_at: since when none of them counts; None: they count.
    """

    seq: int
    fetch_id: int | None
    superseded_at: int | None = None


def pieces_of(files: BarFiles, series: Series, rows: Rows, *, fetched: bool) -> list[Piece]:
    """Encode bars, sorted by label, part by part; large pieces are files from here on.

    Bars of another state begin a piece of their own, unless ``fetched``.

    Raises:
        StoreError: a file cannot be written; none is left.
    """
    pieces: list[Piece] = []
    try:
        for part, some in parts_of(series, rows.ts):
            whole = rows.where(some)
            for same in [whole] if fetched else _by_state(whole):
                pieces.extend(
                    piece_of(files, series, part, one, fetched=fetched) for one in cut(same)
                )
    except BaseException:
        discard(files, pieces)
        raise
    return pieces


def _by_state(rows: Rows) -> list[Rows]:
    """The bars in stretches of one state."""
    edges = [0, *(np.flatnonzero(np.diff(rows.state)) + 1).tolist(), len(rows.ts)]
    return [rows.where(slice(start, end)) for start, end in pairwise(edges)]


def cut(rows: Rows) -> list[Rows]:
    """The bars of a part, cut in two where they are many: the last ones stay out of the file.

    They are what a chart begins with, and come from the catalog in half the time that it takes to
    open a file. They are less than a quarter of any file, so that compaction leaves both alone.
    """
    most = len(rows.ts) - MOST_INLINE // 8
    if not MOST_INLINE < most < len(rows.ts):
        return [rows]
    return [rows.where(slice(0, most)), rows.where(slice(most, None))]


def piece_of(files: BarFiles, series: Series, part: str, rows: Rows, *, fetched: bool) -> Piece:
    """Encode the bars of one part."""
    large = len(rows.ts) > MOST_INLINE
    data = encode(rows, fetched=fetched) if large else pack(rows, fetched=fetched)
    path = files.put(series, data) if large else None
    return Piece(
        part,
        int(rows.ts[0]),
        int(rows.ts[-1]),
        len(rows.ts),
        None if fetched else int(rows.state[0]),
        checksum(data),
        data if path is None else None,
        path,
    )


def discard(files: BarFiles, pieces: Iterable[Piece]) -> None:
    """Remove the files of what was not committed."""
    files.discard(piece.path for piece in pieces if piece.path is not None)


def insert_pieces(
    connection: Connection, pieces: Sequence[Piece], series_id: int, standing: Standing
) -> None:
    """Enter pieces as chunks of a series."""
    rows = [
        {
            "series_id": series_id,
            "fetch_id": standing.fetch_id,
            "part": piece.part,
            "seq": standing.seq,
            "ts_min": piece.ts_min,
            "ts_max": piece.ts_max,
            "rows": piece.rows,
            "schema": SCHEMA,
            "state": piece.state,
            "data": piece.data,
            "path": piece.path,
            "checksum": piece.checksum,
            "superseded_at": standing.superseded_at,
        }
        for piece in pieces
    ]
    if rows:
        connection.execute(_INSERT, rows)


def retire(connection: Connection, paths: Iterable[str | None], now: int) -> None:
    """Note files that no chunk names from this transaction on, at ``now`` in wall microseconds.

    Who read the catalog before may still open them: they stay for a grace (gc).
    """
    rows = [{"path": path, "retired_at": now} for path in paths if path is not None]
    if rows:
        connection.execute(insert(retired_files), rows)


def overlapping(
    connection: Connection, series_id: int, within: TimeRange | None, *, live: bool = True
) -> Sequence[ChunkRow]:
    """The chunks that may hold a label in ``within`` (None: all), the winning ones last.

    ``live``: those whose bars count; else the superseded ones too.
    """
    asked = {"series_id": series_id}
    if within is not None:
        asked |= {"start": to_micros(within.start), "end": to_micros(within.end)}
    return connection.execute(_ASKED[live, within is not None], asked).all()


def bars_in(
    found: Iterable[ChunkRow], files: BarFiles, series: Series, within: TimeRange | None
) -> Rows:
    """The bars of some chunks, sorted and unique; the later chunk wins.

    Raises:
        StoreError: a file is missing, damaged, or of a newer version; the text names it.
    """
    return merged(read_chunk(row, files, series, within) for row in found)


def read_chunk(
    row: ChunkRow, files: BarFiles, series: Series, within: TimeRange | None = None
) -> Rows:
    """The bars of one chunk; its whole file is verified where all of it is asked for."""
    with opened(row, files, series) as chunk:
        return chunk.within(within)


@contextmanager
def opened(row: ChunkRow, files: BarFiles, series: Series) -> Iterator[Encoded | Packed]:
    """A chunk to read from.

    Raises:
        StoreError: here or on reading, it is missing, damaged, or of a newer version.
    """
    from pyarrow import ArrowException

    where = f"bar file {files.folder / row.path}" if row.path else f"chunk {row.id} in the catalog"
    if row.schema > SCHEMA:
        raise StoreError(
            f"{series}: {where} was written by a newer version; update marketdata-pipeline"
        )
    try:
        if row.path is None:
            verify(row.data, row.checksum)
            kind = Packed if is_packed(row.data) else Encoded
            yield kind(row.data, row.fetch_id, row.state)
        else:
            with files.open(row.path, row.checksum) as file:
                yield Encoded(file, row.fetch_id, row.state)
    except Damaged as error:
        raise StoreError(
            f"{series}: {where} is damaged: its checksum differs from the catalog's; "
            "docs/recover.md says what to do"
        ) from error
    except OSError as error:  # pyarrow's own are among them
        raise StoreError(f"{series}: {where} cannot be read: {error.strerror or error}") from error
    except (ArrowException, KeyError, ValueError) as error:
        raise StoreError(f"{series}: {where} cannot be read: {error}") from error


def merged(parts: Iterable[Rows]) -> Rows:
    """The bars of all parts, sorted and unique; of one label the later part's."""
    some = [part for part in parts if len(part.ts)]
    in_time = sorted(some, key=lambda part: int(part.ts[0]))
    if all(before.ts[-1] < after.ts[0] for before, after in pairwise(in_time)):
        return joined(in_time)  # a year and its newest days: sorting takes as long as reading
    every = joined(some)
    order = np.argsort(every.ts, kind="stable")
    return every.where(order[last_of_each(every.ts[order])])


def last_of_each(labels: Micros) -> np.ndarray:
    """Of sorted labels, a mask of the last one of each run of equal ones."""
    mask = np.ones(len(labels), dtype=bool)
    np.not_equal(labels[1:], labels[:-1], out=mask[:-1])
    return mask


def joined(parts: Iterable[Rows]) -> Rows:
    """The bars of all parts, one part after the other."""
    some = [part for part in parts if len(part.ts)]
    if len(some) == 1:
        return some[0]
    if not some:
        none = np.zeros(0)
        columns = dict.fromkeys(COLUMNS, none)
        return Rows(none.astype(np.int64), columns, none.astype(np.int32), none.astype(np.int8))
    return Rows(
        np.concatenate([part.ts for part in some]),
        {name: np.concatenate([part.columns[name] for part in some]) for name in COLUMNS},
        np.concatenate([part.fetch_id for part in some]),
        np.concatenate([part.state for part in some]),
    )
