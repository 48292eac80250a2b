"""A provider's limits and turns, how a request ended, and the port through which leave is asked.

Not here: giving turns, keeping cooldowns and the circuit breaker; the governor does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import Protocol

from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.series import Series


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most ``requests`` in any ``window``, of which ``burst`` may come at once.

    Requests that weigh more than others count by their weight.
    """

    requests: int
    window: timedelta
    burst: int


@dataclass(frozen=True, slots=True)
class Budget:
    """At most ``credits`` a calendar day, the day being that of ``zone`` (an IANA name)."""

    credits: int
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Limits:
    """All that a provider allows, or that is asked of it out of courtesy.

    Attributes:
        rates: all of them hold at once.
        spacing: the least time between two requests, inside a burst too; zero: none.
        budget: None: there is none.
    """

    rates: tuple[RateLimit, ...]
    spacing: timedelta = timedelta(0)
    budget: Budget | None = None


class Effect(Enum):
    """What an ending says of the provider."""

    SERVED = "it works"
    REFUSED = "too fast"
    FAILED = "it does not work"
    BLOCKED = "it turns this address away"
    NONE = "nothing"


class Ending(StrEnum):
    """How a request ended; the values are the categories of the errors, where it failed."""

    ANSWERED = "answered"
    UNKNOWN_SYMBOL = "unknown_symbol"
    OUT_OF_DEPTH = "out_of_depth"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    BLOCKED = "blocked"
    MALFORMED_REPLY = "malformed_reply"
    CREDENTIALS = "credentials"
    ABANDONED = "abandoned"
    """Whoever asked gave up, or another world answered."""

    @property
    def effect(self) -> Effect:
        """What it says of the provider: an unknown symbol is a proper answer, a 429 is none."""
        return _EFFECTS.get(self, Effect.NONE)


_EFFECTS = {
    Ending.ANSWERED: Effect.SERVED,
    Ending.UNKNOWN_SYMBOL: Effect.SERVED,
    Ending.OUT_OF_DEPTH: Effect.SERVED,
    Ending.RATE_LIMITED: Effect.REFUSED,
    Ending.UNAVAILABLE: Effect.FAILED,
    Ending.TIMEOUT: Effect.FAILED,
    Ending.BLOCKED: Effect.BLOCKED,
}


@dataclass(frozen=True, slots=True)
class Turn:
    """Leave to send one request now, and what it is for.

    Attributes:
        key: whose turn: the provider, and its credential where it has several.
        epoch: how often the provider had refused before the turn was given; refusals of one and
            the same congestion count once.
        probe: it is the one request that tells whether a provider that was out of order is back.
        series: None: it is for none.
    """

    key: str
    epoch: int
    errand: Errand
    series: Series | None = None
    probe: bool = False


LONGEST_RETRY_AFTER = timedelta(days=1)
"""What a provider says of the time to wait is taken for this much where it is more."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How a request went.

    Attributes:
        status: of HTTP; 0: no reply came.
        took: from sending to the whole reply, or to giving up.
        retry_after: what a refusal says of the time to wait; None: nothing.
        used: what the provider says was used so far of each window, by the window's length.
    """

    ending: Ending
    status: int = 0
    took: timedelta = timedelta(0)
    retry_after: timedelta | None = None
    used: Mapping[timedelta, int] = field(default_factory=dict)


class Circuit(StrEnum):
    """The state of a provider's circuit breaker."""

    CLOSED = "closed"
    OPEN = "open"
    """Nobody sends."""
    HALF_OPEN = "half-open"
    """One request, over all processes, tries whether it is back."""


@dataclass(frozen=True, slots=True)
class Turns:
    """A provider's turns as they stand at one wall instant.

    Attributes:
        provider: registry name; with the credential's name behind a slash where it has several.
        hourly: the most requests that any hour may see.
        burst: of these, how many may come at once, as the tightest limit has it.
        interval: how far apart turns are now once those are used up.
        free: how many could be taken now by an urgent caller; none during a cooldown.
        next_at: the wall instant of the next turn, now or later.
        cooldown_until: the end of the cooldown that holds now; None: none does.
        circuit: the breaker's state; ``open_until`` is None unless it is open.
        eased: the share of the configured rate that is used now; below 1 after refusals.
        budget_left: credits that are left today; None: there is no budget.
    """

    provider: str
    hourly: int
    burst: int
    interval: timedelta
    free: int
    next_at: datetime
    cooldown_until: datetime | None
    circuit: Circuit = Circuit.CLOSED
    open_until: datetime | None = None
    eased: float = 1.0
    budget_left: int | None = None


class Gate(Protocol):
    """A provider's gate, already bound to that provider."""

    def turn(self, errand: Errand, series: Series | None = None, *, weight: int = 1) -> Turn:
        """Wait for a turn and take it; each is reported once it ended.

        Raises:
            RateLimited: the next turn is further away than the caller is willing to wait; its
                ``retry_at`` says when one is possible.
            CircuitOpen: the same, since the provider is out of order.
            CredentialsRefused: the provider refused each of our keys a moment ago.
        """
        ...

    def report(self, turn: Turn, attempt: Attempt) -> None:
        """Tell how the request of that turn ended: it is logged, and all heed what it says."""
        ...
