"""Instants in the order in which they came, counted in sliding windows.

Not here: what they are instants of (limits, counters).
"""

from array import array
from bisect import bisect_right
from dataclasses import dataclass, field

_SPARE = 4096


@dataclass(slots=True, eq=False)
class Instants:
    """Unix seconds, none before another; those older than ``kept`` seconds are forgotten at last.

    A window of ``seconds`` that ends at an instant is open at its start: two instants that lie
    exactly so far apart are not both in it.
    """

    kept: float = 3600.0
    _at: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, instant: float) -> None:
        """One more; a clock that was set back does not move it before the last one."""
        self._at.append(max(instant, self._at[-1]) if self._at else instant)
        if len(self._at) % _SPARE == 0:
            del self._at[: bisect_right(self._at, self._at[-1] - self.kept)]

    def within(self, seconds: float, until: float) -> int:
        """How many lie in the window of so many seconds that ends at ``until``."""
        return bisect_right(self._at, until) - bisect_right(self._at, until - seconds)

    def newest(self, number: int) -> float:
        """The instant that only ``number - 1`` others have come after."""
        return self._at[-number]
