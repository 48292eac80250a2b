"""The schedules behind calendars: their days and segments, built once for a span of years.

Not here: which part of them is looked at (calendars), and arithmetic on them (sessions).
Exchange sessions come from exchange_calendars, always with an explicit start and end inside each
calendar's bounds. FX trades from Sunday 17:00 to Friday 17:00 New York; CME's break is 16:00 to
17:00 Chicago (CME Group, "Trading hours"), and its equity indices stop at 12:15 Chicago on the days
on which New York closes early (CME Group, "Holiday calendar"; exchange_calendars has 12:00, and no
early close on 3 July).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.ranges import from_micros, to_micros
from marketdata_pipeline.domain.sessions import DAY, WEEK, Days, Micros, Segments

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
"""Nothing is expected before this day: exchange_calendars lists no holidays of the years before
(XNYS 1969 has 258 sessions there, 250 were held)."""
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
"""Nor from this day on: a calendar of 8,000 years takes minutes to build."""
_RECENT = datetime(2012, 1, 1, tzinfo=UTC)
_BLOCK = 260 * WEEK
"""FX is built for whole blocks of five years, which many calls have in common."""
_BUILDING = Lock()
"""Or each thread of a pool would build what all of them need first."""
_FRIDAY, _SATURDAY, _SUNDAY = 4, 5, 6


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """The days and the segments of a market."""

    days: Days
    segments: Segments


def exchange_schedule(name: str, start: int, end: int) -> Schedule:
    """Sessions of an exchange calendar around ``[start, end)`` at least, within its bounds.

    The recent part where that is enough: building 60 years takes half a second.
    """
    recent = start - 14 * DAY >= to_micros(_RECENT)
    last = from_micros(min(end, to_micros(LATEST)))
    through = (last.year + 1) // 5 * 5 + 4
    with _BUILDING:
        return _exchange_schedule(name, _RECENT if recent else EARLIEST, max(through, 2029))


def fx_schedule(start: int, end: int) -> Schedule:
    """FX days and segments with a label in ``[start, end)``, and some around."""
    first = max(start // _BLOCK * _BLOCK, min(start, to_micros(EARLIEST)))
    last = min(-(-end // _BLOCK) * _BLOCK, max(end, to_micros(LATEST)))
    with _BUILDING:
        return _fx_schedule(first, last)


@lru_cache(maxsize=256)
def exchange_bound(name: str) -> datetime:
    """The first day that exchange_calendars knows of an exchange, 1970 at the earliest."""
    bound = _factory(name).bound_min()
    if bound is None:
        return EARLIEST
    return max(EARLIEST, datetime(bound.year, bound.month, bound.day, tzinfo=UTC))


def _factory(name: str) -> Any:
    """The class of an exchange calendar: the library has no public way to a calendar's bounds."""
    from exchange_calendars.calendar_utils import _default_calendar_factories

    return _default_calendar_factories[name]


@lru_cache(maxsize=256)
def _exchange_schedule(name: str, start: datetime, through: int) -> Schedule:
    """Sessions of an exchange calendar from ``start`` through a year, within its bounds."""
    factory = _factory(name)
    low, high = factory.bound_min(), factory.bound_max()
    first = pd.Timestamp(start.date())
    last = pd.Timestamp(year=through, month=12, day=31)
    first = first if low is None else max(first, low)
    known = last if high is None else min(last, high)
    calendar = factory(start=first, end=known)
    table = _carried_on(calendar.schedule, last, str(calendar.tz))
    label, opened = _micros(pd.DatetimeIndex(table.index)), _micros(table["open"])
    closed = _micros(table["close"])
    if name == "CMES":
        closed = _halted(pd.DatetimeIndex(table.index), closed, (start, through))
    broken = table["break_start"].notna().to_numpy()
    breaks = _micros(table["break_start"][broken]), _micros(table["break_end"][broken])
    ends = closed.copy()
    ends[broken] = breaks[0]
    morning = Segments(opened, opened, ends)
    afternoon = Segments(breaks[1], breaks[1], closed[broken])
    return Schedule(Days(label, opened, closed), Segments.of([morning, afternoon]))


def _halted(dates: pd.DatetimeIndex, closed: Micros, known: tuple[datetime, int]) -> Micros:
    """When CME's sessions of these dates end, that are ``closed`` in exchange_calendars."""
    new_york = _exchange_schedule("XNYS", *known).days
    usual = _instants(_dated(new_york.label), "America/New_York", hour=16)
    early = np.isin(_micros(dates), new_york.label[new_york.close < usual])
    quarter_past = _instants(dates, "America/Chicago", hour=12, minute=15)
    halt = _instants(dates, "America/Chicago", hour=16)
    return np.where(early, quarter_past, np.minimum(closed, halt))


@lru_cache(maxsize=256)
def _fx_schedule(start: int, end: int) -> Schedule:
    """The FX days and segments with a label in ``[start, end)``."""
    dates = _dates(start, end)
    dates = dates[dates.day_of_week != _SATURDAY]
    label, weekday = _micros(dates), dates.day_of_week
    five = _instants(dates, "America/New_York", hour=17)
    opened = np.where(weekday == _SUNDAY, five, label)
    closed = np.where(weekday == _FRIDAY, five, label + DAY)
    segments = Segments(label, opened, closed)
    midnight = _instants(dates, "Europe/London", hour=0)
    next_one = _instants(dates + pd.Timedelta(days=1), "Europe/London", hour=0)
    ends = np.where(weekday == _FRIDAY, np.minimum(next_one, five), next_one)
    bars = weekday != _SUNDAY
    return Schedule(Days(label[bars], midnight[bars], ends[bars]), segments)


def _carried_on(table: pd.DataFrame, last: pd.Timestamp, zone: str) -> pd.DataFrame:
    """Sessions up to ``last``: past the calendar's bound each weekday, at the hours known last.

    A holiday there is expected in vain and becomes a hole; without it a market would stop for ever
    on the day that its calendar ends (XSHG, XBOM and XSES of exchange_calendars 4.13: 2026-12-31).
    """
    final = pd.Timestamp(table.index[-1])
    dates = pd.bdate_range(final + pd.Timedelta(days=1), last)
    if not len(dates):
        return table
    more: dict[str, pd.DatetimeIndex] = {}
    for name in table.columns:
        known = pd.Timestamp(table[name].iloc[-1])
        if pd.isna(known):
            more[name] = pd.DatetimeIndex([pd.NaT] * len(dates), tz="UTC")
        else:
            hour = known.tz_convert(zone).tz_localize(None) - final
            more[name] = (dates + hour).tz_localize(zone).tz_convert("UTC")
    carried: pd.DataFrame = pd.concat([table, pd.DataFrame(more, index=dates)])
    return carried


def _dates(start: int, end: int) -> pd.DatetimeIndex:
    """Naive dates whose 00:00 UTC is in ``[start, end)``."""
    first = pd.Timestamp(-(-start // DAY) * DAY, unit="us")
    last = pd.Timestamp((end - 1) // DAY * DAY, unit="us")
    return pd.date_range(first, last, freq="D", unit="us")


def _dated(labels: Micros) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(labels.astype("datetime64[us]"))


def _instants(dates: pd.DatetimeIndex, zone: str, *, hour: int, minute: int = 0) -> Micros:
    """The UTC microseconds of that wall-clock time of each naive date in a zone."""
    local = (dates + pd.Timedelta(hours=hour, minutes=minute)).tz_localize(zone)
    return _micros(local)


def _micros(instants: "pd.DatetimeIndex | pd.Series[pd.Timestamp]") -> Micros:
    index = pd.DatetimeIndex(instants)
    naive = index.tz_convert("UTC").tz_localize(None) if index.tz is not None else index
    return naive.as_unit("us").to_numpy().astype(np.int64)
