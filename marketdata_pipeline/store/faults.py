"""What is wrong with one series as it is stored, told from plain values.

Not here: reading it (verify).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
from sqlalchemy import Row

from marketdata_pipeline.domain.bars import CLOSURE, bad_rows, frame
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.coverage import Coverage, SpanKind
from marketdata_pipeline.domain.ranges import from_micros, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import Micros
from marketdata_pipeline.store.chunks import ChunkRow, joined, last_of_each, merged
from marketdata_pipeline.store.codec import Rows
from marketdata_pipeline.store.parts import parts_of
from marketdata_pipeline.store.write import State

AnyRow = Row[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that must not be: of which series (None: of none), what kind, and what."""

    series: Series | None
    kind: str
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """All that the store says of a series at one state of the catalog.

    Attributes:
        row: of the series.
        chunks: each readable chunk with its bars; the live ones in the order in which they win.
        fetches: id and version (None: it brought nothing), each of the series' own.
        journal: label and both fetches of each restatement.
        first_trade: the listing's first day, where it is known.
    """

    series: Series
    row: AnyRow
    chunks: Sequence[tuple[ChunkRow, Rows]]
    fetches: Sequence[AnyRow]
    coverage: Coverage
    journal: Sequence[AnyRow]
    first_trade: date | None

    @property
    def live(self) -> Rows:
        """The bars that count."""
        return merged(rows for row, rows in self.chunks if row.superseded_at is None)


def faults_of(stored: Stored, market_now: datetime) -> list[Fault]:
    """Every fault of a series whose chunks could all be read."""
    live = stored.live
    said = [
        *_of_chunks(stored),
        *_of_order(stored, live),
        *_of_totals(stored, live),
        *_of_fetches(stored),
        *_of_journal(stored, live),
        *_of_contract(stored.series, live, market_now),
        *_of_coverage(stored, live),
    ]
    return [Fault(stored.series, kind, text) for kind, text in said]


_Said = Iterator[tuple[str, str]]


def _of_chunks(stored: Stored) -> _Said:
    known = {row.id for row in stored.fetches}
    for row, rows in stored.chunks:
        what = f"chunk {row.id}"
        told = (row.rows, row.ts_min, row.ts_max)
        if told != (len(rows.ts), rows.ts.min(), rows.ts.max()):
            yield "chunk", f"{what} holds other bars than the catalog says"
        parts = {name for name, _ in parts_of(stored.series, rows.ts)}
        if parts != {row.part}:
            yield "chunk", f"{what} of part {row.part} holds bars of {', '.join(sorted(parts))}"
        if row.superseded_at is None and (np.diff(rows.ts) <= 0).any():
            yield "chunk", f"{what} is not sorted, or holds a label twice"
        if not known.issuperset(np.unique(rows.fetch_id).tolist()):
            yield "fetch", f"{what} names a fetch that is none of the series'"
        if row.seq > stored.row.version:
            yield "chunk", f"{what} is of version {row.seq}, the series of {stored.row.version}"
        if not np.isin(rows.state, list(State)).all():
            yield "chunk", f"{what} holds a state that there is none of"


def _of_order(stored: Stored, live: Rows) -> _Said:
    """Of all that is kept of a label the latest fetch counts: none went back in time."""
    kept = joined(rows for _, rows in stored.chunks)
    order = np.lexsort((kept.fetch_id, kept.ts))
    latest = kept.where(order[last_of_each(kept.ts[order])])
    at = np.searchsorted(latest.ts, live.ts)  # live labels may be unsorted, or there twice
    back = live.ts[latest.fetch_id[at] != live.fetch_id]
    if len(back):
        first = from_micros(int(back[0])).isoformat()
        yield "chunk", f"{len(back)} bars are not those of their latest fetch, first {first}"


def _of_totals(stored: Stored, live: Rows) -> _Said:
    row = stored.row
    if row.rows != len(live.ts):
        yield "catalog", f"the catalog counts {row.rows} bars, the chunks hold {len(live.ts)}"
    ends = (int(live.ts[0]), int(live.ts[-1])) if len(live.ts) else (None, None)
    if (row.first_ts, row.last_ts) != ends:
        yield "catalog", "the catalog's first or last label is not that of the chunks"


def _of_fetches(stored: Stored) -> _Said:
    """Each version was made by one fetch."""
    made = [row.version for row in stored.fetches if row.version is not None]
    if sorted(made) != list(range(1, stored.row.version + 1)):
        yield "fetch", f"{len(made)} fetches brought bars, but the version is {stored.row.version}"


def _of_journal(stored: Stored, live: Rows) -> _Said:
    known = {row.id for row in stored.fetches}
    final = set(live.ts[live.state == State.FINAL].tolist())
    for row in stored.journal:
        if not {row.old_fetch_id, row.new_fetch_id} <= known:
            yield "journal", f"restatement {row.id} names a fetch that is none of the series'"
        if row.ts not in final:
            yield "journal", f"restatement {row.id} is of a bar that is not final"


def _of_contract(series: Series, live: Rows, market_now: datetime) -> _Said:
    for bad in bad_rows(frame(live.ts, live.columns), series, market_now):
        if bad.rule != CLOSURE:
            yield "contract", f"the bar at {bad.ts.isoformat()} breaks the rule {bad.rule}"


def _of_coverage(stored: Stored, live: Rows) -> _Said:
    """Every bar was answered; what was answered and is expected is there."""
    spans = stored.coverage.spans
    starts = np.array([to_micros(one.within.start) for one in spans], dtype=np.int64)
    ends = np.array([to_micros(one.within.end) for one in spans], dtype=np.int64)
    if (starts[1:] < ends[:-1]).any():
        yield "coverage", "two spans of the coverage overlap"
    at = np.searchsorted(starts, live.ts, side="right") - 1
    inside = (at >= 0) & (live.ts < np.append(ends, 0)[at])
    if not inside.all():
        first = from_micros(int(live.ts[~inside][0]))
        yield "coverage", f"{(~inside).sum()} bars were never answered, first {first.isoformat()}"
    absent = _absent(stored, live.ts)
    if len(absent):
        first = from_micros(int(absent[0]))
        yield "coverage", f"{len(absent)} bars are covered but absent, first {first.isoformat()}"


def _absent(stored: Stored, labels: Micros) -> Micros:
    """The labels that the calendar expects in answered ranges and that are not there."""
    calendar = calendar_of(stored.series.instrument)
    found = [
        calendar.grid(stored.series.timeframe, one.within).labels
        for one in stored.coverage.spans
        if one.kind in {SpanKind.ANSWERED, SpanKind.PROVISIONAL}
    ]
    expected = np.concatenate([np.zeros(0, dtype=np.int64), *found])
    if stored.first_trade is not None:
        listed = np.datetime64(stored.first_trade, "us").astype(np.int64)
        expected = expected[expected >= listed]
    return np.setdiff1d(expected, labels)
