"""Amounts and stretches of time as people read them, and the quota against the wish in one line.

Not here: what is measured (reading).
"""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta

from marketdata_pipeline.domain.alert import Severity
from marketdata_pipeline.domain.gate import Circuit, Turns
from marketdata_pipeline.domain.tiers import Pace
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.reading.cadence import Load
from marketdata_pipeline.reading.queue import QueueStatus
from marketdata_pipeline.store.totals import Written

_LEAST, _MANY = 0.1, 10
_DAY, _HOUR, _MINUTE = 86_400, 3_600, 60
_TIME = "%H:%M:%S UTC"


def lasting(time: timedelta) -> str:
    """A stretch of time in its largest unit, days and hours with the next one: ``2 h 5 min``."""
    seconds = max(0, round(time.total_seconds()))
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min"
    unit, size, smaller, part = ("d", _DAY, "h", _HOUR)
    if seconds < _DAY:
        unit, size, smaller, part = ("h", _HOUR, "min", _MINUTE)
    rest = seconds % size // part
    return f"{seconds // size} {unit}" + (f" {rest} {smaller}" if rest else "")


def amount(number: float) -> str:
    """With commas; below ten with one decimal where it is no whole number."""
    if 0 < number < _LEAST:
        return f"<{_LEAST}"
    return f"{number:,.0f}" if number >= _MANY or number == int(number) else f"{number:.1f}"


def share(part: float, digits: int = 2) -> str:
    """A share of 1 in percent; less than all is never rounded to 100."""
    percent = math.floor(100 * part * 10**digits) / 10**digits
    return f"{percent:.{digits}f} %"


def load_line(load: Load) -> str:
    """Whether the quota carries the wish."""
    if not load.wished:
        return "nothing that is tracked costs requests"
    wished = f"{amount(load.wished)} requests an hour wished"
    if load.allowed is None:
        return f"{wished}; no provider was asked yet, so no quota is known"
    against = f"{wished}, {amount(load.allowed)} allowed"
    if load.stretched is None:
        return f"{against}: the quota carries it"
    return f"{against}: {load.costliest} series are refreshed every {lasting(load.stretched)}"


def pace_line(pace: Pace) -> str:
    """How often a tier's series are wished to be refreshed, and how often they can be."""
    wished, real = lasting(pace.wished), lasting(pace.real)
    return f"{pace.tier}: {pace.series:,} series, wished every {wished}, real every {real}"


def turns_line(turns: Turns) -> str:
    """How many turns of a provider are free, and how many there are at all."""
    seconds = turns.interval.total_seconds()
    apart = f"{seconds:.2g} s" if seconds < _MANY else lasting(turns.interval)
    eased = f" ({eased_share(turns)} of its rate)" if turns.eased < 1 else ""
    return f"{_free(turns)}; {turns.hourly:,} an hour, one every {apart}{eased}"


def _free(turns: Turns) -> str:
    if turns.open_until is not None:
        return f"no turn until {turns.open_until:{_TIME}} (it failed too often)"
    if turns.circuit is not Circuit.CLOSED:
        return "one request tries whether it is back"
    if turns.cooldown_until is not None:
        return f"no turn until {turns.cooldown_until:{_TIME}} (it asked to wait)"
    return f"{turns.free:,} of {turns.burst:,} turns free"


def eased_share(turns: Turns) -> str:
    """The share of the configured rate that is used now, in whole percent."""
    return share(turns.eased, 0)


def queue_line(queue: QueueStatus, now: datetime) -> str:
    """What is to be done, and what needs a person."""
    limited = f"{queue.rate_limited:,} rate limited"
    if queue.limited_until is not None:
        limited += f" (the next {when(queue.limited_until, now)})"
    told = f"{queue.pending:,} pending, {queue.in_progress:,} in progress, {limited}"
    told += f", {queue.failed:,} failed"
    if not queue.unresolved:
        return told
    more = queue.unresolved - len(queue.symbols)
    named = ", ".join(queue.symbols) + (f" and {more:,} others" if more > 0 else "")
    return f"{told}; unresolved: {named}"


def quarantine_line(held: int) -> str:
    """How much waits for a person's judgement."""
    return f"{held:,} held; see marketdata quarantine list"


def alerts_line(wrong: Mapping[Severity, int]) -> str:
    """How many alerts are open, the gravest first."""
    told = ", ".join(f"{wrong[one]:,} {one}" for one in reversed(Severity) if one in wrong)
    return f"alerts: {told}; see marketdata alerts"


def when(at: datetime, now: datetime) -> str:
    """A wall instant from now on: with its date where that is another one."""
    if at <= now:
        return "now"
    return f"at {at:{_TIME}}" if at.date() == now.date() else f"at {at:%Y-%m-%d %H:%M UTC}"


def rate_line(what: Written) -> str:
    """What came in a stretch of time."""
    return f"{what.requests:,} requests answered, {what.bars:,} bars written"


def wish_line(timeframe: Timeframe, wished: timedelta) -> str:
    """How often a timeframe is wished to be refreshed."""
    return lasting(wished) if timeframe.intraday else "after the close"
