"""What one process hears, all heed: a cooldown, a breaker, also after kill -9 and a restart.

Not here: how fast they go otherwise (_known, _moving). Eight processes ask ten times a second; the
simulator answers one single request otherwise than the rest, and its process is the only one that
is told. A breaker opens for 300 s; here it is scaled down, with all other times of the governor.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from _catalogs import STORAGES, Catalogs
from _crew import Crew, crew
from _gates import FORBIDDEN, TOO_MANY, Ours
from _report import Figure
from _served import Seen, served

from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.gate import Limits, RateLimit
from marketdata_pipeline.domain.tuning import Tuning
from marketdata_pipeline.simulator.fault import Fault
from marketdata_pipeline.simulator.server import Simulator

_LIMITS = Limits((RateLimit(600, timedelta(seconds=60), 8),))
_BEFORE, _AFTER = 1.0, 0.7
_HEARD_WITHIN = 1.0


@dataclass(frozen=True, slots=True)
class Scale:
    """Seconds: of the Retry-After, and for which a breaker opens."""

    retry_after: int
    opened: float

    @property
    def times(self) -> float:
        """By which the governor's times are multiplied."""
        return self.opened / Tuning().opened.total_seconds()


QUICK, FULL = Scale(2, 5), Scale(20, 30)


@dataclass(frozen=True, slots=True)
class Together:
    """What a simulator saw while a cooldown held, and while a breaker was open.

    Attributes:
        again: the unix second at which processes began anew, all others killed.
    """

    cooled: Seen
    broken: Seen
    again: float


@dataclass(frozen=True, slots=True)
class _Scene:
    """A gate of ours and its simulator."""

    gate: Ours
    simulator: Simulator


def measured(scale: Scale, catalogs: Catalogs) -> Mapping[str, Together]:
    """By storage; cooldown and breaker, each before gates of their own, all at the same time."""
    with (
        _scenes(scale, catalogs) as some,
        _scenes(scale, catalogs) as others,
        ThreadPoolExecutor() as pool,
    ):
        cooling = pool.submit(_cooled, some, scale)
        broken, again = _broken(others, scale)
        pairs = zip(STORAGES, cooling.result(), broken, strict=True)
        return {storage: Together(one, other, again) for storage, one, other in pairs}


def _cooled(scenes: Sequence[_Scene], scale: Scale) -> list[Seen]:
    """What the simulators saw around a Retry-After that each said once."""
    clock = SystemClock()
    with _crews(scenes) as crews:
        clock.sleep(_BEFORE)
        for one in scenes:
            said = Fault("status", status=TOO_MANY, retry_after=scale.retry_after, times=1)
            one.simulator.faults.add(said)
        clock.sleep(scale.retry_after + _AFTER)
        logs = [one.stop() for one in crews]
    return [Seen.of(one.simulator, log) for one, log in zip(scenes, logs, strict=True)]


def _broken(scenes: Sequence[_Scene], scale: Scale) -> tuple[list[Seen], float]:
    """The same of a block page; and when others had taken the place of those who were killed."""
    clock = SystemClock()
    with _crews(scenes) as crews:
        clock.sleep(_BEFORE)
        until = time.time() + scale.opened + _AFTER
        for one in scenes:
            one.simulator.faults.add(Fault("block", times=1))
        clock.sleep(scale.opened / 4)
        for each in crews:
            each.kill()
    with _crews(scenes):
        again = time.time()
        clock.sleep(until - again)
        return [Seen.of(one.simulator, {}) for one in scenes], again


@contextmanager
def _scenes(scale: Scale, catalogs: Catalogs) -> Iterator[list[_Scene]]:
    with ExitStack() as stack:
        yield [
            _Scene(
                catalogs.gate(storage, _LIMITS, scale=scale.times),
                stack.enter_context(served()),
            )
            for storage in STORAGES
        ]


@contextmanager
def _crews(scenes: Sequence[_Scene]) -> Iterator[list[Crew]]:
    """Clients of each, who have begun."""
    with ExitStack() as stack:
        crews = [stack.enter_context(crew(one.gate, one.simulator.port)) for one in scenes]
        for one in crews:
            one.ready()
        os.sync()  # or the first commits wait until new catalogs are on the disk
        for one in crews:
            one.go()
        yield crews


def figures(found: Mapping[str, Together], scale: Scale) -> Iterator[Figure]:
    """Of each storage: who sent nevertheless."""
    for storage, one in found.items():
        yield from _cooldown(one.cooled, storage, scale)
        yield from _breaker(one, storage, scale)


def _cooldown(seen: Seen, storage: str, scale: Scale) -> Iterator[Figure]:
    early = seen.too_early()
    name = f"cooldown of {scale.retry_after} s, {storage}: sent once it was set"
    yield Figure(name, (float(early.told),), "", 0.0)
    yield Figure("... sent while it was being set", (float(early.untold),))
    yield Figure("... on their way before", (float(early.on_their_way),))
    after = _next(seen, TOO_MANY, scale.retry_after)
    yield Figure("... the next one, after its end", (after,), "s")


def _breaker(one: Together, storage: str, scale: Scale) -> Iterator[Figure]:
    seen = one.broken
    opened = float(seen.at[seen.status == FORBIDDEN][0])
    during = seen.at[(seen.at > opened) & (seen.at < opened + scale.opened)] - opened
    name = f"breaker of {scale.opened:g} s, {storage}: the last request after it opened"
    yield Figure(name, (float(during.max(initial=0.0)),), "s", _HEARD_WITHIN)
    late = int((during > _HEARD_WITHIN).sum())
    yield Figure("... sent later, kill -9 of all and a restart amid", (float(late),), "", 0.0)
    left = opened + scale.opened - one.again
    yield Figure("... begun anew, before its end", (left,), "s", least=0.0)
    yield Figure("... the next one, after its end", (_next(seen, FORBIDDEN, scale.opened),), "s")


def _next(seen: Seen, status: int, wait: float) -> float:
    """Seconds from the end of a wait to the next request."""
    end = float(seen.at[seen.status == status][0]) + wait
    later = seen.at[seen.at >= end]
    return float(later[0]) - end if len(later) else np.nan
