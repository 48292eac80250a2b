"""What a write says beside its bars: the fetch, coverage, actions, and an instrument's facts.

Not here: chunks, and the order in which a transaction does all this (bars).
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Select,
    Text,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from marketdata_pipeline.database.metadata import (
    coverage,
    fetches,
    instruments,
    series,
)
from marketdata_pipeline.domain.coverage import Coverage, Reached, Span, SpanKind
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, to_micros
from marketdata_pipeline.store.write import Fetch, Write

_FACTS = {
    name: func.coalesce(bindparam(f"told_{name}", type_=Text), instruments.c[name])
    for name in ("currency", "first_trade", "asset_class")
}
_NOTE = update(instruments).where(instruments.c.id == bindparam("of")).values(_FACTS)
_NOTE_NEWS = _NOTE.where(
    or_(*(instruments.c[name].is_distinct_from(told) for name, told in _FACTS.items()))
)
_INSERT_FETCH = insert(fetches).returning(fetches.c.id)
_COVERAGE = (
    select(coverage).where(coverage.c.series_id == bindparam("of")).order_by(coverage.c.start)
)
_COVER = insert(coverage)
_UNCOVER = delete(coverage).where(
    coverage.c.series_id == bindparam("of"), coverage.c.start == bindparam("at")
)


@dataclass(frozen=True, slots=True)
class Brought:
    """What a fetch made of its series, in wall microseconds and labels; None: it had no bars."""

    committed_at: int
    version: int | None = None
    first: int | None = None
    last: int | None = None


def insert_fetch(connection: Connection, write: Write, series_id: int, brought: Brought) -> int:
    """Enter the fetch; its id."""
    fetch: Fetch = write.fetch
    row = {
        "series_id": series_id,
        "kind": fetch.kind.value,
        "provider": fetch.provider,
        "origin": fetch.origin,
        "window_start": to_micros(fetch.window.start),
        "window_end": to_micros(fetch.window.end),
        "basis": fetch.basis.value,
        "currency": fetch.currency,
        "market_at": to_micros(fetch.market_at),
        "fetched_at": to_micros(fetch.fetched_at),
        "committed_at": brought.committed_at,
        "rows": len(write.bars),
        "requests": fetch.requests,
        "dropped": json.dumps([[to_micros(bad.ts), bad.rule] for bad in fetch.dropped]),
        "base_version": fetch.base_version,
        "run_id": fetch.run_id,
        "version": brought.version,
        "first_ts": brought.first,
        "last_ts": brought.last,
    }
    return int(connection.execute(_INSERT_FETCH, row).scalar_one())


def spans_of(rows: Iterable[Row[*tuple[Any, ...]]]) -> Coverage:
    """The coverage that rows of the table say, which are sorted by start."""
    return Coverage(
        tuple(
            Span(
                TimeRange(from_micros(row.start), from_micros(row.end)),
                SpanKind(row.kind),
                None if row.recheck_at is None else from_micros(row.recheck_at),
                row.tries,
                None if row.since is None else from_micros(row.since),
            )
            for row in rows
        )
    )


def select_reached(market_now: datetime) -> Select[*tuple[Any, ...]]:
    """Of each series with coverage its key, and what ``reached_of`` reads; grouped, unordered."""
    span = coverage.c
    due = and_(span.kind == SpanKind.HOLE.value, span.recheck_at <= to_micros(market_now))
    ends = func.max(span.end).label("until"), func.max(case((due, span.end))).label("due")
    return (
        select(series.c.key, *ends).join_from(coverage, series).group_by(series.c.id, series.c.key)
    )


def reached_of(row: Row[*tuple[Any, ...]]) -> Reached:
    """How far the coverage reaches that a row of ``select_reached`` sums up."""
    return Reached(from_micros(row.until), None if row.due is None else from_micros(row.due))


def change_coverage(
    connection: Connection, series_id: int, change: Callable[[Coverage], Coverage]
) -> Coverage:
    """Apply a function to the coverage as it is now, the series' row being locked; the result."""
    before = spans_of(connection.execute(_COVERAGE, {"of": series_id}))
    after = change(before)
    kept, known = set(after.spans), set(before.spans)
    gone = [one for one in before.spans if one not in kept]
    if gone:
        starts = [{"of": series_id, "at": to_micros(one.within.start)} for one in gone]
        connection.execute(_UNCOVER, starts)
    fresh = [_span_row(one, series_id) for one in after.spans if one not in known]
    if fresh:
        connection.execute(_COVER, fresh)
    return after


def _span_row(span: Span, series_id: int) -> dict[str, object]:
    return {
        "series_id": series_id,
        "start": to_micros(span.within.start),
        "end": to_micros(span.within.end),
        "kind": span.kind.value,
        "recheck_at": None if span.recheck_at is None else to_micros(span.recheck_at),
        "tries": span.tries,
        "since": None if span.since is None else to_micros(span.since),
    }


def lock_instrument(connection: Connection, write: Write, instrument_id: int) -> None:
    """Note the instrument's facts; from here on no other writer changes its facts or actions.

    Nothing is locked where the write has no actions and says nothing new of the instrument.
    """
    facts = {
        "currency": write.fetch.currency,
        "first_trade": None if write.first_trade is None else write.first_trade.isoformat(),
        "asset_class": None if write.asset_class is None else str(write.asset_class),
    }
    told = {"of": instrument_id, **{f"told_{name}": value for name, value in facts.items()}}
    if write.actions or write.actions_within is not None:
        connection.execute(_NOTE, told)
    elif any(value is not None for value in facts.values()):
        connection.execute(_NOTE_NEWS, told)
