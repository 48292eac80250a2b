"""Removing the series of instruments that are tracked no longer, once their time is over.

Not here: tracking (tracking), and the files of what is removed (gc). Only what was tracked and then
released is removed, never what was imported or fetched without ever being tracked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, Engine, delete, func, select

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.dialect import wall_micros
from marketdata_pipeline.database.doubting import action_changes, quarantine, reports
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import (
    action_coverage,
    actions,
    chunks,
    coverage,
    fetches,
    instruments,
    quality,
    restatements,
    tracked_instruments,
)
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import MICROSECOND
from marketdata_pipeline.store import identity
from marketdata_pipeline.store.chunks import retire

UNTRACKED_KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Released:
    """An instrument that was tracked, and what is stored of it."""

    instrument: Instrument
    series: int
    bars: int


class Releaser:
    """Removes from the catalog behind ``engine`` what was released longer ago than ``kept``."""

    def __init__(self, engine: Engine, clock: Clock, *, kept: timedelta = UNTRACKED_KEPT) -> None:
        self._engine = engine
        self._clock = clock
        self._kept = kept

    def due(self) -> list[Released]:
        """The instruments whose time is over and of which something is stored."""
        with reading(self._engine) as connection:
            row, held = tracked_instruments.c, series_table.c
            wanted = (
                select(
                    instruments.c.key,
                    func.count(held.id).label("series"),
                    func.sum(held.rows).label("bars"),
                )
                .join_from(tracked_instruments, instruments)
                .join(series_table, held.instrument_id == instruments.c.id)
                .where(row.untracked_at <= self._until(connection))
                .group_by(instruments.c.key)
                .order_by(instruments.c.key)
            )
            return [
                Released(Instrument.parse(one.key), one.series, int(one.bars))
                for one in connection.execute(wanted)
            ]

    def remove(self, instrument: Instrument) -> bool:
        """Remove all series of an instrument; False where it is tracked again by now.

        Their files stay for the grace that gc gives them. The instrument itself stays known.
        """
        return retry.write(
            self._engine, self._clock, lambda connection: self._remove(connection, instrument)
        )

    def _remove(self, connection: Connection, instrument: Instrument) -> bool:
        known = identity.lock_instrument(connection, instrument)
        until = self._until(connection)
        row = tracked_instruments.c
        still = (row.instrument_id == known, row.untracked_at <= until)
        if connection.execute(select(row.instrument_id).where(*still)).first() is None:
            return False
        held = select(series_table.c.id).where(series_table.c.instrument_id == known)
        ids = connection.execute(held.order_by(series_table.c.id).with_for_update()).scalars().all()
        _delete(connection, known, ids, wall_micros(connection, self._clock))
        connection.execute(delete(tracked_instruments).where(row.instrument_id == known))
        return True

    def _until(self, connection: Connection) -> int:
        return wall_micros(connection, self._clock) - self._kept // MICROSECOND


def _delete(connection: Connection, instrument: int, ids: Sequence[int], now: int) -> None:
    """Delete what hangs on series before them; a writer that comes meanwhile begins anew."""
    gone = delete(chunks).where(chunks.c.series_id.in_(ids)).returning(chunks.c.path)
    retire(connection, connection.execute(gone).scalars().all(), now)
    for table in (action_changes, actions, action_coverage):
        connection.execute(delete(table).where(table.c.instrument_id == instrument))
    for table in (restatements, coverage, quality, reports, quarantine, fetches):
        connection.execute(delete(table).where(table.c.series_id.in_(ids)))
    connection.execute(delete(series_table).where(series_table.c.id.in_(ids)))
