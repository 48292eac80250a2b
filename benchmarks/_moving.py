"""A quota that nobody tells and that moves: who finds it, who is refused, ours beside its peers.

Not here: a quota that is known (_known). Each gate has eight processes and a simulator of its own;
all run at the same time. The quota falls to a quarter and rises to three times that.

What each is told, before anything moves: ours that 600 a minute are allowed, five times what is;
one more of ours, and pyrate-limiter, the first quota; ccxt's throttler is at the 2,000 ms between
requests that ccxt has where an exchange says nothing else; and a sleep of 2.5 s, as small programs
have it. The latter two are a process's own, so eight of them send 240 and 192 a minute.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from _catalogs import STORAGES, Catalogs
from _gates import Ccxt, Ours, Pyrate, Sleep
from _place import SQLITE
from _race import Raced, Runner, raced
from _report import Figure

from marketdata_pipeline.domain.gate import Limits, RateLimit
from marketdata_pipeline.simulator.quota import Quota, Step
from marketdata_pipeline.simulator.wire import RetryAfter

_BURST = 8
_UNKNOWING = 5
_CCXT, _SLEEP = 2000.0, 2.5
_LEAST_USED, _MOST_REFUSED = 80.0, 2.0
_WITHOUT = ", without Retry-After"
_OURS = {one: f"ours, {one}" for one in STORAGES}
_TOLD = f"{_OURS[SQLITE]}, told the first quota"
_PEERS = ("pyrate-limiter", "ccxt's throttler", "a sleep of 2.5 s")


@dataclass(frozen=True, slots=True)
class Scale:
    """The quotas, and how long each holds.

    Attributes:
        window: seconds that they look back.
        phase: seconds that each holds; ``settled``: after so many of them it counts.
        faster: by which factor more requests a second than in the full form.
        all_of_ours: also told the first quota, and without Retry-After.
    """

    quotas: tuple[int, ...]
    window: int
    phase: float
    settled: float
    faster: float
    all_of_ours: bool

    @property
    def times(self) -> float:
        """By which the governor's times are multiplied."""
        return self.window / FULL.window


FULL = Scale((120, 30, 90), 60, 600, 180, 1, all_of_ours=True)
QUICK = Scale((20, 5, 15), 2, 4, 2, 5, all_of_ours=False)
"""A window of 2 s with a sixth of the requests. A Retry-After is whole seconds, of which each then
is half a window, so the quick form has no aims."""


def measured(scale: Scale, catalogs: Catalogs) -> Mapping[str, Raced]:
    """Everybody at the same time."""
    steps = [
        Step(number * scale.phase, (Quota(one, scale.window),))
        for number, one in enumerate(scale.quotas)
    ]
    return raced([*_ours(scale, catalogs, steps), *_peers(scale, catalogs, steps)], _length(scale))


def _length(scale: Scale) -> float:
    return scale.phase * len(scale.quotas)


def _ours(scale: Scale, catalogs: Catalogs, steps: Sequence[Step]) -> Iterator[Runner]:
    def gate(storage: str, times: int) -> Ours:
        window = timedelta(seconds=scale.window)
        limits = Limits((RateLimit(times * scale.quotas[0], window, _BURST),))
        return catalogs.gate(storage, limits, scale=scale.times)

    for storage, name in _OURS.items():
        yield Runner(name, gate(storage, _UNKNOWING), steps)
    if not scale.all_of_ours:
        return
    yield Runner(_TOLD, gate(SQLITE, 1), steps)
    for storage, name in _OURS.items():
        yield Runner(name + _WITHOUT, gate(storage, _UNKNOWING), steps, RetryAfter.OFF)


def _peers(scale: Scale, catalogs: Catalogs, steps: Sequence[Step]) -> Iterator[Runner]:
    pyrate, ccxt, sleep = _PEERS
    bucket = str(catalogs.folder / "pyrate.sqlite")
    yield Runner(pyrate, Pyrate(bucket, scale.quotas[0], 1000 * scale.window), steps)
    yield Runner(ccxt, Ccxt(_CCXT / scale.faster), steps)
    yield Runner(sleep, Sleep(_SLEEP / scale.faster), steps)


def figures(found: Mapping[str, Raced], scale: Scale, *, quick: bool) -> Iterator[Figure]:
    """Of each: what it used of each quota, what was refused, and what came too early."""
    for name, one in found.items():
        judged = name in _OURS.values() and not quick
        yield from _figures(name, one, scale, judged=judged)


def _figures(name: str, one: Raced, scale: Scale, *, judged: bool) -> Iterator[Figure]:
    seen = one.seen
    moves = [one.start + number * scale.phase for number in range(len(scale.quotas) + 1)]
    for quota, (start, end) in zip(scale.quotas, pairwise(moves), strict=True):
        length = scale.phase - scale.settled
        used = seen.within(start + scale.settled, end) * scale.window / length / quota
        said = f"hidden quota, {name}: used of {quota} in {scale.window} s"
        yield Figure(said, (100 * used,), "%", least=_LEAST_USED if judged else None)
    most = _MOST_REFUSED if judged else None
    yield Figure("... answered 429", (100 * seen.refused(),), "%", most)
    early = seen.too_early()
    yield Figure("... inside a Retry-After, on their way before", (float(early.on_their_way),))
    after = float(early.untold + early.told)
    yield Figure("... inside a Retry-After, sent after", (after,), "", 0.0 if judged else None)
    yield Figure("... of these after the gate had been told", (float(early.told),))
