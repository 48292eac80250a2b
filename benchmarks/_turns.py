"""What a turn costs, what waiting costs, how soon an urgent one comes, how a burst is spent.

Not here: many processes that want all of a quota (_known, _moving).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from _catalogs import STORAGES, Catalogs
from _crew import CLIENTS, Crew, crew
from _gates import Ours
from _place import SQLITE
from _report import Figure
from _served import served
from sqlalchemy import Engine, Update, update

from marketdata_pipeline.database.engine import open_engine, writing
from marketdata_pipeline.database.governing import governor
from marketdata_pipeline.domain.clock import Clock, SystemClock
from marketdata_pipeline.domain.errand import Errand, Priority
from marketdata_pipeline.domain.gate import Attempt, Ending, Gate, Limits, RateLimit
from marketdata_pipeline.governor.governor import Governor
from marketdata_pipeline.governor.limits import LIMITS

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_FREE = Limits((RateLimit(1_000_000, _HOUR, 500_000),))
_FAR_AWAY = Limits((RateLimit(2, _DAY, 1),))
_YAHOO = LIMITS["yahoo"].limits
_BURST_OF_20 = Limits((RateLimit(120, timedelta(minutes=1), 20),))
_USUAL = Errand().priority
_ANSWERED = Attempt(Ending.ANSWERED, 200, timedelta(milliseconds=300))
_MOST_MS, _MOST_CPU, _MOST_APART, _MOST_URGENT = 2.0, 5.0, 1.5, 5.0
_SETTLED = 3.0
"""Seconds after which a process waits: its first turn costs it 40 ms of CPU."""
_AFTER_IDLE, _URGENT, _WAITERS = 300, 5, 6
_MIXED = {"a burst of 20": (_BURST_OF_20, 5), "Yahoo's limits": (_YAHOO, 50)}
"""Limits, and how many requests at once use up what the least urgent may have of the burst."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured.

    Attributes:
        turns: of a round.
        waiting: seconds for which processes wait.
        priorities: of the requests after an idle hour.
    """

    turns: int
    rounds: int
    waiting: float
    priorities: tuple[Priority, ...]


QUICK, FULL = Scale(100, 3, 2, (_USUAL,)), Scale(1_000, 5, 20, tuple(Priority))


@dataclass
class HurriedClock:
    """A wall clock that sleeping moves on at once: hours of one process's waiting take no time."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def market_now(self) -> datetime:
        """The same as wall time."""
        return self.now

    def wall_now(self) -> datetime:
        """Where sleeping brought it."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self.now += timedelta(seconds=seconds)


def figures(scale: Scale, catalogs: Catalogs) -> Iterator[Figure]:
    """All of it; those who wait for a day do so while others are at work."""
    for storage in STORAGES:
        yield from _costs(storage, scale, catalogs)
    for priority in scale.priorities:
        yield _after_idle_hour(priority, catalogs)
    clock = SystemClock()
    with _waiting(catalogs) as waiting:
        clock.sleep(_SETTLED)
        before, started = _cpu(waiting), time.perf_counter()
        urgent = _urgent(catalogs)
        clock.sleep(scale.waiting - (time.perf_counter() - started))
        took = time.perf_counter() - started
        used = _cpu(waiting) - before
    for storage, most in zip(STORAGES, 1e3 * used.max(axis=1) / took, strict=True):
        name = f"CPU of a waiting process, {storage}, the most of {CLIENTS}"
        yield Figure(name, (float(most),), "ms/s", _MOST_CPU)
    for name, seconds in urgent.items():
        yield Figure(f"five urgent turns, six wait, {name}", (seconds,), "s", _MOST_URGENT)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A gate, and the engine that it has for itself."""

    engine: Engine
    gate: Gate
    update: Update


@contextmanager
def _opened(ours: Ours, clock: Clock) -> Iterator[_Opened]:
    """In this process; the statement is the least that a shared gate could do."""
    engine = open_engine(ours.url)
    counted = update(governor).values(granted=governor.c.granted + 1)
    gate = Governor(engine, clock).gate(ours.key, max_wait=_HOUR)
    yield _Opened(engine, gate, counted.where(governor.c.key == ours.key))
    engine.dispose()


def _costs(storage: str, scale: Scale, catalogs: Catalogs) -> Iterator[Figure]:
    """The 95th percentile of a round, of as many rounds; the first turns of all are for warmth."""
    with _opened(catalogs.gate(storage, _FREE), SystemClock()) as opened:
        _timed(opened, 20)
        rounds = [_timed(opened, scale.turns) for _ in range(scale.rounds)]
    bare, turn, both = (
        tuple(1e3 * float(np.quantile(one[:, column], 0.95)) for one in rounds)
        for column in range(3)
    )
    yield Figure(f"one UPDATE in a transaction, {storage}, p95", bare, "ms")
    for column, name, took in ((3, "a turn", turn), (4, "a turn and its report", both)):
        ratio = tuple(a / b for a, b in zip(took, bare, strict=True))
        cpu = tuple(1e3 * float(one[:, column].mean()) for one in rounds)
        yield Figure(f"{name}, {storage}, p95", took, "ms", _MOST_MS)
        yield Figure("... / one UPDATE", ratio, "x")
        yield Figure("... its CPU, mean, without the server's", cpu, "ms")


def _timed(opened: _Opened, count: int) -> np.ndarray:
    """Seconds of an UPDATE, of a turn, of a turn with its report, by turns; a row each.

    Behind them the CPU seconds of the latter two, on which others at work have little influence.
    """
    rows = []
    for _ in range(count):
        started = time.perf_counter()
        with writing(opened.engine) as connection:
            connection.execute(opened.update)
        updated, idle = time.perf_counter(), time.process_time()
        turn = opened.gate.turn(Errand())
        came, cpu = time.perf_counter() - updated, time.process_time() - idle
        opened.gate.report(turn, _ANSWERED)
        both = time.perf_counter() - updated, time.process_time() - idle
        rows.append((updated - started, came, both[0], cpu, both[1]))
    return np.array(rows)


@contextmanager
def _waiting(catalogs: Catalogs) -> Iterator[Sequence[Crew]]:
    """The processes of each storage; their turns are half a day away and more.

    Raises:
        RuntimeError: one of them got a turn.
    """
    with ExitStack() as stack:
        simulator = stack.enter_context(served())
        crews = []
        for storage in STORAGES:
            ours = catalogs.gate(storage, _FAR_AWAY)
            with _opened(ours, SystemClock()) as opened:
                opened.gate.turn(Errand())
            crews.append(stack.enter_context(crew(ours, simulator.port)))
        for one in crews:
            one.go()
        yield crews
        if simulator.charts():
            raise RuntimeError("who was to wait for half a day has sent a request")


def _cpu(crews: Sequence[Crew]) -> np.ndarray:
    """CPU seconds so far; a row a crew, a column a process."""
    return np.array([one.cpu() for one in crews])


def _after_idle_hour(priority: Priority, catalogs: Catalogs) -> Figure:
    """One process on SQLite, at a clock that only waiting moves."""
    clock = HurriedClock()
    with _opened(catalogs.gate(SQLITE, _YAHOO), clock) as opened:
        gate = opened.gate
        gate.report(gate.turn(Errand(priority)), _ANSWERED)
        clock.sleep(_HOUR.total_seconds())
        came = []
        for _ in range(_AFTER_IDLE):
            turn = gate.turn(Errand(priority))
            came.append(clock.now)
            gate.report(turn, _ANSWERED)
    apart = (came[-1] - came[0]).total_seconds() / (_AFTER_IDLE - 1)
    name = f"{_AFTER_IDLE} requests after an idle hour, {priority}: apart"
    return Figure(name, (apart,), "s", _MOST_APART if priority is _USUAL else None)


def _urgent(catalogs: Catalogs) -> Mapping[str, float]:
    """Seconds to the fifth urgent turn while six processes of the lowest priority want theirs."""
    lowest = list(Priority)[-1]
    scenes = {
        f"{name}, {storage}": (catalogs.gate(storage, limits, priority=str(lowest)), used)
        for name, (limits, used) in _MIXED.items()
        for storage in STORAGES
    }
    clock = SystemClock()
    with ExitStack() as stack:
        simulator = stack.enter_context(served())
        gates, crews = [], []
        for ours, used in scenes.values():
            gate = stack.enter_context(_opened(ours, clock)).gate
            gate.report(gate.turn(Errand(lowest), weight=used), _ANSWERED)
            gates.append(gate)
            crews.append(stack.enter_context(crew(ours, simulator.port, _WAITERS)))
        for one in crews:
            one.go()
        clock.sleep(1)
        with ThreadPoolExecutor(len(gates)) as pool:
            return dict(zip(scenes, pool.map(_five, gates), strict=True))


def _five(gate: Gate) -> float:
    started = time.perf_counter()
    came = started
    for _ in range(_URGENT):
        turn = gate.turn(Errand(Priority.URGENT))
        came = time.perf_counter()
        gate.report(turn, _ANSWERED)
    return came - started
