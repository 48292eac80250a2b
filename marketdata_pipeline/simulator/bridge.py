"""From the days of an instrument to minutes that add up to them, exactly, and to longer bars.

Not here: where the days come from (recorded, walk). Prices go along a Brownian bridge from each
day's open to its close, bent so that it touches the day's high and low and nothing beyond; volume
falls in a smile, most of it at the open and the close.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import (
    Action,
    adjust_for_splits,
    last_dates,
    later_ratio,
    splits_of,
)
from marketdata_pipeline.domain.bars import COLUMNS, PRICES
from marketdata_pipeline.domain.calendars import Calendar, calendar_of
from marketdata_pipeline.domain.ranges import TimeRange, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import DAY, Micros, monday_of
from marketdata_pipeline.domain.timeframe import Timeframe

Dice = Callable[[int], np.random.Generator]
"""A day's random numbers, by its label: the same whenever that day is made."""
_WICK = 0.4
_EXACT = 10
_CUT = -2


@dataclass(frozen=True, slots=True, eq=False)
class _Days:
    """Which of the sorted minutes belong to which day, and that day's bar; aligned arrays.

    ``first`` is the position of each day's first minute, ``count`` how many it has, ``of`` the
    day of each minute.
    """

    labels: Micros
    bars: np.ndarray
    first: np.ndarray
    count: np.ndarray
    of: np.ndarray

    @property
    def last(self) -> np.ndarray:
        """The position of each day's last minute."""
        last: np.ndarray = self.first + self.count - 1
        return last

    def column(self, name: str) -> np.ndarray:
        """A column of each minute's day."""
        values: np.ndarray = self.bars[self.of, COLUMNS.index(name)]
        return values

    def summed(self, values: np.ndarray) -> np.ndarray:
        """The running sum within each day; each by itself, so that no day shifts another's."""
        ends = zip(self.first.tolist(), self.count.tolist(), strict=True)
        return np.concatenate([np.cumsum(values[at : at + count]) for at, count in ends])


def minutes(
    daily: pd.DataFrame, series: Series, within: TimeRange, dice: Dice, digits: int
) -> pd.DataFrame:
    """The 1m bars with a label in ``within``, for each day of ``daily`` that lies in it whole.

    Open of the first, high, low, close of the last and the sum of volume of a day's minutes are
    the day's own. Minutes of no day (FX on Sunday evening) lead from the close before to the open
    after, without volume. ``digits`` is how many decimals prices are rounded to.
    """
    calendar = calendar_of(series.instrument)
    labels = calendar.grid(Timeframe.M1, within).labels
    days, labels = _days(daily, labels, _whole_day(calendar, labels, within))
    if not len(labels):
        return contract.empty()
    throws = [dice(int(one)) for one in days.labels]
    noise = np.concatenate(
        [throw.standard_normal((int(n), 3)) for throw, n in zip(throws, days.count, strict=True)]
    )
    opened, closed, reach = _walked(days, noise[:, 0], digits)
    wick = _WICK * reach[days.of, None] * np.abs(noise[:, 1:]) / np.sqrt(days.count)[days.of, None]
    top, bottom = np.maximum(opened, closed), np.minimum(opened, closed)
    high = np.minimum(np.round(top + wick[:, 0], digits), days.column("high"))
    low = np.maximum(np.round(bottom - wick[:, 1], digits), days.column("low"))
    high, low = np.maximum(high, top), np.minimum(low, bottom)
    high[_first_best(days, high, np.maximum)] = days.bars[:, COLUMNS.index("high")]
    low[_first_best(days, -low, np.maximum)] = days.bars[:, COLUMNS.index("low")]
    volume = _volume(days, np.abs(noise[:, 0]))
    made = (opened, high, low, closed, volume)
    return contract.frame(labels, dict(zip(COLUMNS, made, strict=True)))


def _whole_day(calendar: Calendar, labels: Micros, within: TimeRange) -> Micros:
    """The day of each minute: -1 for none, _CUT for one that the range holds in part only."""
    start, end = to_micros(within.start), to_micros(within.end)
    around = calendar.days(start - 3 * DAY, end + 3 * DAY)
    cut = around.label[(around.open < start) | (around.close > end)]
    day = calendar.bucket(Timeframe.D1, labels)
    return np.where(np.isin(day, cut), _CUT, day)


def _days(daily: pd.DataFrame, labels: Micros, day: Micros) -> tuple[_Days, Micros]:
    """The days of these minutes, and the minutes that have one."""
    known, table = contract.labels_of(daily), daily[list(COLUMNS)].to_numpy()
    day, labels = day[day != _CUT], labels[day != _CUT]
    group = np.where(day >= 0, day, -(labels // DAY) - 1)  # minutes of no day: by UTC date
    starts = np.flatnonzero(np.append(True, group[1:] != group[:-1]) if len(group) else [])
    keys = group[starts]
    at = np.searchsorted(known, np.where(keys >= 0, keys, (-keys - 1) * DAY))
    between = (keys < 0) & (at > 0) & (at < len(known))
    inside = at < len(known)
    found = inside & (known[np.minimum(at, len(known) - 1)] == keys) if len(known) else inside
    kept = np.flatnonzero(found | between)
    counts = np.diff(np.append(starts, len(group)))[kept]
    rows = table[at[kept]]
    quiet = between[kept]
    if quiet.any():
        rows[quiet] = _between(table, at[kept][quiet])
    chosen = np.repeat(np.isin(np.arange(len(keys)), kept), np.diff(np.append(starts, len(group))))
    first = np.cumsum(counts) - counts
    of = np.repeat(np.arange(len(kept)), counts)
    return _Days(np.abs(keys[kept]), rows, first, counts, of), labels[chosen]


def _between(table: np.ndarray, after: np.ndarray) -> np.ndarray:
    """A bar without volume from the close before each of these days to its open."""
    start, end = table[after - 1, COLUMNS.index("close")], table[after, COLUMNS.index("open")]
    made = (start, np.maximum(start, end), np.minimum(start, end), end, np.zeros(len(after)))
    return np.stack(made, axis=1)


def _walked(
    days: _Days, noise: np.ndarray, digits: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Open and close of each minute, and how wide each day's range is."""
    share = (np.arange(len(noise)) - days.first[days.of] + 1) / days.count[days.of]
    walk = days.summed(noise)
    bridge = walk - share * walk[days.last][days.of]
    spread = np.maximum.reduceat(bridge, days.first) - np.minimum.reduceat(bridge, days.first)
    reach = days.bars[:, COLUMNS.index("high")] - days.bars[:, COLUMNS.index("low")]
    scale = np.divide(reach, spread, out=np.zeros(len(reach)), where=spread > 0)
    straight = days.column("open") + share * (days.column("close") - days.column("open"))
    path = np.round(straight + scale[days.of] * bridge, digits)
    closed = np.clip(path, days.column("low"), days.column("high"))
    closed[days.last] = days.bars[:, COLUMNS.index("close")]
    opened = np.append(np.nan, closed[:-1])
    opened[days.first] = days.bars[:, COLUMNS.index("open")]
    return opened, closed, reach


def _first_best(days: _Days, values: np.ndarray, best: np.ufunc) -> np.ndarray:
    """The position of each day's first extreme value."""
    hits = np.flatnonzero(values == best.reduceat(values, days.first)[days.of])
    _, first = np.unique(days.of[hits], return_index=True)
    found: np.ndarray = hits[first]
    return found


def _volume(days: _Days, noise: np.ndarray) -> np.ndarray:
    """Whole units, as many in all as the day has."""
    share = (np.arange(len(noise)) - days.first[days.of] + 0.5) / days.count[days.of]
    weight = (0.2 + noise) * (1 + 8 * (share - 0.5) ** 2)
    part = days.summed(weight)
    part /= part[days.last][days.of]
    reached = np.floor(days.column("volume") * part)
    reached[days.last] = days.bars[:, COLUMNS.index("volume")]
    before = np.append(0.0, reached[:-1])
    before[days.first] = 0.0
    volume: np.ndarray = reached - before
    return volume


def added_up(fine: pd.DataFrame, series: Series) -> pd.DataFrame:
    """Bars of an intraday series or of 1d from its minutes; those of no bar are left out."""
    calendar: Calendar = calendar_of(series.instrument)
    return _grouped(fine, calendar.bucket(series.timeframe, contract.labels_of(fine)))


def weeks(daily: pd.DataFrame, series: Series, actions: tuple[Action, ...]) -> pd.DataFrame:
    """Raw 1wk bars from raw days: added up split-adjusted, then put in their own week's basis."""
    splits = splits_of(actions)
    days = Series(series.instrument, Timeframe.D1)
    smooth = adjust_for_splits(daily, days, splits)
    found = _grouped(smooth, monday_of(contract.labels_of(daily)))
    ratio = later_ratio(last_dates(found, series), splits)
    prices = {name: np.round(found[name].to_numpy() * ratio, _EXACT) for name in PRICES}
    volume = np.round(found["volume"].to_numpy() / ratio)
    return contract.frame(contract.labels_of(found), {**prices, "volume": volume})


def _grouped(fine: pd.DataFrame, labels: Micros) -> pd.DataFrame:
    table, labels = fine[list(COLUMNS)].to_numpy()[labels >= 0], labels[labels >= 0]
    if not len(labels):
        return contract.empty()
    first = np.flatnonzero(np.append(True, labels[1:] != labels[:-1]))
    last = np.append(first[1:], len(labels)) - 1
    made = (
        table[first, 0],
        np.maximum.reduceat(table[:, 1], first),
        np.minimum.reduceat(table[:, 2], first),
        table[last, 3],
        np.add.reduceat(table[:, 4], first),
    )
    return contract.frame(labels[first], dict(zip(COLUMNS, made, strict=True)))
