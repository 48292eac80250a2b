"""What the simulator holds back as a provider would: hidden quotas, and the time that it takes.

Not here: how quotas are spelled (quota), single faults (faults). All of it can be set at the start
and changed while it runs.
"""

import math
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, TypeAdapter

from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.simulator.instants import Instants
from marketdata_pipeline.simulator.posted import read
from marketdata_pipeline.simulator.quota import Quota, Step, in_order, quotas_of, spelled
from marketdata_pipeline.simulator.wire import Answer, RetryAfter, retrying, too_many_requests

_LONGEST = 60.0
_HOUR = 3600


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
    """What holds at the moment, and the requests that were granted.

    Attributes:
        schedule: the quotas that hold one after the other, as ``quota.in_order`` says; empty: none.
        retry_after: how a refusal says when to come back.
        since: the wall instant that the schedule counts from; None: that of the next request.
    """

    schedule: tuple[Step, ...] = ()
    latency: Latency = Latency()
    retry_after: RetryAfter = RetryAfter.SECONDS
    since: datetime | None = None
    dice: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))
    _granted: Instants = field(default_factory=Instants)

    def __post_init__(self) -> None:
        self._remember()

    def _remember(self) -> None:
        """What was granted stays known for as long as the longest quota looks back."""
        spans = [quota.seconds for step in self.schedule for quota in step.quotas]
        self._granted.kept = max([_HOUR, *spans])

    @classmethod
    def of(cls, *quotas: Quota) -> Self:
        """These quotas, all at once, from the start on."""
        return cls((Step(0, quotas),))

    def quotas(self, now: datetime) -> tuple[Quota, ...]:
        """Those that hold at a wall instant."""
        passed = (now - (self.since or now)).total_seconds()
        begun = [one.quotas for one in self.schedule if one.after <= passed]
        return begun[-1] if begun else ()

    def refusal(self, now: datetime) -> Answer | None:
        """The 429 of a request at that wall instant; None: it is granted, and counts.

        A window that is full says when its oldest request leaves it; a quota that fell counts what
        was granted before.
        """
        self.since = self.since or now
        at = now.timestamp()
        waits = [
            self._granted.newest(quota.requests) + quota.seconds - at
            for quota in self.quotas(now)
            if self._granted.within(quota.seconds, at) >= quota.requests
        ]
        if waits:
            return retrying(too_many_requests(), max([1.0, *waits]), self.retry_after, now)
        self._granted.add(at)
        return None

    def delay(self) -> float:
        """The seconds that the next answer takes."""
        return self.latency.drawn(self.dice)

    def written(self, now: datetime) -> dict[str, Any]:
        """As JSON takes it; ``quota`` holds at ``now``."""
        steps = [{"after": one.after, "quota": spelled(one.quotas)} for one in self.schedule]
        return {
            "quota": spelled(self.quotas(now)),
            "schedule": steps,
            "since": self.since.isoformat() if self.since else None,
            "retry_after": self.retry_after.value,
            "latency": asdict(self.latency),
        }

    def change(self, body: bytes, now: datetime) -> None:
        """Take what a JSON object says; the rest stays.

        ``quota`` (spelled) holds from now on; ``schedule`` is a list of ``after`` and ``quota``,
        and counts from now; ``retry_after`` and ``latency`` as ``written`` has them. null is none.

        Raises:
            BadInput: no JSON, an unknown field, a malformed value; then nothing changes.
        """
        said = read(_SAID, body, "limit")
        schedule = said.steps()
        if said.latency is not None:
            latency = replace(self.latency, **said.latency.model_dump(exclude_none=True))
        else:
            latency = Latency() if "latency" in said.model_fields_set else self.latency
        if schedule is not None:
            self.schedule, self.since = schedule, now
            self._remember()
        self.latency, self.retry_after = latency, said.retry_after or self.retry_after


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _SaidStep(_Part):
    after: float
    quota: str | None

    def step(self) -> Step:
        return Step(self.after, () if self.quota is None else quotas_of(self.quota))


class _SaidLatency(_Part):
    median: float | None = None
    spread: float | None = None


class _Said(_Part):
    """What a body may say; a field that is absent changes nothing."""

    quota: str | None = None
    schedule: list[_SaidStep] | None = None
    retry_after: RetryAfter | None = None
    latency: _SaidLatency | None = None

    def steps(self) -> tuple[Step, ...] | None:
        """The schedule that it asks for; None: it says nothing of one."""
        told = self.model_fields_set & {"quota", "schedule"}
        if not told:
            return None
        if len(told) > 1:
            raise BadInput("a limit has a quota or a schedule, not both")
        if "quota" in told:
            return (_SaidStep(after=0, quota=self.quota).step(),)
        return in_order([one.step() for one in self.schedule or ()])


_SAID = TypeAdapter(_Said)
