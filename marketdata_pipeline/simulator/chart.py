"""A chart reply: meta, the rows that were asked for, and the events of their range.

Not here: which rows exist (rows), and what Yahoo refuses (ask, yahoo).
"""

from datetime import datetime
from typing import Any

import pandas as pd

from marketdata_pipeline.domain.actions import Action, ActionKind, splits_of
from marketdata_pipeline.domain.bars import COLUMNS
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.simulator.ask import Ask
from marketdata_pipeline.simulator.history import Listing
from marketdata_pipeline.simulator.meta import meta_of
from marketdata_pipeline.simulator.rows import Market, action_stamps
from marketdata_pipeline.simulator.wire import number

_EVENT_NAMES = {
    ActionKind.DIVIDEND: "dividends",
    ActionKind.SPLIT: "splits",
    ActionKind.CAPITAL_GAIN: "capitalGains",
}


def chart_result(listing: Listing, ask: Ask, now: datetime) -> dict[str, Any]:
    """One entry of ``chart.result``; without rows it has no ``timestamp``, as Yahoo's."""
    market = Market(listing, now)
    shown = _shown(market, ask)
    start = int(shown.index[0]) if ask.sessions and len(shown) else ask.start
    result: dict[str, Any] = {"meta": meta_of(market, ask, shown)}
    if len(shown):
        result["timestamp"] = [int(stamp) for stamp in shown.index]
        events = _events(market, ask, start)
        if events:
            result["events"] = events
    result["indicators"] = _indicators(ask, shown)
    return result


def _shown(market: Market, ask: Ask) -> pd.DataFrame:
    """The rows stamped from start to end, both included; or those of the newest sessions."""
    rows = market.rows(ask.timeframe)
    if not ask.sessions:
        return rows[(rows.index >= ask.start) & (rows.index <= ask.end)]
    zone = calendar_of(market.listing.instrument).zone
    local = pd.to_datetime(rows.index, unit="s", utc=True).tz_convert(zone)
    dates = pd.Series(local.date, index=rows.index)
    return rows[dates.isin(dates.unique()[-ask.sessions :]).to_numpy()]


def _indicators(ask: Ask, shown: pd.DataFrame) -> dict[str, Any]:
    written = {name: [number(value) for value in shown[name]] for name in shown.columns}
    quote = {name: written[name] for name in COLUMNS} if len(shown) else {}
    indicators: dict[str, Any] = {"quote": [quote]}
    if not ask.intraday:
        adjclose = {"adjclose": written["adjclose"]} if len(shown) else {}
        indicators["adjclose"] = [adjclose]
    return indicators


def _events(market: Market, ask: Ask, start: int) -> dict[str, Any]:
    """Events of the kinds asked for inside the range, by kind and stamp."""
    stamps = action_stamps(market.listing)
    events: dict[str, Any] = {}
    for action in market.actions:
        stamp = stamps[action]
        if action.kind in ask.events and start <= stamp <= ask.end:
            of_kind = events.setdefault(_EVENT_NAMES[action.kind], {})
            of_kind[str(stamp)] = _event(action, stamp, market.actions)
    return events


def _event(action: Action, stamp: int, known: tuple[Action, ...]) -> dict[str, Any]:
    """As Yahoo writes it: cash is divided by the ratio of every later split, like prices."""
    if action.kind is ActionKind.SPLIT:
        new, old = action.value.numerator, action.value.denominator
        ratio = {"numerator": new, "denominator": old, "splitRatio": f"{new}:{old}"}
        return {"date": stamp, **ratio}
    amount = action.value
    for split in splits_of(known):
        if split.ex_date > action.ex_date:
            amount /= split.value
    return {"amount": round(float(amount), 6), "date": stamp}
