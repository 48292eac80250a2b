"""Credits a calendar day: how many are used, and when the next day begins.

Not here: limits that look back on a window (gcra).
"""

from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from marketdata_pipeline.domain.gate import Budget
from marketdata_pipeline.domain.ranges import from_micros, to_micros

_LONGEST_DAY = 25 * 3_600_000_000
"""The day on which clocks are set back."""


@dataclass(frozen=True, slots=True)
class Day:
    """What is used of a day's credits; ``until`` is its end in wall microseconds, 0: none began."""

    budget: Budget
    used: int = 0
    until: int = 0

    def earliest(self, now: int, weight: int) -> int:
        """From when on so much may be sent: now, or the day after."""
        if now >= self.until or self.used + weight <= self.budget.credits:
            return now
        return self.until

    def taken(self, at: int, weight: int) -> Self:
        """The same after so much was let through for that instant."""
        if at >= self.until:
            return replace(self, used=weight, until=_next_day(at, self.budget.zone))
        return replace(self, used=self.used + weight)

    def left(self, now: int) -> int:
        """Credits that are left today."""
        return max(0, self.budget.credits - (self.used if now < self.until else 0))

    def sane(self, now: int) -> Self:
        """The same where the day is none that has begun by now."""
        return self if self.until - now <= _LONGEST_DAY else replace(self, used=0, until=0)


def _next_day(at: int, zone: str) -> int:
    """The first instant of the day after, in that zone."""
    local = from_micros(at).astimezone(ZoneInfo(zone))
    return to_micros(datetime.combine(local.date() + timedelta(days=1), time(), local.tzinfo))
