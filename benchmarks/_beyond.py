"""Defects that only something beside the series shows: another timeframe, a contract's calendar.

Not here: defects that its own bars show (_defects, _faults, _absent). Imports nothing of
marketdata_pipeline.quality.
"""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
from _case import Case
from _defects import Injector, Scene, spoiled, times

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.ranges import to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import DAY
from marketdata_pipeline.domain.timeframe import Timeframe

_NOT_LISTED = "FGJKNQVX"
"""Months in which no contract of ES ends: it has March, June, September, December."""
_ROLLED = datetime(2013, 12, 13, tzinfo=UTC)
"""From that Friday on more of ESH14 was traded; it is a week before ESZ13's third Friday."""
_QUIET = datetime(2013, 12, 4, tzinfo=UTC)
_FEW = 12


def disagreement(scene: Scene) -> Case | None:
    """A day's bar of which a price, or the whole of it, is not what the hours of that day say."""
    series = scene.subject.series
    if series.timeframe is not Timeframe.D1:
        return None
    finer = [
        one
        for one in scene.subjects
        if one.series.instrument == series.instrument and one.series.timeframe is Timeframe.H1
    ]
    if not finer:
        return None
    bars, hours = scene.asked, finer[0].bars
    hours = hours.loc[bars.index[0] : bars.index[-1] + pd.Timedelta(days=1)]
    labels, sessions = contract.labels_of(bars), contract.labels_of(hours) // DAY * DAY
    days = np.flatnonzero(np.isin(labels, sessions))
    if len(days) < _FEW:
        return None
    at = int(days[int(scene.dice.integers(2, len(days) - 2))])
    by = float(scene.dice.uniform(0.02, 0.06)) * (1 if scene.chance(0.5) else -1)
    form, row = str(scene.dice.choice(["bar", "close", "open"])), bars.iloc[at]
    if form == "bar":
        spoilt = times(bars, slice(at, at + 1), 1 + by)
    else:
        price = float(row[form]) * (1 + by)
        high, low = max(float(row["high"]), price), min(float(row["low"]), price)
        spoilt = spoiled(bars, at, **{form: price, "high": high, "low": low})
    made = scene.case("disagreement", f"{form} {by:+.1%}", spoilt, (at, at))
    return replace(made, other={"1h": hours})


def contract_month(scene: Scene) -> Case | None:
    """A contract of a month in which there is none."""
    key = scene.subject.series.instrument.key
    if not key.startswith("ES"):
        return None
    code = str(scene.dice.choice(list(_NOT_LISTED)))
    series = Series.parse(f"ES{code}{key[3:5]}.CME|{scene.subject.series.timeframe}")
    return replace(
        scene.case("contract_month", series.instrument.key, scene.asked, None), series=series
    )


def expiry(scene: Scene) -> Case | None:
    """Bars of a contract that had ended before them."""
    key = scene.subject.series.instrument.key
    if not key.startswith("ES") or key[3:5] != "20":
        return None
    ended = str(scene.dice.choice(["ESZ19", "ESU19", "ESM19", "ESZ18"]))
    series = Series.parse(f"{ended}.CME|{scene.subject.series.timeframe}")
    return replace(scene.case("expiry", ended, scene.asked, None), series=series)


def rollover(scene: Scene) -> Case | None:
    """The front contracts in a row: a jump on no rollover, above CME's overnight limit of 5 %."""
    if scene.subject.series.instrument.key != "ESZ13.CME":
        return None
    days = {
        one.series.instrument.key: one
        for one in scene.subjects
        if one.series.timeframe is Timeframe.D1
    }
    first, second = days["ESZ13.CME"], days["ESH14.CME"]
    bars = pd.concat([first.bars.loc[:_ROLLED], second.bars.loc[_ROLLED:]])
    bars = bars[~bars.index.duplicated(keep="last")]
    subject = replace(first, series=Series.parse("ES=F|1d"), bars=bars, name="ES=F|1d lean/es")
    scene = replace(scene, subject=subject, bars=bars, first=0, overlap=0)
    quiet = int((contract.labels_of(bars) < to_micros(_QUIET)).sum())
    at = int(scene.dice.integers(3, min(quiet, len(bars) - 3)))
    by = float(scene.dice.uniform(0.055, 0.1)) * (1 if scene.chance(0.5) else -1)
    spoilt = times(bars, slice(at, None), 1 + by)
    return scene.case("rollover", f"{by:+.1%}", spoilt, (at, at))


BEYOND: tuple[Injector, ...] = (disagreement, contract_month, expiry, rollover)
