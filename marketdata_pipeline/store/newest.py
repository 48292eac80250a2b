"""The newest bars of a series, read without the older ones.

Not here: reading by range (chunks).
"""

from collections.abc import Iterator

import numpy as np
from sqlalchemy import BigInteger, Connection, bindparam, select

from marketdata_pipeline.database.metadata import chunks
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.store.chunks import ChunkRow, merged, opened
from marketdata_pipeline.store.codec import Rows
from marketdata_pipeline.store.files import BarFiles

_FIRST_PAGE, _LARGEST_PAGE = 4, 512
_PAGE = (
    select(chunks)
    .join_from(chunks, series_table)
    .where(series_table.c.key == bindparam("key"), chunks.c.superseded_at.is_(None))
    .order_by(chunks.c.ts_max.desc(), chunks.c.id.desc())  # as the index has them, backwards
    .limit(bindparam("most", type_=BigInteger))
    .offset(bindparam("after", type_=BigInteger))
)


def newest(connection: Connection, files: BarFiles, series: Series, count: int) -> Rows:
    """The last ``count`` bars of a series, or all where there are fewer.

    Chunks are read from the one with the newest label on, until no unread one can hold a label
    among the last; of each only its own last ``count`` bars, since all others have as many behind
    them.

    Raises:
        StoreError: a chunk is missing, damaged, or of a newer version; the text names it.
    """
    read: list[tuple[tuple[int, int], Rows]] = []
    unmerged = 0
    found = merged([])
    for row, bound in _from_the_newest(connection, series):
        with opened(row, files, series) as chunk:
            read.append(((row.seq, row.id), chunk.last(count)))
        unmerged += row.rows
        if bound is not None and len(found.ts) + unmerged < count:
            continue
        found = merged(rows for _, rows in sorted(read, key=lambda one: one[0]))
        unmerged = 0
        if bound is not None and np.count_nonzero(found.ts > bound) >= count:
            break
    return found.where(slice(max(0, len(found.ts) - count), None))


def _from_the_newest(
    connection: Connection, series: Series
) -> Iterator[tuple[ChunkRow, int | None]]:
    """The chunks by their newest label, each with that of the next one; None: it is the last."""
    before, after, most = None, 0, _FIRST_PAGE
    while most:
        asked = {"key": str(series), "most": most, "after": after}
        rows = connection.execute(_PAGE, asked).all()
        for row in rows:
            if before is not None:
                yield before, int(row.ts_max)
            before = row
        after += most
        most = min(2 * most, _LARGEST_PAGE) if len(rows) == most else 0
    if before is not None:
        yield before, None
