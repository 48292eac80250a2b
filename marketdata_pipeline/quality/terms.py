"""What a reply says beside its bars: its currency, and the dividends that it lists.

Not here: its prices (overlap, levels), and splits (plausible).
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from math import isnan

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.actions import Action, ActionKind, splits_of
from marketdata_pipeline.domain.bars import labels_of, values_of
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.reply import Reply
from marketdata_pipeline.domain.sessions import DAY
from marketdata_pipeline.domain.verdict import Finding

_SAME_CURRENCY = {"GBX": "GBp", "GBPp": "GBp", "ZAC": "ZAc", "ILa": "ILA", "USDT": "USD"}
"""Spellings of one unit: Yahoo writes GBp, ZAc, ILA; Bloomberg GBX, ZAC; Tether is held at USD."""
_TOO_MUCH = 0.5
_UNPRECEDENTED = ((0.1, 10.0), (0.04, 30.0))
"""More than this share of the price, and so many times the usual payment: a tenth of a mistaken
unit's hundred, at which Microsoft's 37-fold special dividend of 2004 has to show in the price."""
_PAID_SHARE = 0.5
_NEAR = 12 * DAY


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

    Negative or nothing; not below the close before; more than half of it, or many times the usual
    one, where the price did not fall by most of it on that day. (A special dividend of that size
    shows in the price.)
    """
    paid = [one for one in reply.actions if one.kind is not ActionKind.SPLIT]
    if not paid:
        return []
    cash = np.array([float(one.value) for one in paid])
    before, opened = _prices_at([one.ex_date for one in paid], (raw, stored), actions)
    usual = float(np.median(cash)) if len(paid) > 1 else np.inf
    found = []
    for one, amount, close, fall in zip(
        paid, cash.tolist(), before.tolist(), (before - opened).tolist(), strict=True
    ):
        reason = _reason(amount, close, fall, usual)
        if reason is not None:
            detail = f"a dividend of {amount:g} on {one.ex_date}: {reason}"
            evidence = {"cash": amount} | ({} if isnan(close) else {"close_before": close})
            found.append(Finding("impossible_dividend", _day(one.ex_date), detail, evidence))
    return found


def _reason(cash: float, before: float, fall: float, usual: float) -> str | None:
    """Why it is impossible; None: it is possible. What is not known is NaN."""
    if cash <= 0:
        return "a payment is above zero"
    if cash >= before:
        return f"not below the close of {before:g} before it"
    shown = fall >= _PAID_SHARE * cash
    if shown or isnan(before):
        return None
    if cash > _TOO_MUCH * before:
        return f"more than half of the close of {before:g} before it, and the price did not fall"
    if any(cash > much * before and cash > far * usual for much, far in _UNPRECEDENTED):
        return f"{cash / usual:.0f} times the usual {usual:g}, and the price did not fall"
    return None


def _prices_at(
    ex_dates: Sequence[date], frames: Sequence[pd.DataFrame], actions: Sequence[Action]
) -> tuple[np.ndarray, np.ndarray]:
    """The close before each ex-date, in shares of that day, and the first open from it on.

    NaN where neither the reply nor the stored bars have one within twelve days.
    """
    instants = np.array(ex_dates, dtype="datetime64[us]").astype(np.int64)
    before, opened = np.full((2, len(instants)), np.nan)
    for frame in frames:
        labels, values = labels_of(frame), values_of(frame)
        at = np.searchsorted(labels, instants)
        near = np.flatnonzero(at > 0)
        near = near[(instants[near] - labels[at[near] - 1] <= _NEAR) & np.isnan(before[near])]
        before[near] = values[3, at[near] - 1]
        near = np.flatnonzero(at < len(labels))
        near = near[(labels[at[near]] - instants[near] <= _NEAR) & np.isnan(opened[near])]
        opened[near] = values[0, at[near]]
    split = {one.ex_date: float(one.value) for one in splits_of(actions)}
    return before / [split.get(one, 1.0) for one in ex_dates], opened


def _day(ex_date: date) -> TimeRange:
    start = datetime.combine(ex_date, time.min, tzinfo=UTC)
    return TimeRange(start, start + timedelta(days=1))
