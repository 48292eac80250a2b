"""What the simulator holds back as a provider would: a hidden quota, and the time that it takes.

Not here: single faults (faults). Both can be set at the start and changed while it runs.
"""

import json
import math
import re
from collections import deque
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

import numpy as np

from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.simulator.wire import Answer

_QUOTA = re.compile(r"(\d{1,7})/(\d{1,6})", re.ASCII)
_LONGEST = 60.0


@dataclass(frozen=True, slots=True)
class Quota:
    """At most ``requests`` in any ``seconds``; what is above gets 429 and a Retry-After.

    Raises:
        BadInput: not both of them above 0.
    """

    requests: int
    seconds: int

    def __post_init__(self) -> None:
        whole = type(self.requests) is type(self.seconds) is int
        if not whole or self.requests < 1 or self.seconds < 1:
            raise BadInput("a quota is requests/seconds, whole and above 0, e.g. 2000/3600")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The quota of a spelling such as ``2000/3600``: so many requests in so many seconds.

        Raises:
            BadInput: any other spelling.
        """
        found = _QUOTA.fullmatch(text.strip())
        if not found:
            raise BadInput(f"{text[:40]!r} is no quota; write requests/seconds, e.g. 2000/3600")
        return cls(int(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True)
class Latency:
    """How long answers take: log-normal around ``median`` seconds.

    ``spread`` is the standard deviation of the logarithm: 0.5 makes one answer in 20 take 2.3
    times the median. 60 s is the most.

    Raises:
        BadInput: less than none of either.
    """

    median: float = 0.0
    spread: float = 0.5

    def __post_init__(self) -> None:
        finite = math.isfinite(self.median) and math.isfinite(self.spread)
        if not finite or self.median < 0 or self.spread < 0:
            raise BadInput("a latency is a median in seconds and a spread, neither below 0")

    def drawn(self, dice: np.random.Generator) -> float:
        """The seconds of one answer."""
        if not self.median:
            return 0.0
        return min(_LONGEST, self.median * math.exp(self.spread * float(dice.standard_normal())))


@dataclass
class Limits:
    """What holds at the moment, and the requests that were counted against the quota."""

    quota: Quota | None = None
    latency: Latency = Latency()
    dice: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))
    _passed: deque[datetime] = field(default_factory=deque)

    def refusal(self, now: datetime) -> Answer | None:
        """The 429 of a request at that wall instant; None: it is within the quota, and counted."""
        if self.quota is None:
            return None
        window = timedelta(seconds=self.quota.seconds)
        while self._passed and self._passed[0] <= now - window:
            self._passed.popleft()
        if len(self._passed) < self.quota.requests:
            self._passed.append(now)
            return None
        wait = math.ceil((self._passed[0] + window - now).total_seconds())
        headers = {"Retry-After": str(max(1, wait))}
        return Answer(429, b"Too Many Requests\r\n", "text/html", headers)

    def delay(self) -> float:
        """The seconds that the next answer takes."""
        return self.latency.drawn(self.dice)

    def written(self) -> dict[str, Any]:
        """As JSON takes it, and as ``change`` reads it."""
        quota = None if self.quota is None else asdict(self.quota)
        return {"quota": quota, "latency": asdict(self.latency)}

    def change(self, body: bytes) -> None:
        """Take what a JSON object says of ``quota`` and ``latency`` (null: none); the rest stays.

        Raises:
            BadInput: no JSON, an unknown field, a malformed value.
        """
        try:
            said = dict(json.loads(body))
            now = self.written()
            quota, latency = (said.pop(name, now[name]) for name in ("quota", "latency"))
            if said:
                raise BadInput(f"a limit has no {', '.join(sorted(said))}")
            slow = Latency() if latency is None else Latency(**(now["latency"] | latency))
            fresh = None if quota is None else Quota(**quota), slow
        except (ValueError, TypeError) as error:
            raise BadInput(f"that is no limit: {error}") from error
        if fresh[0] != self.quota:
            self._passed.clear()
        self.quota, self.latency = fresh
