"""A quota that is known: how much of it eight processes use, how fairly, and that none is over it.

Not here: quotas that nobody tells (_moving). The simulator grants what the quota allows in any
window and refuses the rest; windows slide. What is counted begins after a while, so that neither
the start of the clients nor the first burst tells.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from _catalogs import STORAGES, Catalogs
from _place import SQLITE
from _race import Raced, Runner, raced
from _report import Figure

from marketdata_pipeline.domain.gate import Limits, RateLimit
from marketdata_pipeline.governor.gcra import SPREAD
from marketdata_pipeline.simulator.quota import Quota, Step

_LEAST = 97.0
_FAIR = (0.5, 2.0)


@dataclass(frozen=True, slots=True)
class Known:
    """A quota, and the burst that the gate is told beside it.

    Attributes:
        by_ceiling: its aim is a share of what the spread between grant and arrival leaves of it.
    """

    requests: int
    seconds: int
    burst: int
    by_ceiling: bool = False

    @property
    def limit(self) -> RateLimit:
        """As the gate knows it."""
        return RateLimit(self.requests, timedelta(seconds=self.seconds), self.burst)

    @property
    def ceiling(self) -> float:
        """Requests a window: (N - burst) x W / (W + j)."""
        window = self.limit.window
        return (self.requests - self.burst) * (window / (window + SPREAD))

    def __str__(self) -> str:
        return f"{self.requests} in {self.seconds} s"


@dataclass(frozen=True, slots=True)
class Scale:
    """Which quotas, for how long, and from when on it counts; seconds."""

    quotas: tuple[Known, ...]
    length: float
    counted_from: float


QUICK = Scale((Known(20, 2, 1), Known(10, 1, 1, by_ceiling=True)), 4, 1)
FULL = Scale((Known(600, 60, 8), Known(10, 1, 1, by_ceiling=True)), 180, 60)
"""The quick form has the same rate in a window of 2 s, of which the spread takes more."""


def measured(scale: Scale, catalogs: Catalogs) -> Mapping[str, Raced]:
    """All quotas on both databases, at the same time."""
    runners = []
    for storage in STORAGES:
        for one in scale.quotas:
            gate = catalogs.gate(storage, Limits((one.limit,)))
            quota = Step(0, (Quota(one.requests, one.seconds),))
            runners.append(Runner(_name(one, storage), gate, (quota,)))
    first = scale.quotas[0]
    gate = catalogs.gate(SQLITE, Limits((first.limit,)))
    steps = (Step(0, (Quota(first.requests, first.seconds),)),)
    runners.append(Runner(_through(first), gate, steps, provider=True))
    return raced(runners, scale.length)


def figures(found: Mapping[str, Raced], scale: Scale, *, quick: bool) -> Iterator[Figure]:
    """What is used, what is over, and who had how much."""
    for storage in STORAGES:
        for one in scale.quotas:
            name = _name(one, storage)
            yield from _used(name, one, found[name], scale, quick=quick)
            yield from _shared(found[name], scale)
    first = scale.quotas[0]
    name = _through(first)
    yield from _used(name, first, found[name], scale, quick=quick)


def _used(name: str, one: Known, raced: Raced, scale: Scale, *, quick: bool) -> Iterator[Figure]:
    seen = raced.seen
    start, end = raced.start + scale.counted_from, raced.start + scale.length
    windows = (end - start) / one.seconds
    used = seen.within(start, end) / windows
    aim = None if one.by_ceiling or quick else _LEAST
    yield Figure(f"{name}: used", (100 * used / one.requests,), "%", least=aim)
    if one.by_ceiling:
        told = f"... of (N - burst) x W/(W + j) = {one.ceiling:.3g} a window"
        yield Figure(told, (100 * used / one.ceiling,), "%", least=_LEAST)
    over = int((~seen.granted & (seen.at >= start)).sum())
    yield Figure("... over it", (float(over),), "", 0.0)
    yield Figure("... over it before that, at the start", (float((~seen.granted).sum() - over),))
    yield Figure("... most in any window", (float(seen.most(one.seconds)),))


def _shared(raced: Raced, scale: Scale) -> Iterator[Figure]:
    seen = raced.seen
    start, end = raced.start + scale.counted_from, raced.start + scale.length
    fewest, most = seen.shares(start, end, raced.names)
    yield Figure("... the least of a process / its fair share", (fewest,), "x", least=_FAIR[0])
    yield Figure("... the most of a process / its fair share", (most,), "x", _FAIR[1])
    late = np.nanquantile(seen.at - seen.sent, 0.999)
    yield Figure("... from the turn to the arrival, p99.9", (1e3 * float(late),), "ms")


def _name(one: Known, storage: str) -> str:
    return f"known quota {one}, {storage}"


def _through(one: Known) -> str:
    return f"{_name(one, SQLITE)}, through the Yahoo provider"
