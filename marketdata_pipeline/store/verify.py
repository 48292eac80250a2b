"""Verifying the store: that every bar can be read and that everything agrees with it.

Not here: what a fault of one series is (faults), and mending one (docs/recover.md).
"""

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from sqlalchemy import Connection, Engine, func, select

from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import (
    chunks,
    coverage,
    fetches,
    instruments,
    restatements,
    retired_files,
)
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput, StoreError
from marketdata_pipeline.store import ledger, quarantine
from marketdata_pipeline.store.chunks import ChunkRow, overlapping, read_chunk
from marketdata_pipeline.store.codec import Rows
from marketdata_pipeline.store.faults import AnyRow, Fault, Stored, faults_of
from marketdata_pipeline.store.files import GRACE, BarFiles
from marketdata_pipeline.store.gc import unnamed

_SERIES = select(series_table, instruments.c.first_trade).join_from(series_table, instruments)


class Verifier:
    """Looks at the catalog behind ``engine`` and at the files below ``folder``; changes nothing."""

    def __init__(self, engine: Engine, folder: Path, clock: Clock) -> None:
        self._engine = engine
        self._files = BarFiles(folder)
        self._clock = clock

    def series(self) -> list[Series]:
        """Every series that the catalog knows, in the order in which they came.

        Raises:
            StoreError: the catalog is unreachable, or names something that is no series.
        """
        with reading(self._engine) as connection:
            keys = connection.execute(select(series_table.c.key).order_by(series_table.c.id))
            return [_parsed(key) for key in keys.scalars()]

    def faults(self, series: Series) -> list[Fault]:
        """What is wrong with a series, each of its bars read and every byte of them verified."""
        with reading(self._engine) as connection:
            row = connection.execute(_SERIES.where(series_table.c.key == str(series))).first()
            if row is None:
                return []
            found, unreadable = self._chunks(connection, series, row.id)
            if unreadable:
                return unreadable
            stored = _stored(connection, series, row, found)
            apart = list(quarantine.faults(connection, series))
        said = [Fault(series, "quarantine", text) for text in apart]
        return [*faults_of(stored, self._clock.market_now()), *said]

    def everywhere(self) -> list[Fault]:
        """What is wrong with files and rows that belong to no single series."""
        return [
            *self._missing(),
            *self._named_twice(),
            *self._retired_yet_named(),
            *self._unnamed_series(),
        ]

    def orphans(self) -> list[Fault]:
        """Files that nothing names and that gc would remove."""
        found = unnamed(self._engine, self._files, self._clock, GRACE)
        told = "nothing names the bar file {}; marketdata gc removes it"
        return [Fault(None, "orphan", told.format(path)) for path in found]

    def _chunks(
        self, connection: Connection, series: Series, series_id: int
    ) -> tuple[list[tuple[ChunkRow, Rows]], list[Fault]]:
        found: list[tuple[ChunkRow, Rows]] = []
        unreadable: list[Fault] = []
        for row in overlapping(connection, series_id, None, live=False):
            try:
                found.append((row, read_chunk(row, self._files, series)))
            except StoreError as error:
                unreadable.append(Fault(series, "unreadable", str(error)))
        return found, unreadable

    def _missing(self) -> Iterator[Fault]:
        """Files that the catalog names and that are not there; the series' own check says why."""
        wanted = select(chunks.c.path, series_table.c.key).join_from(chunks, series_table)
        with reading(self._engine) as connection:
            rows = connection.execute(wanted.where(chunks.c.path.is_not(None))).all()
            for row in rows:
                if not (self._files.folder / row.path).is_file():
                    yield Fault(_parsed(row.key), "file", f"bar file {row.path} is missing")

    def _named_twice(self) -> Iterator[Fault]:
        wanted = select(chunks.c.path).where(chunks.c.path.is_not(None)).group_by(chunks.c.path)
        with reading(self._engine) as connection:
            for path in connection.execute(wanted.having(func.count() > 1)).scalars():
                yield Fault(None, "file", f"two chunks name the bar file {path}")

    def _retired_yet_named(self) -> Iterator[Fault]:
        wanted = select(chunks.c.path).join(retired_files, retired_files.c.path == chunks.c.path)
        with reading(self._engine) as connection:
            for path in connection.execute(wanted).scalars():
                yield Fault(None, "file", f"the bar file {path} is retired, yet a chunk names it")

    def _unnamed_series(self) -> Iterator[Fault]:
        """Series whose key is not that of their instrument and timeframe."""
        wanted = select(
            series_table.c.key, series_table.c.timeframe, instruments.c.key.label("instrument")
        ).join_from(series_table, instruments)
        with reading(self._engine) as connection:
            for row in connection.execute(wanted):
                if row.key != f"{row.instrument}|{row.timeframe}":
                    yield Fault(None, "catalog", f"series {row.key} is kept as another one")


def _stored(
    connection: Connection, series: Series, row: AnyRow, found: Sequence[tuple[ChunkRow, Rows]]
) -> Stored:
    spans = select(coverage).where(coverage.c.series_id == row.id).order_by(coverage.c.start)
    ours = select(fetches.c.id, fetches.c.version).where(fetches.c.series_id == row.id)
    told = restatements.c
    journal = select(told.id, told.ts, told.old_fetch_id, told.new_fetch_id)
    return Stored(
        series=series,
        row=row,
        chunks=found,
        fetches=connection.execute(ours).all(),
        coverage=ledger.spans_of(connection.execute(spans)),
        journal=connection.execute(journal.where(told.series_id == row.id)).all(),
        first_trade=None if row.first_trade is None else date.fromisoformat(row.first_trade),
    )


def _parsed(key: str) -> Series:
    try:
        return Series.parse(key)
    except BadInput as error:
        raise StoreError(f"the catalog names {key!r}, which is no series") from error
