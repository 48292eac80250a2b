"""Everything that is known of one provider's turns: a plain value.

Not here: giving turns (reserving), heeding how requests ended (heeding), keeping it (rows).
"""

from dataclasses import dataclass, replace
from typing import Self

from marketdata_pipeline.domain.gate import LONGEST_RETRY_AFTER, Circuit
from marketdata_pipeline.domain.tuning import Tuning, micros
from marketdata_pipeline.governor.budget import Day
from marketdata_pipeline.governor.easing import spacing_at
from marketdata_pipeline.governor.gcra import Meter

_LONGEST = micros(LONGEST_RETRY_AFTER)
"""No breaker is open for longer either: its setting says so."""


@dataclass(frozen=True, slots=True)
class State:
    """One key's state: a provider, or one credential of it. Wall microseconds.

    Attributes:
        tat: the theoretical arrival time of the next request, by spacing alone.
        spacing: the least distance between requests that is configured; 0: none.
        epoch: rises whenever all turns that were given ahead are void.
        cooldown_until: nobody sends before.
        refusals: in a row, none served between.
        refused_at, granted: so many turns were given since that refusal (or pause).
        granted_at: for which instant the last one was.
        ceiling: the spacing at which requests were refused; 0: they were not.
        age: for how long they were sent since.
        failures: in a row.
        eased_at: when failures last made it slower.
        opened_until: when an open breaker lets a probe through; 0: it is closed.
        probe_until: when the probe that is under way is given up; 0: there is none.
        meters: the limits.
        day: the credits of the day; None: there is no budget.
    """

    key: str
    spacing: int
    meters: tuple[Meter, ...]
    day: Day | None = None
    tat: int = 0
    epoch: int = 0
    cooldown_until: int = 0
    refusals: int = 0
    refused_at: int = 0
    granted: int = 0
    granted_at: int = 0
    ceiling: int = 0
    age: int = 0
    failures: int = 0
    eased_at: int = 0
    opened_until: int = 0
    probe_until: int = 0

    def distance(self, tuning: Tuning) -> int:
        """Between two requests, as refusals have it now; never less than what is configured."""
        if not self.ceiling:
            return self.spacing
        eased = spacing_at(self.ceiling, self.age, micros(tuning.plateau))
        return max(self.spacing, min(eased, micros(tuning.slowest)))

    def apart(self, tuning: Tuning) -> int:
        """Between two requests where no burst is left: what the slowest of all limits asks."""
        return max(self.distance(tuning), *(one.pace.interval for one in self.meters))

    def circuit(self, now: int) -> Circuit:
        """The state of the breaker."""
        if not self.opened_until:
            return Circuit.CLOSED
        return Circuit.OPEN if now < self.opened_until else Circuit.HALF_OPEN

    def sane(self, now: int, farthest: int) -> Self:
        """The same where nothing lies further ahead than anything could have put it there.

        Else a clock that was ahead for a moment would keep all waiting until it is caught up.
        """
        held = max(self.cooldown_until, self.opened_until) - _LONGEST
        if max(self.granted_at - farthest, held) <= now:
            return self
        return replace(
            self.voided(now),
            granted_at=min(self.granted_at, now),
            cooldown_until=min(self.cooldown_until, now + _LONGEST),
            opened_until=min(self.opened_until, now + _LONGEST),
            probe_until=min(self.probe_until, now),
            day=None if self.day is None else self.day.sane(now),
        )

    def voided(self, now: int) -> Self:
        """The same where no turn that was given ahead holds any more."""
        return replace(
            self,
            epoch=self.epoch + 1,
            tat=min(self.tat, now + self.spacing),
            meters=tuple(one.settled(now) for one in self.meters),
            granted=0,
            refused_at=now,
        )
