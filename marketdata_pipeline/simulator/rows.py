"""The rows of a listing that exist at a market instant, as Yahoo serves them.

Not here: which of them were asked for (chart), and what is said about them (meta).
Prices are divided by the ratio of every split up to that instant, rounded to six decimals and to
float32; volume is multiplied; the bar in progress holds what was traded so far. Behind intraday
rows stands the last trade as a row of its own, stamped with its second, flat and without volume, as
live replies have it; the 1d row in progress is stamped like a finished one.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import (
    Action,
    adjust_for_splits,
    dividend_factor,
    splits_of,
)
from marketdata_pipeline.domain.bars import PRICES
from marketdata_pipeline.domain.calendars import Calendar, calendar_of, step_of
from marketdata_pipeline.domain.instrument import AssetClass, Instrument
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import DAY, WEEK, Micros
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.simulator.history import Listing

_SECOND = 1_000_000
_DIGITS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """Of each bar: where Yahoo stamps it, and when it opens and closes, in microseconds."""

    stamp: Micros
    open: Micros
    close: Micros


class Market:
    """A listing as it stands at a market instant; rows are made once."""

    def __init__(self, listing: Listing, now: datetime) -> None:
        self.listing = listing
        self.now = now
        self.actions = known_actions(listing, now)
        """Those whose stamp is not after ``now``, oldest first."""
        self._rows: dict[Timeframe, pd.DataFrame] = {}

    def rows(self, timeframe: Timeframe | None) -> pd.DataFrame:
        """All rows so far: by unix seconds; open high low close volume adjclose, float64.

        Empty: this history has no such bars (None: nobody has), or none began yet.
        """
        if timeframe is None:
            return _stamped(contract.empty(), np.empty(0))
        if timeframe not in self._rows:
            self._rows[timeframe] = self._made(timeframe)
        return self._rows[timeframe]

    def last_trade(self) -> tuple[int, pd.Series] | None:
        """Second of the last trade and the day that it fell into; None before the first.

        Without bars of days it is the longest row.
        """
        held = [one for one in self.listing.bars if one is not Timeframe.W1]
        timeframe = max(held, key=lambda one: one.length, default=Timeframe.D1)
        rows = self.rows(timeframe).dropna()
        if rows.empty:
            return None
        labels = contract.labels_of(self.listing.bars[timeframe])
        spans = spans_of(self.listing.instrument, timeframe, labels)
        closed = spans.close[spans.open < to_micros(self.now)]
        return min(to_micros(self.now), int(closed[-1])) // _SECOND, rows.iloc[-1]

    def _made(self, timeframe: Timeframe) -> pd.DataFrame:
        raw = self.listing.bars.get(timeframe)
        if raw is None or raw.empty:
            return _stamped(contract.empty(), np.empty(0))
        now = to_micros(self.now)
        spans = spans_of(self.listing.instrument, timeframe, contract.labels_of(raw))
        begun = int(np.searchsorted(spans.open, now))
        raw = raw.iloc[:begun]
        if raw.empty:
            return _stamped(raw, np.empty(0))
        opened, closed = int(spans.open[begun - 1]), int(spans.close[begun - 1])
        if now < closed:
            raw = _with_forming(raw, (now - opened) / (closed - opened))
        series = Series(self.listing.instrument, timeframe)
        rows = _stamped(_adjusted(raw, series, self.actions), spans.stamp[:begun])
        return _with_last_trade(rows, min(now, closed) // _SECOND) if timeframe.intraday else rows


def known_actions(listing: Listing, now: datetime) -> tuple[Action, ...]:
    """The actions whose stamp is not after ``now``, oldest first."""
    stamps = action_stamps(listing)
    return tuple(one for one in sorted(listing.actions) if stamps[one] <= now.timestamp())


def action_stamps(listing: Listing) -> dict[Action, int]:
    """Where Yahoo stamps each action: like the 1d row of its ex-date, in unix seconds."""
    actions = sorted(listing.actions)
    labels = np.array([one.ex_date for one in actions], dtype="datetime64[us]").astype(np.int64)
    stamps = spans_of(listing.instrument, Timeframe.D1, labels).stamp // _SECOND
    return {one: int(stamp) for one, stamp in zip(actions, stamps, strict=True)}


def spans_of(instrument: Instrument, timeframe: Timeframe, labels: Micros) -> Spans:
    """The spans of sorted labels; a day that the calendar does not know is a local day.

    Yahoo stamps a 1d row with the session's open, that of a future with New York's midnight, a 1wk
    row with Monday's midnight.
    """
    if not len(labels):
        return Spans(labels, labels, labels)
    calendar = calendar_of(instrument)
    if timeframe is Timeframe.W1:
        return _weeks(calendar, labels)
    first, last = int(labels[0]), int(labels[-1])
    if timeframe.intraday:
        within = TimeRange(from_micros(first), from_micros(last + 1))
        grid = calendar.grid(timeframe, within)
        closes = _looked_up(grid.labels, grid.closes, labels, labels + step_of(timeframe))
        return Spans(labels, labels, closes)
    days = calendar.days(first, last + 1)
    midnight = _midnights(labels, calendar.zone)
    opened = _looked_up(days.label, days.open, labels, midnight)
    closed = _looked_up(days.label, days.close, labels, midnight + DAY)
    future = instrument.asset_class is AssetClass.FUTURE
    return Spans(midnight if future else opened, opened, closed)


def _weeks(calendar: Calendar, mondays: Micros) -> Spans:
    weeks = calendar.days(int(mondays[0]), int(mondays[-1]) + WEEK).weeks()
    midnight = _midnights(mondays, calendar.zone)
    opened = _looked_up(weeks.label, weeks.open, mondays, midnight)
    return Spans(midnight, opened, _looked_up(weeks.label, weeks.close, mondays, midnight + WEEK))


def _looked_up(known: Micros, values: Micros, wanted: Micros, fallback: Micros) -> Micros:
    at = np.searchsorted(known, wanted)
    at[at == len(known)] = 0
    hit = known[at] == wanted if len(known) else np.zeros(len(wanted), dtype=bool)
    found = fallback.copy()
    found[hit] = values[at[hit]]
    return found


def _midnights(labels: Micros, zone: str) -> Micros:
    """The UTC microseconds of local midnight of each date label."""
    naive = pd.DatetimeIndex(labels.astype("datetime64[us]"))
    local = naive.tz_localize(
        zone, ambiguous=np.ones(len(naive), dtype=bool), nonexistent="shift_forward"
    )
    return local.tz_convert("UTC").tz_localize(None).as_unit("us").to_numpy().astype(np.int64)


def _adjusted(raw: pd.DataFrame, series: Series, actions: tuple[Action, ...]) -> pd.DataFrame:
    """What Yahoo makes of raw bars: float32 prices, whole volumes, and the adjusted close."""
    rows = adjust_for_splits(raw, series, splits_of(actions))
    factor = np.ones(len(raw))
    if series.timeframe is Timeframe.D1:
        factor = dividend_factor(raw, series, actions, raw["close"])
    rows["adjclose"] = _float32(rows["close"].to_numpy() * factor)
    for name in PRICES:
        rows[name] = _float32(_six_decimals(rows[name].to_numpy(), raw[name].to_numpy()))
    rows["volume"] = rows["volume"].round()
    return rows


def _six_decimals(adjusted: np.ndarray, raw: np.ndarray) -> np.ndarray:
    """Quotients are rounded to six decimals: so are all of the recorded TSLA, divided by 15."""
    return np.where(adjusted == raw, adjusted, np.round(adjusted, 6))


def _float32(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32).astype(np.float64)


def _with_forming(raw: pd.DataFrame, share: float) -> pd.DataFrame:
    """The bars, the last one as it stands after that share of its time.

    Its price walks at an even pace from the open over the nearer extreme to the other one and to
    the close.
    """
    last = raw.iloc[-1]
    low_first = last["close"] >= last["open"]
    turns = ("low", "high") if low_first else ("high", "low")
    path = np.array([last[name] for name in ("open", *turns, "close")])
    price = round(float(np.interp(share * 3, np.arange(4), path)), _DIGITS)
    walked = [*path[: int(share * 3) + 1], price]
    volume = float(np.floor(last["volume"] * share))
    forming = [last["open"], max(walked), min(walked), price, volume]
    row = pd.DataFrame([forming], columns=raw.columns, index=raw.index[-1:])
    return pd.concat([raw.iloc[:-1], row])


def _with_last_trade(rows: pd.DataFrame, stamp: int) -> pd.DataFrame:
    """The rows and behind them the last trade; a row that begins at its second stays as it is."""
    price = rows["close"].iloc[-1]
    if rows.index[-1] == stamp or np.isnan(price):
        return rows
    trade = {name: [price] for name in (*PRICES, "adjclose")} | {"volume": [0.0]}
    last = pd.DataFrame(trade, index=pd.Index([stamp], name=rows.index.name))
    return pd.concat([rows, last[list(rows.columns)]])


def _stamped(rows: pd.DataFrame, stamps: np.ndarray) -> pd.DataFrame:
    index = pd.Index(stamps.astype(np.int64) // _SECOND, name="stamp")
    columns = [*contract.COLUMNS, "adjclose"]
    return pd.DataFrame(
        {name: rows[name].to_numpy() if len(rows) else np.empty(0) for name in columns},
        index=index,
    )
