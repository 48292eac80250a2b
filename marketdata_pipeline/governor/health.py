"""How a provider is: latency, shares of what succeeds and fails, and a condition made of them.

Not here: reading the log (logged), asking a provider whether it answers. Pure functions.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import groupby
from statistics import quantiles

from marketdata_pipeline.domain.gate import Circuit, Effect, Ending, Turns
from marketdata_pipeline.governor.logged import Count, Logged, Request

SLOW = timedelta(seconds=5)
"""Above it at p95 a provider counts as slow. With three instruments at once (the default) and a
turn every two seconds (Yahoo's) a run is as fast as its turns up to 6 s a request; beyond that the
provider's answers are what it waits for. A fifth of the time that a reply may take."""
_FEWEST = 20
"""Of fewer requests p95 is the slowest one, which says nothing of the others."""
_LAST, _LEAST = 10, 3
"""None of the last ten was served: it is down. One or two requests say nothing yet."""
_RECENT, _DAY = timedelta(minutes=5), timedelta(days=1)


class Condition(Enum):
    """How a provider is, from the best to the worst, and what to do about it."""

    HEALTHY = ("healthy", "nothing to do")
    UNKNOWN = ("unknown", "the next update asks it, marketdata doctor does so now")
    SLOW = ("slow", "nothing is lost; where it lasts, raise MARKETDATA_INSTRUMENTS_AT_ONCE")
    LIMITED = ("limited", "all processes heed it; where it happens often, lower the rate")
    DOWN = ("down", "nothing is lost, it is asked again; marketdata doctor looks for the cause")

    def __init__(self, spelling: str, advice: str) -> None:
        self.spelling = spelling
        self.advice = advice

    def __str__(self) -> str:
        return self.spelling


@dataclass(frozen=True, slots=True)
class Volume:
    """How many requests ended in a stretch of time, and how many of them were served."""

    requests: int
    served: int


@dataclass(frozen=True, slots=True)
class Latency:
    """How long served requests took, waiting for turns not counted.

    Percentiles are interpolated between the two nearest of what was measured: definition 7 of
    Hyndman and Fan, Sample Quantiles in Statistical Packages, The American Statistician 50 (1996),
    361-365, which is also that of R and NumPy.
    """

    p50: timedelta
    p95: timedelta
    p99: timedelta
    requests: int


@dataclass(frozen=True, slots=True)
class Health:
    """A provider's health at one wall instant.

    Served means answered properly: that a symbol is not known is an answer too.

    Attributes:
        key: the provider's; behind a slash its bucket's or credential's.
        condition: and ``why``, one sentence without its full stop.
        latency: of the newest requests of the last day (up to 1,000); None: none was served.
        success: share of the last day's requests that were served; None: there were none.
        failures: share of each other ending; with ``success`` they come to 1. Requests that were
            abandoned say nothing of the provider and count nowhere but in ``hour`` and ``day``.
        hour, day: what ended in the last ones.
        served_at: the last one that was served, however long ago.
        streak: the longest row of failures among the newest requests.
    """

    key: str
    condition: Condition
    why: str
    latency: Latency | None
    success: float | None
    failures: Mapping[Ending, float]
    hour: Volume
    day: Volume
    served_at: datetime | None
    streak: int


def health_of(turns: Turns, log: Logged, now: datetime) -> Health:
    """The health of the provider whose turns these are, and whose requests the log has."""
    latency = latency_of([one.took for one in log.newest if _served(one)])
    shares = shares_of(log.counts)
    condition, why = _judged(turns, log, latency, now)
    return Health(
        key=turns.provider,
        condition=condition,
        why=why,
        latency=latency,
        success=_success(shares),
        failures={one: share for one, share in shares.items() if not _fine(one)},
        hour=_volume((one.ending, one.hour) for one in log.counts),
        day=_volume((one.ending, one.day) for one in log.counts),
        served_at=log.served_at,
        streak=longest_streak(log.newest),
    )


def never_asked(key: str) -> Health:
    """The health of a provider that has no turns yet."""
    nothing = Volume(0, 0)
    why = "it was never asked"
    return Health(key, Condition.UNKNOWN, why, None, None, {}, nothing, nothing, None, 0)


def _success(shares: Mapping[Ending, float]) -> float | None:
    if not shares:
        return None
    return sum((share for one, share in shares.items() if _fine(one)), start=0.0)


def latency_of(took: Sequence[timedelta]) -> Latency | None:
    """The percentiles of these; None where there are none."""
    if not took:
        return None
    seconds = [one.total_seconds() for one in took]
    points = quantiles(seconds, n=100, method="inclusive") if len(seconds) > 1 else seconds * 99
    p50, p95, p99 = (timedelta(seconds=points[percent - 1]) for percent in (50, 95, 99))
    return Latency(p50, p95, p99, len(seconds))


def shares_of(counts: Sequence[Count]) -> dict[Ending, float]:
    """The share of each ending in the last day; empty where nothing says anything."""
    told = {one.ending: one.day for one in counts if one.ending is not Ending.ABANDONED}
    total = sum(told.values())
    return {ending: number / total for ending, number in told.items() if number}


def longest_streak(newest: Sequence[Request]) -> int:
    """The most requests in a row that were not served; those that were abandoned are left out."""
    rows = groupby(_served(one) for one in _telling(newest))
    return max((len(list(row)) for served, row in rows if not served), default=0)


def _judged(
    turns: Turns, log: Logged, latency: Latency | None, now: datetime
) -> tuple[Condition, str]:
    """The first that is true, the worst first; what is past says nothing where nobody asked."""
    if (why := _down(turns, log, now)) is not None:
        return Condition.DOWN, why
    if turns.cooldown_until is not None:
        return (
            Condition.LIMITED,
            f"it asked to wait; no turn until {_spelled(turns.cooldown_until, now)}",
        )
    if not log.counts:
        return Condition.UNKNOWN, "it was not asked in the last 24 hours"
    if (why := _limited(turns, log, now)) is not None:
        return Condition.LIMITED, why
    if latency is not None and latency.requests >= _FEWEST and latency.p95 > SLOW:
        seconds = latency.p95.total_seconds()
        return Condition.SLOW, f"one request in twenty takes longer than {seconds:.1f} s"
    return Condition.HEALTHY, "it answers"


def _down(turns: Turns, log: Logged, now: datetime) -> str | None:
    last = _telling(log.newest)[:_LAST]
    if turns.circuit is not Circuit.CLOSED:
        cause = f" ({last[0].ending})" if last and not _served(last[0]) else ""
        until = "one request tries whether it is back"
        if turns.open_until is not None:
            until = f"no turn until {_spelled(turns.open_until, now)}"
        return f"it failed too often{cause}; {until}"
    if len(last) >= _LEAST and not any(map(_served, last)):
        return f"none of the last {len(last)} requests was answered ({last[0].ending})"
    return None


def _limited(turns: Turns, log: Logged, now: datetime) -> str | None:
    if turns.budget_left == 0:
        return f"no credits are left today; no turn until {_spelled(turns.next_at, now)}"
    if turns.eased < 1:
        percent = int(100 * turns.eased)
        return f"it refused or failed, so {percent} % of the rate is used for now"
    refused = [one.last for one in log.counts if one.ending.effect is Effect.REFUSED]
    if refused and now - max(refused) < _RECENT:
        return f"it refused a request at {_spelled(max(refused), now)}"
    return None


def _spelled(instant: datetime, now: datetime) -> str:
    """With its date where that is another day's."""
    spelling = "%H:%M:%S UTC" if abs(instant - now) < _DAY else "%Y-%m-%d %H:%M UTC"
    return instant.strftime(spelling)


def _volume(numbers: Iterable[tuple[Ending, int]]) -> Volume:
    counted = list(numbers)
    served = sum(number for ending, number in counted if _fine(ending))
    return Volume(sum(number for _, number in counted), served)


def _served(request: Request) -> bool:
    return _fine(request.ending)


def _fine(ending: Ending) -> bool:
    return ending.effect is Effect.SERVED


def _telling(newest: Sequence[Request]) -> list[Request]:
    return [one for one in newest if one.ending is not Ending.ABANDONED]
