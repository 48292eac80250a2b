"""What a request is for: how urgent it is, which attempt, for which run.

Not here: what is asked (series and window), and giving turns (governor).
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Self


class Priority(Enum):
    """How urgent; from the most to the least, each with its spelling and its share.

    The share is the part of a provider's burst that requests of this priority may use up; what is
    left of it is there at once for more urgent ones.
    """

    URGENT = ("urgent", 1.0)
    """Somebody has just bought it."""
    HELD = ("held", 0.75)
    TRACKED = ("tracked", 0.5)
    CATALOG = ("catalog", 0.25)
    """Nobody waits for it; history that is long past."""

    def __init__(self, spelling: str, share: float) -> None:
        self.spelling = spelling
        self.share = share

    @property
    def lower(self) -> "Priority":
        """The next less urgent one; the last is its own."""
        known = list(Priority)
        return known[min(known.index(self) + 1, len(known) - 1)]

    def __str__(self) -> str:
        return self.spelling


@dataclass(frozen=True, slots=True)
class Errand:
    """What stands behind a request.

    Attributes:
        attempt: 1 for the first request, one more for each time that it is made again.
        run_id: of the Dagster run; None: there is none.
        until: the wall instant after which nobody waits for it any more, neither for a turn nor for
            another attempt; None: there is none.
    """

    priority: Priority = Priority.TRACKED
    attempt: int = 1
    run_id: str | None = None
    until: datetime | None = None

    def again(self) -> Self:
        """The same, tried once more."""
        return replace(self, attempt=self.attempt + 1)

    def for_the_past(self) -> Self:
        """The same for a window that is no recent one: recent ones go first."""
        return replace(self, priority=self.priority.lower)
