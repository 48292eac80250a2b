"""The days of a made-up life: sessions of its calendar with prices, splits and dividends.

Not here: drawing the life itself (lives), minutes (bridge).
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from fractions import Fraction

import numpy as np
import pandas as pd

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.bars import COLUMNS
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import from_micros, to_micros
from marketdata_pipeline.domain.sessions import DAY, Micros
from marketdata_pipeline.simulator.lives import Life, dice

_BACK = 0.002
"""How much of its distance to its level a price goes back in a day."""
_YIELD = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Days:
    """All days of a life, raw, and what happened to the instrument in it."""

    bars: pd.DataFrame
    actions: tuple[Action, ...]


def days_of(instrument: Instrument, life: Life, seed: int, until: date) -> Days:
    """The life's days before ``until``; a later ``until`` only adds days."""
    end = until if life.delisted is None else min(until, life.delisted)
    labels = calendar_of(instrument).days(_label(life.listed), _label(end)).label
    if not len(labels):
        return Days(contract.empty(), ())
    noise = dice(seed, instrument, "days").standard_normal((len(labels), 5))
    ratio, splits = _split_on(life, labels)
    smooth = _reverting(np.log(life.level), life.volatility * noise[:, 0])
    close = _rounded(np.exp(smooth) / np.cumprod(ratio), life.digits)
    before = np.append(close[:1], close[:-1]) / ratio
    opened = _rounded(before * np.exp(0.3 * life.volatility * noise[:, 1]), life.digits)
    top, bottom = np.maximum(opened, close), np.minimum(opened, close)
    stretch = np.exp(0.5 * life.volatility * np.abs(noise[:, 2:4]))
    high = np.maximum(_rounded(top * stretch[:, 0], life.digits), top)
    low = np.minimum(_rounded(bottom / stretch[:, 1], life.digits), bottom)
    volume = np.round(life.volume * np.cumprod(ratio) * np.exp(0.4 * noise[:, 4]))
    made = dict(zip(COLUMNS, (opened, high, low, close, volume), strict=True))
    paid = _dividends(life, labels, close / np.append(ratio[1:], 1.0))
    return Days(contract.frame(labels, made), tuple(sorted([*splits, *paid])))


def _label(day: date) -> int:
    return to_micros(datetime.combine(day, time.min, tzinfo=UTC))


def _rounded(prices: np.ndarray, digits: int) -> np.ndarray:
    """In whole ticks, one of them at least."""
    rounded: np.ndarray = np.maximum(np.round(prices, digits), 10.0**-digits)
    return rounded


def _reverting(level: float, shocks: np.ndarray) -> np.ndarray:
    """Each step keeps 1 - back of the way to the level, plus its shock (Ornstein-Uhlenbeck)."""
    kept = (1 - _BACK) ** np.arange(len(shocks))
    walked: np.ndarray = level + kept * np.cumsum(shocks / kept)
    return walked


def _split_on(life: Life, labels: Micros) -> tuple[np.ndarray, list[Action]]:
    """The ratio that each day's prices are divided by at its open, and the splits."""
    ratio, actions = np.ones(len(labels)), []
    for day, value in life.splits:
        at = int(np.searchsorted(labels, _label(day)))
        if 0 < at < len(labels):
            ratio[at] = value
            actions.append(Action(_date(labels[at]), ActionKind.SPLIT, Fraction(value)))
    return ratio, actions


def _dividends(life: Life, labels: Micros, close: np.ndarray) -> list[Action]:
    """Cash on the first session from the tenth of each month that it pays in."""
    months = labels.astype("datetime64[us]").astype("datetime64[M]")
    tenth = months.astype("datetime64[D]").astype("datetime64[us]").astype(np.int64) + 9 * DAY
    first = np.flatnonzero((labels >= tenth) & np.append(False, labels[:-1] < tenth[1:]))
    number = months.astype(np.int64) % 12 + 1
    share = _YIELD / max(1, len(life.pays))
    paid = []
    for at in first[np.isin(number[first], life.pays)].tolist():
        amount = Fraction(str(round(float(close[at - 1]) * share, 2)))
        if amount:
            paid.append(Action(_date(labels[at]), ActionKind.DIVIDEND, amount))
    return paid


def _date(label: int) -> date:
    return from_micros(int(label)).date()
