"""Runs: prices that stand still, volume that stays away, bars that are told again.

Not here: prices that move too much (spikes, levels). What is usual in a series decides: a share
that trades once a week stands still, one that trades every minute does not.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.actions import Action
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.verdict import Finding
from marketdata_pipeline.quality.marks import between
from marketdata_pipeline.quality.prices import Prices, prices_of

FLAT_RUN = "flat_run"
ZERO_VOLUME_RUN = "zero_volume_run"
STALE_REPEAT = "stale_repeat"

_SHORTEST = 5
_CHANCE = 1e-6
"""A run is odd where a series of that length, with its own share of such bars, hardly ever has one
so long: n * p ** k, the expected number of runs of k (Feller 1968, An Introduction to Probability
Theory, chapter XIII.7)."""
_LEAST_SHARE = 0.01
_AROUND = 300
_MOST_OF_IT = 0.5
_LONGEST_LAG = 5
_BLOCK = 3
_FEWEST_REPEATS = 2
_WEIGHTS = np.sqrt([2.0, 3.0, 5.0, 7.0, 11.0])


def flat_runs(bars: pd.DataFrame, series: Series, actions: Sequence[Action]) -> list[Finding]:
    """Runs of bars whose four prices are all one and the same, longer than usual in the series."""
    return flat_in(prices_of(bars, series, actions))


def zero_volume_runs(
    bars: pd.DataFrame, series: Series, actions: Sequence[Action]
) -> list[Finding]:
    """Runs of bars without volume in a series that has some, longer than usual in it."""
    return idle_in(prices_of(bars, series, actions))


def stale_repeats(bars: pd.DataFrame, series: Series, actions: Sequence[Action]) -> list[Finding]:
    """Bars that repeat earlier ones exactly, volume included."""
    return repeats_in(prices_of(bars, series, actions))


def flat_in(prices: Prices) -> list[Finding]:
    """As ``flat_runs``, of prices at hand."""
    if len(prices) < _SHORTEST:
        return []
    one_price = (prices.rows[:4] == prices.close).all(axis=0)
    still = np.zeros(len(prices), dtype=bool)
    still[1:] = one_price[1:] & (prices.close[1:] == prices.close[:-1])
    return [
        _run(FLAT_RUN, first - 1, last, prices, "bars in a row stand at one price")
        for first, last in _odd_runs(still)
    ]


def idle_in(prices: Prices) -> list[Finding]:
    """As ``zero_volume_runs``, of prices at hand."""
    idle = prices.volume == 0
    if idle.sum() > _MOST_OF_IT * len(idle):  # nobody tells its volume, or hardly ever is any
        return []
    return [
        _run(ZERO_VOLUME_RUN, first, last, prices, "bars in a row have no volume")
        for first, last in _odd_runs(idle)
    ]


def repeats_in(prices: Prices) -> list[Finding]:
    """As ``stale_repeats``, of prices at hand.

    A daily bar with a range and volume does not come again within a week; shorter ones of few
    trades may, so three in a row that repeat three in a row are wanted there. Where no bar has
    volume nothing is said: a currency that moves by a tick or two has the same bars often.
    """
    if len(prices) < _FEWEST_REPEATS:
        return []
    return [_repeat(first, last, lag, prices) for first, last, lag in _repeated(prices)]


def _odd_runs(mask: np.ndarray) -> Iterator[tuple[int, int]]:
    """Runs (positions, last included) too long for the share of such bars before and after them."""
    for first, last in _runs(mask):
        length = last - first + 1
        if length < _SHORTEST - 1:
            continue
        around = mask[max(first - _AROUND, 0) : last + 1 + _AROUND]
        others = len(around) - length
        if length > others:
            continue
        share = max((int(around.sum()) - length) / others, _LEAST_SHARE)
        if len(around) * share**length < _CHANCE:
            yield first, last


def _runs(mask: np.ndarray) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    for first, after in edges.reshape(-1, 2):
        yield int(first), int(after) - 1


def _repeated(prices: Prices) -> Iterator[tuple[int, int, int]]:
    """First and last position of bars that repeat those ``lag`` places before them."""
    intraday = prices.series.timeframe.intraday
    told = prices.rows[1] > prices.rows[2]  # a range: some trades at least
    if not intraday or not prices.volume.any():
        told &= prices.volume > 0
    later, lags = _earlier_twins(np.flatnonzero(told), prices.rows)
    taken = -1
    for at, lag in zip(later.tolist(), lags.tolist(), strict=True):
        if at <= taken:
            continue
        first, last = _extent(at, lag, prices.rows)
        fewest = 1 if not intraday and lag <= _LONGEST_LAG else _BLOCK
        if int(told[first : last + 1].sum()) >= fewest:
            taken = last
            yield first, last, lag


def _extent(at: int, lag: int, rows: np.ndarray) -> tuple[int, int]:
    """From where to where bars repeat those ``lag`` places before them, around a bar that does."""
    same = (rows[:, lag:] == rows[:, :-lag]).all(axis=0)
    other = np.flatnonzero(~same) + lag
    place = int(np.searchsorted(other, at))
    first = int(other[place - 1]) + 1 if place else lag
    last = int(other[place]) - 1 if place < len(other) else rows.shape[1] - 1
    return first, last


def _earlier_twins(places: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The places whose five values came before, and how many places before, the last time.

    Equal bars have an equal sum, and one row of sums is sorted faster than five of values, fastest
    where the order of equal ones is left open; those few are sorted again.
    """
    mixed = _WEIGHTS @ rows[:, places]
    ascending = np.sort(mixed)
    often = ascending[1:][ascending[1:] == ascending[:-1]]
    if not len(often):
        return places[:0], places[:0]
    among = np.flatnonzero(np.isin(mixed, often))
    order = places[among[np.argsort(mixed[among], kind="stable")]]
    same = (rows[:, order[1:]] == rows[:, order[:-1]]).all(axis=0)
    later, earlier = order[1:][same], order[:-1][same]
    by_place = np.argsort(later)
    return later[by_place], (later - earlier)[by_place]


def _run(rule: str, first: int, last: int, prices: Prices, what: str) -> Finding:
    count = last - first + 1
    within = between(int(prices.labels[first]), int(prices.labels[last]), prices.series)
    return Finding(rule, within, f"{count} {what}", {"bars": count})


def _repeat(first: int, last: int, lag: int, prices: Prices) -> Finding:
    count = last - first + 1
    within = between(int(prices.labels[first]), int(prices.labels[last]), prices.series)
    detail = f"{count} bars repeat those {lag} places before them, volume included"
    return Finding(STALE_REPEAT, within, detail, {"bars": count, "lag": lag})
