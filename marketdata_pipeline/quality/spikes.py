"""Spikes: single prices that stand out from the bars before and after them, and come back.

Not here: whole bars at another level (levels). A price is compared with the closest of what came
just before and of what came just after: a crash agrees with what follows, a bad print with neither.
"""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.actions import Action
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.verdict import Finding
from marketdata_pipeline.quality.levels import SPIKE
from marketdata_pipeline.quality.marks import between
from marketdata_pipeline.quality.prices import OTHER_DAY, Prices, prices_of

_NAMES = ("open", "high", "low", "close")
_SIGMAS = np.array([10.0, 12.0, 12.0, 10.0])[:, None]
"""How many standard deviations an open, high, low, close may stand out. Brownlees & Gallo 2006
("Financial econometric analysis at ultra-high frequency", Comput. Stat. Data Anal. 51) take 3 and a
constant in trade data; a bar's extremes and days of news reach more, Hampel's identifier with
medians and 1.4826 MAD (Davies & Gather 1993, J. Am. Stat. Assoc. 88) is otherwise theirs."""
_LEAST = np.array([0.12, 0.25, 0.25, 0.12])[:, None]
"""And what is never a spike of a share's day, as a logarithm; a shorter bar has less, by the root
of its length, and so has what moves less."""
_DAY = timedelta(days=1)
_LEAST_SHARE = 0.125
_CERTAIN = float(np.log(1.5))
"""More than half in a day, and back: a spike whatever the volatility was, but six sigmas of it."""
_CERTAIN_SIGMAS = 6.0


def spikes(bars: pd.DataFrame, series: Series, actions: Sequence[Action]) -> list[Finding]:
    """Bars of which a price stands out and comes back; ``bars`` are raw and sorted.

    A newest bar has nothing after it: only its high and its low can be told.
    """
    return spikes_in(prices_of(bars, series, actions))


def spikes_in(prices: Prices) -> list[Finding]:
    """The same of prices at hand."""
    if len(prices) < 3:  # noqa: PLR2004 - the bar before, the bar, the bar after
        return []
    away = _deviations(prices)
    least = _LEAST * (_share_of_day(prices.series.timeframe) * prices.usual_day / OTHER_DAY)
    noise = _lasting_noise(prices)
    odd = np.abs(away) > np.maximum(least, _SIGMAS * noise)
    odd |= np.abs(away) > np.maximum(_CERTAIN, _CERTAIN_SIGMAS * noise)
    return [_told(int(at), away, noise, odd, prices) for at in np.flatnonzero(odd.any(axis=0))]


def _share_of_day(timeframe: Timeframe) -> float:
    return max(float(np.sqrt(min(timeframe.length / _DAY, 1.0))), _LEAST_SHARE)


def _lasting_noise(prices: Prices) -> np.ndarray:
    """Of a bar or of its neighbours, whichever moves more: the move away may be overnight."""
    noise = prices.noise
    wide = noise.copy()
    wide[1:] = np.maximum(wide[1:], noise[:-1])
    wide[:-1] = np.maximum(wide[:-1], noise[1:])
    return wide


def _deviations(prices: Prices) -> np.ndarray:
    """For each price the lesser of its log distances to before and to after, 0 if they oppose.

    Before and after are medians of three prices beside it, without the price itself. Far bars are
    no neighbours.
    """
    opened, high, low, close = prices.logs
    before, earlier = _shifted(close, 1), _shifted(close, 2)
    following, after, later = _shifted(opened, -1), _shifted(close, -1), _shifted(close, -2)
    early = _least(
        opened, _median(before, earlier, _shifted(opened, 1)), _median(close, following, after)
    )
    late = _least(close, _median(opened, before, earlier), _median(following, after, later))
    wicks = [
        np.maximum(high - np.maximum.reduce([opened, close, before, following]), 0.0),
        np.minimum(low - np.minimum.reduce([opened, close, before, following]), 0.0),
    ]
    away = np.array([early, *wicks, late])
    away[:, ~prices.near] = 0.0
    away[::3, :-1][:, ~prices.near[1:]] = 0.0
    away[::3, -1] = 0.0
    return away


def _shifted(values: np.ndarray, by: int) -> np.ndarray:
    """The value ``by`` places before (after where it is negative); at the ends the nearest."""
    at = np.clip(np.arange(len(values)) - by, 0, len(values) - 1)
    return np.asarray(values[at])


def _median(one: np.ndarray, two: np.ndarray, three: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(np.minimum(one, two), np.minimum(np.maximum(one, two), three)))


def _least(price: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    from_before, from_after = price - before, price - after
    least = np.minimum(np.abs(from_before), np.abs(from_after))
    return np.asarray(np.where(from_before * from_after > 0, np.sign(from_before) * least, 0.0))


def _told(at: int, away: np.ndarray, noise: np.ndarray, odd: np.ndarray, prices: Prices) -> Finding:
    row = int(np.argmax(np.where(odd[:, at], np.abs(away[:, at]), 0.0)))
    off, label = float(away[row, at]), int(prices.labels[at])
    detail = (
        f"its {_NAMES[row]} is {np.expm1(off):+.0%} off the prices before and after, "
        f"{abs(off) / noise[at]:.0f} times the usual move"
    )
    evidence: dict[str, float | str] = {
        "price": _NAMES[row],
        "off": off,
        "sigmas": abs(off) / float(noise[at]),
    }
    return Finding(SPIKE, between(label, label, prices.series), detail, evidence)
