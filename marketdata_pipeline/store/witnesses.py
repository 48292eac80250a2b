"""Reading what the catalog knows about a range of one series, in a constant number of queries.

Not here: the values (circumstances), and the explanation that is made of them (reading.why).
"""

import json
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, Row, bindparam, or_, select

from marketdata_pipeline.database.dialect import wall_micros
from marketdata_pipeline.database.doubting import incidents, quarantine
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.governing import governor
from marketdata_pipeline.database.happening import backfill_queue
from marketdata_pipeline.database.metadata import (
    coverage,
    fetches,
    instruments,
    restatements,
)
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.backfill import Status
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.store import ledger
from marketdata_pipeline.store.chunks import bars_in, overlapping
from marketdata_pipeline.store.circumstances import (
    Asked,
    Circumstances,
    Held,
    Incident,
    LastError,
    Pause,
    Queued,
    Restated,
)
from marketdata_pipeline.store.codec import Rows
from marketdata_pipeline.store.files import BarFiles
from marketdata_pipeline.store.tracking import standings

AnyRow = Row[*tuple[Any, ...]]
_MOST_FETCHES = 200
_SERIES = select(series_table, instruments.c.first_trade).join_from(series_table, instruments)
_SPANS = (
    select(coverage)
    .where(
        coverage.c.series_id == bindparam("of"),
        coverage.c.start < bindparam("end"),
        coverage.c.end > bindparam("start"),
    )
    .order_by(coverage.c.start)
)
_FETCHES = (
    select(fetches)
    .where(
        fetches.c.series_id == bindparam("of"),
        fetches.c.window_start < bindparam("end"),
        fetches.c.window_end > bindparam("start"),
    )
    .order_by(fetches.c.id.desc())
    .limit(_MOST_FETCHES)
)
_RESTATED = select(restatements).where(
    restatements.c.series_id == bindparam("of"),
    restatements.c.ts >= bindparam("start"),
    restatements.c.ts < bindparam("end"),
)
_HELD = (
    select(quarantine)
    .where(
        quarantine.c.series_id == bindparam("of"),
        quarantine.c.status != "released",
        quarantine.c.first_ts < bindparam("end"),
        quarantine.c.last_ts >= bindparam("start"),
    )
    .order_by(quarantine.c.id.desc())
)
_INCIDENTS = select(incidents).where(
    incidents.c.calendar == bindparam("calendar"), incidents.c.closed_at.is_(None)
)
_QUEUED = (
    select(backfill_queue)
    .where(
        backfill_queue.c.instrument == bindparam("instrument"),
        backfill_queue.c.status != Status.COMPLETED.value,
    )
    .order_by(backfill_queue.c.id.desc())
)
_TURNS = select(governor).where(
    or_(
        governor.c.cooldown_until > bindparam("now"),
        governor.c.opened_until > bindparam("now"),
    )
)


class Witnesses:
    """Reads circumstances from the catalog behind ``engine`` and the files below ``folder``."""

    def __init__(self, engine: Engine, folder: Path, clock: Clock) -> None:
        self._engine = engine
        self._files = BarFiles(folder)
        self._clock = clock

    def of(self, series: Series, within: TimeRange) -> Circumstances:
        """What is known of the labels in a range.

        Raises:
            StoreError: the catalog or a file is unreadable.
        """
        with reading(self._engine) as connection:
            return self._read(connection, series, within)

    def _read(self, connection: Connection, series: Series, within: TimeRange) -> Circumstances:
        now = wall_micros(connection, self._clock)
        row = connection.execute(_SERIES.where(series_table.c.key == str(series))).first()
        ours = {"of": -1 if row is None else row.id}
        ours |= {"start": to_micros(within.start), "end": to_micros(within.end)}
        rows = self._bars(connection, series, within, row)
        asked = [_asked(one) for one in connection.execute(_FETCHES, ours)]
        calendar = series.instrument.venue.calendar
        return Circumstances(
            series=series,
            within=within,
            market_now=self._clock.market_now(),
            wall_now=from_micros(now),
            last=None if row is None else _instant(row.last_ts),
            labels=rows.ts,
            fetch_id=rows.fetch_id,
            state=rows.state,
            coverage=ledger.spans_of(connection.execute(_SPANS, ours)),
            asked=asked,
            sources=_sources(connection, rows, asked),
            restated={
                one.ts: _restated(one)
                for one in connection.execute(_RESTATED.order_by(restatements.c.id), ours)
            },
            held=[_held(one) for one in connection.execute(_HELD, ours)],
            incidents=[
                _incident(one) for one in connection.execute(_INCIDENTS, {"calendar": calendar})
            ],
            tracked=standings(connection, [series.instrument]).get(series.instrument),
            queued=_queued(connection, series),
            pauses=[_pause(one, now) for one in connection.execute(_TURNS, {"now": now})],
            first_trade=None if row is None else _day(row.first_trade),
            error=None if row is None else _error(row),
        )

    def _bars(
        self, connection: Connection, series: Series, within: TimeRange, row: AnyRow | None
    ) -> Rows:
        found = [] if row is None else overlapping(connection, row.id, within)
        return bars_in(found, self._files, series, within)


def _sources(connection: Connection, rows: Rows, asked: Sequence[Asked]) -> dict[int, Asked]:
    known = {one.id: one for one in asked}
    others = [int(one) for one in np.unique(rows.fetch_id) if int(one) not in known]
    if others:
        more = connection.execute(select(fetches).where(fetches.c.id.in_(others)))
        known |= {one.id: _asked(one) for one in more}
    return known


def _asked(row: AnyRow) -> Asked:
    return Asked(
        id=int(row.id),
        kind=row.kind,
        provider=row.provider,
        origin=row.origin,
        window=TimeRange(from_micros(row.window_start), from_micros(row.window_end)),
        market_at=from_micros(row.market_at),
        fetched_at=from_micros(row.fetched_at),
        last=_instant(row.last_ts),
        dropped={int(at): str(rule) for at, rule in json.loads(row.dropped)},
    )


def _restated(row: AnyRow) -> Restated:
    return Restated(from_micros(row.recorded_at), row.reason, row.old_close, row.new_close)


def _held(row: AnyRow) -> Held:
    return Held(
        id=int(row.id),
        within=TimeRange(from_micros(row.first_ts), from_micros(row.last_ts + 1)),
        reason=row.reason,
        detail=row.detail,
        dropped=row.status == "dropped",
        decided_at=_instant(row.decided_at),
        decided_why=row.decided_why,
    )


def _incident(row: AnyRow) -> Incident:
    return Incident(
        id=int(row.id),
        kind=row.kind,
        sessions=frozenset(date.fromisoformat(one) for one in row.sessions.split(",") if one),
        timeframes=frozenset(Timeframe.parse(one) for one in row.timeframes.split(",") if one),
        lacking=int(row.lacking),
        expected=int(row.expected),
        probe_at=_instant(row.probe_at),
    )


def _queued(connection: Connection, series: Series) -> list[Queued]:
    found = connection.execute(_QUEUED, {"instrument": series.instrument.key})
    return [
        Queued(
            id=int(row.id),
            timeframes=frozenset(Timeframe.parse(one) for one in row.timeframes.split(",")),
            start=_instant(row.start),
            end=_instant(row.end),
            status=Status(row.status),
            retry_after=from_micros(row.retry_after),
            error_category=row.error_category,
            error_message=row.error_message,
        )
        for row in found
    ]


def _pause(row: AnyRow, now: int) -> Pause:
    broken = row.opened_until > now
    return Pause(row.key, from_micros(row.opened_until if broken else row.cooldown_until), broken)


def _error(row: AnyRow) -> LastError | None:
    if row.error_category is None:
        return None
    return LastError(row.error_category, row.error_message or "", from_micros(row.error_at))


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
