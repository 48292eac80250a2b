"""Bars for benchmarks of the store: seeded walks in decimals, years of minutes, months of days.

Not here: what is measured with them. A minute's step and range are those of a recorded stock (MSFT
in January 2024: 0.06 %); prices begin at 100, so that with four digits a step is some 600 ticks.
"""

from datetime import date

import numpy as np
import pandas as pd

from marketdata_pipeline.domain import bars

SEED = 20240102
SESSION, SESSIONS = 390, 252
"""Minutes of a session, sessions of a year."""
YEAR = SESSION * SESSIONS
DIGITS = (2, 3, 4)
_FIRST = date(2024, 1, 2)
_STEP = {"minute": 0.0006, "day": 0.015}


def minutes(sessions: int, digits: int) -> pd.DataFrame:
    """So many sessions of New York, each weekday from 2024-01-02 on, prices in so many digits."""
    days = pd.bdate_range(_FIRST, periods=sessions, tz="America/New_York")
    opens = _micros((days + pd.Timedelta(hours=9, minutes=30)).tz_convert("UTC"))
    within = np.arange(SESSION, dtype=np.int64) * 60_000_000
    labels = (opens[:, np.newaxis] + within).ravel()
    return _walk(labels, digits, _STEP["minute"], (SEED, digits))


def days(count: int, number: int) -> pd.DataFrame:
    """So many weekdays from 2024-01-02 on, in cents; another walk for each number."""
    labels = _micros(pd.bdate_range(_FIRST, periods=count, tz="UTC"))
    return _walk(labels, 2, _STEP["day"], (SEED, number))


def _micros(index: pd.DatetimeIndex) -> np.ndarray:
    return index.as_unit("us").asi8


def _walk(labels: np.ndarray, digits: int, step: float, seed: tuple[int, ...]) -> pd.DataFrame:
    dice = np.random.default_rng(seed)
    count = len(labels)
    close = 100 * np.exp(np.cumsum(dice.normal(0, step, count)))
    opened = np.append(100.0, close[:-1]) * np.exp(dice.normal(0, step / 4, count))
    above, below = np.abs(dice.normal(0, step / 2, (2, count)))
    columns = {
        "open": opened,
        "high": np.maximum(opened, close) * np.exp(above),
        "low": np.minimum(opened, close) * np.exp(-below),
        "close": close,
    }
    columns = {name: np.round(price, digits) for name, price in columns.items()}
    columns["volume"] = np.round(np.exp(dice.normal(9, 1, count)))
    return bars.frame(labels, columns)
