"""Which instruments are kept up to date, at which timeframes and from when on.

Not here: what is fetched for them (ingest), and Dagster's partitions (orchestrator).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, select, update

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.dialect import one_of, upsert, wall_micros
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import instruments, tracked_instruments
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import from_micros, to_micros
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.store import identity


@dataclass(frozen=True, slots=True)
class Tracked:
    """A tracked instrument.

    Attributes:
        timeframes: in the order of the grid.
        since: from which instant on; None: each timeframe's usual depth, all there is for days.
        first_tracked_at: wall instant since when it is tracked; None: now.
    """

    instrument: Instrument
    timeframes: tuple[Timeframe, ...]
    since: datetime | None = None
    first_tracked_at: datetime | None = None


class Tracking:
    """The tracked instruments in the catalog behind ``engine``."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def put(self, tracked: Tracked) -> Tracked:
        """Track an instrument; what is tracked afterwards.

        Tracking again adds timeframes and moves ``since`` backwards only (None is the furthest);
        after a removal it starts anew.
        """
        return retry.write(
            self._engine, self._clock, lambda connection: self._put(connection, tracked)
        )

    def remove(self, instrument: Instrument) -> None:
        """Track an instrument no longer; its bars stay. Nothing happens where it is not tracked."""

        def release(connection: Connection) -> None:
            row = tracked_instruments.c
            known = select(instruments.c.id).where(instruments.c.key == instrument.key)
            connection.execute(
                update(tracked_instruments)
                .where(row.instrument_id == known.scalar_subquery(), row.untracked_at.is_(None))
                .values(untracked_at=wall_micros(connection, self._clock))
            )

        retry.write(self._engine, self._clock, release)

    def all(self) -> list[Tracked]:
        """Every tracked instrument, in the order of tracking."""
        order = _tracked().order_by(
            tracked_instruments.c.first_tracked_at, tracked_instruments.c.instrument_id
        )
        with reading(self._engine) as connection:
            return [_value(row) for row in connection.execute(order)]

    def get(self, instrument: Instrument) -> Tracked | None:
        """The instrument as tracked, or None."""
        with reading(self._engine) as connection:
            return _get(connection, instrument)

    def held(self) -> set[Instrument]:
        """The tracked instruments that a portfolio holds, or that it needs for one that it does."""
        row = tracked_instruments.c
        wanted = select(instruments.c.key).join_from(tracked_instruments, instruments)
        wanted = wanted.where(row.holders > 0, row.untracked_at.is_(None))
        with reading(self._engine) as connection:
            return {Instrument.parse(key) for key in connection.execute(wanted).scalars()}

    def updated(self, updated: Iterable[Instrument]) -> None:
        """These were updated now; nothing happens where one is not known."""
        keys = sorted({one.key for one in updated})
        if not keys:
            return

        def note(connection: Connection) -> None:
            ours = select(instruments.c.id).where(one_of(connection, instruments.c.key, keys))
            connection.execute(
                update(tracked_instruments)
                .where(tracked_instruments.c.instrument_id.in_(ours))
                .values(last_update=wall_micros(connection, self._clock))
            )

        retry.write(self._engine, self._clock, note)

    def _put(self, connection: Connection, tracked: Tracked) -> Tracked:
        known = identity.lock_instrument(connection, tracked.instrument)
        now = from_micros(wall_micros(connection, self._clock))
        merged = _merged(_get(connection, tracked.instrument), tracked, now)
        row = {
            "instrument_id": known,
            "timeframes": ",".join(map(str, merged.timeframes)),
            "since": None if merged.since is None else to_micros(merged.since),
            "first_tracked_at": to_micros(merged.first_tracked_at or now),
            "last_tracked_at": to_micros(now),
            "untracked_at": None,
            "by_hand": True,
            "holders": 0,
        }
        upsert(connection, tracked_instruments, ("instrument_id",), [row])
        return merged


def _merged(before: Tracked | None, asked: Tracked, now: datetime) -> Tracked:
    """What is tracked once ``asked`` is added to ``before``."""
    frames, since, at = set(asked.timeframes), asked.since, asked.first_tracked_at or now
    if before is not None:
        frames |= set(before.timeframes)
        since = None if since is None or before.since is None else min(since, before.since)
        at = before.first_tracked_at or at
    grid = tuple(one for one in Timeframe if one in frames)
    return Tracked(asked.instrument, grid, since, at)


def _tracked() -> Select[*tuple[Any, ...]]:
    return (
        select(instruments.c.key, tracked_instruments)
        .join_from(tracked_instruments, instruments)
        .where(tracked_instruments.c.untracked_at.is_(None))
    )


def _get(connection: Connection, instrument: Instrument) -> Tracked | None:
    row = connection.execute(_tracked().where(instruments.c.key == instrument.key)).first()
    return None if row is None else _value(row)


def _value(row: Row[*tuple[Any, ...]]) -> Tracked:
    return Tracked(
        Instrument.parse(row.key),
        tuple(Timeframe.parse(one) for one in row.timeframes.split(",")),
        None if row.since is None else from_micros(row.since),
        from_micros(row.first_tracked_at),
    )
