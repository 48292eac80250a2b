"""Which series can have news: a closed bar that was not answered yet, or a hole that is due.

Not here: when somebody looks (schedules) and the update itself.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.coverage import Reached
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe

_LOOK_BACK = timedelta(days=60)
_REST = timedelta(days=1)


def due_series(
    series: Sequence[Series],
    reached: Mapping[Series, Reached],
    market_now: datetime,
    *,
    delay: timedelta,
) -> list[Series]:
    """The series that an update could bring something to; one not ``reached`` was never asked for.

    A day or a week counts ``delay`` after it closed, since it is corrected after the close; an
    intraday bar after at most five minutes of it. Closed markets have no
    closed bar that was not answered, so nothing of them is due.
    """
    windows = _windows(series, market_now, delay)
    return [one for one, window in windows.items() if _has_news(reached.get(one), window)]


def with_holes(
    series: Sequence[Series],
    reached: Mapping[Series, Reached],
    market_now: datetime,
    *,
    delay: timedelta,
) -> list[Series]:
    """The series with a hole that is due; arguments as above."""
    windows = _windows(series, market_now, delay)
    return [one for one, window in windows.items() if _has_hole(reached.get(one), window)]


def resting(unknown: Mapping[Series, datetime], wall_now: datetime) -> set[Series]:
    """Series that a provider does not know: asked again after a day, not at every look.

    ``unknown`` gives the wall instant at which it said so.
    """
    return {one for one, said_at in unknown.items() if said_at > wall_now - _REST}


def _calendar_key(instrument: Instrument) -> str:
    return f"{instrument.asset_class}/{instrument.venue.calendar}"


def _windows(
    series: Sequence[Series], market_now: datetime, delay: timedelta
) -> dict[Series, TimeRange]:
    """The window of each series of which any bar closed; made once a calendar and timeframe."""
    kinds = {one: _calendar_key(one) for one in {each.instrument for each in series}}
    known: dict[tuple[str, Timeframe], TimeRange | None] = {}
    found: dict[Series, TimeRange] = {}
    for one in series:
        kind = kinds[one.instrument], one.timeframe
        if kind not in known:
            known[kind] = _window(one, market_now, delay)
        window = known[kind]
        if window is not None:
            found[one] = window
    return found


def _window(series: Series, market_now: datetime, delay: timedelta) -> TimeRange | None:
    """What should be answered by now, as far back as holes are looked for; None: no bar closed.

    It is the same for all series of a calendar and timeframe.
    """
    timeframe = series.timeframe
    asked = market_now - timeframe.asked_after(delay)
    end = calendar_of(series.instrument).closed_until(timeframe, asked)
    if end is None:
        return None
    depth = min(_LOOK_BACK, timeframe.depth or _LOOK_BACK) - timedelta(days=1)
    return TimeRange(end - depth, end)


def _has_news(reached: Reached | None, window: TimeRange) -> bool:
    if reached is None or reached.until is None or reached.until < window.end:
        return True
    return _has_hole(reached, window)


def _has_hole(reached: Reached | None, window: TimeRange) -> bool:
    return reached is not None and reached.due is not None and reached.due > window.start
