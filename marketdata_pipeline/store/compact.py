"""Compaction: many small chunks of a series become one, and no bar changes by it.

Not here: removing what nothing names any more (gc), which keeps it for a grace.
Any process may compact any series at any time. What is merged is read first; one transaction then
deletes exactly the chunks that were read and enters their merger, or does nothing where one of
them is gone. Bars that a later chunk replaced are kept in a superseded chunk, for reads as of an
instant.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    Row,
    bindparam,
    delete,
    func,
    select,
    update,
)

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.dialect import wall_micros
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import chunks, fetches
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import StoreError, WriteConflict
from marketdata_pipeline.logs import get_logger
from marketdata_pipeline.store import chunks as chunk_rows
from marketdata_pipeline.store.chunks import ChunkRow, Piece, Standing
from marketdata_pipeline.store.codec import Rows
from marketdata_pipeline.store.files import GRACE, BarFiles

_LOG = get_logger(__name__)
_RATIO = 4
_IDS_AT_ONCE = 10_000
"""A statement of SQLite takes 32,766 values at most (sqlite.org/limits.html, section 9)."""
_HEADERS = (
    select(*chunks.c["id", "part", "seq", "rows"], series_table.c.tail)
    .join_from(chunks, series_table)
    .where(series_table.c.key == bindparam("key"), chunks.c.superseded_at.is_(None))
    .order_by(chunks.c.part, chunks.c.seq, chunks.c.id)
)
_SHORTEN = (
    update(series_table)
    .where(
        series_table.c.id == bindparam("of"),
        # Of two that found nothing to merge the second comes to a tail that was shortened.
        series_table.c.tail >= bindparam("seen", type_=BigInteger),
    )
    .values(tail=series_table.c.tail - bindparam("seen", type_=BigInteger))
)
_Header = Row[*tuple[Any, ...]]


class _Gone(Exception):
    """A chunk that was read is not there any more."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction did.

    Attributes:
        merged: chunks that are gone.
        made: chunks that hold their bars now.
        rows: bars in these.
        superseded: bars kept beside them, which later ones had replaced.
    """

    merged: int = 0
    made: int = 0
    rows: int = 0
    superseded: int = 0


def worth_merging(rows: Sequence[int]) -> int:
    """How many of a part's newest chunks to merge, given each one's rows, oldest first; 0: none.

    As many as there are, such that the oldest of them is at most four times as large as the others
    together: a bar is then written again a number of times that grows with the logarithm of how
    many there are (a size-tiered merge: O'Neil et al., The log-structured merge-tree, 1996).
    """
    together = sum(rows)
    for oldest, size in enumerate(rows[:-1]):
        together -= size
        if size <= _RATIO * together:
            return len(rows) - oldest
    return 0


@dataclass(slots=True)
class _Merger:
    """The merged bars of one part, and those that lost; as pieces to be entered."""

    ids: list[int]
    paths: list[str]
    fetches: tuple[int, int]
    live: list[tuple[Piece, Standing]]
    superseded: tuple[Piece, Standing] | None

    def pieces(self) -> list[Piece]:
        """All of them."""
        every = self.live if self.superseded is None else [*self.live, self.superseded]
        return [piece for piece, _ in every]


class Compactor:
    """Merges chunks of the catalog behind ``engine`` and of the files below ``folder``.

    ``ids_at_once``: so many chunks one statement selects or deletes.
    """

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        clock: Clock,
        *,
        grace: timedelta = GRACE,
        ids_at_once: int = _IDS_AT_ONCE,
    ) -> None:
        self._engine = engine
        self._files = BarFiles(folder)
        self._clock = clock
        self._grace = grace
        self._ids_at_once = ids_at_once

    def pending(self) -> list[Series]:
        """The series that were written since their last compaction."""
        wanted = select(series_table.c.key).where(series_table.c.tail > 0)
        with reading(self._engine) as connection:
            return [Series.parse(key) for key in connection.execute(wanted).scalars()]

    def attempt(self, series: Series) -> None:
        """Compact after a write that is stored whatever comes of this: a failure is logged."""
        try:
            self.compact(series)
        except StoreError as error:
            _LOG.warning("not compacted", series=str(series), error=str(error))

    def compact(self, series: Series) -> Compacted:
        """Merge the chunks of a series that are worth it.

        Raises:
            StoreError: a chunk is damaged, the catalog or the folder refuses; nothing changed.
        """
        begun = self._clock.wall_now()
        with reading(self._engine) as connection:
            headers = connection.execute(_HEADERS, {"key": str(series)}).all()
            wanted = [one for _, part in _by_part(headers) for one in _chosen(part)]
            found = [
                row
                for some in self._batched([one.id for one in wanted])
                for row in connection.execute(select(chunks).where(chunks.c.id.in_(some)))
            ]
        if not headers:
            return Compacted()
        mergers = self._all_merged(series, found)
        try:
            self._commit(series, mergers, int(headers[0].tail), begun)
        except _Gone:
            self._discard(mergers)
            return Compacted()
        except WriteConflict:
            self._discard(mergers)
            raise
        # Any other failure may be one of COMMIT, after which the files may count: gc knows later.
        return _told(mergers)

    def _all_merged(self, series: Series, found: Sequence[ChunkRow]) -> list[_Merger]:
        mergers: list[_Merger] = []
        try:
            for part, rows in _by_part(sorted(found, key=lambda one: (one.part, one.seq, one.id))):
                mergers.append(self._merged(series, part, rows))
        except BaseException:
            self._discard(mergers)
            raise
        return mergers

    def _merged(self, series: Series, part: str, found: Sequence[ChunkRow]) -> _Merger:
        every = chunk_rows.joined(chunk_rows.read_chunk(row, self._files, series) for row in found)
        order = np.argsort(every.ts, kind="stable")
        last = chunk_rows.last_of_each(every.ts[order])
        paths = [row.path for row in found if row.path is not None]
        seq = max(row.seq for row in found)
        kept = chunk_rows.cut(every.where(order[last]))
        live = [self._piece(series, part, rows, seq) for rows in kept]
        lost = every.where(order[~last])
        superseded = self._piece(series, part, lost, seq) if len(lost.ts) else None
        fetches = int(every.fetch_id.min()), int(every.fetch_id.max())
        return _Merger([row.id for row in found], paths, fetches, live, superseded)

    def _piece(self, series: Series, part: str, rows: Rows, seq: int) -> tuple[Piece, Standing]:
        """A piece that says of each bar its fetch and state, unless all have the same."""
        fetch, state = int(rows.fetch_id[0]), int(rows.state[0])
        same = bool((rows.fetch_id == fetch).all() and (rows.state == state).all())
        piece = chunk_rows.piece_of(self._files, series, part, rows, fetched=not same)
        return piece, Standing(seq, fetch if same else None)

    def _commit(
        self, series: Series, mergers: Sequence[_Merger], seen: int, begun: datetime
    ) -> None:
        def exchange(connection: Connection) -> None:
            known = select(series_table.c.id).where(series_table.c.key == str(series))
            of = connection.execute(known).scalar()
            if of is None:  # all of it was removed meanwhile
                raise _Gone
            now = wall_micros(connection, self._clock)
            for one in mergers:
                gone = sum(
                    connection.execute(delete(chunks).where(chunks.c.id.in_(some))).rowcount
                    for some in self._batched(one.ids)
                )
                if gone != len(one.ids):
                    raise _Gone
                _enter(connection, one, of, now)
            connection.execute(_SHORTEN, {"of": of, "seen": seen})
            if mergers and self._clock.wall_now() - begun > self._grace / 2:
                raise WriteConflict(f"{series}: compacting took too long; run the same again")

        retry.write(self._engine, self._clock, exchange)

    def _batched(self, ids: Sequence[int]) -> Iterator[Sequence[int]]:
        """The ids, as many at once as a statement takes."""
        for first in range(0, len(ids), self._ids_at_once):
            yield ids[first : first + self._ids_at_once]

    def _discard(self, mergers: Sequence[_Merger]) -> None:
        for one in mergers:
            chunk_rows.discard(self._files, one.pieces())


def _enter(connection: Connection, merger: _Merger, series_id: int, now: int) -> None:
    for piece, standing in merger.live:
        chunk_rows.insert_pieces(connection, [piece], series_id, standing)
    if merger.superseded is not None:
        piece, one = merger.superseded
        # Not before the fetch that replaced its bars: a clock may have been set back since.
        since = max(now, _last_commit(connection, series_id, merger.fetches))
        lost = Standing(one.seq, one.fetch_id, superseded_at=since)
        chunk_rows.insert_pieces(connection, [piece], series_id, lost)
    chunk_rows.retire(connection, merger.paths, now)


def _last_commit(connection: Connection, series_id: int, ids: tuple[int, int]) -> int:
    wanted = select(func.max(fetches.c.committed_at)).where(
        fetches.c.series_id == series_id, fetches.c.id.between(*ids)
    )
    return int(connection.execute(wanted).scalar() or 0)


def _by_part(found: Sequence[_Header]) -> list[tuple[str, list[_Header]]]:
    return [(part, list(some)) for part, some in groupby(found, key=lambda one: one.part)]


def _chosen(part: Sequence[_Header]) -> Sequence[_Header]:
    count = worth_merging([one.rows for one in part])
    return part[len(part) - count :]


def _told(mergers: Sequence[_Merger]) -> Compacted:
    return Compacted(
        merged=sum(len(one.ids) for one in mergers),
        made=sum(len(one.live) for one in mergers),
        rows=sum(piece.rows for one in mergers for piece, _ in one.live),
        superseded=sum(one.superseded[0].rows for one in mergers if one.superseded),
    )
