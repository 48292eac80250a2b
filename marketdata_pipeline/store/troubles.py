"""What of the catalog a person may have to know of: failing rules, late series, queue.

Not here: what of it is an alert (ingest.alerting), incidents, the state of providers (governor).
Bounded: of many series there is a count, the worst few, and those that portfolios hold.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, func, or_, select

from marketdata_pipeline.database.doubting import quarantine
from marketdata_pipeline.database.governing import requests
from marketdata_pipeline.database.happening import backfill_queue, holdings
from marketdata_pipeline.database.metadata import instruments, quality, tracked_instruments
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.backfill import Status
from marketdata_pipeline.domain.ranges import from_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.store.backfills import OPEN

_MOST = 1000
_SERIES, _TRACKED = series_table.c, tracked_instruments.c


@dataclass(frozen=True, slots=True)
class FailingSeries:
    """A verdict that fails."""

    series: Series
    score: float
    detail: str


@dataclass(frozen=True, slots=True)
class FailingRule:
    """A rule that fails for so many tracked series: those with the least scores, those held."""

    rule: str
    count: int
    worst: tuple[FailingSeries, ...]
    held: tuple[FailingSeries, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """Bars in quarantine of an instrument that a portfolio holds; ``held_at`` is a wall instant."""

    series: Series
    reason: str
    detail: str
    held_at: datetime


@dataclass(frozen=True, slots=True)
class QueueTrouble:
    """The queue: how many rows have failed, since when the first due one waits (None: none is)."""

    failed: int
    due_since: datetime | None


def failing_rules(
    connection: Connection, *, without: Collection[str] = (), named: int = 5
) -> list[FailingRule]:
    """The rules that fail for a tracked series, by name."""
    counted = _failing(quality.c.rule, func.count().label("number")).group_by(quality.c.rule)
    rows = connection.execute(counted.order_by(quality.c.rule)).all()
    return [
        FailingRule(row.rule, int(row.number), *_of_rule(connection, row.rule, named))
        for row in rows
        if row.rule not in without
    ]


def held_series(connection: Connection) -> list[tuple[Series, datetime | None]]:
    """The tracked series of instruments that portfolios hold, with the label of the newest bar."""
    wanted = select(_SERIES.key, _SERIES.last_ts).select_from(_joined()).where(_tracked(), _held())
    return [
        (Series.parse(row.key), None if row.last_ts is None else from_micros(row.last_ts))
        for row in connection.execute(wanted.order_by(_SERIES.id))
    ]


def last_sign(connection: Connection) -> datetime | None:
    """The wall instant at which anything was last asked, updated or tried; None: never."""
    instants = (
        select(func.max(requests.c.ended_at)),
        select(func.max(_SERIES.updated_at)),
        select(func.max(_SERIES.error_at)),
        select(func.max(_TRACKED.last_update)),
        select(func.max(_TRACKED.last_tracked_at)),
    )
    found = [connection.execute(one).scalar() for one in instants]
    known = [int(one) for one in found if one is not None]
    return from_micros(max(known)) if known else None


def quarantined(connection: Connection) -> list[Held]:
    """What is kept apart of instruments that portfolios hold; oldest first, a thousand at most."""
    row = quarantine.c
    join = quarantine.join(series_table).join(instruments)
    wanted = select(_SERIES.key, row.reason, row.detail, row.held_at).select_from(join)
    wanted = wanted.where(row.status == "held", _held()).order_by(row.id).limit(_MOST)
    return [
        Held(Series.parse(one.key), one.reason, one.detail, from_micros(one.held_at))
        for one in connection.execute(wanted)
    ]


def queue_trouble(connection: Connection, now: int) -> QueueTrouble:
    """How the queue stands at a wall instant in microseconds."""
    row = backfill_queue.c
    failed = select(func.count()).where(row.status == Status.FAILED)
    due = select(func.min(row.retry_after)).where(row.status.in_(OPEN), row.retry_after <= now)
    since = connection.execute(due).scalar()
    number = int(connection.execute(failed).scalar_one())
    return QueueTrouble(number, None if since is None else from_micros(since))


def _joined() -> Any:
    return series_table.join(instruments).join(
        tracked_instruments, _TRACKED.instrument_id == _SERIES.instrument_id
    )


def _tracked() -> Any:
    named = ("," + _TRACKED.timeframes + ",").like("%," + _SERIES.timeframe + ",%")
    return and_(named, _TRACKED.untracked_at.is_(None))


def _held() -> Any:
    return or_(
        instruments.c.key.in_(select(holdings.c.instrument)),
        instruments.c.key.in_(select(holdings.c.pair).where(holdings.c.pair.is_not(None))),
    )


def _failing(*columns: Any) -> Select[Any]:
    join = _joined().join(quality, quality.c.series_id == _SERIES.id)
    return select(*columns).select_from(join).where(quality.c.passed.is_(False), _tracked())


def _of_rule(
    connection: Connection, rule: str, named: int
) -> tuple[tuple[FailingSeries, ...], tuple[FailingSeries, ...]]:
    wanted = _failing(_SERIES.key, quality.c.score, quality.c.detail)
    wanted = wanted.where(quality.c.rule == rule).order_by(quality.c.score, _SERIES.id)
    worst = connection.execute(wanted.limit(named))
    return _series(worst), _series(connection.execute(wanted.where(_held())))


def _series(rows: Any) -> tuple[FailingSeries, ...]:
    return tuple(FailingSeries(Series.parse(row.key), row.score, row.detail) for row in rows)
