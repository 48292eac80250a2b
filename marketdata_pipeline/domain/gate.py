"""A provider's rate limit and turns, and the port through which it asks leave for one request.

Not here: giving turns and keeping cooldowns; the governor does.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most ``requests`` in any ``window``, of which ``burst`` may come at once."""

    requests: int
    window: timedelta
    burst: int


@dataclass(frozen=True, slots=True)
class Turns:
    """A provider's turns as they stand at one wall instant.

    Attributes:
        provider: registry name.
        hourly: the most requests that any hour may see.
        burst: of these, how many may come at once.
        interval: how far apart turns are once those are used up.
        free: how many could be taken at once now; none during a cooldown.
        next_at: the wall instant of the next turn, now or later.
        cooldown_until: the end of the cooldown that holds now; None: none does.
    """

    provider: str
    hourly: int
    burst: int
    interval: timedelta
    free: int
    next_at: datetime
    cooldown_until: datetime | None


class Gate(Protocol):
    """A provider's gate, already bound to that provider."""

    def turn(self) -> None:
        """Wait for a turn and take it.

        Raises:
            RateLimited: the next turn is further away than the caller is willing to wait; its
                ``retry_at`` says when one is possible.
        """
        ...

    def cool_down(self, retry_after: timedelta | None) -> None:
        """The provider answered 429: nobody sends until that time is over (None: not said)."""
        ...
