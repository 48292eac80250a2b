"""yfinance's own detectors on our cases, and the pairs of its price-repair fixtures.

Not here: ours. It repairs: a row that it marks or changes is one that it flags. It gets frames as
Yahoo has them (prices divided by known splits) and no network: where it would fetch finer bars to
mend a row, it is told that there are none, and the rows for which it asks count.
"""

import importlib.util
import logging
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from inspect import signature
from typing import Any

import numpy as np
import pandas as pd
from _truth import read

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import (
    Action,
    ActionKind,
    adjust_for_splits,
    dividend_factor,
)
from marketdata_pipeline.domain.bars import COLUMNS
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series

PAIRS = {
    "4063-T-1d-bad-stock-split": "4063.T|1d",
    "AET-L-1d-100x-error": "AET.L|1d",
    "AV-L-1wk-bad-stock-split": "AV.L|1wk",
    "MOB-ST-1d-bad-stock-split": "MOB.ST|1d",
}
"""The faulty files and their series; each has a twin that yfinance repaired."""
DETECTORS = ("_fix_bad_div_adjust", "_fix_unit_mixups", "_fix_bad_stock_splits", "_fix_zeroes")
OF_PAIRS = DETECTORS[1:3]
"""Those that its tests run on the pairs."""
_TITLES = {name: name.title() for name in COLUMNS}


@dataclass(frozen=True, slots=True, eq=False)
class Fixture:
    """A file of the pairs: prices as Yahoo divides them, and the actions that it lists."""

    name: str
    series: Series
    bars: pd.DataFrame
    actions: tuple[Action, ...]
    table: pd.DataFrame


def fixture(name: str, series: Series) -> Fixture:
    """One file of the pairs, sorted, labelled by the dates of the exchange."""
    table = read(f"price_repair/{name}")
    zone = series.instrument.venue.zone
    local = pd.DatetimeIndex(table.index).tz_convert(zone)
    dates = local.tz_localize(None).normalize()
    values = {one: table[title].to_numpy(np.float64) for one, title in _TITLES.items()}
    bars = contract.frame(dates.as_unit("us").asi8, values)
    return Fixture(name, series, bars, tuple(_listed(dates, table)), table.set_index(local))


def _listed(dates: pd.DatetimeIndex, table: pd.DataFrame) -> Iterator[Action]:
    for kind, title in ((ActionKind.SPLIT, "Stock Splits"), (ActionKind.DIVIDEND, "Dividends")):
        for day, value in zip(dates, table[title].to_numpy(np.float64), strict=True):
            if value:
                ratio = Fraction(float(value)).limit_denominator(10_000)
                yield Action(day.date(), kind, ratio)


def able() -> bool:
    """Whether yfinance can look for faults: that needs scipy."""
    return importlib.util.find_spec("scipy") is not None


def yahoo_table(bars: pd.DataFrame, series: Series, actions: Iterable[Action]) -> pd.DataFrame:
    """Raw daily bars as yfinance gets them from Yahoo."""
    known = sorted(actions)
    table = adjust_for_splits(bars, series, known).rename(columns=_TITLES)
    factor = dividend_factor(bars, series, known, bars["close"])
    table.insert(4, "Adj Close", table["Close"].to_numpy() * factor)
    dates = pd.DatetimeIndex(bars.index).tz_localize(None)
    for kind, title in ((ActionKind.DIVIDEND, "Dividends"), (ActionKind.SPLIT, "Stock Splits")):
        column = np.zeros(len(bars))
        for one in known:
            at = int(dates.searchsorted(pd.Timestamp(one.ex_date)))
            if one.kind is kind and at < len(bars):
                column[at] = float(one.value)
        table[title] = column
    return table.set_index(dates.tz_localize(series.instrument.venue.zone))


def flagged(
    table: pd.DataFrame, series: Series, detectors: Sequence[str] = DETECTORS
) -> pd.DatetimeIndex:
    """The dates (naive) of the rows that any of its detectors marks as repaired, or changes.

    Each sees the frame as it came, as in yfinance's own tests, which also say of the weekly pair
    that it is daily.
    """
    from yfinance.scrapers.history import PriceHistory

    noticed = []

    class Offline(PriceHistory):  # type: ignore[misc]
        def _reconstruct_intervals_batch(self, df: Any, *_: Any, tag: float = -1, **__: Any) -> Any:
            noticed.append(df.index[(df[["Open", "High", "Low", "Close"]] == tag).any(axis=1)])
            return df

    logging.getLogger("yfinance").setLevel(logging.CRITICAL)
    zone = series.instrument.venue.zone
    found = pd.DatetimeIndex([])
    before = table.sort_index()
    for detector in detectors:
        history = Offline(None, series.instrument.key, zone, session=object())
        currency = series.instrument.venue.currency
        history._history_metadata = {"currency": currency, "exchangeTimezoneName": zone}  # noqa: SLF001
        given = {"interval": "1d", "tz_exchange": zone, "prepost": False}
        given["currency"] = currency
        run = getattr(history, detector)
        wanted = signature(run).parameters
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            after = run(before.copy(), **{one: given[one] for one in given if one in wanted})
        found = found.union(_changed(before, after.sort_index()))
    for rows in noticed:
        found = found.union(pd.DatetimeIndex(rows).tz_localize(None).normalize())
    return found


def _changed(before: pd.DataFrame, after: pd.DataFrame) -> pd.DatetimeIndex:
    names = ["Open", "High", "Low", "Close", "Volume", "Dividends"]
    old = before[names].to_numpy(np.float64)
    new = after.reindex(before.index)[names].to_numpy(np.float64)
    odd = ~np.isclose(old, new, rtol=1e-6, equal_nan=True).all(axis=1)
    if "Repaired?" in after:
        odd |= after["Repaired?"].reindex(before.index).fillna(value=False).to_numpy(bool)
    return pd.DatetimeIndex(before.index[odd]).tz_localize(None).normalize()


def within(dates: pd.DatetimeIndex, where: TimeRange) -> bool:
    """Whether any date is in a range, a day more at either side allowed."""
    day = timedelta(days=1)
    first, last = pd.Timestamp(where.start - day), pd.Timestamp(where.end + day)
    return bool(((dates >= first.tz_localize(None)) & (dates < last.tz_localize(None))).any())
