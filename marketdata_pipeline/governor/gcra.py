"""The arithmetic of turns: how far apart, and how many at once.

Not here: the rows that keep the state (rows). The generic cell rate algorithm: ITU-T I.371, annex
A; ``tat`` is the theoretical arrival time of the next request, ``tau`` how far it may lie ahead.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Self

from marketdata_pipeline.domain.gate import RateLimit
from marketdata_pipeline.domain.ranges import MICROSECOND
from marketdata_pipeline.errors import BadInput

SPREAD = timedelta(milliseconds=50)
"""By how much two requests may arrive closer together than they were granted (measured p99.9)."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Microseconds between turns, and the allowance by which turns may come early."""

    interval: int
    tau: int


def pace_of(limit: RateLimit, spread: timedelta = SPREAD) -> Pace:
    """The fastest pace at which no window ever sees more arrivals than the limit allows.

    A closed window of length L holds at most ``burst + floor(L / interval)`` grants, and arrivals
    within ``window`` come from grants within ``window + spread``: so that quotient must stay at
    ``requests - burst``, which makes the interval just longer than
    ``(window + spread) / (requests - burst + 1)``.

    Raises:
        BadInput: not 1 <= burst <= requests, or no window.
    """
    if not 1 <= limit.burst <= limit.requests or limit.window <= timedelta(0):
        raise BadInput(
            f"a rate limit needs a window and 1 <= burst <= requests, not {limit.requests} "
            f"requests in {limit.window} with a burst of {limit.burst}"
        )
    length = (limit.window + spread) // MICROSECOND
    interval = length // (limit.requests - limit.burst + 1) + 1
    return Pace(interval, (limit.burst - 1) * interval)


def burst_of(pace: Pace) -> int:
    """How many turns may come at once."""
    return pace.tau // pace.interval + 1


def most_within(window: timedelta, pace: Pace, spread: timedelta = SPREAD) -> int:
    """The most arrivals that a window can see: what ``pace_of`` was given, for its own window."""
    return burst_of(pace) + (window + spread) // MICROSECOND // pace.interval


@dataclass(frozen=True, slots=True)
class Meter:
    """One limit and how far its turns are given; instants and lengths are microseconds.

    Attributes:
        window: the length of what the limit looks back on: tells the limits of a provider apart.
    """

    window: int
    pace: Pace
    tat: int = 0

    def earliest(self, weight: int, share: float = 1.0) -> int:
        """From when on so much may be sent by those that may use this share of the burst."""
        return self.tat + (weight - 1) * self.pace.interval - int(share * self.pace.tau)

    def taken(self, at: int, weight: int) -> Self:
        """The same after something of that weight was let through for that instant."""
        return replace(self, tat=max(self.tat, at) + weight * self.pace.interval)

    def settled(self, now: int) -> Self:
        """The same where what was given for later than now is void."""
        return replace(self, tat=min(self.tat, now + self.pace.tau + self.pace.interval))

    def heeding(self, used: int, now: int) -> Self:
        """The same where the provider says that so much of the window is used up.

        Believed only where it is more than was thought: whoever else uses the quota is unseen.
        Once less is left than a burst, the next turn comes the later the less there is: after half
        the window where nothing is, by when half of what was used has left a sliding one.
        """
        allowed, burst = most_within(self.window * MICROSECOND, self.pace), burst_of(self.pace)
        gone = min(burst, used - (allowed - burst))
        if gone <= 0:
            return self
        pause = max(1, self.window // 2 * gone // burst)
        return replace(self, tat=max(self.tat, now + self.pace.tau + pause))

    def free(self, now: int) -> int:
        """How many turns could be taken at once now.

        Turn n of them moves ``tat`` to n intervals after the later of ``tat`` and now, and needs
        the one before it to be ``tau`` ahead at most.
        """
        return max(0, (now + self.pace.tau - max(self.tat, now)) // self.pace.interval + 1)
