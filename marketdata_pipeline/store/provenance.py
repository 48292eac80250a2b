"""Bars with what they come from, for whoever takes them out of the store.

Not here: files that are made of them (reading), bytes and chunks (inventory), facts (catalog).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from sqlalchemy import Connection, Engine, bindparam, func, select

from marketdata_pipeline.database.dialect import one_of
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import actions, fetches, instruments
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.bars import frame
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange, from_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import StoreError
from marketdata_pipeline.store.chunks import bars_in, overlapping
from marketdata_pipeline.store.codec import Rows
from marketdata_pipeline.store.files import BarFiles

_GRID = {frame: at for at, frame in enumerate(Timeframe)}
_STORED = select(
    series_table.c.key,
    series_table.c.version,
    series_table.c.rows,
    series_table.c.first_ts,
    series_table.c.last_ts,
    select(func.max(fetches.c.committed_at))
    .where(
        fetches.c.series_id == series_table.c.id,
        fetches.c.version == series_table.c.version,
    )
    .scalar_subquery()
    .label("written"),
).where(series_table.c.rows > 0)
_VERSION = select(series_table.c.id, series_table.c.version).where(
    series_table.c.key == bindparam("key")
)
_SOURCES = select(fetches.c.id, fetches.c.provider, fetches.c.origin, fetches.c.fetched_at).where(
    fetches.c.series_id == bindparam("of"),
    fetches.c.id.between(bindparam("first"), bindparam("last")),
)


@dataclass(frozen=True, slots=True)
class Stored:
    """A series that has bars.

    Attributes:
        version: rises with each write of bars.
        rows, first, last: what is stored; labels.
        written: wall instant of the write that made the version, in microseconds; with it the
            version is like no other, in a catalog that was restored either. 0: not known.
    """

    series: Series
    version: int
    rows: int
    first: datetime
    last: datetime
    written: int


@dataclass(frozen=True, slots=True)
class Source:
    """Where a fetch came from, and the wall instant at which it arrived; see ``write.Fetch``."""

    provider: str
    origin: str
    fetched_at: datetime


@dataclass(frozen=True, slots=True, eq=False)
class Sourced:
    """Raw bars of one version of a series.

    Attributes:
        version: 0 where the series has no bars.
        bars: as ``domain.bars`` shapes them.
        fetch_id, state: aligned to ``bars``; see ``write.State``.
        sources: of each fetch that a bar points to.
    """

    version: int
    bars: pd.DataFrame
    fetch_id: np.ndarray
    state: np.ndarray
    sources: Mapping[int, Source]


@dataclass(frozen=True, slots=True)
class ActionsMark:
    """Another one once an instrument's actions are others.

    Attributes:
        count: how many there are.
        newest: wall instant, in microseconds, at which the last of them was told.
    """

    count: int = 0
    newest: int = 0


class Provenance:
    """The bars of the catalog behind ``engine``, its files below ``folder``, with their fetches."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self._files = BarFiles(folder)

    def stored(self) -> list[Stored]:
        """Every series that has bars, by instrument and in the order of the grid; one query."""
        with reading(self._engine) as connection:
            rows = connection.execute(_STORED).all()
        found = [
            Stored(
                Series.parse(row.key),
                int(row.version),
                int(row.rows),
                from_micros(row.first_ts),
                from_micros(row.last_ts),
                int(row.written or 0),
            )
            for row in rows
        ]
        return sorted(found, key=lambda one: in_grid_order(one.series))

    def read(self, series: Series, within: TimeRange | None = None) -> Sourced:
        """The bars with a label in ``within`` (None: all) at one version, with their sources.

        Raises:
            StoreError: the catalog or a file is unreadable; the text names series and file.
        """
        with reading(self._engine) as connection:
            known = connection.execute(_VERSION, {"key": str(series)}).first()
            chunks = [] if known is None else overlapping(connection, known.id, within)
            rows = bars_in(chunks, self._files, series, within)
            sources = {} if known is None else _sources(connection, series, known.id, rows)
        return Sourced(
            version=0 if known is None else int(known.version),
            bars=frame(rows.ts, rows.columns),
            fetch_id=rows.fetch_id,
            state=rows.state,
            sources=sources,
        )

    def marks_of_actions(self, wanted: Iterable[Instrument]) -> dict[Instrument, ActionsMark]:
        """A mark of each instrument's actions, in one query that reads no action."""
        by_key = {one.key: one for one in wanted}
        found = dict.fromkeys(by_key.values(), ActionsMark())
        marks = (
            select(
                instruments.c.key,
                func.count().label("actions"),
                func.max(fetches.c.committed_at).label("newest"),
            )
            .join_from(actions, instruments)
            .join(fetches, fetches.c.id == actions.c.fetch_id)
            .group_by(instruments.c.id, instruments.c.key)
        )
        with reading(self._engine) as connection:
            ours = marks.where(one_of(connection, instruments.c.key, by_key))
            for row in connection.execute(ours):
                found[by_key[row.key]] = ActionsMark(int(row.actions), int(row.newest))
        return found


def in_grid_order(series: Series) -> tuple[Instrument, int]:
    """Sorts series by instrument, then finest first."""
    return series.instrument, _GRID[series.timeframe]


def _sources(
    connection: Connection, series: Series, series_id: int, rows: Rows
) -> dict[int, Source]:
    ids = np.unique(rows.fetch_id).tolist()
    if not ids:
        return {}
    asked = {"of": series_id, "first": ids[0], "last": ids[-1]}
    known = {
        int(row.id): Source(row.provider, row.origin, from_micros(row.fetched_at))
        for row in connection.execute(_SOURCES, asked)
    }
    lost = [one for one in ids if one not in known]
    if lost:
        raise StoreError(
            f"{series}: its bars name fetch {lost[0]}, which the catalog does not hold"
        )
    return {one: known[one] for one in ids}
