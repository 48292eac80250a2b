"""What becomes of coverage when a calendar changes on one day.

Not here: what changes it (closures), and where coverage is kept.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import numpy as np

from marketdata_pipeline.domain.calendars import Calendar
from marketdata_pipeline.domain.coverage import Coverage, Span, SpanKind
from marketdata_pipeline.domain.ranges import (
    TimeRange,
    from_micros,
    intersect,
    parts_outside,
    to_micros,
)
from marketdata_pipeline.domain.sessions import DAY, WEEK, monday_of
from marketdata_pipeline.domain.timeframe import Timeframe

UNSETTLED = frozenset({SpanKind.HOLE, SpanKind.PROVISIONAL})
"""What is asked again."""


def reconsidered(
    coverage: Coverage, gone: Sequence[TimeRange], came: Sequence[TimeRange]
) -> Coverage:
    """The coverage once ranges are expected no more (``gone``), or are from now on (``came``).

    Holes that are expected no more are answered; what is expected anew was never asked for.
    """
    open_ranges = [one.within for one in coverage.spans if one.kind in UNSETTLED]
    full = [Span(one, SpanKind.ANSWERED) for one in intersect(open_ranges, gone)]
    spans = [
        one if one.kind is SpanKind.OUT_OF_DEPTH else replace(one, within=part)
        for one in coverage.overlay(full).spans
        for part in (
            [one.within]
            if one.kind is SpanKind.OUT_OF_DEPTH
            else parts_outside(one.within, list(came))
        )
    ]
    return Coverage(tuple(spans))


def affected(
    timeframe: Timeframe, calendars: Sequence[Calendar], session: date
) -> TimeRange | None:
    """The labels of a timeframe that a session's hours are about; None: it has none."""
    label = to_micros(datetime.combine(session, time.min, tzinfo=UTC))
    if timeframe is Timeframe.W1:
        return _week(session)
    if timeframe is Timeframe.D1:
        return TimeRange(from_micros(label), from_micros(label + DAY))
    days = [one.days(label, label + DAY) for one in calendars]
    opens = [int(one.open[0]) for one in days if len(one.open)]
    closes = [int(one.close[-1]) for one in days if len(one.close)]
    return TimeRange(from_micros(min(opens)), from_micros(max(closes))) if opens else None


def around(session: date) -> TimeRange:
    """The same, and the evening before, on which a week may begin."""
    week = _week(session)
    return TimeRange(week.start - timedelta(days=1), week.end)


def _week(session: date) -> TimeRange:
    """The week of a session, from Monday on."""
    label = to_micros(datetime.combine(session, time.min, tzinfo=UTC))
    monday = int(monday_of(np.array([label]))[0])
    return TimeRange(from_micros(monday), from_micros(monday + WEEK))


def expects_more(session: date, old: Calendar, new: Calendar) -> bool:
    """Whether the new calendar expects of a day what the old one did not."""
    label = to_micros(datetime.combine(session, time.min, tzinfo=UTC))
    before, after = old.days(label, label + DAY), new.days(label, label + DAY)
    if not len(after.label) or not len(before.label):
        return len(after.label) > 0
    return bool(after.open[0] < before.open[0] or after.close[0] > before.close[0])
