"""Calendars: which days and hours an instrument trades, from one table of rules per kind.

Not here: arithmetic on schedules (sessions) and what bars must look like (bars).
Exchange sessions come from exchange_calendars, always with an explicit start and end inside each
calendar's bounds; outside them nothing is expected. FX trades from Sunday 17:00 to Friday 17:00
New York; CME's break is 16:00 to 17:00 Chicago (CME Group, "Trading hours").
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.instrument import AssetClass, Instrument
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.sessions import DAY, WEEK, Days, Micros, Segments, monday_of
from marketdata_pipeline.domain.timeframe import Timeframe

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
"""Nothing is expected before this day: exchange_calendars lists no holidays of the years before
(XNYS 1969 has 258 sessions there, 250 were held)."""
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)
"""Nor from this day on: a calendar of 8,000 years takes minutes to build."""
_LONGEST_CLOSURE = timedelta(days=60)
"""Athens was closed from 2015-06-29 to 2015-07-31; the week before it began a week earlier."""
_FRIDAY, _SATURDAY, _SUNDAY = 4, 5, 6


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Bars that a calendar expects: labels and the instants at which each is closed, sorted."""

    labels: Micros
    closes: Micros


class Calendar(ABC):
    """The days and segments of one kind of market; ``zone`` is the zone of its dates."""

    def __init__(self, zone: str) -> None:
        self.zone = zone

    @property
    def begins(self) -> datetime:
        """Nothing is expected before this day; its sessions are not known."""
        return EARLIEST

    @abstractmethod
    def days(self, start: int, end: int) -> Days:
        """Sessions with a label in ``[start, end)``."""

    @abstractmethod
    def segments(self, start: int, end: int) -> Segments:
        """Trading segments of all sessions that may touch ``[start, end)``, and some around."""

    def grid(self, timeframe: Timeframe, within: TimeRange) -> Grid:
        """The bars with a label in ``within``; none before ``begins``."""
        start = to_micros(max(within.start, self.begins))
        end = to_micros(min(within.end, _LATEST))
        if timeframe is Timeframe.D1:
            days = self.days(start, end)
            return Grid(days.label, days.close)
        if timeframe is Timeframe.W1:
            monday = int(monday_of(np.array([start]))[0])
            weeks = self.days(monday, end + WEEK).weeks().between(start, end)
            return Grid(weeks.label, weeks.close)
        labels, closes = self.segments(start - DAY, end + DAY).grid(step_of(timeframe))
        cut = slice(*np.searchsorted(labels, [start, end]))
        return Grid(labels[cut], closes[cut])

    def bucket(self, timeframe: Timeframe, labels: Micros) -> Micros:
        """The label of the ``timeframe`` bar that each finer label falls in; -1 for none.

        For 1wk the finer labels are those of 1d, and each has a week.
        """
        if timeframe is Timeframe.W1:
            return monday_of(labels)
        if not len(labels):
            return labels
        start, end = int(labels.min()) - DAY, int(labels.max()) + DAY
        if timeframe is Timeframe.D1:
            return self.days(start - DAY, end + DAY).bucket(labels)
        return self.segments(start, end).bucket(labels, step_of(timeframe))

    def closed_until(self, timeframe: Timeframe, now: datetime) -> datetime | None:
        """The end of the last closed bar, in label space; None where no bar closed lately.

        For a day or a week that is its label plus a day or a week; else the closing instant.
        """
        around = TimeRange(now - _LONGEST_CLOSURE, now + timedelta(days=2))
        grid = self.grid(timeframe, around)
        closed = int(np.searchsorted(grid.closes, to_micros(now), side="right")) - 1
        if closed < 0:
            return None
        if timeframe.intraday:
            return from_micros(int(grid.closes[closed]))
        return from_micros(int(grid.labels[closed])) + timeframe.length

    def is_open(self, now: datetime) -> bool:
        """Whether the market trades at this market instant."""
        at = to_micros(now)
        return self.segments(at - 2 * DAY, at + 2 * DAY).holds(at)


def step_of(timeframe: Timeframe) -> int:
    """A timeframe's nominal length in microseconds."""
    return int(timeframe.length / timedelta(microseconds=1))


class ExchangeCalendar(Calendar):
    """Sessions as exchange_calendars knows them, with early closes and lunch breaks."""

    def __init__(self, name: str, zone: str) -> None:
        super().__init__(zone)
        self._name = name

    @property
    def begins(self) -> datetime:
        """The first day that exchange_calendars knows of it, 1970 at the earliest."""
        bound = _factory(self._name).bound_min()
        if bound is None:
            return EARLIEST
        return max(EARLIEST, datetime(bound.year, bound.month, bound.day, tzinfo=UTC))

    def days(self, start: int, end: int) -> Days:
        """Sessions with a label in ``[start, end)``."""
        return self._schedule(start, end).days.between(start, end)

    def segments(self, start: int, end: int) -> Segments:
        """Mornings, afternoons or whole sessions, from two days before to two days after."""
        segments = self._schedule(start, end).segments
        cut = slice(*np.searchsorted(segments.open, [start - 2 * DAY, end + 2 * DAY]))
        return Segments(segments.anchor[cut], segments.open[cut], segments.close[cut])

    def _schedule(self, start: int, end: int) -> "_Schedule":
        """The recent part where that is enough: building 60 years takes half a second."""
        recent = start - 14 * DAY >= to_micros(_RECENT)
        last = from_micros(min(end, to_micros(_LATEST)))
        through = (last.year + 1) // 5 * 5 + 4
        return _schedule(self._name, _RECENT if recent else EARLIEST, max(through, 2029))


class CmeCalendar(ExchangeCalendar):
    """CME Globex: sessions run from the evening before; the last hour before 17:00 is a break."""

    def __init__(self, zone: str) -> None:
        super().__init__("CMES", zone)


class CryptoCalendar(Calendar):
    """Every UTC day, all day."""

    def days(self, start: int, end: int) -> Days:
        """UTC days with a label in ``[start, end)``."""
        label = np.arange(-(-start // DAY) * DAY, end, DAY, dtype=np.int64)
        return Days(label, label, label + DAY)

    def segments(self, start: int, end: int) -> Segments:
        """The same days as trading segments, one more at either side."""
        days = self.days(start - DAY, end + DAY)
        return Segments(days.open, days.open, days.close)


class FxCalendar(Calendar):
    """Sunday 17:00 to Friday 17:00 New York; days are cut at London midnight, grids at 00:00 UTC.

    Yahoo labels Monday to Friday only; the Sunday evening belongs to no daily bar.
    """

    def days(self, start: int, end: int) -> Days:
        """Mondays to Fridays with a label in ``[start, end)``."""
        dates = _dates(start, end)
        dates = dates[dates.day_of_week < _SATURDAY]
        opened = _instants(dates, "Europe/London", hour=0)
        closed = _instants(dates + pd.Timedelta(days=1), "Europe/London", hour=0)
        week_end = _instants(dates, "America/New_York", hour=17)
        closed = np.where(dates.day_of_week == _FRIDAY, np.minimum(closed, week_end), closed)
        return Days(_micros(dates), opened, closed)

    def segments(self, start: int, end: int) -> Segments:
        """UTC days from Sunday to Friday, the first and the last cut by New York's clock."""
        dates = _dates(start - DAY, end + DAY)
        dates = dates[dates.day_of_week != _SATURDAY]
        label = _micros(dates)
        five = _instants(dates, "America/New_York", hour=17)
        opened = np.where(dates.day_of_week == _SUNDAY, five, label)
        closed = np.where(dates.day_of_week == _FRIDAY, five, label + DAY)
        return Segments(label, opened, closed)


@lru_cache(maxsize=256)
def calendar_of(instrument: Instrument) -> Calendar:
    """The calendar that an instrument follows."""
    venue = instrument.venue
    match instrument.asset_class:
        case AssetClass.CRYPTO:
            return CryptoCalendar(venue.zone)
        case AssetClass.FX:
            return FxCalendar(venue.zone)
        case AssetClass.FUTURE:
            return CmeCalendar(venue.zone)
        case _:
            return ExchangeCalendar(venue.calendar, venue.zone)


_RECENT = datetime(2012, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, eq=False)
class _Schedule:
    days: Days
    segments: Segments


def _factory(name: str) -> Any:
    """The class of an exchange calendar: the library has no public way to a calendar's bounds."""
    from exchange_calendars.calendar_utils import _default_calendar_factories

    return _default_calendar_factories[name]


@lru_cache(maxsize=256)
def _schedule(name: str, start: datetime, through: int) -> _Schedule:
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
        halt = _instants(pd.DatetimeIndex(table.index), "America/Chicago", hour=16)
        closed = np.minimum(closed, halt)
    broken = table["break_start"].notna().to_numpy()
    breaks = _micros(table["break_start"][broken]), _micros(table["break_end"][broken])
    ends = closed.copy()
    ends[broken] = breaks[0]
    morning = Segments(opened, opened, ends)
    afternoon = Segments(breaks[1], breaks[1], closed[broken])
    return _Schedule(Days(label, opened, closed), Segments.of([morning, afternoon]))


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


def _instants(dates: pd.DatetimeIndex, zone: str, *, hour: int) -> Micros:
    """The UTC microseconds of that wall-clock hour of each naive date in a zone."""
    local = (dates + pd.Timedelta(hours=hour)).tz_localize(zone)
    return _micros(local)


def _micros(instants: "pd.DatetimeIndex | pd.Series[pd.Timestamp]") -> Micros:
    index = pd.DatetimeIndex(instants)
    naive = index.tz_convert("UTC").tz_localize(None) if index.tz is not None else index
    return naive.as_unit("us").to_numpy().astype(np.int64)
