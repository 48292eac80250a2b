"""Which instruments are kept up to date, at which timeframes and from when on, and for whom.

Not here: what is fetched for them (ingest), and Dagster's partitions (orchestrator).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, bindparam, select, update

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.dialect import one_of, upsert, wall_micros
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import instruments, tracked_instruments
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import from_micros, to_micros
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.store import identity, launches

_ROW = tracked_instruments.c


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


@dataclass(frozen=True, slots=True)
class Standing:
    """A row: how an instrument is tracked, or was. Instants but ``since`` are wall instants.

    Attributes:
        timeframes: in the order of the grid.
        since: from which instant on; None: each timeframe's usual depth, all there is for days.
        last_tracked_at: when somebody last wanted more of it than before.
        untracked_at: since when it is not kept up to date any more; None: it is.
        by_hand: somebody said so, whether it is held or not.
        holders: portfolios that hold it, or something that needs it.
        released_at: since when it was held and is not any more; None: it is, or never was.
    """

    instrument: Instrument
    timeframes: tuple[Timeframe, ...]
    since: datetime | None
    first_tracked_at: datetime
    last_tracked_at: datetime
    untracked_at: datetime | None = None
    by_hand: bool = False
    holders: int = 0
    released_at: datetime | None = None


class Tracking:
    """The tracked instruments in the catalog behind ``engine``."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def put(self, tracked: Tracked) -> Tracked:
        """Track an instrument by hand; what is tracked afterwards.

        Tracking again adds timeframes and moves ``since`` backwards only (None is the furthest);
        after a removal it starts anew. Who holds it stays as it is.
        """
        return retry.write(
            self._engine, self._clock, lambda connection: self._put(connection, tracked)
        )

    def remove(self, instrument: Instrument) -> bool:
        """Track an instrument by hand no longer; whether it is tracked no longer at all.

        One that a portfolio holds stays tracked. Bars stay, and rows of the queue that wait for it
        are removed. Nothing happens where it is not
        tracked.
        """

        def release(connection: Connection) -> bool:
            identity.lock_instrument(connection, instrument)
            before = standings(connection, [instrument]).get(instrument)
            if before is None or before.untracked_at is not None:
                return True
            at = None if before.holders else from_micros(wall_micros(connection, self._clock))
            put_standings(connection, [replace(before, by_hand=False, untracked_at=at)])
            if at is not None:
                launches.drop_waiting(connection, [instrument])
            return at is not None

        return retry.write(self._engine, self._clock, release)

    def all(self) -> list[Tracked]:
        """Every tracked instrument, in the order of tracking."""
        order = _tracked().order_by(_ROW.first_tracked_at, _ROW.instrument_id)
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

    def last_updates(self) -> dict[Instrument, datetime]:
        """The wall instant at which a run was last done with a tracked instrument without error."""
        row = tracked_instruments.c
        wanted = select(instruments.c.key, row.last_update)
        wanted = wanted.join_from(tracked_instruments, instruments)
        wanted = wanted.where(row.last_update.is_not(None), row.untracked_at.is_(None))
        with reading(self._engine) as connection:
            rows = connection.execute(wanted).all()
        return {Instrument.parse(key): from_micros(at) for key, at in rows}

    def standing(self, instrument: Instrument) -> Standing | None:
        """How it is tracked or was, and for whom; None: it never was."""
        with reading(self._engine) as connection:
            return standings(connection, [instrument]).get(instrument)

    def updated(self, wanted: Iterable[Instrument]) -> None:
        """Note that these instruments were just brought up to date."""
        keys = [one.key for one in wanted]

        def note(connection: Connection) -> None:
            ours = select(instruments.c.id).where(one_of(connection, instruments.c.key, keys))
            done = update(tracked_instruments).where(_ROW.instrument_id.in_(ours))
            connection.execute(done.values(last_update=wall_micros(connection, self._clock)))

        if keys:
            retry.write(self._engine, self._clock, note)

    def _put(self, connection: Connection, tracked: Tracked) -> Tracked:
        identity.lock_instrument(connection, tracked.instrument)
        now = from_micros(wall_micros(connection, self._clock))
        row = standings(connection, [tracked.instrument]).get(tracked.instrument)
        if row is not None and row.untracked_at is not None:
            row = replace(row, untracked_at=None, released_at=None)
        before = _get(connection, tracked.instrument)
        merged = _merged(before, tracked, now)
        first = merged.first_tracked_at or now
        if row is None:
            row = Standing(tracked.instrument, merged.timeframes, merged.since, first, now)
        row = replace(
            row,
            timeframes=merged.timeframes,
            since=merged.since,
            first_tracked_at=first,
            last_tracked_at=now,
            by_hand=True,
        )
        put_standings(connection, [row])
        return merged


def standings(
    connection: Connection, wanted: Iterable[Instrument] | None = None
) -> dict[Instrument, Standing]:
    """The rows of these instruments, or of all; none for one that was never tracked."""
    found = select(instruments.c.key, tracked_instruments).join_from(
        tracked_instruments, instruments
    )
    if wanted is not None:
        found = found.where(one_of(connection, instruments.c.key, [one.key for one in wanted]))
    rows = (_standing(row) for row in connection.execute(found))
    return {one.instrument: one for one in rows}


def put_standings(connection: Connection, rows: Sequence[Standing]) -> None:
    """Write rows, whose instruments the catalog knows; when they were last updated stays."""
    ids = identity.known_ids(connection, [one.instrument for one in rows])
    values = [{"instrument_id": ids[one.instrument], **_columns(one)} for one in rows]
    upsert(connection, tracked_instruments, ("instrument_id",), values)


def end(connection: Connection, ended: Collection[Instrument], at: datetime) -> None:
    """Keep these instruments up to date no longer."""
    if ended:
        ids = identity.known_ids(connection, ended)
        rows = [{"of": ids[one], "at": to_micros(at)} for one in ended]
        connection.execute(_ended(), rows)


@cache
def _ended() -> Any:
    row = update(tracked_instruments).where(_ROW.instrument_id == bindparam("of"))
    return row.values(untracked_at=bindparam("at"))


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
        .where(_ROW.untracked_at.is_(None))
    )


def _get(connection: Connection, instrument: Instrument) -> Tracked | None:
    row = connection.execute(_tracked().where(instruments.c.key == instrument.key)).first()
    return None if row is None else _value(row)


def _value(row: Row[*tuple[Any, ...]]) -> Tracked:
    return Tracked(
        Instrument.parse(row.key),
        _frames(row.timeframes),
        _instant(row.since),
        from_micros(row.first_tracked_at),
    )


def _standing(row: Row[*tuple[Any, ...]]) -> Standing:
    return Standing(
        Instrument(row.key),
        _frames(row.timeframes),
        _instant(row.since),
        from_micros(row.first_tracked_at),
        from_micros(row.last_tracked_at),
        _instant(row.untracked_at),
        bool(row.by_hand),
        int(row.holders),
        _instant(row.released_at),
    )


def _columns(one: Standing) -> dict[str, Any]:
    return {
        "timeframes": ",".join(map(str, one.timeframes)),
        "since": _micros(one.since),
        "first_tracked_at": to_micros(one.first_tracked_at),
        "last_tracked_at": to_micros(one.last_tracked_at),
        "untracked_at": _micros(one.untracked_at),
        "by_hand": one.by_hand,
        "holders": one.holders,
        "released_at": _micros(one.released_at),
    }


@cache
def _frames(text: str) -> tuple[Timeframe, ...]:
    return tuple(Timeframe.parse(one) for one in text.split(","))


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _micros(instant: datetime | None) -> int | None:
    return None if instant is None else to_micros(instant)
