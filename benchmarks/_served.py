"""Simulators with hidden quotas, and what they saw: used, refused, inside a Retry-After.

Not here: the clients. Simulators serve from threads of this process, which does nothing else
meanwhile. They know no instrument: an answer is a 404 that costs nothing to make, and is granted.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import numpy as np
from _crew import Log

from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.simulator.history import FrameHistory
from marketdata_pipeline.simulator.limits import Limits
from marketdata_pipeline.simulator.quota import Step
from marketdata_pipeline.simulator.server import Simulator
from marketdata_pipeline.simulator.wire import RetryAfter


@contextmanager
def served(*steps: Step, retry_after: RetryAfter = RetryAfter.SECONDS) -> Iterator[Simulator]:
    """A simulator with a schedule of quotas; it counts from the first request on."""
    limits = Limits(steps, retry_after=retry_after)
    with Simulator(FrameHistory("synthetic"), SystemClock(), limits=limits).in_thread() as one:
        yield one


@dataclass(frozen=True, slots=True)
class TooEarly:
    """How many requests came inside a Retry-After.

    Attributes:
        on_their_way: sent before the client that was refused had its answer.
        untold: sent after that, but before this client's gate had taken it in.
        told: sent after that.
    """

    on_their_way: int
    untold: int
    told: int


@dataclass(frozen=True, slots=True)
class Seen:
    """The requests that a simulator saw, in the order in which they came.

    Attributes:
        at: unix seconds.
        client: who sent it.
        status: what it was answered.
        granted: whether it was not refused.
        inside: whether it came before the time that a refusal had announced was over.
        sent, came, told: what its client says of it, in unix seconds (see ``Answer``); NaN where
            it did not live to say.
        wait: what its refusal announced, in seconds; NaN: nothing.
    """

    at: np.ndarray
    client: np.ndarray
    status: np.ndarray
    granted: np.ndarray
    inside: np.ndarray
    sent: np.ndarray
    came: np.ndarray
    told: np.ndarray
    wait: np.ndarray

    @classmethod
    def of(cls, simulator: Simulator, log: Log) -> Self:
        """What it saw, beside what its clients did: the nth request of a client is its nth here."""
        columns = simulator.counters.requests(route="chart")
        client = np.array(columns["client"], dtype=object)
        own = np.full((len(client), 4), np.nan)
        for name, answers in log.items():
            known = [one for one in answers if one.status]
            rows = np.flatnonzero(client == name)[: len(known)]
            for row, one in zip(rows, known, strict=False):
                own[row] = one.sent, one.came, one.told, one.retry_after or np.nan
        return cls(
            at=np.array(columns["at"]),
            client=client,
            status=np.array(columns["status"], dtype=int),
            granted=np.array(columns["granted"], dtype=bool),
            inside=np.array(columns["inside_retry_after"], dtype=bool),
            sent=own[:, 0],
            came=own[:, 1],
            told=own[:, 2],
            wait=own[:, 3],
        )

    def within(self, start: float, end: float) -> int:
        """How many were granted from one instant to the other."""
        return int((self.granted & (self.at >= start) & (self.at < end)).sum())

    def most(self, window: float) -> int:
        """The most that came in any window, which is open at its start."""
        first = np.searchsorted(self.at, self.at - window, side="right")
        return int((np.arange(len(self.at)) - first + 1).max(initial=0))

    def refused(self) -> float:
        """The share that was refused."""
        return float((~self.granted).mean()) if len(self.at) else 0.0

    def shares(self, start: float, end: float, names: Sequence[str]) -> tuple[float, float]:
        """The least and the most that a client was granted, as a multiple of its fair share."""
        mine = self.granted & (self.at >= start) & (self.at < end)
        counts = [int((mine & (self.client == name)).sum()) for name in names]
        fair = max(1, sum(counts)) / len(names)
        return min(counts) / fair, max(counts) / fair

    def too_early(self) -> TooEarly:
        """Requests inside a Retry-After, by what could be known when they were sent.

        What was sent by a client that did not live to tell counts as the last.
        """
        answered = np.zeros(len(self.at), dtype=bool)
        told = answered.copy()
        for one in np.flatnonzero(~self.granted & ~np.isnan(self.wait)):
            covered = (self.at > self.at[one]) & (self.at < self.at[one] + self.wait[one])
            answered |= covered & ~(self.sent < self.came[one])
            told |= covered & ~(self.sent < self.told[one])
        counts = (self.inside & ~answered, self.inside & answered & ~told, self.inside & told)
        return TooEarly(*(int(one.sum()) for one in counts))
