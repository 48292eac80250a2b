"""Level shifts: bars at another level than those around them, from a bar on or for some bars.

Not here: single prices that are out of line (spikes), and the same bars told twice (overlap). Units
are mistaken by 100 (pence for pounds) and 1000, splits are taken out of one part of a reply and not
of the other, another instrument's bars are served. Such a shift comes between two bars: the open
is off by it as the close is. A market that crashes trades more than usual; a wrong unit does not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.actions import Action, splits_of
from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.verdict import Finding
from marketdata_pipeline.quality.marks import between
from marketdata_pipeline.quality.prices import Prices, date_of, prices_of

LEVEL_SHIFT = "level_shift"
SPLIT_LIKE = "split_like"
SPIKE = "spike"

_UNITS = (10.0, 100.0, 1000.0)
"""Pence for pounds and cents for dollars; thousands; yfinance's `_fix_unit_mixups` looks for 100
and for the rial's 1000, its bad splits for the split's own ratio, mostly 10."""
_SPLITS = (1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0)
"""Smaller ones cannot be told from a day's move, as in plausible."""
_LONGEST_SPIKE = 3
_LONGEST_BLOCK = 80
_PAIRED, _PAIRED_SIGMA = 4.0, 8.0
_ALONE, _ALONE_SIGMA = 6.0, 10.0
_SPLIT_SIGMA = 2.5
_SPLIT_TOLERANCE = 0.03
_SURGE = 2.0
_ELSE, _DECAY = 3.0, 1.3
_BEFORE, _AFTER = 20, 3
_LARGEST = {
    AssetClass.FX: 0.2,
    AssetClass.FUTURE: 0.2,
    AssetClass.INDEX: 0.2,
    AssetClass.CRYPTO: 0.4,
}
"""No news moves these further between two bars: CME's limits for stock indices are 7, 13 and 20 %
(Rulebook, chapter 358); the franc rose by less against the euro within a minute of 2015-01-15."""
_IMPOSSIBLE = float(np.log(20))
_KNOWN_NEAR = timedelta(days=5)
"""Providers divide by a split some days early or late: yfinance looks at five rows beyond."""


@dataclass(frozen=True, slots=True)
class Shift:
    """Bars ``first`` to ``last`` (positions, included) are off by the factor ``exp(size)``."""

    first: int
    last: int
    size: float
    paired: bool


def level_shifts(bars: pd.DataFrame, series: Series, actions: Sequence[Action]) -> list[Finding]:
    """Parts of a series that are at another level without a known reason.

    ``bars`` are raw and sorted. A finding is ``level_shift``, ``split_like`` where the factor is a
    split's (known or not), or ``spike`` where up to three bars are off by any other factor.
    """
    return shifts_in(prices_of(bars, series, actions), actions)


def shifts_in(prices: Prices, actions: Sequence[Action]) -> list[Finding]:
    """The same of prices at hand."""
    return [told(one, prices, actions) for one in odd_shifts(prices, actions)]


def odd_shifts(prices: Prices, actions: Sequence[Action]) -> Iterator[Shift]:
    """Jumps that come back are a block; those that stay are judged by what the market did.

    Where a jump stays nothing tells which side is off: the two bars at it are named.
    """
    if len(prices) < 2:  # noqa: PLR2004 - one bar has no neighbour
        return
    jump, noise = prices.jump, prices.noise
    large = np.flatnonzero(
        np.abs(jump) > np.maximum(_PAIRED * prices.usual_day, _PAIRED_SIGMA * noise)
    )
    taken: set[int] = set()
    for place, at in enumerate(large):
        if int(at) in taken:
            continue
        back = _way_back(large[place + 1 :], int(at), prices)
        if back is not None:
            taken.add(back)
            yield _block(int(at), back, prices)
        elif _stays_odd(int(at), prices, actions):
            yield Shift(int(at) - 1, int(at), float(jump[at]), paired=False)


def _way_back(later: np.ndarray, at: int, prices: Prices) -> int | None:
    """The next large jump, where it undoes this one within few bars."""
    for other in later[:2]:
        if other - at > _LONGEST_BLOCK:
            return None
        slack = 0.04 + 3 * max(prices.noise[at], prices.noise[other]) * min(other - at, 4) ** 0.5
        if abs(prices.jump[at] + prices.jump[other]) < min(slack, abs(prices.jump[at]) / 3):
            return int(other)
    return None


def _block(at: int, back: int, prices: Prices) -> Shift:
    return Shift(at, back - 1, float(prices.jump[at]), paired=True)


def _stays_odd(at: int, prices: Prices, actions: Sequence[Action]) -> bool:
    """Whether a jump that does not come back is none that a market makes."""
    size = float(prices.jump[at])
    if abs(size) > _IMPOSSIBLE:
        return True
    if not _persists(at, prices):
        return False
    noise = float(prices.noise[at])
    if known_split(size, date_of(int(prices.labels[at])), actions) is not None:
        return True
    if _is_news(at, size, prices):
        return False
    if prices.series.instrument.asset_class.has_actions and _unknown_split(size, noise):
        return True
    return abs(size) > max(_ALONE * prices.usual_day, _ALONE_SIGMA * noise)


def _persists(at: int, prices: Prices) -> bool:
    """Whether the closes after the jump are off by most of it from those before."""
    before, after = prices.logs[3, max(at - 3, 0) : at], prices.logs[3, at : at + 3]
    moved = float(np.median(after) - np.median(before))
    return bool(moved * np.sign(prices.jump[at]) > abs(prices.jump[at]) / 2)


def _is_news(at: int, size: float, prices: Prices) -> bool:
    """Whether more was traded from this bar on than usual before, as when a market moves.

    In units or in shares of the other side of the jump, whichever is less: a split's volume is
    larger by the ratio. Where volume stays at several times the usual, the bars are of something
    else that trades more.
    """
    if abs(size) > _LARGEST.get(prices.series.instrument.asset_class, _IMPOSSIBLE):
        return False
    usual, at_first, later = _volumes(at, prices)
    if not usual or not at_first:
        return False
    split = float(np.exp(min(size, 0.0)))
    surge = at_first / usual * split
    return surge > _SURGE and (later / usual * split < _ELSE or at_first > _DECAY * later)


def _volumes(at: int, prices: Prices) -> tuple[float, float, float]:
    """Usual volume before a bar, that from it on, and that later; 0 where there is none.

    First bars of sessions are compared with first bars. Of days the busiest of the first three
    counts: what is traded on news falls within a day or two.
    """
    like = prices.starts == prices.starts[at]
    before = prices.volume[:at][like[:at]][-_BEFORE:]
    after = prices.volume[at:][like[at:]]
    first = after[: 1 if prices.starts[at] else _AFTER]
    intraday = prices.series.timeframe.intraday
    at_first = _typical(first) if intraday else float(first.max())
    return _typical(before), at_first, _typical(after[_AFTER : _AFTER + _BEFORE])


def _typical(volume: np.ndarray) -> float:
    traded = volume[volume > 0]
    return float(np.median(traded)) if len(traded) else 0.0


def _unknown_split(size: float, noise: float) -> float | None:
    tolerance = min(max(_SPLIT_TOLERANCE, _SPLIT_SIGMA * noise), 0.1)
    for ratio in _SPLITS:
        if abs(abs(size) - np.log(ratio)) < tolerance:
            return ratio
    return None


def known_split(size: float, day: date, actions: Sequence[Action]) -> float | None:
    """The ratio of a known split of about that day which the jump looks like."""
    for one in splits_of(actions):
        log = abs(float(np.log(float(one.value))))
        near = abs(one.ex_date - day) <= _KNOWN_NEAR
        if near and log > np.log(1.2) and abs(abs(size) - log) < log / 4:
            return float(one.value)
    return None


def told(shift: Shift, prices: Prices, actions: Sequence[Action]) -> Finding:
    """The finding about bars at another level: its rule is what the factor looks like."""
    day = date_of(int(prices.labels[shift.first]))
    noise = float(prices.noise[shift.first])
    split = known_split(shift.size, day, actions)
    may_split = prices.series.instrument.asset_class.has_actions
    if split is None and may_split:
        split = _unknown_split(shift.size, noise)
    unit = _unit(shift.size, noise)
    factor = float(np.exp(shift.size))
    bars = shift.last - shift.first + 1
    rule = LEVEL_SHIFT
    if unit is None and shift.paired and bars <= _LONGEST_SPIKE:
        rule = SPIKE
    elif unit is None and split is not None:
        rule = SPLIT_LIKE
    within = between(int(prices.labels[shift.first]), int(prices.labels[shift.last]), prices.series)
    like = f", like a split of {split:g}:1 that no action tells" if rule == SPLIT_LIKE else ""
    said = "1 bar is" if bars == 1 else f"{bars} bars are"
    detail = f"{said} {factor:.4g} times the level of the others{like}"
    evidence = {"factor": factor, "bars": bars, "sigmas": abs(shift.size) / noise}
    return Finding(rule, within, detail, evidence)


def _unit(size: float, noise: float) -> float | None:
    for unit in _UNITS:
        if abs(abs(size) - np.log(unit)) < min(max(0.1, 4 * noise), 0.3):
            return unit
    return None
