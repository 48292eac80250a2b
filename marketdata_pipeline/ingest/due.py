"""Which series can have news: a closed bar that was not answered yet, or a hole that is due.

Not here: when somebody looks (schedules) and the update itself.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.coverage import Coverage
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe

_LOOK_BACK = timedelta(days=60)
_REST = timedelta(days=1)
_INTRADAY = timedelta(minutes=5)


def due_series(
    series: Sequence[Series],
    coverage: Mapping[Series, Coverage],
    market_now: datetime,
    *,
    delay: timedelta,
) -> list[Series]:
    """The series that an update could bring something to.

    A day or a week counts ``delay`` after it closed, since it is corrected after the close; an
    intraday bar after at most five minutes of it. Closed markets have no
    closed bar that was not answered, so nothing of them is due.
    """
    ends: dict[tuple[str, Timeframe], datetime | None] = {}
    found = []
    for one in series:
        kind = _calendar_key(one.instrument), one.timeframe
        if kind not in ends:
            calendar = calendar_of(one.instrument)
            late = min(delay, _INTRADAY) if one.timeframe.intraday else delay
            ends[kind] = calendar.closed_until(one.timeframe, market_now - late)
        end = ends[kind]
        depth = min(_LOOK_BACK, one.timeframe.depth or _LOOK_BACK) - timedelta(days=1)
        known = coverage.get(one, Coverage())
        if end is not None and _has_news(known, end - depth, end, market_now):
            found.append(one)
    return found


def resting(unknown: Mapping[Series, datetime], wall_now: datetime) -> set[Series]:
    """Series that a provider does not know: asked again after a day, not at every look.

    ``unknown`` gives the wall instant at which it said so.
    """
    return {one for one, said_at in unknown.items() if said_at > wall_now - _REST}


def _calendar_key(instrument: Instrument) -> str:
    return f"{instrument.asset_class}/{instrument.venue.calendar}"


def _has_news(coverage: Coverage, start: datetime, end: datetime, market_now: datetime) -> bool:
    if not coverage.spans or coverage.spans[-1].within.end < end:
        return True
    holes = coverage.missing([TimeRange(start, end)], market_now)
    return any(hole.within.intersect(part) for hole in coverage.holes() for part in holes)
