"""Calendars: which days and hours an instrument trades, from one table of rules per kind.

Not here: where schedules come from (schedules), arithmetic on them (sessions), what a person says
of single days (closures), and what bars must look like (bars). Outside the bounds of an exchange's
calendar nothing is expected.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, lru_cache

import numpy as np

from marketdata_pipeline.domain.closures import (
    Closure,
    Edits,
    Said,
    around_of,
    edits_of,
    in_force_on,
)
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.schedules import (
    EARLIEST,
    LATEST,
    exchange_bound,
    exchange_schedule,
    fx_schedule,
)
from marketdata_pipeline.domain.sessions import DAY, WEEK, Days, Micros, Segments, monday_of
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.venues import BY_CALENDAR, CME, CRYPTO, FX, Venue

_LONGEST_CLOSURE = timedelta(days=60)
"""Athens was closed from 2015-06-29 to 2015-07-31; the week before it began a week earlier."""


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Bars that a calendar expects: labels and the instants at which each is closed, sorted."""

    labels: Micros
    closes: Micros


class Calendar(ABC):
    """The days and segments of one kind of market; ``zone`` is the zone of its dates.

    ``closures``, sorted, are the days of it that are not as the market's rules say.
    """

    grids_at_midnight = False
    """Whether grids start at 00:00 UTC, not with the session."""

    def __init__(self, zone: str, closures: tuple[Closure, ...] = ()) -> None:
        self.zone = zone
        self.closures = closures

    @property
    def begins(self) -> datetime:
        """Nothing is expected before this day; its sessions are not known."""
        return EARLIEST

    @abstractmethod
    def regular_days(self, start: int, end: int) -> Days:
        """Sessions with a label in ``[start, end)``, whatever was said of single days."""

    @abstractmethod
    def regular_segments(self, start: int, end: int) -> Segments:
        """Segments of all sessions that may touch ``[start, end)``, and some around, likewise."""

    def days(self, start: int, end: int) -> Days:
        """Sessions with a label in ``[start, end)``."""
        regular = self.regular_days(start, end)
        return regular if self._edits is None else self._edits.on_days(regular, start, end)

    def segments(self, start: int, end: int) -> Segments:
        """Trading segments of all sessions that may touch ``[start, end)``, and some around."""
        regular = self.regular_segments(start, end)
        if self._edits is None:
            return regular
        return self._edits.on_segments(regular, start - 2 * DAY, end + 2 * DAY)

    @cached_property
    def _edits(self) -> Edits | None:
        if not self.closures:
            return None
        start, end = around_of(self.closures)
        regular, segments = self.regular_days(start, end), self.regular_segments(start, end)
        return edits_of(self.closures, regular, segments, at_midnight=self.grids_at_midnight)

    def grid(self, timeframe: Timeframe, within: TimeRange) -> Grid:
        """The bars with a label in ``within``; none before ``begins``."""
        start = to_micros(max(within.start, self.begins))
        end = to_micros(min(within.end, LATEST))
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
        if timeframe.intraday:
            segments = self.segments(to_micros(around.start), to_micros(around.end))
            end = segments.closed_until(to_micros(now), step_of(timeframe))
            return None if end is None else from_micros(end)
        grid = self.grid(timeframe, around)
        closed = int(np.searchsorted(grid.closes, to_micros(now), side="right")) - 1
        return from_micros(int(grid.labels[closed])) + timeframe.length if closed >= 0 else None

    def is_open(self, now: datetime) -> bool:
        """Whether the market trades at this market instant."""
        at = to_micros(now)
        return self.segments(at - 2 * DAY, at + 2 * DAY).holds(at)


def step_of(timeframe: Timeframe) -> int:
    """A timeframe's nominal length in microseconds."""
    return int(timeframe.length / timedelta(microseconds=1))


class ExchangeCalendar(Calendar):
    """Sessions as exchange_calendars knows them, with early closes and lunch breaks."""

    def __init__(self, name: str, zone: str, closures: tuple[Closure, ...] = ()) -> None:
        super().__init__(zone, closures)
        self._name = name

    @property
    def begins(self) -> datetime:
        """The first day that exchange_calendars knows of it, 1970 at the earliest."""
        return exchange_bound(self._name)

    def regular_days(self, start: int, end: int) -> Days:
        """Sessions with a label in ``[start, end)``."""
        return exchange_schedule(self._name, start, end).days.between(start, end)

    def regular_segments(self, start: int, end: int) -> Segments:
        """Mornings, afternoons or whole sessions, from two days before to two days after."""
        segments = exchange_schedule(self._name, start, end).segments
        cut = slice(*np.searchsorted(segments.open, [start - 2 * DAY, end + 2 * DAY]))
        return Segments(segments.anchor[cut], segments.open[cut], segments.close[cut])


class CmeCalendar(ExchangeCalendar):
    """CME Globex: sessions run from the evening before; the last hour before 17:00 is a break."""

    def __init__(self, zone: str, closures: tuple[Closure, ...] = ()) -> None:
        super().__init__("CMES", zone, closures)


class CryptoCalendar(Calendar):
    """Every UTC day, all day."""

    grids_at_midnight = True

    def regular_days(self, start: int, end: int) -> Days:
        """UTC days with a label in ``[start, end)``."""
        label = np.arange(-(-start // DAY) * DAY, end, DAY, dtype=np.int64)
        return Days(label, label, label + DAY)

    def regular_segments(self, start: int, end: int) -> Segments:
        """The same days as trading segments, one more at either side."""
        days = self.regular_days(start - DAY, end + DAY)
        return Segments(days.open, days.open, days.close)


class FxCalendar(Calendar):
    """Sunday 17:00 to Friday 17:00 New York; days are cut at London midnight, grids at 00:00 UTC.

    Yahoo labels Monday to Friday only; the Sunday evening belongs to no daily bar.
    """

    grids_at_midnight = True

    def regular_days(self, start: int, end: int) -> Days:
        """Mondays to Fridays with a label in ``[start, end)``."""
        return fx_schedule(start - DAY, end + DAY).days.between(start, end)

    def regular_segments(self, start: int, end: int) -> Segments:
        """UTC days from Sunday to Friday, the first and the last cut by New York's clock."""
        segments = fx_schedule(start - DAY, end + DAY).segments
        cut = slice(*np.searchsorted(segments.anchor, [start - DAY, end + DAY]))
        return Segments(segments.anchor[cut], segments.open[cut], segments.close[cut])


def calendar_of(instrument: Instrument) -> Calendar:
    """The calendar that an instrument follows, with the closures that are in force."""
    name = _name_of(instrument.key)
    return _calendar(name, in_force_on(name))


def calendar_with(venue: Venue, closures: tuple[Closure, ...] = ()) -> Calendar:
    """The calendar of a venue as it would be with these closures of it, sorted by session."""
    match venue.calendar:
        case CRYPTO.calendar:
            return CryptoCalendar(venue.zone, closures)
        case FX.calendar:
            return FxCalendar(venue.zone, closures)
        case CME.calendar:
            return CmeCalendar(venue.zone, closures)
        case name:
            return ExchangeCalendar(name, venue.zone, closures)


@lru_cache(maxsize=16_384)
def _name_of(key: str) -> str:
    return Instrument(key).venue.calendar


@lru_cache(maxsize=256)
def _calendar(name: str, said: Said) -> Calendar:
    return calendar_with(BY_CALENDAR[name], said.rows)
