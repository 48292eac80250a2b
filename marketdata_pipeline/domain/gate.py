"""A provider's rate limit, and the port through which it asks leave to send one request.

Not here: turns and cooldowns; the governor keeps those.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most ``requests`` in any ``window``, of which ``burst`` may come at once."""

    requests: int
    window: timedelta
    burst: int


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
