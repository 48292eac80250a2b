"""Splits, dividends and capital gains, and the arithmetic between raw and adjusted prices.

Not here: where actions come from, and when an instrument's actions are known (coverage).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum, StrEnum
from fractions import Fraction
from math import prod

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.bars import PRICES, frame_on, values_of
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe

_MOST_DIGITS = 18
_HALF_A_MICRO = Fraction(1, 2_000_000)
_SIXTH_DECIMAL = 5e-7
_WEEK = timedelta(days=7)


class ActionKind(StrEnum):
    """What happened: ``value`` of a split is new shares per old one, else cash a share."""

    SPLIT = "split"
    DIVIDEND = "dividend"
    CAPITAL_GAIN = "capital_gain"


@dataclass(frozen=True, slots=True, order=True)
class Action:
    """An action of an instrument, effective from the session ``ex_date`` on (exchange's date).

    A split's ``value`` is the ratio new : old (4:1 is 4, a 1:8 reverse split is 1/8); a dividend's
    is cash per share as paid, in the quote currency, not split-adjusted.
    """

    ex_date: date
    kind: ActionKind
    value: Fraction


class Adjust(Enum):
    """Which actions are taken out of raw prices on read."""

    NONE = "none"
    SPLITS = "splits"
    ALL = "all"

    @property
    def basis(self) -> str:
        """What a frame, a file or a page calls prices of it: ``raw``, ``splits`` or ``all``."""
        return "raw" if self is Adjust.NONE else self.value


def splits_of(actions: Iterable[Action]) -> list[Action]:
    """The splits, oldest first; one that is listed twice took place once."""
    return sorted({one for one in actions if one.kind is ActionKind.SPLIT})


def restated(known: Iterable[Action], told: Iterable[Action]) -> list[Action]:
    """The known splits that come again with another date: the same ratio, less than a week away."""
    fresh = splits_of(told)
    return [
        old
        for old in splits_of(known)
        if old not in fresh
        and any(new.value == old.value and abs(new.ex_date - old.ex_date) < _WEEK for new in fresh)
    ]


def last_dates(bars: pd.DataFrame, series: Series) -> np.ndarray:
    """The exchange's date of each bar's last session, as datetime64[D].

    A split with that ex-date or an earlier one is already in the bar's prices.
    """
    index = pd.DatetimeIndex(bars.index)
    if series.timeframe is Timeframe.W1:
        index = index + pd.Timedelta(days=6)
    elif series.timeframe.intraday:
        index = index.tz_convert(series.instrument.venue.zone)
    return index.tz_localize(None).to_numpy().astype("datetime64[D]")


def later_ratio(dates: np.ndarray, splits: Iterable[Action]) -> np.ndarray:
    """For each date the product of the ratios of all splits after it, as float64."""
    ratio = np.ones(len(dates))
    product = Fraction(1)
    for split in reversed(splits_of(splits)):
        product *= split.value
        ratio[dates < np.datetime64(split.ex_date)] = float(product)
    return ratio


def ratio_of(bars: pd.DataFrame, series: Series, splits: Iterable[Action]) -> np.ndarray:
    """For each bar the product of the ratios of all splits after it, as float64."""
    known = splits_of(splits)
    if not known:  # then nobody asks for the dates
        return np.ones(len(bars))
    return later_ratio(last_dates(bars, series), known)


def raw_from_split_adjusted(
    bars: pd.DataFrame, series: Series, splits: Iterable[Action]
) -> pd.DataFrame:
    """Bars as traded, from float32 bars that were divided by the ratio of every later split.

    A raw price is the decimal with the fewest digits inside the rounding interval of the float32
    price, times the ratio; volume is divided by the ratio and rounded to whole units where the
    ratio is not 1. After a reverse split the volume is exact to ratio/2 only. ``splits`` are those
    with an ex-date up to the moment of the reply.
    """
    ratio = ratio_of(bars, series, splits)
    values = values_of(bars)
    prices, volume = traded_prices(values[:-1], ratio), values[-1]
    volume = np.where(ratio == 1.0, volume, np.round(volume / ratio))
    return frame_on(bars.index, np.vstack([prices, volume]))


def shortest_decimals(prices: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """For each price the decimal with the fewest digits in its rounding interval times ratio.

    The interval is that of float32 where the price is a float32 number (Yahoo widens float32 to
    float64), else of float64; among decimals of the same length the one nearest to its middle.
    NaN and infinite prices become NaN.
    """
    low, high = rounding_interval(prices)
    return _fewest_digits(low, prices, high, ratio)


def traded_prices(prices: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Prices as traded, from float32 prices that were divided by ``ratio`` (1: as they are).

    The decimal with the fewest digits in the rounding interval times the ratio. A quotient was
    rounded to six decimals before it became a float32; so where that decimal is no whole cent, or
    takes more than the four decimals that prices are quoted in, and the interval widened by half a
    sixth decimal holds one that is better, it is that one.
    Source: recorded TSLA of 2010 to 2020 (ratio 15): with the wider interval all instead of
    7,154 of 10,244 prices are whole cents.
    """
    found = shortest_decimals(prices, ratio)
    ratio = np.broadcast_to(ratio, prices.shape)
    divided = ratio != 1
    if not divided.any():
        return found
    prices, ratio, narrow = prices[divided], ratio[divided], found[divided]
    low, high = rounding_interval(prices)
    wide = _fewest_digits(low - _SIXTH_DECIMAL, prices, high + _SIXTH_DECIMAL, ratio)
    better = (_has_decimals(wide, 2) & ~_has_decimals(narrow, 2)) | (
        _has_decimals(wide, 4) & ~_has_decimals(narrow, 4)
    )
    found[divided] = np.where(better, wide, narrow)
    return found


def _has_decimals(prices: np.ndarray, most: int) -> np.ndarray:
    """Whether a price has at most so many decimals."""
    with np.errstate(over="ignore", invalid="ignore"):
        few: np.ndarray = prices == np.round(prices * 10.0**most) / 10.0**most
    return few


def _fewest_digits(
    low: np.ndarray, middle: np.ndarray, high: np.ndarray, ratio: np.ndarray
) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        low, high, middle = low * ratio, high * ratio, middle * ratio
        found = np.where(np.isfinite(middle), middle, np.nan)
        open_rows = np.isfinite(middle)
        for digits in range(_MOST_DIGITS + 1):
            scale = 10.0**digits
            candidate = np.round(middle * scale) / scale
            hit = open_rows & (candidate >= low) & (candidate <= high)
            found[hit] = candidate[hit]
            open_rows &= ~hit
            if not open_rows.any():
                break
    return found


def rounding_interval(prices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers that round to each price: half way to its neighbours in its own precision."""
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = prices.astype(np.float32)
        single = narrow.astype(np.float64) == prices
        up = np.nextafter(narrow, np.float32(np.inf)).astype(np.float64)
        down = np.nextafter(narrow, np.float32(-np.inf)).astype(np.float64)
        wide_up, wide_down = np.nextafter(prices, np.inf), np.nextafter(prices, -np.inf)
        low = np.where(single, (down + prices) / 2, (wide_down + prices) / 2)
        high = np.where(single, (up + prices) / 2, (wide_up + prices) / 2)
    return low, high


def as_paid(actions: Iterable[Action], splits: Iterable[Action]) -> tuple[Action, ...]:
    """Actions whose payments were divided by every later split, with the cash as it was paid.

    A payment comes rounded to six decimals, so what was paid is the decimal with the fewest
    digits inside that rounding interval times the ratio of the ``splits`` after its ex-date.
    Source: Yahoo's chart events (AAPL of 2012-08-09 paid 2.65 and reads 0.094643 after 7:1, 4:1).
    """
    known = splits_of(splits)
    paid = []
    for one in actions:
        later = (each.value for each in known if each.ex_date > one.ex_date)
        ratio = prod(later, start=Fraction(1))
        value = one.value if one.kind is ActionKind.SPLIT else _unrounded(one.value, ratio)
        paid.append(Action(one.ex_date, one.kind, value))
    return tuple(paid)


def _unrounded(amount: Fraction, ratio: Fraction) -> Fraction:
    if ratio == 1:
        return amount
    for digits in range(_MOST_DIGITS + 1):
        candidate = round(amount * ratio, digits)
        if abs(candidate / ratio - amount) <= _HALF_A_MICRO:
            return Fraction(candidate)
    return amount * ratio


def adjust_for_splits(bars: pd.DataFrame, series: Series, splits: Iterable[Action]) -> pd.DataFrame:
    """Prices divided, volume multiplied by the ratio of every split after each bar.

    Source: CRSP, "Data Definitions: Factor to Adjust Prices" (cumulative product of split ratios).
    """
    ratio = ratio_of(bars, series, splits)
    values = values_of(bars)
    return frame_on(bars.index, np.vstack([values[:-1] / ratio, values[-1] * ratio]))


def adjusted(
    bars: pd.DataFrame,
    series: Series,
    adjust: Adjust,
    actions: Iterable[Action],
    daily_close: Callable[[], pd.Series],
) -> pd.DataFrame:
    """Raw bars in the basis asked for, a frame of their own.

    ``daily_close`` is called where payments are taken out; see ``dividend_factor``.
    """
    if adjust is Adjust.NONE or bars.empty:
        return bars.copy()
    known = list(actions)
    split = adjust_for_splits(bars, series, known)
    if adjust is Adjust.SPLITS:
        return split
    factor = dividend_factor(bars, series, known, daily_close())
    return split.assign(**{name: split[name].to_numpy() * factor for name in PRICES})


def dividend_factor(
    bars: pd.DataFrame, series: Series, actions: Iterable[Action], daily_close: pd.Series
) -> np.ndarray:
    """For each bar the product of ``1 - D / C`` over the cash paid on every ex-date after it.

    ``daily_close`` holds raw 1d closes, indexed by label, sorted; C is the last one before the
    ex-date, divided by the ratio of a split that took effect in between. Where there is none, or
    it is not above D, the payment is left out. Source: CRSP/Yahoo, "What is the adjusted close?"
    (dividend multipliers on the close before the ex-date).
    """
    listed = list(actions)
    dates = last_dates(bars, series)
    closes = daily_close.to_numpy(dtype=np.float64)
    days = pd.DatetimeIndex(daily_close.index).tz_localize(None).to_numpy().astype("datetime64[D]")
    factor = np.ones(len(dates))
    for ex_date, cash in _cash_by_date(listed).items():
        ex_day = np.datetime64(ex_date)
        before = int(np.searchsorted(days, ex_day)) - 1
        if before < 0:
            continue
        since = [one for one in splits_of(listed) if one.ex_date <= ex_date]
        close = closes[before] / later_ratio(days[before : before + 1], since)[0]
        if close > cash:
            factor[dates < ex_day] *= 1 - cash / close
    return factor


def _cash_by_date(actions: Iterable[Action]) -> dict[date, float]:
    paid: dict[date, float] = {}
    for one in {one for one in actions if one.kind is not ActionKind.SPLIT}:
        paid[one.ex_date] = paid.get(one.ex_date, 0.0) + float(one.value)
    return paid
