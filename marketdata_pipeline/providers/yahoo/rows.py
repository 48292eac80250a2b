"""From Yahoo's rows to bars: labels of the contract, closed bars only, prices as they were sent.

Not here: the shape of a reply (chart), and whether a bar is good (domain.bars).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.bars import COLUMNS, PRICES
from marketdata_pipeline.domain.calendars import Grid, calendar_of, step_of
from marketdata_pipeline.domain.ranges import EPOCH, TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import DAY, Micros
from marketdata_pipeline.errors import MalformedReply
from marketdata_pipeline.providers.yahoo.chart import Chart, day_labels, local_time
from marketdata_pipeline.providers.yahoo.faults import NAME

_DAWN = datetime(1900, 1, 1, tzinfo=UTC)
"""Yahoo's oldest rows are of 1927 (^GSPC)."""
_SECOND = timedelta(seconds=1)
_MICROS = 1_000_000
_MINUTE = 60
_NEAR_DAILY, _NEAR_INTRADAY = timedelta(days=7), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request in Yahoo's terms: whole seconds of UTC, the end exclusive.

    ``to_now`` says that it goes as far as Yahoo knows anything.
    """

    start: datetime
    end: datetime
    to_now: bool


def ask_for(series: Series, window: TimeRange, market_now: datetime) -> Asked:
    """What to ask so that the reply holds all labels in ``window``, never beyond now.

    For 1d the local midnights that the dates in the window begin and end at. A window that ends
    shortly before now is asked up to now: the reply then tells all actions so far, which would
    cost a request of its own.
    """
    start, end = max(window.start, _DAWN), window.end
    near = _NEAR_INTRADAY
    if not series.timeframe.intraday:
        zone = ZoneInfo(series.instrument.venue.zone)
        start, end, near = _midnight(start, zone), _midnight(end, zone), _NEAR_DAILY
    to_now = end + near > market_now
    end = _whole_seconds(market_now if to_now else end)
    return Asked(_whole_seconds(min(start, end - _SECOND)), end, to_now)


def bars_of(chart: Chart, series: Series, within: TimeRange, market_at: datetime) -> pd.DataFrame:
    """The bars in a reply, prices and volumes exactly as Yahoo sent them.

    Args:
        chart: the reply.
        series: what was asked for.
        within: labels outside are left out.
        market_at: bars that were not closed then are left out.

    Returns:
        A frame as ``domain.bars`` says; rows without any price are left out, and so is trading
        before or after hours, which nobody asked for.

    Raises:
        MalformedReply: two different rows for one label, or intraday rows without the hours of
            their days.
    """
    sent = _sent(chart, series, market_at)
    if not len(sent.stamps):
        return contract.empty()
    labels, values = _without_last_trade(sent, chart, series)
    start, end = to_micros(within.start), to_micros(within.end)
    keep = (labels >= start) & (labels < end) & ~_forming(labels, series, market_at)
    if series.timeframe.intraday and not series.instrument.asset_class.round_the_clock:
        keep &= ~_out_of_hours(labels, chart, series)
    keep &= ~np.isnan(values[: len(PRICES)]).all(axis=0)
    columns = dict(zip(COLUMNS, values[:, keep], strict=True))
    return _each_once(contract.frame(labels[keep], columns), series)


@dataclass(frozen=True, slots=True, eq=False)
class _Sent:
    """Rows in the order of their stamps (unix seconds), with their labels and the five columns."""

    stamps: np.ndarray
    labels: Micros
    columns: np.ndarray


def _sent(chart: Chart, series: Series, market_at: datetime) -> _Sent:
    """The rows, without those of the future: one of them would hide the newest trade."""
    stamps = np.array(chart.stamps, dtype=np.int64)
    order = np.argsort(stamps, kind="stable")
    order = order[stamps[order] * _MICROS <= to_micros(market_at)]
    stamps = stamps[order]
    values = np.array([getattr(chart.quote, name) for name in COLUMNS], dtype=np.float64)
    intraday = series.timeframe.intraday
    labels = stamps * _MICROS if intraday else day_labels(stamps, chart.meta.zone)
    return _Sent(stamps, labels, values[:, order])


def _out_of_hours(labels: Micros, chart: Chart, series: Series) -> np.ndarray:
    """Which rows are before or after the regular hours of their day.

    A day of which Yahoo tells no hours is left to the validator. What trades round the clock has
    none: Yahoo writes that its day ends at 23:59.
    """
    hours = chart.hours()
    if hours is None:
        raise MalformedReply(
            f"Yahoo's reply for {series} does not tell the hours of its days",
            provider=NAME,
            series=str(series),
        )
    start, end = (
        np.array([getattr(one, name) for one in hours], dtype=np.int64) for name in ("start", "end")
    )
    out = np.ones(len(labels), dtype=bool)
    day = np.searchsorted(start * _MICROS, labels + step_of(series.timeframe)) - 1
    begun = day >= 0
    out[begun] = labels[begun] >= end[day[begun]] * _MICROS
    zone = chart.meta.zone
    dates = local_time(labels[out] // _MICROS, zone) // DAY
    out[out] = np.isin(dates, local_time(start, zone) // DAY)
    return out


def _without_last_trade(sent: _Sent, chart: Chart, series: Series) -> tuple[Micros, np.ndarray]:
    """The rows without the newest trade, which Yahoo often appends as a row of its own."""
    labels, last = sent.labels, int(sent.stamps[-1])
    is_trade = last == chart.meta.last_trade
    keep = np.ones(len(labels), dtype=bool)
    if not series.timeframe.intraday:
        keep[_trade_of_day(labels, series, is_trade=is_trade)] = False
    elif is_trade or last % _MINUTE:
        # Stamped with the second of the trade. The bar that it falls into is still growing at
        # Yahoo, whatever the clock says: prices of many venues come late.
        at = np.array([last * _MICROS], dtype=np.int64)
        growing = calendar_of(series.instrument).bucket(series.timeframe, at)
        keep = (labels != at[0]) & (labels != growing[0])
    return labels[keep], sent.columns[:, keep]


def _trade_of_day(labels: Micros, series: Series, *, is_trade: bool) -> list[int]:
    """On 1d the newest trade repeats the row of its day, or stands on a day without a session."""
    if len(labels) > 1 and labels[-1] == labels[-2]:
        return [-2]
    return [-1] if is_trade and not len(_grid(labels[-1:], series).labels) else []


def _forming(labels: Micros, series: Series, market_at: datetime) -> np.ndarray:
    """Which labels are of bars that the calendar knows and that are not closed yet."""
    if not len(labels):
        return np.zeros(0, dtype=bool)
    grid = _grid(labels, series)
    return np.isin(labels, grid.labels[grid.closes > to_micros(market_at)])


def _grid(labels: Micros, series: Series) -> Grid:
    within = TimeRange(from_micros(int(labels.min())), from_micros(int(labels.max()) + 1))
    return calendar_of(series.instrument).grid(series.timeframe, within)


def _each_once(rows: pd.DataFrame, series: Series) -> pd.DataFrame:
    """The rows, a repeated one once."""
    if (np.diff(contract.labels_of(rows)) > 0).all():
        return rows
    told = rows[~rows.reset_index().duplicated().to_numpy()]
    twice = told.index[told.index.duplicated()]
    if len(twice):
        raise MalformedReply(
            f"Yahoo sent two different rows for {series} at {twice[0]:%Y-%m-%d %H:%M}",
            provider=NAME,
            series=str(series),
        )
    return told


def _midnight(instant: datetime, zone: ZoneInfo) -> datetime:
    """Where the first date whose label is not before an instant begins in a zone."""
    label = from_micros(-(-to_micros(instant) // DAY) * DAY)
    return datetime.combine(label.date(), time.min, tzinfo=zone).astimezone(UTC)


def _whole_seconds(instant: datetime) -> datetime:
    """Without a fraction, and never 1970-01-01T00:00Z.

    yfinance 1.7 takes second 0 for "not given" and asks for another range.
    """
    whole = instant.replace(microsecond=0)
    return whole - _SECOND if whole == EPOCH else whole
