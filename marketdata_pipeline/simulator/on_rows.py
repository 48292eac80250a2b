"""Faults of a chart's rows as they are written, a function each, and their table.

Not here: faults of the data that the chart is made of (on_listing). What the chart says of its
instrument beside the rows stays as it was, except where a function says otherwise.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.bars import PRICES
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.simulator.ask import TIMEFRAMES
from marketdata_pipeline.simulator.fault import Fault, Moment
from marketdata_pipeline.simulator.rows import Spans, spans_of
from marketdata_pipeline.simulator.wire import Answer

Chart = dict[str, Any]
"""An entry of ``chart.result`` that is the function's to change."""
OnRows = Callable[[Chart, Fault, Moment], None]

_SECOND = 1_000_000
_AHEAD = timedelta(days=10)
_DEARER = 1.01


def spoiling(change: OnRows) -> Callable[[Answer, Fault, Moment], Answer]:
    """The fault of an answer that changes the chart in it; errors and broken bodies hold none."""

    def on_answer(answer: Answer, fault: Fault, moment: Moment) -> Answer:
        try:
            content = json.loads(answer.body)
        except ValueError:
            return answer
        for chart in content.get("chart", {}).get("result") or ():
            change(chart, fault, moment)
        return replace(answer, body=json.dumps(content, separators=(",", ":")).encode())

    return on_answer


def wrong_symbol(chart: Chart, fault: Fault, _: Moment) -> None:
    """The bars of what was asked, under another name."""
    chart["meta"]["symbol"] = fault.other


def x100(chart: Chart, fault: Fault, _: Moment) -> None:
    """Prices in pence where pounds are said."""
    for at in _positions(chart, fault):
        for name, column in _columns(chart):
            if name != "volume" and column[at] is not None:
                column[at] *= 100


def nan(chart: Chart, fault: Fault, _: Moment) -> None:
    """Closes that are the bare word NaN, which JSON does not know but many readers take."""
    for at in _positions(chart, fault):
        for name, column in _columns(chart):
            if name == "close":
                column[at] = np.nan


def duplicate(chart: Chart, _: Fault, __: Moment) -> None:
    """Each row twice."""
    count = len(chart.get("timestamp", ()))
    _arrange(chart, [at for at in range(count) for _ in range(2)])


def unsorted(chart: Chart, _: Fault, __: Moment) -> None:
    """Every other row first, then those between them."""
    count = len(chart.get("timestamp", ()))
    _arrange(chart, [*range(1, count, 2), *range(0, count, 2)])


def future(chart: Chart, _: Fault, moment: Moment) -> None:
    """Behind the last row another one, of the first bar that has not begun yet."""
    series = _series(chart)
    if series is None or not chart.get("timestamp"):
        return
    within = TimeRange(moment.market - _AHEAD, moment.market + _AHEAD)
    labels = calendar_of(series.instrument).grid(series.timeframe, within).labels
    spans = spans_of(series.instrument, series.timeframe, labels)
    stamps = spans.stamp[spans.open > to_micros(moment.market)] // _SECOND
    _arrange(chart, [*range(len(chart["timestamp"])), -1])
    chart["timestamp"][-1] = int(stamps[0])
    for name, column in _columns(chart):
        if name in PRICES and column[-1] is not None:
            column[-1] *= _DEARER


def forming(chart: Chart, _: Fault, moment: Moment) -> None:
    """The bar in progress looks finished: no newer trade behind it, the last one at its close."""
    series, stamps = _series(chart), chart.get("timestamp", [])
    if series is None or not stamps:
        return
    count = len(stamps) - 1 if _is_trade(series, stamps[-1]) else len(stamps)
    closes = int(_span(series, stamps[count - 1]).close[0]) if count else 0
    if closes > to_micros(moment.market):
        _arrange(chart, range(count))
        chart["meta"]["regularMarketTime"] = closes // _SECOND


ON_ROWS: Mapping[str, OnRows] = {
    "wrong_symbol": wrong_symbol,
    "x100": x100,
    "nan": nan,
    "duplicate": duplicate,
    "unsorted": unsorted,
    "future": future,
    "forming": forming,
}


def _series(chart: Chart) -> Series | None:
    """What the rows are of; None for an interval that is not served, or a name that is none."""
    meta = chart["meta"]
    timeframe = TIMEFRAMES.get(meta["dataGranularity"])
    try:
        instrument = Instrument.parse(meta["symbol"])
    except BadInput:
        return None
    return None if timeframe is None else Series(instrument, timeframe)


def _is_trade(series: Series, stamp: int) -> bool:
    """Whether a row is the newest trade, which intraday stands behind the bars."""
    instant = datetime.fromtimestamp(stamp, UTC)
    within = TimeRange(instant, instant + timedelta(seconds=1))
    grid = calendar_of(series.instrument).grid(series.timeframe, within)
    return series.timeframe.intraday and not len(grid.labels)


def _columns(chart: Chart) -> list[tuple[str, list[Any]]]:
    """All columns by name; 1d rows have the adjusted close as well."""
    blocks = [block for kind in chart["indicators"].values() for block in kind]
    return [(name, column) for block in blocks for name, column in block.items()]


def _arrange(chart: Chart, rows: Sequence[int]) -> None:
    """The rows at these positions, in this order."""
    if rows:
        chart["timestamp"] = [chart["timestamp"][at] for at in rows]
    for _, column in _columns(chart):
        column[:] = [column[at] for at in rows]


def _positions(chart: Chart, fault: Fault) -> Sequence[int]:
    """The rows in the fault's sessions, by the exchange's date."""
    stamps = chart.get("timestamp", [])
    if not fault.dates:
        return range(len(stamps))
    dates = set(fault.dates)
    return [at for at, day in enumerate(_local(chart, stamps).date) if day in dates]


def _local(chart: Chart, stamps: Sequence[int]) -> pd.DatetimeIndex:
    utc = pd.to_datetime(np.asarray(stamps, dtype=np.int64), unit="s", utc=True)
    return pd.DatetimeIndex(utc).tz_convert(chart["meta"]["exchangeTimezoneName"])


def _span(series: Series, stamp: int) -> Spans:
    """The span of one row by its stamp."""
    label = stamp * _SECOND
    if not series.timeframe.intraday:
        local = datetime.fromtimestamp(stamp, ZoneInfo(calendar_of(series.instrument).zone))
        label = to_micros(datetime.combine(local.date(), time.min, tzinfo=UTC))
    return spans_of(series.instrument, series.timeframe, np.array([label], dtype=np.int64))
