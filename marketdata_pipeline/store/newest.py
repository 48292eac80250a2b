"""The newest bars of a series, read without the older ones.

Not here: reading by range (chunks).
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, bindparam, select

from marketdata_pipeline.database.metadata import chunks
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.store.chunks import merged, opened
from marketdata_pipeline.store.codec import Encoded, Rows
from marketdata_pipeline.store.files import BarFiles

_FIRST_BATCH, _LARGEST_BATCH = 4, 512
_SPANS = (
    select(chunks.c.id, chunks.c.ts_max)
    .where(chunks.c.series_id == bindparam("series_id"), chunks.c.superseded_at.is_(None))
    .order_by(chunks.c.ts_max.desc())
)


@dataclass(frozen=True, slots=True)
class _Group:
    """A row group that is not read yet: its newest label, its chunk's rank, and where it is."""

    ts_max: int
    rank: tuple[int, int]
    chunk: Encoded
    number: int


@dataclass(slots=True)
class _Reader:
    """What is read so far of a series, and what is not."""

    connection: Connection
    files: BarFiles
    series: Series
    unopened: Sequence[Row[*tuple[Any, ...]]]
    open_files: ExitStack
    groups: list[_Group] = field(default_factory=list)
    read: list[tuple[tuple[int, int], Rows]] = field(default_factory=list)
    batch: int = _FIRST_BATCH

    def bound(self) -> int | None:
        """The newest label that an unread bar can have; None: all is read."""
        ends = [group.ts_max for group in self.groups] + [one.ts_max for one in self.unopened[:1]]
        return max(ends, default=None)

    def step(self) -> None:
        """Open some chunks, or read the row group with the newest label."""
        newest = max(self.groups, key=lambda one: one.ts_max, default=None)
        if self.unopened and (newest is None or self.unopened[0].ts_max >= newest.ts_max):
            self._open()
        elif newest is not None:
            self.groups.remove(newest)
            self.read.append((newest.rank, newest.chunk.group(newest.number)))

    def _open(self) -> None:
        some, self.unopened = self.unopened[: self.batch], self.unopened[self.batch :]
        self.batch = min(self.batch * 2, _LARGEST_BATCH)
        wanted = select(chunks).where(chunks.c.id.in_([one.id for one in some]))
        for row in self.connection.execute(wanted).all():
            chunk = self.open_files.enter_context(opened(row, self.files, self.series))
            self.groups += [
                _Group(last, (row.seq, row.id), chunk, number)
                for number, (_, last) in enumerate(chunk.spans())
            ]

    def bars(self) -> Rows:
        """All that is read, the later chunk's bar for each label."""
        return merged(rows for _, rows in sorted(self.read, key=lambda one: one[0]))


def newest(
    connection: Connection, files: BarFiles, series: Series, series_id: int, count: int
) -> Rows:
    """The last ``count`` bars of a series, or all where there are fewer.

    Row groups are read from the newest on, until no unread one can hold a label among the last.

    Raises:
        StoreError: a chunk is missing, damaged, or of a newer version; the text names it.
    """
    spans = connection.execute(_SPANS, {"series_id": series_id}).all()
    with ExitStack() as open_files:
        reader = _Reader(connection, files, series, spans, open_files)
        while (bound := reader.bound()) is not None:
            if sum(len(rows.ts) for _, rows in reader.read) >= count:
                found = reader.bars()
                if np.count_nonzero(found.ts > bound) >= count:
                    return found.where(slice(len(found.ts) - count, None))
            reader.step()
        found = reader.bars()
    return found.where(slice(max(0, len(found.ts) - count), None))
