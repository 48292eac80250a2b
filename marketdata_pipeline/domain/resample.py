"""Derived bars: 4h from 1h and 1wk from 1d, on the calendar's grid.

Not here: which derived bars are due, and fetching.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import Action, adjust_for_splits, splits_of
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import monday_of
from marketdata_pipeline.domain.timeframe import Timeframe


def derive(base: pd.DataFrame, series: Series, actions: Iterable[Action]) -> pd.DataFrame:
    """Bars of a derived series from raw bars of its base, which are sorted.

    open first, high max, low min, close last, volume sum. A week that a split falls into is in the
    basis of its last session. Whether a bar is closed is the caller's question. Bars of the base
    outside every session are left out; an empty base gives an empty frame.
    """
    labels = calendar_of(series.instrument).bucket(series.timeframe, contract.labels_of(base))
    inside = labels >= 0 if series.timeframe.intraday else np.ones(len(labels), dtype=bool)
    if not inside.any():
        return contract.empty()
    kept, labels = base[inside], labels[inside]
    if series.timeframe is Timeframe.W1:
        kept = _in_basis_of_last_session(kept, labels, series, actions)
    first = np.flatnonzero(np.diff(labels, prepend=labels[0] - 1))
    opened, high, low, close, volume = contract.values_of(kept)
    columns = {
        "open": opened[first],
        "high": np.maximum.reduceat(high, first),
        "low": np.minimum.reduceat(low, first),
        "close": close[np.append(first[1:], len(close)) - 1],
        "volume": np.add.reduceat(volume, first),
    }
    return contract.frame(labels[first], columns)


def _in_basis_of_last_session(
    daily: pd.DataFrame, mondays: np.ndarray, series: Series, actions: Iterable[Action]
) -> pd.DataFrame:
    """Daily bars, those before a split of their own week adjusted for it."""
    base = Series(series.instrument, Timeframe.D1)
    for split in splits_of(actions):
        day = np.array([split.ex_date], dtype="datetime64[us]").astype(np.int64)
        week = mondays == monday_of(day)
        if week.any():
            adjusted = adjust_for_splits(daily, base, [split])
            mixed = np.where(week[:, None], adjusted.to_numpy(), daily.to_numpy())
            daily = pd.DataFrame(mixed, index=daily.index, columns=daily.columns)
    return daily
