"""Bars as arrays with splits and payments taken out, and how much they usually move.

Not here: what is odd about them (levels, spikes, runs). A detector looks at these instead of at a
frame: all of it is worked out once for a reply or a series.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.actions import (
    Action,
    ActionKind,
    last_dates,
    later_ratio,
    splits_of,
)
from marketdata_pipeline.domain.bars import labels_of, values_of
from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import DAY, Micros

MAD_TO_SIGMA = 1.4826
"""Makes the median absolute deviation of a normal law its standard deviation: Rousseeuw & Croux
1993, "Alternatives to the Median Absolute Deviation", J. Am. Stat. Assoc. 88."""
_UPPER_TO_SIGMA = 1 / 1.15035
"""The same for the upper quartile of absolute values: where most bars do not move, half is 0."""
_BLOCK = 64
_FEWEST = 5
_FEWEST_STEPS = 10
_LARGEST_TICK = 0.05
_FAR = 12 * DAY
"""The longest usual closure is China's in October, nine days and a weekend."""
_NIGHT = 2 * DAY // 24
_USUAL_DAY = {
    AssetClass.FX: 0.01, AssetClass.INDEX: 0.015, AssetClass.FUTURE: 0.015, AssetClass.CRYPTO: 0.05,
}  # fmt: skip
OTHER_DAY = 0.03
_LEAST_DAY = 0.004
"""No instrument's day is quieter than a currency pair's, whatever few bars say."""


@dataclass(frozen=True, eq=False)
class Prices:
    """Sorted bars of one series, splits taken out (prices in today's shares).

    Attributes:
        labels: microseconds since 1970-01-01T00:00Z.
        rows: the five columns open, high, low, close, volume.
        paid: for each bar the cash that a share paid since the bar before it.
    """

    series: Series
    labels: Micros
    rows: np.ndarray
    paid: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def open(self) -> np.ndarray:
        """The first price of each bar."""
        row: np.ndarray = self.rows[0]
        return row

    @property
    def close(self) -> np.ndarray:
        """The last price of each bar."""
        row: np.ndarray = self.rows[3]
        return row

    @property
    def volume(self) -> np.ndarray:
        """Units traded, in today's shares."""
        row: np.ndarray = self.rows[4]
        return row

    @cached_property
    def logs(self) -> np.ndarray:
        """Natural logarithms of the four prices, as rows."""
        logs: np.ndarray = np.log(self.rows[:4])
        return logs

    @cached_property
    def near(self) -> np.ndarray:
        """A mask of the bars that follow another one so soon that both can be compared."""
        far = max(_FAR, 3 * int(self.series.timeframe.length.total_seconds() * 1_000_000))
        return np.concatenate([[False], np.diff(self.labels) <= far])[: len(self)]

    @cached_property
    def starts(self) -> np.ndarray:
        """A mask of the bars that follow a closed market: intraday the first of each session."""
        if not self.series.timeframe.intraday:
            return np.zeros(len(self), dtype=bool)
        step = int(self.series.timeframe.length.total_seconds() * 1_000_000)
        return np.concatenate([[True], np.diff(self.labels) >= max(_NIGHT, 2 * step)])[: len(self)]

    @cached_property
    def jump(self) -> np.ndarray:
        """For each bar the logarithm of its open over the close before, less what was paid.

        0 where no bar is near before it.
        """
        jump = np.zeros(len(self))
        before = self.close[:-1] - self.paid[1:]
        before = np.where(before > 0, before, self.close[:-1])
        jump[1:] = self.logs[0, 1:] - np.log(before)
        jump[~self.near] = 0.0
        return jump

    @cached_property
    def change(self) -> np.ndarray:
        """For each bar the logarithm of its close over the close before; 0 as in ``jump``."""
        change = np.zeros(len(self))
        change[1:] = np.diff(self.logs[3])
        change[~self.near] = 0.0
        return change

    @cached_property
    def noise(self) -> np.ndarray:
        """The usual size (one standard deviation) of a bar's change at that time.

        Robust against what is odd: from medians over blocks of 64 bars, the larger of a block's
        and its neighbours'. First bars of sessions are measured by their jumps.
        """
        noise = np.empty(len(self))
        for mask, moves in ((~self.starts, self.change), (self.starts, self.jump)):
            usual = self.usual_day if mask is self.starts else self._usual_bar
            noise[mask] = _local_noise(np.abs(moves[mask]), usual)
        return np.asarray(np.maximum(noise, self._tick))

    @property
    def usual_day(self) -> float:
        """How much such an instrument moves in a restless day, whatever its bars say."""
        return _USUAL_DAY.get(self.series.instrument.asset_class, OTHER_DAY)

    @property
    def _usual_bar(self) -> float:
        """Of a bar among others of its session, as far as a day's is: by the root of time."""
        days = self.series.timeframe.length.total_seconds() / 86_400
        return self.usual_day * float(np.sqrt(min(days * (1 if days >= 1 else 3), 5.0)))

    @property
    def _tick(self) -> np.ndarray:
        """A price of few ticks moves by whole ones: the smallest usual step over the price."""
        steps = np.abs(np.diff(self.close))
        steps = steps[steps > self.close[1:] * 1e-9]
        if len(steps) < _FEWEST_STEPS:
            return np.zeros(len(self))
        tick = np.partition(steps, len(steps) // 50)[len(steps) // 50]
        return np.asarray(np.minimum(tick / self.close, _LARGEST_TICK))


def _local_noise(moves: np.ndarray, usual: float) -> np.ndarray:
    """The standard deviation at each place of a sequence of absolute moves."""
    least = usual * _LEAST_DAY / OTHER_DAY
    if len(moves) < _FEWEST:
        return np.full(len(moves), usual)
    blocks = max(len(moves) // _BLOCK, 1)
    size = len(moves) // blocks
    half, most = size // 2, 3 * size // 4
    whole = np.partition(moves[: blocks * size].reshape(blocks, size), (half, most), axis=1)
    middle, upper = whole[:, half] * MAD_TO_SIGMA, whole[:, most] * _UPPER_TO_SIGMA
    sigma = np.maximum(np.maximum(middle, upper), least)
    padded = np.concatenate([sigma[:1], sigma, sigma[-1:]])
    widest = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
    at = np.minimum(np.arange(len(moves)) // size, blocks - 1)
    return np.asarray(widest[at])


def prices_of(bars: pd.DataFrame, series: Series, actions: Sequence[Action]) -> Prices:
    """Raw bars, sorted by label, as ``Prices``."""
    labels, rows, paid = labels_of(bars), values_of(bars), np.zeros(len(bars))
    if not actions or bars.empty:
        return Prices(series, labels, rows, paid)
    dates = last_dates(bars, series)
    splits = splits_of(actions)
    ratio = later_ratio(dates, splits)
    if splits:
        rows = np.vstack([rows[:4] / ratio, rows[4] * ratio])
    cash = [one for one in actions if one.kind is not ActionKind.SPLIT]
    if cash:
        days = np.array([one.ex_date for one in cash], dtype="datetime64[D]")
        at = np.searchsorted(dates, days)
        inside = np.flatnonzero((at > 0) & (at < len(dates)))
        amounts = np.array([float(cash[one].value) for one in inside.tolist()])
        np.add.at(paid, at[inside], amounts / ratio[at[inside]])
    return Prices(series, labels, rows, paid)


def date_of(label: int) -> date:
    """The UTC date of a label."""
    found: date = np.datetime64(label, "us").astype("datetime64[D]").astype(object)
    return found
