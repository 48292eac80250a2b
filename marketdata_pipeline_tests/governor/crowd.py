"""Several callers of one provider whose quota nobody knows, in simulated time.

Not here: processes, databases and HTTP; ``benchmarks/governor.py`` has the real thing.
"""

import heapq
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from marketdata_pipeline.domain.errand import Errand, Priority
from marketdata_pipeline.domain.gate import Attempt, Ending, Turn
from marketdata_pipeline.domain.tuning import Tuning
from marketdata_pipeline.governor.heeding import heed
from marketdata_pipeline.governor.reserving import Given, Wish, reserve
from marketdata_pipeline.governor.state import State

SECOND = 1_000_000
START = 10**15
_WINDOW = 60


@dataclass
class Server:
    """Grants so many requests in any 60 seconds as its schedule says; refuses with a time."""

    schedule: list[tuple[float, int]]
    granted: deque[float] = field(default_factory=deque)
    log: list[tuple[float, bool]] = field(default_factory=list)

    def quota(self, at: float) -> int:
        return [quota for since, quota in self.schedule if since <= at][-1]

    def ask(self, at: float) -> int | None:
        """The seconds to wait; None: granted."""
        while self.granted and self.granted[0] <= at - _WINDOW:
            self.granted.popleft()
        quota = self.quota(at)
        refused = len(self.granted) >= quota
        self.log.append((at, not refused))
        if refused:
            return max(1, math.ceil(self.granted[-quota] + _WINDOW - at))
        self.granted.append(at)
        return None

    def used(self, start: float, end: float) -> float:
        """The share of the quota that was used in this part."""
        came = sum(granted for at, granted in self.log if start <= at < end)
        return came / (self.quota(start) * (end - start) / _WINDOW)

    @property
    def refused(self) -> float:
        """The share of all requests."""
        return sum(not granted for _, granted in self.log) / len(self.log)


@dataclass
class Crowd:
    """Callers that always want a turn; each waits for the answer before it asks again."""

    state: State
    server: Server
    tuning: Tuning = field(default_factory=Tuning)
    callers: int = 8
    announced: bool = True
    until: float = 0.0
    inside: int = 0
    dice: Random = field(default_factory=lambda: Random(1))  # noqa: S311 - simulated
    _events: list[tuple[int, int, Callable[..., None], tuple[object, ...]]] = field(
        default_factory=list
    )

    def run(self, seconds: float) -> None:
        for number in range(self.callers):
            self._later(START + number, self._ask)
        while self._events and self._events[0][0] < START + seconds * SECOND:
            now, _, what, given = heapq.heappop(self._events)
            what(now, *given)

    def _later(self, at: int, what: Callable[..., None], *given: object) -> None:
        heapq.heappush(self._events, (at, self.dice.getrandbits(40), what, given))

    def _ask(self, now: int) -> None:
        wish = Wish(share=Priority.TRACKED.share, longest=600 * SECOND)
        found = reserve([self.state], wish, now, self.tuning)
        late = self.dice.randint(100, 2000)
        if not isinstance(found, Given):
            self._later(max(found.look_at, now + 1000) + late, self._ask)
            return
        turn = Turn("x", self.state.epoch, Errand(), probe=found.probe)
        (self.state,) = found.states
        self._later(max(now, found.at) + late, self._awake, turn)

    def _awake(self, now: int, turn: Turn) -> None:
        if self.state.epoch != turn.epoch:
            self._ask(now)
            return
        at = (now - START) / SECOND
        self.inside += at < self.until
        wait = self.server.ask(at)
        if wait is not None:
            self.until = max(self.until, at + wait)
        self._later(now + 5000, self._heed, turn, wait)

    def _heed(self, now: int, turn: Turn, wait: int | None) -> None:
        attempt = Attempt(Ending.ANSWERED, 200)
        if wait is not None:
            told = timedelta(seconds=wait) if self.announced else None
            attempt = Attempt(Ending.RATE_LIMITED, 429, retry_after=told)
        self.state = heed(self.state, turn, attempt, now, self.tuning)
        self._ask(now)
