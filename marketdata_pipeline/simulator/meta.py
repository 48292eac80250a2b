"""What a chart reply says about its instrument: the ``meta`` object.

Not here: rows. Field names and their order as in replies recorded in 2025.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.instrument import AssetClass, Instrument
from marketdata_pipeline.domain.ranges import to_micros
from marketdata_pipeline.domain.sessions import DAY
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.simulator.ask import RANGES, Ask
from marketdata_pipeline.simulator.history import Listing
from marketdata_pipeline.simulator.rows import Market, spans_of
from marketdata_pipeline.simulator.wire import number

_SECOND = 1_000_000
_MINUTE = 60
_HOUR = 3600
_LONGEST_PAUSE = 20 * DAY
_TYPES = {
    AssetClass.EQUITY: "EQUITY",
    AssetClass.ETF: "ETF",
    AssetClass.INDEX: "INDEX",
    AssetClass.FUND: "MUTUALFUND",
    AssetClass.CRYPTO: "CRYPTOCURRENCY",
    AssetClass.FX: "CURRENCY",
    AssetClass.FUTURE: "FUTURE",
    AssetClass.BOND: "ETF",
}
_EXCHANGES = {
    "XNYS": ("NMS", "NasdaqGS"),
    "XLON": ("LSE", "LSE"),
    "XTSE": ("TOR", "Toronto"),
    "XCSE": ("CPH", "Copenhagen"),
    "XMIL": ("MIL", "Milan"),
    "CRYPTO": ("CCC", "CCC"),
    "FX": ("CCY", "CCY"),
}
_EXTENDED_HOURS = {"XNYS": (4, 20), "XTSE": (8, 17)}
"""Local hours at which pre-market begins and post-market ends, by calendar."""


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of trading in unix seconds."""

    start: int
    end: int

    def written(self, zone: str) -> dict[str, Any]:
        """As Yahoo writes it."""
        return {
            "timezone": _local(self.start, zone).tzname(),
            "start": self.start,
            "end": self.end,
            "gmtoffset": _offset(self.start, zone),
        }


@dataclass(frozen=True, slots=True)
class TradingDay:
    """A day's stretches; markets without pre-market have it empty."""

    pre: Period
    regular: Period
    post: Period

    @property
    def begins(self) -> int:
        """Its first second, trading before hours included."""
        return min(self.pre.start, self.regular.start)


def meta_of(market: Market, ask: Ask, shown: pd.DataFrame) -> dict[str, Any]:
    """The meta object for the rows that the reply shows."""
    instrument, now = market.listing.instrument, market.now
    zone = calendar_of(instrument).zone
    days = trading_days(instrument, int(now.timestamp()) - _LONGEST_PAUSE // _SECOND, now)
    return {
        **_about(market, zone),
        **_prices(market, ask, shown),
        "currentTradingPeriod": {
            name: getattr(days[-1], name).written(zone) for name in ("pre", "regular", "post")
        },
        **_trading_periods(instrument, ask, shown, zone),
        "dataGranularity": "1h" if ask.interval == "60m" else ask.interval,
        "range": ask.spelled_range,
        "validRanges": list(RANGES),
    }


def trading_days(instrument: Instrument, start: int, until: datetime) -> list[TradingDay]:
    """The trading days from unix second ``start`` to the local date of ``until``."""
    calendar = calendar_of(instrument)
    today = pd.Timestamp(until).tz_convert(calendar.zone).date()
    end = to_micros(datetime(today.year, today.month, today.day, tzinfo=UTC)) + DAY
    first = _local(start, calendar.zone).date()
    label = to_micros(datetime(first.year, first.month, first.day, tzinfo=UTC))
    days = calendar.days(label, end)
    stamps = spans_of(instrument, Timeframe.D1, days.label).stamp
    return [
        _trading_day(instrument, int(stamp) // _SECOND, int(close) // _SECOND)
        for stamp, close in zip(stamps, days.close, strict=True)
    ]


def _trading_day(instrument: Instrument, opened: int, closed: int) -> TradingDay:
    if instrument.asset_class.round_the_clock:
        closed = opened + 24 * _HOUR - _MINUTE
    early, late = opened, closed
    hours = _EXTENDED_HOURS.get(instrument.venue.calendar)
    if hours:
        zone = instrument.venue.zone
        early = int(_local(opened, zone).replace(hour=hours[0], minute=0).timestamp())
        late = int(_local(closed, zone).replace(hour=hours[1], minute=0).timestamp())
    return TradingDay(Period(early, opened), Period(opened, closed), Period(closed, late))


def _has_prepost(instrument: Instrument) -> bool:
    stock = instrument.asset_class in {AssetClass.EQUITY, AssetClass.ETF, AssetClass.BOND}
    return stock and instrument.venue.calendar == "XNYS"


def _about(market: Market, zone: str) -> dict[str, Any]:
    listing, instrument = market.listing, market.listing.instrument
    now = int(market.now.timestamp())
    last = market.last_trade()
    venue = instrument.venue.calendar
    short, long = listing.exchange or _EXCHANGES.get(venue, (venue, venue))
    return {
        "currency": listing.currency,
        "symbol": instrument.key,
        "exchangeName": short,
        "fullExchangeName": long,
        "instrumentType": _TYPES[listing.kind or instrument.asset_class],
        "firstTradeDate": first_trade_stamp(listing),
        "regularMarketTime": last[0] if last else None,
        "hasPrePostMarketData": _has_prepost(instrument),
        "gmtoffset": _offset(now, zone),
        "timezone": _local(now, zone).tzname(),
        "exchangeTimezoneName": zone,
    }


def first_trade_stamp(listing: Listing) -> int | None:
    """Unix seconds of the first day's 1d row."""
    if listing.first_trade is None:
        return None
    label = np.array([listing.first_trade], dtype="datetime64[us]").astype(np.int64)
    return int(spans_of(listing.instrument, Timeframe.D1, label).stamp[0]) // _SECOND


def _prices(market: Market, ask: Ask, shown: pd.DataFrame) -> dict[str, Any]:
    listing, last = market.listing, market.last_trade()
    if last is None:
        return {"priceHint": 2}
    row = last[1]
    hint = 2 if row["close"] >= 1 and listing.instrument.asset_class is not AssetClass.FX else 4
    daily = market.rows(Timeframe.D1)
    year = daily[daily.index >= (market.now - timedelta(weeks=52)).timestamp()]
    before = daily["close"][daily.index < (shown.index[0] if len(shown) else ask.start)]
    first = before.iloc[-1] if len(before) else _first_close(shown, row)

    def written(value: Any, digits: int = hint) -> int | float | None:
        return number(round(float(value), digits))

    prices = {
        "regularMarketPrice": written(row["close"], 4),
        "fiftyTwoWeekHigh": written(year["high"].max()),
        "fiftyTwoWeekLow": written(year["low"].min()),
        "regularMarketDayHigh": written(row["high"]),
        "regularMarketDayLow": written(row["low"]),
        "regularMarketVolume": written(row["volume"], 0),
        "longName": listing.name or listing.instrument.key,
        "shortName": listing.name or listing.instrument.key,
        "chartPreviousClose": written(first),
    }
    if ask.intraday:
        prices |= {"previousClose": written(first), "scale": 3}
    return prices | {"priceHint": hint}


def _first_close(shown: pd.DataFrame, last: pd.Series) -> float:
    """What stands for the close before a listing's first day: its own, as TSLA's recorded of 2010.

    Without rows it is the newest close.
    """
    closes = shown["close"].dropna()
    return float(closes.iloc[0] if len(closes) else last["close"])


def _trading_periods(
    instrument: Instrument, ask: Ask, shown: pd.DataFrame, zone: str
) -> dict[str, Any]:
    """The days that intraday rows lie in: a list, or three where pre- and post-market are asked."""
    if not ask.intraday:
        return {}
    if shown.empty:
        return {"tradingPeriods": {"pre": [], "post": []}} if ask.prepost else {}
    first, last = int(shown.index[0]), int(shown.index[-1])
    # (the session of a Sunday evening's row is Monday's)
    around = datetime.fromtimestamp(last, UTC) + timedelta(days=3)
    days = [one for one in trading_days(instrument, first, around) if one.begins <= last]
    if not ask.prepost:
        return {"tradingPeriods": [[day.regular.written(zone)] for day in days]}
    names = ("pre", "post", "regular")
    return {
        "tradingPeriods": {
            name: [[getattr(day, name).written(zone)] for day in days] for name in names
        }
    }


def _local(second: int, zone: str) -> datetime:
    return datetime.fromtimestamp(second, ZoneInfo(zone))


def _offset(second: int, zone: str) -> int:
    offset = _local(second, zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())
