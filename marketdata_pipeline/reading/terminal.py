"""Candles for a terminal, one column a bar.

Not here: pictures for browsers (candles).
"""

import numpy as np
import pandas as pd

_HEIGHT = 16
_WIDTH = 96
_AXIS = 12


def chart_room(width: int = _WIDTH) -> int:
    """How many bars fit into a chart of ``width`` columns."""
    return width - _AXIS


def chart(bars: pd.DataFrame, *, title: str, width: int = _WIDTH, height: int = _HEIGHT) -> str:
    """A candle chart of the newest bars that fit into ``width`` columns and ``height`` lines.

    A hollow body (``░``) rose, a full one (``█``) fell; ``│`` is the wick. Prices stand at the
    left, the first and last label below. An empty frame gives a line that says so.
    """
    if bars.empty:
        return f"{title}\nno bars\n"
    shown = bars.tail(chart_room(width))
    low, high = float(shown["low"].min()), float(shown["high"].max())
    scale = (height - 1) / ((high - low) or 1.0)
    rows = {name: _row(shown[name].to_numpy(), low, scale) for name in shown.columns[:4]}
    canvas = np.full((height, len(shown)), " ")
    for column in range(len(shown)):
        first, last = rows["open"][column], rows["close"][column]
        canvas[rows["low"][column] : rows["high"][column] + 1, column] = "│"
        rose = shown["close"].iloc[column] >= shown["open"].iloc[column]
        canvas[min(first, last) : max(first, last) + 1, column] = "░" if rose else "█"
    lines = [
        f"{_price(low, high, row, height):>{_AXIS - 2}} ┤{''.join(canvas[row])}"
        for row in range(height - 1, -1, -1)
    ]
    index = pd.DatetimeIndex(shown.index)
    ends = f"{index[0]:%Y-%m-%d}", f"{index[-1]:%Y-%m-%d}"
    gap = max(1, len(shown) - len(ends[0]) - len(ends[1]))
    foot = " " * _AXIS + ends[0] + " " * gap + (ends[1] if len(shown) > 1 else "")
    return "\n".join([title, *lines, foot.rstrip(), ""])


def _row(prices: np.ndarray, low: float, scale: float) -> np.ndarray:
    return np.rint((prices - low) * scale).astype(int)


def _price(low: float, high: float, row: int, height: int) -> str:
    if row % 5 and row != height - 1:
        return ""
    return f"{low + (high - low) * row / (height - 1):,.6g}"
