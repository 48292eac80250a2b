"""A chart request's parameters, and the requests that Yahoo refuses before it looks at bars.

Not here: symbols and bars.
Limits and bodies as quoted from live replies: 1m within the last 30 days and 8 days a request,
other minutes within 60 days, hours within 730.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd

from marketdata_pipeline.domain.actions import ActionKind
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.simulator.wire import Answer, bad_request, unprocessable

INTERVALS = (
    "1m", "2m", "5m", "15m", "30m", "60m", "90m", "1h", "4h", "1d", "5d", "1wk", "1mo", "3mo",
)  # fmt: skip
"""In the order of Yahoo's own error text."""
RANGES = ("1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max")
LOOKBACK_DAYS = {
    "1m": 30, "2m": 60, "5m": 60, "15m": 60, "30m": 60, "90m": 60,
    "60m": 730, "1h": 730, "4h": 730,
}  # fmt: skip
MOST_DAYS = {"1m": 8}
TIMEFRAMES = {
    "1m": Timeframe.M1,
    "5m": Timeframe.M5,
    "15m": Timeframe.M15,
    "60m": Timeframe.H1,
    "1h": Timeframe.H1,
    "4h": Timeframe.H4,
    "1d": Timeframe.D1,
    "1wk": Timeframe.W1,
}
"""Yahoo's intervals that are served; the others are answered without rows."""
EVENTS = {
    "div": ActionKind.DIVIDEND,
    "split": ActionKind.SPLIT,
    "splits": ActionKind.SPLIT,
    "capitalGains": ActionKind.CAPITAL_GAIN,
}
_RANGE = re.compile(r"(\d{1,4})(d|wk|mo|y)", re.ASCII)
_UNITS = {
    "d": pd.DateOffset(days=1),
    "wk": pd.DateOffset(weeks=1),
    "mo": pd.DateOffset(months=1),
    "y": pd.DateOffset(years=1),
}
_SECONDS = re.compile(r"-?\d{1,12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Ask:
    """A chart request that can be answered.

    Attributes:
        start: unix seconds, inclusive; ``end`` too, since Yahoo keeps a row that is stamped so.
        sessions: instead of ``start``, the newest so many sessions; 0: by ``start``.
        spelled_range: the ``range`` parameter as it was given.
    """

    interval: str
    start: int
    end: int
    events: frozenset[ActionKind]
    prepost: bool
    sessions: int = 0
    spelled_range: str = ""

    @property
    def timeframe(self) -> Timeframe | None:
        """None for an interval of Yahoo's that is not served."""
        return TIMEFRAMES.get(self.interval)

    @property
    def intraday(self) -> bool:
        """Whether rows are shorter than a day."""
        return self.interval[-1] in "mh"


def parse(params: Mapping[str, str], now: datetime, zone: str) -> Ask | Answer:
    """The request, or what Yahoo answers to one that it refuses.

    Args:
        params: the query's parameters.
        now: market instant, aware UTC.
        zone: IANA zone of the exchange, in which ``range`` counts days.
    """
    interval = params.get("interval", "1d")
    if interval not in INTERVALS:
        return bad_request(
            f"Invalid input - interval={interval} is not supported. "
            f"Valid intervals: [{', '.join(INTERVALS)}]"
        )
    asked = params.get("range", "" if "period1" in params else "1d")
    span = _of_range(asked, now, zone) if asked else _of_periods(params, now)
    if isinstance(span, Answer):
        return span
    start, end, sessions = span
    return _refused(interval, start, end, now) or Ask(
        interval=interval,
        start=start,
        end=end,
        events=frozenset(
            EVENTS[one] for one in re.split(r"[,|]", params.get("events", "")) if one in EVENTS
        ),
        prepost=params.get("includePrePost", "").lower() == "true",
        sessions=sessions,
        spelled_range=asked,
    )


def _of_periods(params: Mapping[str, str], now: datetime) -> tuple[int, int, int] | Answer:
    first, last = params.get("period1", "0"), params.get("period2", str(int(now.timestamp())))
    for one in (first, last):
        if not _SECONDS.fullmatch(one):
            return bad_request(f"Invalid input - {one} is not a valid timestamp")
    start, end = int(first), int(last)
    if start > end:
        return bad_request(
            "Invalid input - start date cannot be after end date. "
            f"startDate = {start}, endDate = {end}"
        )
    return start, end, 0


def _of_range(asked: str, now: datetime, zone: str) -> tuple[int, int, int] | Answer:
    local = pd.Timestamp(now).tz_convert(ZoneInfo(zone))
    end = int(now.timestamp())
    if asked == "max":
        return -(10**10), end, 0
    if asked == "ytd":
        return int(pd.Timestamp(year=local.year, month=1, day=1, tz=zone).timestamp()), end, 0
    found = _RANGE.fullmatch(asked)
    if not found or not int(found[1]):
        return bad_request(
            f"Invalid input - range={asked} is not supported. Valid ranges: [{', '.join(RANGES)}]"
        )
    count, unit = int(found[1]), found[2]
    start = int((local - _UNITS[unit] * count).timestamp())
    return start, end, count if unit == "d" else 0


def _refused(interval: str, start: int, end: int, now: datetime) -> Answer | None:
    """Yahoo's 422 for what is too long or too long ago."""
    asked = f"{interval} data not available for startTime={start} and endTime={end}. "
    most = MOST_DAYS.get(interval)
    if most and end - start > timedelta(days=most).total_seconds():
        return unprocessable(
            f"{asked}Only {most} days worth of {interval} granularity data are allowed to be "
            "fetched per request."
        )
    days = LOOKBACK_DAYS.get(interval)
    if days and start < (now - timedelta(days=days)).timestamp():
        return unprocessable(f"{asked}The requested range must be within the last {days} days.")
    return None
