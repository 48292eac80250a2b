"""What a reply says beside its bars: its currency, and the dividends that it lists.

Not here: its prices (overlap, levels), and splits (plausible).
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from math import prod

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.actions import Action, ActionKind, splits_of
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.reply import Reply
from marketdata_pipeline.domain.verdict import Finding

_SAME_CURRENCY = {"GBX": "GBp", "GBPp": "GBp", "ZAC": "ZAc", "ILa": "ILA", "USDT": "USD"}
"""Spellings of one unit: Yahoo writes GBp, ZAc, ILA; Bloomberg GBX, ZAC; Tether is held at USD."""
_TOO_MUCH = 0.5
_MUCH = 0.1
_UNPRECEDENTED = 10.0
_PAID_SHARE = 0.5


def currency(reply: Reply, raw: pd.DataFrame, known: str | None) -> list[Finding]:
    """The reply is in another currency or unit than what is stored: pence are no pounds."""
    told = _SAME_CURRENCY.get(reply.currency, reply.currency)
    if known is None or told == _SAME_CURRENCY.get(known, known) or raw.empty:
        return []
    detail = f"{reply.provider} quotes {reply.currency}; what is stored is in {known}"
    evidence = {"told": reply.currency, "known": known}
    return [Finding("currency", reply.window, detail, evidence)]


def impossible_dividends(
    reply: Reply, raw: pd.DataFrame, stored: pd.DataFrame, actions: Sequence[Action]
) -> list[Finding]:
    """Dividends of the reply that cannot have been paid, each with the range of its ex-date.

    Negative or nothing; not below the close before; more than half of it, or a tenth of it and ten
    times the usual one, where the price did not fall by most of it on that day. (A special
    dividend of that size shows in the price.)
    """
    paid = [one for one in reply.actions if one.kind is not ActionKind.SPLIT]
    if not paid:
        return []
    usual = float(np.median([float(one.value) for one in paid])) if len(paid) > 1 else np.inf
    found = []
    for one in paid:
        cash, before = float(one.value), _close_before(one.ex_date, (raw, stored), actions)
        reason = _reason(cash, before, _fall_at(one.ex_date, raw, before), usual)
        if reason is not None:
            detail = f"a dividend of {cash:g} on {one.ex_date}: {reason}"
            evidence = {"cash": cash, "close_before": before or 0.0}
            found.append(Finding("impossible_dividend", _day(one.ex_date), detail, evidence))
    return found


def _reason(cash: float, before: float | None, fall: float, usual: float) -> str | None:
    """Why it is impossible; None: it is possible."""
    if cash <= 0:
        return "a payment is above zero"
    if before is None:
        return None
    if cash >= before:
        return f"not below the close of {before:g} before it"
    unpaid = fall < _PAID_SHARE * cash
    if unpaid and cash > _TOO_MUCH * before:
        return f"more than half of the close of {before:g} before it, and the price did not fall"
    if unpaid and cash > _MUCH * before and cash > _UNPRECEDENTED * usual:
        return f"{cash / usual:.0f} times the usual {usual:g}, and the price did not fall"
    return None


def _close_before(
    ex_date: date, frames: Sequence[pd.DataFrame], actions: Sequence[Action]
) -> float | None:
    """The last close before the ex-date, in shares of that day; None: not known."""
    instant = pd.Timestamp(ex_date, tz="UTC")
    splits = [float(one.value) for one in splits_of(actions) if one.ex_date == ex_date]
    for frame in frames:
        at = int(frame.index.searchsorted(instant))
        if at > 0:
            return float(frame["close"].iloc[at - 1]) / prod(splits)
    return None


def _fall_at(ex_date: date, raw: pd.DataFrame, before: float | None) -> float:
    """By how much the reply's price opened lower on the ex-date; 0: no such bar."""
    at = int(raw.index.searchsorted(pd.Timestamp(ex_date, tz="UTC")))
    if before is None or at >= len(raw):
        return 0.0
    return before - float(raw["open"].iloc[at])


def _day(ex_date: date) -> TimeRange:
    start = datetime.combine(ex_date, time.min, tzinfo=UTC)
    return TimeRange(start, start + timedelta(days=1))
