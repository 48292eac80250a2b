"""Storing what was kept apart, once a person has judged that it is right.

Not here: keeping it apart (sift, settle), and dropping it, which stores nothing (store.quarantine).
"""

from datetime import datetime

import numpy as np

from marketdata_pipeline.domain.bars import labels_of
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.coverage import Coverage, absent_ranges
from marketdata_pipeline.domain.quarantine import (
    Decision,
    Kept,
    Quarantined,
    QuarantineStatus,
    label_ranges,
)
from marketdata_pipeline.domain.ranges import (
    MICROSECOND,
    TimeRange,
    from_micros,
    merge,
    to_micros,
)
from marketdata_pipeline.domain.reply import Basis
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import Micros
from marketdata_pipeline.domain.settlement import unsettled
from marketdata_pipeline.ingest.commit import commit_over
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.write import Apart, Committed, Fetch, FetchKind, Snapshot, Write


def release(store: BarStore, kept: Kept, why: str, market_now: datetime) -> Committed:
    """Store exactly the bars and actions that are kept apart, in the place of any that are there.

    Their fetch has the facts of the reply that they came with. Final bars are changed through the
    journal, with ``why``; what is past its settlement at ``market_now`` is final. The holes that
    the bars fill are closed; derived series follow with their next update.

    Raises:
        WriteConflict: other writers kept changing the series.
        StoreError: the catalog or a file refused.
    """
    row, labels = kept.row, labels_of(kept.bars)
    provisional = unsettled(row.series, market_now)
    answered = _answered(row.series, labels)
    settled = labels
    if provisional:
        settled = labels[labels < to_micros(provisional[0].within.start)]

    def cover(before: Coverage) -> Coverage:
        return before.after(answered, [], market_now, provisional)

    def judged(stored: Snapshot) -> tuple[Write, bool]:
        final = np.union1d(settled, np.intersect1d(labels, stored.finals()))
        decision = Decision(row.id, QuarantineStatus.RELEASED, why)
        write = Write(
            series=row.series,
            fetch=_fetch_of(row),
            bars=kept.bars,
            coverage=cover,
            actions=row.actions,
            final=tuple(label_ranges(final, row.series.timeframe.length)),
            reason=f"released from quarantine: {why}",
            apart=Apart(decided=(decision,)),
        )
        return write, True

    return commit_over(store, row.series, _hull(labels) or row.window, judged)


def _hull(labels: Micros) -> TimeRange | None:
    if not len(labels):
        return None
    return TimeRange(from_micros(int(labels[0])), from_micros(int(labels[-1])) + MICROSECOND)


def _answered(series: Series, labels: Micros) -> list[TimeRange]:
    """The label ranges in which every expected bar is among these; nights between them as well."""
    hull = _hull(labels)
    if hull is None:
        return []
    grid = calendar_of(series.instrument).grid(series.timeframe, hull)
    runs = absent_ranges(grid, np.setdiff1d(grid.labels, labels), series.timeframe)
    unheard = np.setdiff1d(labels, grid.labels)  # before calendars begin
    return merge([*runs, *label_ranges(unheard, series.timeframe.length)])


def _fetch_of(row: Quarantined) -> Fetch:
    """The reply as it was told; no request is counted twice."""
    return Fetch(
        kind=FetchKind.REPLY,
        provider=row.provider,
        origin=row.origin,
        window=row.window,
        basis=Basis.RAW,
        currency=row.currency,
        market_at=row.market_at,
        fetched_at=row.fetched_at,
        run_id=row.run_id,
    )
