"""Defects of single rows, of labels, and of what a reply says beside its bars.

Not here: levels, runs, and bars that are left out (_defects), and which defects are made (_mixed).
Imports nothing of marketdata_pipeline.quality.
"""

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import numpy as np
import pandas as pd
from _case import Case
from _defects import Injector, Scene, spoiled, times

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.bars import PRICES
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.domain.ranges import TimeRange

_FEW = 5
_RATES = (1.27, 0.79, 1.1, 0.91, 7.8, 150.0, 1 / 150, 1.35)
"""Dollars, pounds, euros, Hong Kong dollars, yen, of late."""


def ohlc(scene: Scene) -> Case:
    """A low above, or a high below, what it has to hold."""
    at = scene.place()
    row = scene.asked.iloc[at]
    top, bottom = float(row[list(PRICES)].max()), float(row[list(PRICES)].min())
    forms = {"high": bottom * 0.98, "low": top * 1.02, "close": top * 1.01, "open": bottom * 0.99}
    name = str(scene.dice.choice(list(forms)))
    return scene.case(
        "ohlc_relations", name, spoiled(scene.asked, at, **{name: forms[name]}), (at, at)
    )


def no_price(scene: Scene) -> Case:
    """A price of nought, below it, or none at all."""
    at, name = scene.place(), str(scene.dice.choice(PRICES))
    value = float(scene.dice.choice([0.0, -float(scene.asked[name].iloc[at]), np.nan]))
    return scene.case(
        "price", f"{name} {value:g}", spoiled(scene.asked, at, **{name: value}), (at, at)
    )


def negative_volume(scene: Scene) -> Case:
    """A volume below nought."""
    at = scene.place()
    value = -float(scene.dice.integers(1, 10**7))
    return scene.case("volume", f"{value:g}", spoiled(scene.asked, at, volume=value), (at, at))


def off_grid(scene: Scene) -> Case:
    """One label beside the grid: by minutes, a day's by hours."""
    at, intraday = scene.place(), scene.subject.series.timeframe.intraday
    by = timedelta(seconds=20) if intraday else timedelta(hours=5)
    labels = contract.labels_of(scene.asked).copy()
    labels[at] += int(by.total_seconds() * 1_000_000)
    bars = _relabelled(scene.asked, labels)
    return scene.case("off_grid", str(by), bars, (at, at))


def out_of_order(scene: Scene) -> Case:
    """Two rows have changed places."""
    at, rows = scene.place(2), np.arange(len(scene.asked))
    rows[[at, at + 1]] = rows[[at + 1, at]]
    return scene.case("out_of_order", "two rows", scene.asked.iloc[rows], (at, at + 1))


def duplicate(scene: Scene) -> Case:
    """A label comes twice, the second time with another close."""
    at = scene.place()
    rows = np.sort(np.append(np.arange(len(scene.asked)), at))
    bars = scene.asked.iloc[rows]
    bars = spoiled(bars, at + 1, close=float(bars["low"].iloc[at]))
    return scene.case("duplicate", "one label", bars, (at, at))


def wrong_zone(scene: Scene) -> Case:
    """All labels shifted by a zone's hours; where a market never closes, over stored bars."""
    timeframe = scene.subject.series.timeframe
    hours = int(scene.dice.choice([-5, -4, 1, 4, 5, 8]))
    shift = timedelta(hours=hours)
    never_closes = scene.subject.series.instrument.asset_class is AssetClass.CRYPTO
    if never_closes and timeframe.intraday:
        scene = replace(scene, overlap=len(scene.asked))
    micros = int(shift.total_seconds() * 1_000_000)
    bars = _relabelled(scene.asked, contract.labels_of(scene.asked) + micros)
    made = scene.case("wrong_zone", f"{hours:+d} h", bars, None)
    window = TimeRange(made.window.start - abs(shift), made.window.end + abs(shift))
    return replace(made, window=window, now=made.now + abs(shift))


def outside_hours(scene: Scene) -> Case | None:
    """Bars of the night before among those of the day: not where a market never closes."""
    series = scene.subject.series
    if series.instrument.asset_class is AssetClass.CRYPTO:
        return None
    labels = contract.labels_of(scene.asked)
    step = int(series.timeframe.length.total_seconds() * 1_000_000)
    between = [
        int(labels[row]) + step * number
        for row in range(len(labels) - 1)
        for number in (1, 2)
        if labels[row] + step * number < labels[row + 1]
    ]
    grid = calendar_of(series.instrument).grid(
        series.timeframe, TimeRange(scene.asked.index[0], scene.asked.index[-1])
    )
    closed = [one for one in between if one not in set(grid.labels.tolist())]
    if not closed:
        return None
    label = closed[int(scene.dice.integers(len(closed)))]
    at = int(np.searchsorted(labels, label))
    added = scene.asked.iloc[[at - 1]]
    bars = pd.concat(
        [scene.asked.iloc[:at], _relabelled(added, np.array([label])), scene.asked.iloc[at:]]
    )
    return scene.case("outside_hours", "one bar", bars, (at - 1, at))


def wrong_symbol(scene: Scene) -> Case | None:
    """Another instrument's bars on these labels; over stored ones, or beside them."""
    series = scene.subject.series
    others = [
        one
        for one in scene.subjects
        if one.series.instrument != series.instrument
        and one.series.timeframe is series.timeframe
        and len(one.bars) >= len(scene.asked)
    ]
    if not others or not scene.first:
        return None
    other = others[int(scene.dice.integers(len(others)))]
    same = other.bars.index.intersection(scene.asked.index)
    if len(same) == len(scene.asked):
        values = contract.values_of(other.bars.loc[same])
    else:
        start = int(scene.dice.integers(len(other.bars) - len(scene.asked) + 1))
        values = contract.values_of(other.bars.iloc[start : start + len(scene.asked)])
    bars = contract.frame_on(scene.asked.index, values.copy())
    form = f"{other.series}, {'over stored ones' if scene.overlap else 'beside them'}"
    return scene.case("wrong_symbol", form, bars, None)


def wrong_currency(scene: Scene) -> Case:
    """Prices of another currency: told, or found by those that are stored, over or beside them."""
    rate = float(scene.dice.choice(_RATES))
    bars = times(scene.asked, slice(None), rate)
    if scene.chance(0.5) or not scene.first:
        made = scene.case("wrong_currency", "told", bars, None)
        return replace(made, currency=str(scene.dice.choice(["GBp", "GBP", "EUR", "HKD"])))
    form = f"not told, x{rate:.3g}, {'over stored ones' if scene.overlap else 'beside them'}"
    return scene.case("wrong_currency", form, bars, None)


def impossible_dividend(scene: Scene) -> Case | None:
    """A payment below nought, of more than the price, of most of it, or in pence for pounds."""
    series = scene.subject.series
    if not series.instrument.asset_class.has_actions or series.timeframe.intraday:
        return None
    at = scene.place()
    before = float(scene.asked["close"].iloc[at - 1])
    paid = [one for one in scene.subject.actions if one.kind is ActionKind.DIVIDEND]
    form = str(scene.dice.choice(["negative", "more than the price", "most of it", "x100"]))
    if form == "x100" and len(paid) < _FEW:  # what is usual is not known
        form = "most of it"
    share = float(scene.dice.uniform(0.55, 0.95))
    cash = {
        "negative": -0.01 * before, "more than the price": (0.5 + share) * before * 1.2,
        "most of it": share * before,
        "x100": 100 * float(paid[len(paid) // 2].value) if paid else 0.0,
    }[form]  # fmt: skip
    ex_date = scene.asked.index[at].date()
    action = Action(ex_date, ActionKind.DIVIDEND, Fraction(cash).limit_denominator(10**6))
    usual = tuple(one for one in paid if scene.asked.index[0].date() < one.ex_date < ex_date)
    told = (*usual, *([] if form != "x100" else paid[-4:]), action)
    made = scene.case("impossible_dividend", form, scene.asked, (at, at))
    return replace(made, told=told)


def missing_column(scene: Scene) -> Case:
    """A column is not there."""
    name = str(scene.dice.choice(contract.COLUMNS))
    return scene.case("missing_column", name, scene.asked.drop(columns=name), None)


def wrong_dtype(scene: Scene) -> Case:
    """A column of text or whole numbers, or labels without a zone."""
    form = str(scene.dice.choice(["text", "int64", "float32", "naive labels"]))
    if form == "naive labels":
        bars = scene.asked.tz_localize(None)
    else:
        kind = {"text": str, "int64": np.int64, "float32": np.float32}[form]
        bars = scene.asked.astype({"close": kind})
    return scene.case("wrong_dtype", form, bars, None)


def _relabelled(bars: pd.DataFrame, labels: np.ndarray) -> pd.DataFrame:
    index = pd.DatetimeIndex(labels.astype("datetime64[us]"), tz="UTC", name="ts")
    return contract.frame_on(index, contract.values_of(bars).copy())


FAULTS: tuple[Injector, ...] = (
    ohlc, no_price, negative_volume, off_grid, out_of_order, duplicate, wrong_zone, outside_hours,
    wrong_symbol, wrong_currency, impossible_dividend, missing_column, wrong_dtype,
)  # fmt: skip
