"""A schedule's tick as the process of the code location evaluates it, in a process of its own.

Not here: what is tracked. Market and wall time stand still; settings and the home come from the
environment as ever.
"""

import json
import math
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib import import_module
from multiprocessing.connection import Connection

import dagster as dg
from _process import peak_of
from dagster._serdes import serialize_value

from marketdata_pipeline.assembly import Pipeline
from marketdata_pipeline.defs.resources import PipelineResource
from marketdata_pipeline.defs.schedules import bars_refresh
from marketdata_pipeline.defs.times import Times
from marketdata_pipeline.domain.clock import SystemClock


@dataclass(frozen=True, slots=True)
class Standing(SystemClock):
    """A clock that stands."""

    at: datetime

    def market_now(self) -> datetime:
        """That instant."""
        return self.at

    def wall_now(self) -> datetime:
        """That instant."""
        return self.at


@dataclass
class Ticks:
    """What ticks at one market instant took, each after the other, and what they asked for.

    ``largest`` run config in bytes of JSON; ``reply`` to the daemon in bytes; ``peak``: the most MB
    that the process had so far.
    """

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    runs: int = 0
    series: int = 0
    largest: int = 0
    reply: int = 0
    peak: float = math.nan


Look = Callable[[datetime, int], Ticks]
"""Evaluates ``bars_refresh`` at a market instant, so often."""


class _At(PipelineResource):
    def __init__(self, at: datetime) -> None:
        self._at = at

    @contextmanager
    def opened(self, *, queued: bool = False) -> Iterator[Pipeline]:
        with super().opened(queued=queued) as opened:
            yield replace(opened, clock=Standing(self._at))


@contextmanager
def looking(environment: Mapping[str, str]) -> Iterator[Look]:
    """A process that evaluates ticks, starting; it ends with the block.

    A tick that fails is an EOFError here; its process told why on standard error.
    """
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(theirs, dict(environment))
    )
    child.start()
    theirs.close()

    def look(at: datetime, rounds: int) -> Ticks:
        ours.send((at, rounds))
        found: Ticks = ours.recv()
        return found

    try:
        yield look
    finally:
        ours.close()
        child.join()


def _serve(asked: Connection, environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    import_module("marketdata_pipeline.definitions")  # as the code location's process does
    with dg.DagsterInstance.get() as instance, suppress(EOFError):
        while True:
            asked.send(_ticked(instance, *asked.recv()))


def _ticked(instance: dg.DagsterInstance, at: datetime, rounds: int) -> Ticks:
    found, schedule = Ticks(), bars_refresh(Times.configured())
    for _ in range(rounds):
        started, cpu = time.perf_counter(), time.process_time()
        with dg.build_schedule_context(instance, resources={"pipeline": _At(at)}) as context:
            told = schedule.evaluate_tick(context)
        found.wall.append(time.perf_counter() - started)
        found.cpu.append(time.process_time() - cpu)
        asked = told.run_requests or []
        listed = [one.run_config["ops"]["ohlcv"]["config"]["series"] for one in asked]
        found.runs, found.series = len(asked), sum(map(len, listed))
        found.largest = max((len(json.dumps(one.run_config)) for one in asked), default=0)
        found.reply = len(serialize_value(told))
        found.peak = peak_of(os.getpid())
    return found
