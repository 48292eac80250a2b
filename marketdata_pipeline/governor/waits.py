"""How long requests waited for their turns: a tally that all gates of one process share.

Not here: waiting (governor), and what other processes waited.
"""

from dataclasses import dataclass, field
from threading import Lock


@dataclass(slots=True, eq=False)
class Waits:
    """Counts what a gate tells as ``waiting``; its threads may tell at once.

    Attributes:
        count: waits begun; a turn that a cooldown put off again counts twice.
        seconds: all of them together, so three requests that wait 10 s at once are 30 s.
    """

    count: int = 0
    seconds: float = 0.0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, seconds: float) -> None:
        """One more wait begins, of so many seconds."""
        with self._lock:
            self.count += 1
            self.seconds += seconds
