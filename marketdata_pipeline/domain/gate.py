"""The port through which a provider asks leave to send one request.

Not here: rates and cooldowns; the governor keeps those.
"""

from datetime import timedelta
from typing import Protocol


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
