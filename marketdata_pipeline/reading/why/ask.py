"""Asking why: for one label, or for each of a range, neighbours with the same answer together.

Not here: the rules (expected, came, absent, unasked), and printing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import numpy as np

from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.ranges import MICROSECOND, TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.reason import Reason
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import WEEK, monday_of
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.reading.why import absent, came, expected, unasked
from marketdata_pipeline.reading.why.answer import Answer, Case, Source
from marketdata_pipeline.store.circumstances import Circumstances
from marketdata_pipeline.store.witnesses import Witnesses

MOST = 5_000
"""Labels that one question may be about."""
_RULES: tuple[Callable[[Case], Answer | None], ...] = (
    came.stored,
    expected.closed_by_person,
    expected.not_expected,
    expected.not_closed_yet,
    expected.not_listed,
    came.quarantined,
    came.dropped,
    unasked.not_wanted,
    absent.base_lacks,
    came.lost,
    absent.outage,
    absent.by_coverage,
    unasked.too_old_to_ask,
    unasked.without_key,
    unasked.queued,
    unasked.paused,
    unasked.failed,
)
"""The first that has an answer is right."""


@dataclass(frozen=True, slots=True)
class Told:
    """The answer for one label, or for the expected ones from ``first`` to ``last``."""

    series: Series
    first: datetime
    last: datetime
    bars: int
    answer: Answer


def decide(case: Case) -> Answer:
    """The one reason of a case; pure."""
    found = (answer for rule in _RULES if (answer := rule(case)) is not None)
    return next(found, None) or unasked.never_asked(case)


def label_at(series: Series, instant: datetime) -> datetime:
    """The label that a question about an instant means: of days and weeks the one that it is in."""
    if series.timeframe.intraday:
        return instant.astimezone(UTC)
    day = datetime.combine(instant.date(), time.min, tzinfo=UTC)
    if series.timeframe is Timeframe.W1:
        return from_micros(int(monday_of(np.array([to_micros(day)]))[0]))
    return day


def why(
    witnesses: Witnesses, series: Series, within: TimeRange, sources: Sequence[Source]
) -> list[Told]:
    """Why the bars with a label in a range are there or not, in order.

    Where none is expected or stored, why the first label of the range has none.

    Args:
        witnesses: of the catalog.
        series: which one.
        within: label range; a microsecond long for a single label.
        sources: the providers that serve it, or its base where it is derived.

    Raises:
        BadInput: the range holds more labels than one question may be about.
        StoreError: the catalog or a file is unreadable.
    """
    known = witnesses.of(series, within)
    grid = calendar_of(series.instrument).grid(series.timeframe, within)
    closes = dict(zip(grid.labels.tolist(), grid.closes.tolist(), strict=True))
    labels = np.union1d(grid.labels, known.labels).tolist() or [to_micros(within.start)]
    if len(labels) > MOST:
        raise BadInput(f"{within} holds {len(labels)} bars; ask for {MOST} at most")
    base = None if series.base is None else _base(witnesses, series.base, within, sources)
    cases = (
        Case(one, closes.get(one), known, tuple(sources), None if base is None else base(one))
        for one in labels
    )
    return list(_joined(series, cases))


def _base(
    witnesses: Witnesses, base: Series, within: TimeRange, sources: Sequence[Source]
) -> "Callable[[int], tuple[datetime, Answer] | None]":
    """Finds for a derived label the first bar of its base that is not stored."""
    weekly = base.timeframe is Timeframe.D1
    step = timedelta(microseconds=WEEK) if weekly else timedelta(hours=4)
    around = TimeRange(within.start, within.end - MICROSECOND + step)
    known = witnesses.of(base, around)
    grid = calendar_of(base.instrument).grid(base.timeframe, around)
    own = Timeframe.W1 if weekly else Timeframe.H4
    buckets = calendar_of(base.instrument).bucket(own, grid.labels)

    def first_lacking(label: int) -> tuple[datetime, Answer] | None:
        for at in np.flatnonzero(buckets == label):
            case = Case(int(grid.labels[at]), int(grid.closes[at]), known, tuple(sources))
            found = decide(case)
            if found.reason is not Reason.STORED and not _before_listing(known, found):
                return case.at, found
        return None

    return first_lacking


def _before_listing(known: Circumstances, found: Answer) -> bool:
    """A week may begin before the listing does."""
    return found.reason is Reason.NOT_LISTED and known.first_trade is not None


def _joined(series: Series, cases: Iterator[Case]) -> Iterator[Told]:
    last: Told | None = None
    for case in cases:
        answer = decide(case)
        if last is not None and last.answer == answer:
            last = Told(series, last.first, case.at, last.bars + 1, answer)
            continue
        if last is not None:
            yield last
        last = Told(series, case.at, case.at, 1, answer)
    if last is not None:
        yield last
