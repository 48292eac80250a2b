"""From the times of rows to the labels of bars: by their open, UTC, on the calendar's grid.

Not here: whether such a bar may be stored (cleaning). Bars that are labelled by their close are
moved by the calendar, which knows when each bar closes, never by a timeframe's length.
"""

from dataclasses import dataclass

import numpy as np

from marketdata_pipeline.domain.calendars import Calendar, calendar_of
from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import DAY, WEEK, Days, Micros, monday_of
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.ingest.importing.terms import Side
from marketdata_pipeline.ingest.importing.times import UNKNOWN, Stamps, localized, shown

_DAWN, _DUSK = -(400 * 366 * DAY), 130 * 366 * DAY
"""1570 and 2100: beyond them no calendar knows anything, and datetimes end soon."""


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Where rows belong.

    Attributes:
        labels: in microseconds since 1970; UNKNOWN for a row that is the label of no bar. One on
            no grid may still be among them, which the hard rules find.
        instants: of the rows' own times, in UTC; UNKNOWN where that is not to be told.
        moved: rows whose time is not their label: those that were labelled by their close.
        ends: the instants are those at which bars ended.
    """

    labels: Micros
    instants: Micros
    moved: int
    ends: bool = False


def placed(stamps: Stamps, side: Side, zone: str, series: Series) -> Placed:
    """The label of each row.

    ``zone`` counts where the times name none. 1d and 1wk are labelled by dates: midnight, by the
    file's clock, at the venue or in UTC, means that date; any other time the session that opens at
    that very instant, or has closed by then.
    """
    instants = stamps.instants
    if instants is None:
        instants = np.full(len(stamps.wall), UNKNOWN, dtype=np.int64)
        known = stamps.wall != UNKNOWN
        instants[known] = localized(stamps.wall[known], zone)
    dated = not series.timeframe.intraday
    if dated:  # a date is one also where its midnight was left out
        instants = np.where(instants == UNKNOWN, stamps.wall, instants)
    credible = (instants > _DAWN) & (instants < _DUSK)
    labels = np.full(len(instants), UNKNOWN, dtype=np.int64)
    if credible.any():
        at = instants[credible]
        read = _dated if dated else _timed
        labels[credible] = read(stamps.wall[credible], at, side, series)
    moved = 0 if side is Side.OPEN else int(((labels != UNKNOWN) & (labels != instants)).sum())
    return Placed(labels, instants, moved, side is Side.CLOSE)


def _timed(wall: Micros, instants: Micros, side: Side, series: Series) -> Micros:
    """The bar that opens, or closes, at each instant."""
    del wall
    if side is Side.OPEN:
        return instants
    grid = calendar_of(series.instrument).grid(series.timeframe, _around(instants))
    at = np.searchsorted(grid.closes, instants)
    closes = np.append(grid.closes, UNKNOWN)[at] == instants
    return np.where(closes, np.append(grid.labels, UNKNOWN)[at], UNKNOWN)


def _around(instants: Micros) -> TimeRange:
    """Label range of all bars that may open or close at these instants."""
    return TimeRange(from_micros(instants.min() - 2 * WEEK), from_micros(instants.max() + WEEK))


def _dated(wall: Micros, instants: Micros, side: Side, series: Series) -> Micros:
    """The day, or the week, that each row's date is of."""
    crypto = series.instrument.asset_class is AssetClass.CRYPTO
    if crypto:
        wall = there = instants  # its day is UTC's, wherever the clock hangs
    else:
        there = shown(instants, series.instrument.venue.zone)
    days = _days(calendar_of(series.instrument), instants)
    local = np.select([wall % DAY == 0, there % DAY == 0], [wall, there], instants)
    midnight = local % DAY == 0
    if side is Side.CLOSE:  # the date of the last moment before it
        closing = np.where(midnight, local, UNKNOWN if crypto else there)
        dates = np.where(closing == UNKNOWN, UNKNOWN, (closing - 1) // DAY * DAY)
    else:
        at = np.searchsorted(days.open, instants)
        opens = np.append(days.open, UNKNOWN)[at] == instants
        at_open = np.where(opens, np.append(days.label, UNKNOWN)[at], UNKNOWN)
        dates = np.where(midnight, local, at_open)
    return dates if series.timeframe is Timeframe.D1 else _weeks(dates, side, days.label)


def _days(calendar: Calendar, instants: Micros) -> Days:
    around = _around(instants)
    start = max(around.start, calendar.begins)
    return calendar.days(to_micros(start), to_micros(max(start, around.end)))


def _weeks(dates: Micros, side: Side, sessions: Micros) -> Micros:
    """The Monday of each date that begins a week, or ends one.

    A week begins on its Monday or with its first session; it ends with its last session or with
    any later day.
    """
    known = dates != UNKNOWN
    dates = np.where(known, dates, 0)
    mondays = monday_of(dates)
    start, end = (mondays, dates) if side is Side.OPEN else (dates + DAY, mondays + WEEK)
    within = np.searchsorted(sessions, end) > np.searchsorted(sessions, start)
    return np.where(known & ~within, mondays, UNKNOWN)
