"""The constants of the governor: how it backs off, comes back, and for how long a breaker opens.

Not here: providers' limits (gate), and what is done with these (governor). All times can be scaled
at once, for tests and benchmarks.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Self

from marketdata_pipeline.domain.ranges import MICROSECOND


def micros(length: timedelta) -> int:
    """A length in microseconds."""
    return length // MICROSECOND


@dataclass(frozen=True, slots=True)
class Tuning:
    """What the governor does after refusals and failures.

    Attributes:
        cooldown: nobody sends for so long after a 429 that says nothing of it; ``curve`` says
            how it grows with each one in a row, ``longest_cooldown`` is the most.
        curve: a name of ``governor.backoff.CURVES``.
        block: nobody sends for so long after a page that turns this address away.
        plateau: after a refusal the rate starts a tenth below the one that was refused and takes
            so long (in use) to come back to it; see ``governor.easing``.
        slowest: the longest time between two requests that refusals lead to.
        idle: after a pause of so long what was sent before it says nothing of the quota.
        window, failure_share: of the last ``window`` requests more than this share failed: slower.
        failures: so many in a row open the breaker, for ``opened``.
        probe: the request that tries whether a provider is back has ended after so long.
        look: how often others look whether it has.
        urgent_within: urgent callers get five turns within it, where the limits allow that.
    """

    cooldown: timedelta = timedelta(seconds=30)
    longest_cooldown: timedelta = timedelta(minutes=5)
    curve: str = "exponential"
    block: timedelta = timedelta(minutes=5)
    plateau: timedelta = timedelta(seconds=35)
    slowest: timedelta = timedelta(seconds=30)
    idle: timedelta = timedelta(seconds=60)
    window: int = 100
    failure_share: float = 0.1
    failures: int = 5
    opened: timedelta = timedelta(seconds=300)
    probe: timedelta = timedelta(seconds=90)
    look: timedelta = timedelta(milliseconds=500)
    urgent_within: timedelta = timedelta(seconds=5)

    def scaled(self, factor: float) -> Self:
        """The same with every time that much as long."""
        times: dict[str, Any] = {
            name: value * factor
            for name in self.__slots__
            if isinstance(value := getattr(self, name), timedelta)
        }
        return replace(self, **times)
