"""The arithmetic of turns: how far apart, and how many at once.

Not here: the row that keeps the state (row). The generic cell rate algorithm: ITU-T I.371, annex A;
``tat`` is the theoretical arrival time of the next request, ``tau`` how far it may lie ahead.
"""

from dataclasses import dataclass
from datetime import timedelta

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


def free_turns(pace: Pace, tat: int, now: int) -> int:
    """How many turns could be taken at once now, where no cooldown holds; microseconds.

    Turn n of them moves ``tat`` to n intervals after the later of ``tat`` and now, and needs the
    one before it to be ``tau`` ahead at most.
    """
    return max(0, (now + pace.tau - max(tat, now)) // pace.interval + 1)
