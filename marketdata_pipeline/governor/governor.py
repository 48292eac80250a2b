"""The governor: registers providers' limits, hands out their gates, tells how they stand.

Not here: taking turns (gate), the decisions (reserving, heeding), the statements (rows).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from sqlalchemy import Connection, Engine

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.credential import Credential, choices_of
from marketdata_pipeline.domain.gate import Circuit, Gate, Limits, Turns
from marketdata_pipeline.domain.ranges import MICROSECOND, from_micros
from marketdata_pipeline.domain.tuning import Tuning, micros
from marketdata_pipeline.governor import rows
from marketdata_pipeline.governor.gate import RowsGate
from marketdata_pipeline.governor.gcra import burst_of, most_within
from marketdata_pipeline.governor.limits import joined
from marketdata_pipeline.governor.reserving import Given, Wish, reserve
from marketdata_pipeline.governor.state import State

_HOUR = timedelta(hours=1)
_LONGEST = micros(timedelta(days=400))


def _silent(_seconds: float) -> None:
    return


@dataclass(frozen=True, slots=True)
class Governor:
    """The rows of all providers in the catalog behind ``engine``: shared by all its processes."""

    engine: Engine
    clock: Clock
    tuning: Tuning = field(default_factory=Tuning)

    def register(self, key: str, limits: Limits) -> None:
        """Set the limits of a provider, a bucket or a credential; turns already taken stay.

        Nothing is written where they are set already. A key is a provider's name, or that and the
        name of a bucket or of a credential behind a slash.

        Raises:
            BadInput: limits that cannot be.
        """

        def enter(connection: Connection) -> None:
            rows.enter(connection, key, limits)

        with reading(self.engine) as connection:
            if rows.entered(connection, key, limits):
                return
        retry.write(self.engine, self.clock, enter)

    def register_keys(
        self, provider: str, limits: Limits, credentials: Sequence[Credential]
    ) -> list[tuple[str, ...]]:
        """The same of a provider where each of its credentials has these limits to itself.

        The provider's own are then those of all together. Without credentials they are these.
        Returns what its gate chooses from.
        """
        self.register(provider, joined(limits, len(credentials)) if credentials else limits)
        for one in credentials:
            self.register(one.key(provider), limits)
        return choices_of(provider, credentials)

    def turns(self) -> list[Turns]:
        """How the turns of every provider stand that was ever asked; takes none."""
        with reading(self.engine) as connection:
            now, states = rows.looked_at(connection, self.clock, rows.known(connection))
        return [turns_of(one, now, self.tuning) for one in states]

    def gate(
        self,
        *keys: str | Sequence[str],
        max_wait: timedelta,
        waiting: Callable[[float], None] | None = None,
        waits_out: bool = True,
    ) -> Gate:
        """The gate of a registered provider.

        Args:
            keys: the provider's; of several the one that has a turn first is used (credentials).
                One that is a sequence itself stands for limits that all hold at once, the
                provider's first, those of a bucket or a credential last.
            max_wait: the longest that one ``turn`` waits before it raises RateLimited.
            waiting: told the seconds before each wait.
            waits_out: whether an open breaker is waited for as well; else CircuitOpen is raised
                at once, since there are others to ask.
        """
        choices = tuple((one,) if isinstance(one, str) else tuple(one) for one in keys)
        return RowsGate(
            engine=self.engine,
            clock=self.clock,
            choices=choices,
            max_wait=max_wait,
            waiting=waiting or _silent,
            tuning=self.tuning,
            waits_out=waits_out,
        )


def turns_of(state: State, now: int, tuning: Tuning) -> Turns:
    """How the turns stand for an urgent caller."""
    cooling, circuit = state.cooldown_until > now, state.circuit(now)
    next_one = reserve([state], Wish(longest=_LONGEST), now, tuning)
    shut = cooling or circuit is not Circuit.CLOSED
    credit = None if state.day is None else state.day.left(now)
    free = min(one.free(now) for one in state.meters)
    configured = replace(state, ceiling=0).apart(tuning)
    return Turns(
        provider=state.key,
        hourly=min(most_within(_HOUR, one.pace) for one in state.meters),
        burst=min(burst_of(one.pace) for one in state.meters),
        interval=state.apart(tuning) * MICROSECOND,
        free=0 if shut else min(free, free if credit is None else credit),
        next_at=from_micros(next_one.at if isinstance(next_one, Given) else next_one.possible_at),
        cooldown_until=from_micros(state.cooldown_until) if cooling else None,
        circuit=circuit,
        open_until=from_micros(state.opened_until) if circuit is Circuit.OPEN else None,
        eased=configured / state.apart(tuning),
        budget_left=credit,
    )
