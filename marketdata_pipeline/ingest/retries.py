"""When a request that failed is made again: a table by the kind of the error, and the waits.

Not here: sending (providers), waiting for turns and cooldowns (governor), what an attempt is and
which provider is asked when all have failed (work).
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception

from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.errors import (
    CircuitOpen,
    CredentialsRefused,
    MalformedReply,
    ProviderError,
    ProviderTimeout,
    RateLimited,
    Unavailable,
)
from marketdata_pipeline.logs import get_logger

_log = get_logger(__name__)
_T = TypeVar("_T")

WAITS = (1.0, 3.0, 8.0, 15.0, 30.0)
"""Seconds before each further attempt, unless a setting says others."""
JITTER = 0.1
"""The share by which a wait may be longer or shorter, so that those who failed together part."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How often failures of one kind are followed by another attempt.

    Attributes:
        most: so many times; None: as often as there are waits.
        waits: whether one waits here; else the gate is where one waits.
    """

    most: int | None = None
    waits: bool = True


_OUTAGE = Rule()
_BROKEN = Rule(most=2)
"""A reply that stays broken does not mend."""
_REFUSED = Rule(most=4, waits=False)
"""The next turn comes when the cooldown is over, which the gate knows."""
_OTHER_KEY = Rule(most=4, waits=False)
"""The gate sets a refused key aside and gives another one's turn, or says that there is none."""

RULES: Mapping[str, Rule] = {
    Unavailable.category: _OUTAGE,
    ProviderTimeout.category: _OUTAGE,
    MalformedReply.category: _BROKEN,
    RateLimited.category: _REFUSED,
    CredentialsRefused.category: _OTHER_KEY,
}
"""By the error's category. What is not here is never tried again: an unknown symbol or a depth
stays what it is, a block page grows worse by asking, an open circuit says when to come back."""


def wait_after(failures: Sequence[str], waits: Sequence[float] = WAITS) -> float | None:
    """The seconds from the last failure to the next attempt; None: there is none.

    Kinds of failures are counted apart, so that a 429 in between does not use up the patience for
    an outage. In all there are no more attempts than the most patient kind allows by itself.

    Args:
        failures: the categories of all attempts so far, the last one failed last; at least one.
        waits: those of the setting.
    """
    rule = RULES.get(failures[-1])
    if rule is None or len(failures) > max(_most(one, waits) for one in RULES.values()):
        return None
    nth = sum(RULES.get(one) is rule for one in failures)
    if nth > _most(rule, waits):
        return None
    return waits[nth - 1] if rule.waits else 0.0


def _most(rule: Rule, waits: Sequence[float]) -> int:
    most = len(waits) if rule.most is None else rule.most
    return min(most, len(waits)) if rule.waits else most


def jittered(wait: float, dice: random.Random) -> float:
    """The wait, up to a tenth longer or shorter."""
    return wait * dice.uniform(1 - JITTER, 1 + JITTER)


@dataclass(frozen=True, slots=True, eq=False)
class Retries:
    """Makes requests again as the table says; may be used by several threads.

    Attributes:
        clock: by which it waits.
        waits: seconds; none: what waits here is never tried again.
        dice: for the jitter.
    """

    clock: Clock
    waits: tuple[float, ...] = WAITS
    dice: random.Random = field(default_factory=random.Random)

    def run(self, attempt: Callable[[Errand], _T], errand: Errand) -> _T:
        """What ``attempt`` returns; it is called with ``errand``, then with ``errand.again()``.

        Raises:
            ProviderError: that of the last request; any other exception at once.
        """
        attempts = _Attempts(self, errand)
        retrying = Retrying(
            retry=retry_if_exception(attempts.goes_on),
            wait=attempts.upcoming,
            sleep=self.clock.sleep,
        )
        try:
            return retrying(lambda: attempt(attempts.errand))
        except CircuitOpen as error:
            if attempts.last is None:
                raise
            raise attempts.last from error  # it says more than that it failed too often


@dataclass(slots=True, eq=False)
class _Attempts:
    """The attempts of one request so far, as tenacity asks about them."""

    retries: Retries
    errand: Errand
    failures: list[str] = field(default_factory=list)
    last: ProviderError | None = None
    wait: float = 0.0

    def goes_on(self, error: BaseException) -> bool:
        """Whether there is another attempt after this failure; it is noted as one."""
        if not isinstance(error, ProviderError) or _unsent(error):
            return False
        self.failures.append(error.category)
        self.last = error
        wait = self._next(wait_after(self.failures, self.retries.waits))
        if wait is None:
            self._tell(error, None)
            return False
        self.wait = jittered(wait, self.retries.dice)
        self._tell(error, round(self.wait, 1))
        self.errand = self.errand.again()
        return True

    def _next(self, wait: float | None) -> float | None:
        """The same wait; None where nobody waits for it so long."""
        until = self.errand.until
        if wait is None or until is None:
            return wait
        return None if self.retries.clock.wall_now() + timedelta(seconds=wait) >= until else wait

    def upcoming(self, _: RetryCallState) -> float:
        """The seconds until then."""
        return self.wait

    def _tell(self, error: ProviderError, again_in: float | None) -> None:
        log = _log.warning if again_in is None else _log.info
        log(
            "attempt failed",
            provider=error.provider or None,
            series=error.series or None,
            attempt=self.errand.attempt,
            category=error.category,
            again_in=again_in,
            error=str(error),
        )


def _unsent(error: ProviderError) -> bool:
    """Whether the gate had no turn: whoever gets one may ask, and it says when."""
    return isinstance(error, RateLimited | CredentialsRefused) and not error.requests
