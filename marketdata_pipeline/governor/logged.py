"""What the log of requests holds: the newest ones, how many ended how; and removing old ones.

Not here: writing a row (log), and what the rows say of a provider (health). Ids rise with the
instant at which a request ended, but for writers at once and clocks that are set back: the newest
are those with the highest ids.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    Select,
    bindparam,
    case,
    delete,
    func,
    select,
)

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.dialect import wall_micros
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.governing import requests
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.gate import Effect, Ending
from marketdata_pipeline.domain.ranges import MICROSECOND, from_micros, to_micros

KEPT = timedelta(days=7)
NEWEST = 1000
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_BATCH = 1000
"""Rows that are removed in one transaction, a few milliseconds: requests are reported meanwhile."""
_ROW = requests.c
_SERVED = tuple(str(one) for one in Ending if one.effect is Effect.SERVED)
_MOST = bindparam("most", type_=BigInteger)
_SINCE = bindparam("since", type_=BigInteger)


@dataclass(frozen=True, slots=True)
class Request:
    """One request that was sent.

    Attributes:
        key: whose turn it took: a provider's, a bucket's or a credential's.
        series: as it is spelled; None: it was for none.
        status: of HTTP; 0: no reply came.
        ended_at: aware UTC, wall.
        took: from sending to the whole reply, or to giving up; waiting for its turn not counted.
    """

    key: str
    series: str | None
    priority: str
    attempt: int
    run_id: str | None
    ending: Ending
    status: int
    ended_at: datetime
    took: timedelta


@dataclass(frozen=True, slots=True)
class Count:
    """How many requests of a key ended alike in the last day, and when the last one did."""

    ending: Ending
    day: int
    hour: int
    last: datetime


@dataclass(frozen=True, slots=True)
class Logged:
    """What the log says of one key.

    Attributes:
        newest: of the last day, the newest first; bounded.
        counts: of the last day; an ending that did not occur is not in it.
        served_at: when the provider last served a request, however long ago.
    """

    newest: tuple[Request, ...] = ()
    counts: tuple[Count, ...] = ()
    served_at: datetime | None = None


def read_log(
    connection: Connection, keys: Sequence[str], now: datetime, *, most: int = NEWEST
) -> dict[str, Logged]:
    """What the log says of each of these keys at the wall instant ``now``."""
    counts: dict[str, list[Count]] = {key: [] for key in keys}
    bounds = {"since": to_micros(now - _DAY), "last_hour": to_micros(now - _HOUR)}
    for row in connection.execute(_counts(), bounds):
        if row.key in counts:
            last = from_micros(row.last)
            counts[row.key].append(Count(Ending(row.ending), row.day, int(row.hour), last))
    found = {}
    for key in keys:
        asked = {"of": key, "most": most, "since": bounds["since"]}
        rows = connection.execute(_newest_of_key(), asked)
        served = connection.execute(_last_served(), {"of": key}).one_or_none()
        found[key] = Logged(
            newest=tuple(_request(row) for row in rows),
            counts=tuple(counts[key]),
            served_at=None if served is None else from_micros(served.ended_at),
        )
    return found


def newest_requests(connection: Connection, most: int) -> list[Request]:
    """The newest requests of all keys, the newest first, however old."""
    return [_request(row) for row in connection.execute(_newest(), {"most": most})]


def prune(engine: Engine, clock: Clock, *, kept: timedelta = KEPT) -> int:
    """Remove what ended longer ago than ``kept``, oldest first; how many rows that were.

    The last request that was served stays for each key. Killed half way, the next call does the
    rest.

    Raises:
        StoreError: the catalog is unreachable.
    """
    with reading(engine) as connection:
        until = wall_micros(connection, clock) - kept // MICROSECOND
        keys = connection.execute(select(_ROW.key).distinct()).scalars().all()
        served = (connection.execute(_last_served(), {"of": key}).one_or_none() for key in keys)
        spared = {row.id for row in served if row is not None}

    def remove(connection: Connection) -> int:
        old = select(_ROW.id).where(_ROW.ended_at < until, _ROW.id.not_in(spared))
        some = old.order_by(_ROW.ended_at).limit(_BATCH)
        return connection.execute(delete(requests).where(_ROW.id.in_(some))).rowcount

    removed = 0
    while some := retry.write(engine, clock, remove):
        removed += some
    return removed


def _request(row: Any) -> Request:
    return Request(
        key=row.key,
        series=row.series,
        priority=row.priority,
        attempt=row.attempt,
        run_id=row.run_id,
        ending=Ending(row.ending),
        status=row.status,
        ended_at=from_micros(row.ended_at),
        took=row.took * MICROSECOND,
    )


@cache
def _counts() -> Select[Any]:
    recent = case((_ROW.ended_at >= bindparam("last_hour", type_=BigInteger), 1), else_=0)
    return (
        select(
            _ROW.key,
            _ROW.ending,
            func.count().label("day"),
            func.sum(recent).label("hour"),
            func.max(_ROW.ended_at).label("last"),
        )
        .where(_ROW.ended_at >= _SINCE)
        .group_by(_ROW.ending, _ROW.key)  # by key first, SQLite would read all keys' whole log
        .order_by(_ROW.ending, _ROW.key)
    )


@cache
def _newest_of_key() -> Select[Any]:
    """Cut by number first: the index gives that many rows and no more, however many are too old."""
    of_key = select(requests).where(_ROW.key == bindparam("of"))
    newest = of_key.order_by(_ROW.id.desc()).limit(_MOST).subquery()
    return select(newest).where(newest.c.ended_at >= _SINCE).order_by(newest.c.id.desc())


@cache
def _last_served() -> Select[Any]:
    served = select(_ROW.id, _ROW.ended_at).where(_ROW.key == bindparam("of"))
    return served.where(_ROW.ending.in_(_SERVED)).order_by(_ROW.id.desc()).limit(1)


@cache
def _newest() -> Select[Any]:
    return select(requests).order_by(_ROW.id.desc()).limit(_MOST)
