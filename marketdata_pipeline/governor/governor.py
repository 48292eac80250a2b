"""The governor: registers providers' limits and hands out their gates.

Not here: the arithmetic (gcra) and the statements (row).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, Engine

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.dialect import wall_micros
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.gate import Gate, RateLimit, Turns
from marketdata_pipeline.domain.ranges import MICROSECOND, from_micros
from marketdata_pipeline.errors import RateLimited
from marketdata_pipeline.governor import row
from marketdata_pipeline.governor.gcra import burst_of, free_turns, most_within, pace_of

DEFAULT_COOLDOWN = timedelta(seconds=30)
"""After a 429 that does not say how long to wait."""
_SECOND = 1_000_000
_HOUR = timedelta(hours=1)


def _silent(_seconds: float) -> None:
    return


@dataclass(frozen=True, slots=True)
class Governor:
    """The rows of all providers in the catalog behind ``engine``: shared by all its processes."""

    engine: Engine
    clock: Clock

    def register(self, provider: str, limit: RateLimit) -> None:
        """Set a provider's limit; turns already taken and a cooldown stay."""
        pace = pace_of(limit)

        def enter(connection: Connection) -> None:
            row.enter(connection, provider, pace)

        retry.write(self.engine, self.clock, enter)

    def turns(self) -> list[Turns]:
        """How the turns of every provider stand that was ever asked; takes none."""
        with reading(self.engine) as connection:
            now = wall_micros(connection, self.clock)
            return [_turns(one, now) for one in row.stored(connection)]

    def gate(
        self,
        provider: str,
        *,
        max_wait: timedelta,
        waiting: Callable[[float], None] | None = None,
    ) -> Gate:
        """The gate of a registered provider.

        Args:
            provider: registry name.
            max_wait: the longest that one ``turn`` waits before it raises RateLimited.
            waiting: told the seconds before each wait.
        """
        return _Gate(self.engine, self.clock, provider, max_wait, waiting or _silent)


def _turns(one: row.Stored, now: int) -> Turns:
    cooling = one.cooldown_until > now
    return Turns(
        provider=one.key,
        hourly=most_within(_HOUR, one.pace),
        burst=burst_of(one.pace),
        interval=one.pace.interval * MICROSECOND,
        free=0 if cooling else free_turns(one.pace, one.tat, now),
        next_at=from_micros(max(now, one.tat - one.pace.tau, one.cooldown_until)),
        cooldown_until=from_micros(one.cooldown_until) if cooling else None,
    )


@dataclass(frozen=True, slots=True)
class _Gate:
    """One provider's gate."""

    engine: Engine
    clock: Clock
    provider: str
    max_wait: timedelta
    waiting: Callable[[float], None]

    def turn(self) -> None:
        """See ``Gate.turn``. A cooldown that was set during the wait makes it wait anew."""
        left = self.max_wait // MICROSECOND
        while True:
            wait = self._reserve(left)
            if wait == 0:
                return
            seconds = wait / _SECOND
            self.waiting(seconds)
            self.clock.sleep(seconds)
            left = max(0, left - wait)
            with reading(self.engine) as connection:
                if not row.cooling(connection, self.clock, self.provider):
                    return

    def cool_down(self, retry_after: timedelta | None) -> None:
        """See ``Gate.cool_down``; 30 s where the provider does not say."""
        asked = DEFAULT_COOLDOWN if retry_after is None else max(retry_after, timedelta(0))

        def enter(connection: Connection) -> None:
            row.cool_down(connection, self.clock, self.provider, asked // MICROSECOND)

        retry.write(self.engine, self.clock, enter)

    def _reserve(self, max_wait: int) -> int:
        """Microseconds until the turn that was taken."""

        def take(connection: Connection) -> int | tuple[int, int]:
            wait = row.reserve(connection, self.clock, self.provider, max_wait)
            if wait is None:
                return row.next_turn(connection, self.clock, self.provider)
            return wait

        taken = retry.write(self.engine, self.clock, take)
        if isinstance(taken, int):
            return taken
        now, at = taken
        raise RateLimited(
            f"{self.provider} has no turn for the next {(at - now) / _SECOND:.0f} s",
            retry_at=from_micros(at),
            provider=self.provider,
        )
