"""Small histories on true calendars, and what a chart reply says in plain lists."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from marketdata_pipeline.domain import bars
from marketdata_pipeline.domain.actions import Action
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.simulator.history import FrameHistory, Listing
from marketdata_pipeline.simulator.wire import Answer
from marketdata_pipeline.simulator.yahoo import chart

# 2024-03-11 to 15 are five whole sessions of New York, the first ones in summer time.
MONDAY = datetime(2024, 3, 11, tzinfo=UTC)
SATURDAY = datetime(2024, 3, 16, tzinfo=UTC)
WEEK = TimeRange(MONDAY, SATURDAY)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def seconds(text: str) -> int:
    return int(at(text).timestamp())


def listing(
    symbol: str = "AAPL",
    *timeframes: Timeframe,
    within: TimeRange = WEEK,
    actions: Sequence[Action] = (),
    currency: str = "USD",
) -> Listing:
    """Bars on the instrument's calendar: opens 100, 101, ...; closes half above, spread one."""
    instrument = Instrument.parse(symbol)
    frames = {}
    for timeframe in timeframes or (Timeframe.D1,):
        labels = calendar_of(instrument).grid(timeframe, within).labels
        opened = 100.0 + np.arange(len(labels))
        columns = {
            "open": opened,
            "high": opened + 1,
            "low": opened - 1,
            "close": opened + 0.5,
            "volume": 1000.0 + np.arange(len(labels)),
        }
        frames[timeframe] = bars.frame(labels, columns)
    return Listing(instrument, currency, frames, tuple(actions))


def history(*listings: Listing) -> FrameHistory:
    return FrameHistory.of("recorded", listings)


def result(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    content = json.loads(answer.body)
    assert content["chart"]["error"] is None
    (only,) = content["chart"]["result"]
    return dict(only)


def asked(of: Listing, now: datetime, **params: object) -> dict[str, Any]:
    """The result of a chart request."""
    return result(chart(of, {name: str(value) for name, value in params.items()}, now))


def quote(reply: dict[str, Any]) -> dict[str, list[Any]]:
    return dict(reply["indicators"]["quote"][0])


def error(answer: Answer) -> tuple[int, str, str]:
    said = json.loads(answer.body)["chart"]["error"]
    return answer.status, said["code"], said["description"]
