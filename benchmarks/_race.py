"""Gates side by side: each before a simulator of its own, with eight clients, all at the same time.

Not here: which gates, which quotas, and what is made of it (_known, _moving).
"""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from _crew import CLIENTS, Crew, crew
from _gates import Ccxt, Ours, Pyrate, Sleep
from _served import Seen, served

from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.simulator.quota import Step
from marketdata_pipeline.simulator.server import Simulator
from marketdata_pipeline.simulator.wire import RetryAfter


@dataclass(frozen=True, slots=True)
class Runner:
    """A gate as it is shown, and what it is up against; ``provider``: Yahoo's asks for it."""

    name: str
    gate: Ours | Ccxt | Pyrate | Sleep
    steps: Sequence[Step]
    retry_after: RetryAfter = RetryAfter.SECONDS
    provider: bool = False


@dataclass(frozen=True, slots=True)
class Raced:
    """What came of a runner.

    Attributes:
        start: the unix second from which its simulator's schedule counts; the clients began then.
        names: of its clients.
    """

    seen: Seen
    start: float
    names: Sequence[str]


def raced(runners: Sequence[Runner], seconds: float) -> Mapping[str, Raced]:
    """All of them for so long; by name."""
    with ExitStack() as stack:
        pairs = [_starting(one, stack) for one in runners]
        for _, clients in pairs:
            clients.ready()
        os.sync()  # or the first commits wait until new catalogs are on the disk
        starts = [_go(*pair) for pair in pairs]
        SystemClock().sleep(max(starts) + seconds - time.time())
        logs = [clients.stop() for _, clients in pairs]
        return {
            runner.name: Raced(Seen.of(simulator, log), start, clients.plan.names())
            for runner, (simulator, clients), start, log in zip(
                runners, pairs, starts, logs, strict=True
            )
        }


def _starting(runner: Runner, stack: ExitStack) -> tuple[Simulator, Crew]:
    simulator = stack.enter_context(served(*runner.steps, retry_after=runner.retry_after))
    clients = crew(runner.gate, simulator.port, CLIENTS, provider=runner.provider)
    return simulator, stack.enter_context(clients)


def _go(simulator: Simulator, clients: Crew) -> float:
    now = datetime.now(UTC)
    simulator.limits.since = now
    clients.go()
    return now.timestamp()
