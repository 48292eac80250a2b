"""Tiers of refreshes: who is in which, what each wishes, and what the quotas carry of it.

Not here: which series are due (ingest.due) and which of them go now (ingest.refreshes).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe

LEAST = 0.05
"""Share of the quotas that is never taken from the rest, so that none of it waits for ever."""
_HOUR = timedelta(hours=1)


class Tier(StrEnum):
    """How soon a series is refreshed; the highest first."""

    PRIORITY = "priority"
    """A portfolio holds it, or the settings name it."""
    OTHER = "other"


def _no_calendar(_calendar: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Wishes:
    """How often series are wished to be refreshed.

    Attributes:
        priority, other: between two looks for closed bars of that tier.
        again: until a series is asked for again that failed, or whose calendar is ``always``.
        first: instruments of the first tier beside those that are held.
        always: whether series of a calendar are asked for whether a bar of them closed or not.
    """

    priority: timedelta = timedelta(minutes=2)
    other: timedelta = timedelta(minutes=5)
    again: timedelta = timedelta(minutes=15)
    first: frozenset[Instrument] = frozenset()
    always: Callable[[str], bool] = _no_calendar

    def look(self, tier: Tier) -> timedelta:
        """Between two looks for closed bars."""
        return self.priority if tier is Tier.PRIORITY else self.other

    def every(self, tier: Tier, timeframe: Timeframe) -> timedelta:
        """Between two refreshes of a series: between two looks no bar of it may have closed."""
        return max(self.look(tier), timeframe.length)

    def requests(self, tier: Tier, timeframe: Timeframe, series: int) -> float:
        """Requests an hour that so many series cost, one a refresh; a derived one costs none."""
        return 0.0 if timeframe.derived else series * (_HOUR / self.every(tier, timeframe))


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the series of a tier are refreshed while their sessions are open.

    Attributes:
        series: how many it has.
        wished: between two looks for closed bars.
        real: the same where the quotas carry the wish; else how often its finest timeframe that
            is fetched can be refreshed.
        requests: those that the wish costs in an hour with every session open.
        stretch: how many times longer than wished it takes; 1: the quotas carry the wish.
    """

    tier: Tier
    series: int
    wished: timedelta
    real: timedelta
    requests: float
    stretch: float


def paces(
    series: Mapping[Tier, Mapping[Timeframe, int]], wishes: Wishes, allowed: float | None
) -> list[Pace]:
    """One for each tier that has series, the highest first.

    Args:
        series: how many each tier has of each timeframe.
        wishes: what is wished.
        allowed: requests an hour that the quotas give for ever; None: no quota is known.
    """
    wished = {
        tier: sum(wishes.requests(tier, frame, count) for frame, count in series[tier].items())
        for tier in Tier
        if sum(series.get(tier, {}).values())
    }
    given = carried(wished, allowed)
    return [_pace(tier, series[tier], wishes, wished[tier], given[tier]) for tier in wished]


def carried(wished: Mapping[Tier, float], allowed: float | None) -> dict[Tier, float]:
    """Requests an hour that each tier gets of those it wishes, never more than allowed together.

    The first tier gets what it wishes as long as the quotas carry it; the rest has what is left,
    and a twentieth at least.
    """
    if allowed is None or sum(wished.values()) <= allowed:
        return dict(wished)
    first, rest = (wished.get(tier, 0.0) for tier in (Tier.PRIORITY, Tier.OTHER))
    first = min(first, allowed - min(rest, LEAST * allowed))
    given = {Tier.PRIORITY: first, Tier.OTHER: min(rest, allowed - first)}
    return {tier: given[tier] for tier in wished}


def _pace(
    tier: Tier, series: Mapping[Timeframe, int], wishes: Wishes, wished: float, given: float
) -> Pace:
    look, stretch = wishes.look(tier), wished / given if given else 1.0
    finest = next((one for one in Timeframe if series.get(one) and not one.derived), None)
    real = look if stretch <= 1 or finest is None else stretch * wishes.every(tier, finest)
    return Pace(tier, sum(series.values()), look, real, wished, max(1.0, stretch))
