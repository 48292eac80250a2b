"""Rows in another unit than those around them: pence where pounds are said, or the other way round.

Not here: what becomes of them (they are dropped like rows that break a hard rule), and jumps that
are a split's. Yahoo mixes units up in single rows and in whole stretches of them (yfinance 1.7,
``_fix_unit_mixups``); its own close before the rows tells which unit they should be in.
"""

import numpy as np
import pandas as pd

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.bars import BadRow
from marketdata_pipeline.domain.ranges import from_micros

RULE = "unit"
_LEAST, _MOST = 63.0, 158.0
"""A hundredfold and what a night adds to it. A day may truly bring as much (LUNA, 2022-05-13), so
the open and the close of one row are not compared."""


def in_another_unit(bars: pd.DataFrame, before: float | None) -> tuple[BadRow, ...]:
    """The bars that are a hundred times too dear or too cheap, from all that one reply tells.

    Args:
        bars: a frame as ``domain.bars`` says, of a reply in one basis.
        before: the close before them, as the reply tells it; None: the first bar that has
            prices is right.
    """
    if bars.empty:
        return ()
    opened, high, low, close, _ = contract.values_of(bars)
    with np.errstate(divide="ignore", invalid="ignore"):
        night = opened / _known(np.append(before or opened[0], close[:-1]))
        rise, fall = _hundredfold(night), _hundredfold(1 / night)
        wick = _hundredfold(high / np.fmax(opened, close))
        wick |= _hundredfold(np.fmin(opened, close) / low)
    if not (rise.any() or fall.any() or wick.any()):
        return ()
    unit = np.cumsum(rise.astype(np.int64) - fall)
    labels = contract.labels_of(bars)[(unit != 0) | wick]
    return tuple(BadRow(from_micros(int(label)), RULE) for label in labels)


def _hundredfold(ratio: np.ndarray) -> np.ndarray:
    near: np.ndarray = (ratio >= _LEAST) & (ratio <= _MOST)
    return near


def _known(prices: np.ndarray) -> np.ndarray:
    """The prices, one that is unknown replaced by the last known one."""
    at = np.arange(len(prices))
    known: np.ndarray = prices[np.maximum.accumulate(np.where(np.isfinite(prices), at, 0))]
    return known
