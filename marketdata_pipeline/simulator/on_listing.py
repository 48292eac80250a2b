"""Faults of the data that is served, a function each, and their table.

Not here: faults of the reply that is made of it (on_answer), and what a fault is for (fault). What
Yahoo says of an instrument beside its bars is made of the spoiled data too.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.actions import ActionKind
from marketdata_pipeline.domain.bars import PRICES
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.simulator.fault import Fault
from marketdata_pipeline.simulator.history import LazyBars, Listing

OnListing = Callable[[Listing, Fault], Listing]


def drop(listing: Listing, fault: Fault) -> Listing:
    """Sessions are absent, as if nobody had traded; the listing is as old as it was."""
    there = replace(listing, listed=listing.first_trade)
    return _each_frame(there, lambda _, frame: frame[~_rows(listing, fault, frame)])


def null(listing: Listing, fault: Fault) -> Listing:
    """Rows keep their stamps and lose their values."""
    return _spoiled(listing, fault, lambda rows: rows * np.nan)


def bad_ohlc(listing: Listing, fault: Fault) -> Listing:
    """Highs below the lows."""
    return _spoiled(listing, fault, lambda rows: rows.assign(high=rows["low"] * 0.9))


def split_not_applied(listing: Listing, fault: Fault) -> Listing:
    """Rows before the split keep their undivided prices, though the event is listed."""
    splits = [
        one
        for one in listing.actions
        if one.kind is ActionKind.SPLIT and (not fault.dates or one.ex_date in fault.dates)
    ]

    def change(_: Timeframe, frame: pd.DataFrame) -> pd.DataFrame:
        dates = pd.DatetimeIndex(frame.index).tz_localize(None)
        changed = frame.copy()
        for split in splits:
            ratio = np.where(dates < pd.Timestamp(split.ex_date), float(split.value), 1.0)
            changed[list(PRICES)] = changed[list(PRICES)].mul(ratio, axis=0)
            changed["volume"] = changed["volume"] / ratio
        return changed

    return _each_frame(listing, change)


ON_LISTING: Mapping[str, OnListing] = {
    "drop": drop,
    "null": null,
    "bad_ohlc": bad_ohlc,
    "split_not_applied": split_not_applied,
}


def _spoiled(
    listing: Listing, fault: Fault, columns: Callable[[pd.DataFrame], pd.DataFrame]
) -> Listing:
    """The listing with the rows of the fault's sessions rewritten."""

    def change(_: Timeframe, frame: pd.DataFrame) -> pd.DataFrame:
        spoiled = _rows(listing, fault, frame)
        changed = frame.copy()
        changed.loc[spoiled] = columns(frame[spoiled])
        return changed

    return _each_frame(listing, change)


def _rows(listing: Listing, fault: Fault, frame: pd.DataFrame) -> np.ndarray:
    """The rows of a frame in the fault's sessions, by the exchange's date."""
    if not fault.dates:
        return np.ones(len(frame), dtype=bool)
    index = pd.DatetimeIndex(frame.index)
    midnights = bool((index == index.normalize()).all())
    local = index if midnights else index.tz_convert(calendar_of(listing.instrument).zone)
    dates = set(fault.dates)
    return np.array([day in dates for day in local.date], dtype=bool)


def _each_frame(
    listing: Listing, change: Callable[[Timeframe, pd.DataFrame], pd.DataFrame]
) -> Listing:
    whole = listing.bars
    return replace(listing, bars=LazyBars(whole, lambda one: change(one, whole[one])))
