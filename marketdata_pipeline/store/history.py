"""A series' bars as they were known at an instant of the past.

Not here: the journal's rows (journal), and reading what counts now (chunks).
Every bar carries its fetch, and a fetch's id is higher than those of all earlier fetches of its
series; so of all rows of a label, superseded and journalled ones among them, the one counted whose
fetch is the highest of those that were committed by then.
"""

from datetime import datetime

import numpy as np
from sqlalchemy import Connection, bindparam, select

from marketdata_pipeline.database.metadata import fetches
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.store.chunks import (
    joined,
    last_of_each,
    merged,
    overlapping,
    read_chunk,
)
from marketdata_pipeline.store.codec import Rows
from marketdata_pipeline.store.files import BarFiles
from marketdata_pipeline.store.journal import replaced_finals

_SERIES = select(series_table.c.id, series_table.c.history_from).where(
    series_table.c.key == bindparam("key")
)
_COMMITTED = select(fetches.c.id).where(
    fetches.c.series_id == bindparam("of"), fetches.c.committed_at <= bindparam("by")
)


def rows_as_of(
    connection: Connection,
    files: BarFiles,
    series: Series,
    within: TimeRange | None,
    as_of: datetime,
) -> tuple[Rows, datetime | None]:
    """The bars whose fetch was committed by the wall instant ``as_of``, as they were then.

    With them the instant before which values that were replaced while provisional are gone: an
    earlier ``as_of`` lacks those bars. None: none is gone.

    Raises:
        StoreError: a file is missing, damaged, or of a newer version.
    """
    known = connection.execute(_SERIES, {"key": str(series)}).first()
    if known is None:
        return joined([]), None
    since = None if known.history_from is None else from_micros(known.history_from)
    whole = since is None or as_of >= since
    found = overlapping(connection, known.id, within, live=not whole)
    rows = [read_chunk(row, files, series, within) for row in found]
    if not whole:  # what is left of the replaced bars may not be what counted then
        rows = [merged(rows)]
    every = joined([*rows, replaced_finals(connection, series, within)])
    committed = connection.execute(_COMMITTED, {"of": known.id, "by": to_micros(as_of)}).scalars()
    every = every.where(np.isin(every.fetch_id, np.fromiter(committed, dtype=np.int64)))
    every = every.where(np.lexsort((every.fetch_id, every.ts)))
    return every.where(last_of_each(every.ts)), since
