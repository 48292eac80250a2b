"""A provider's gate: waits for a turn that the rows give, and tells them how its request ended.

Not here: deciding (reserving, heeding), and what to do where there is no turn.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from sqlalchemy import Connection, Engine

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.gate import Attempt, Circuit, Effect, Ending, Turn
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import MICROSECOND, from_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput, CircuitOpen, RateLimited
from marketdata_pipeline.governor import log, rows
from marketdata_pipeline.governor.gcra import burst_of
from marketdata_pipeline.governor.heeding import heed, indifferent, set_aside, slowed
from marketdata_pipeline.governor.reserving import Given, Held, Wish, reserve
from marketdata_pipeline.governor.state import State
from marketdata_pipeline.governor.tuning import Tuning, micros

_SECOND = 1_000_000


@dataclass(slots=True, eq=False)
class _Recent:
    """The instruments that this process asked for just before; its threads may tell at once."""

    kept: timedelta = timedelta(seconds=60)
    most: int = 64
    _seen: OrderedDict[Instrument, datetime] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def again(self, series: Series | None, now: datetime) -> bool:
        """Whether the series' instrument was asked for; from now on it was."""
        if series is None:
            return False
        with self._lock:
            before = self._seen.pop(series.instrument, None)
            self._seen[series.instrument] = now
            while len(self._seen) > self.most:
                self._seen.popitem(last=False)
        return before is not None and now - before <= self.kept


@dataclass(frozen=True, slots=True)
class RowsGate:
    """One provider's gate; ``choices`` are the keys that count at once, for each credential."""

    engine: Engine
    clock: Clock
    choices: tuple[tuple[str, ...], ...]
    max_wait: timedelta
    waiting: Callable[[float], None]
    tuning: Tuning
    _recent: _Recent = field(default_factory=_Recent)

    def turn(self, errand: Errand, series: Series | None = None, *, weight: int = 1) -> Turn:
        """See ``Gate.turn``. What voids turns during the wait makes it wait anew.

        Raises:
            BadInput: the weight is more than may ever be sent at once.
        """
        share, follows = errand.priority.share, self._recent.again(series, self.clock.wall_now())
        left = micros(self.max_wait)
        while True:
            now, keys, epoch, answer = self._ask(Wish(share, weight, follows, left))
            at = answer.at if isinstance(answer, Given) else answer.look_at
            if isinstance(answer, Held) and at - now > left:
                raise self._refusal(answer, now)
            self._sleep(at - now)
            left = max(0, left - max(0, at - now))
            if isinstance(answer, Given) and (at <= now or self._still(keys, epoch)):
                return Turn(keys[-1], epoch, errand, series, probe=answer.probe)

    def report(self, turn: Turn, attempt: Attempt) -> None:
        """See ``Gate.report``."""
        keys = next(one for one in self.choices if one[-1] == turn.key)

        def write(connection: Connection) -> None:
            now, states = rows.looked_at(connection, self.clock, keys)
            log.record(connection, turn, attempt, now)
            if all(indifferent(one, attempt) for one in states):
                return
            now, states = rows.locked(connection, self.clock, keys)
            for before, after in self._heeded(connection, states, turn, attempt, now):
                rows.save(connection, before, after)

        retry.write(self.engine, self.clock, write)

    def _heeded(
        self, connection: Connection, states: list[State], turn: Turn, attempt: Attempt, now: int
    ) -> list[tuple[State, State]]:
        """The states before and after.

        A refusal is of the narrowest key: another credential's quota is not used up. All else is
        said of the provider, and so of each.
        """
        fresh = turn.epoch == sum(one.epoch for one in states)
        narrow = attempt.ending.effect is Effect.REFUSED
        heeded = []
        for one in states[-1:] if narrow else states:
            own = Turn(turn.key, one.epoch if fresh else -1, turn.errand, turn.series, turn.probe)
            after = heed(one, own, attempt, now, self.tuning)
            if fresh and attempt.ending.effect is Effect.FAILED:
                outcomes, failed = log.failed_of_last(connection, turn.key, self.tuning.window)
                after = slowed(after, outcomes, failed, now, self.tuning)
            heeded.append((one, after))
        if attempt.ending is Ending.CREDENTIALS and len(self.choices) > 1:
            before, after = heeded[-1]
            heeded[-1] = before, set_aside(after, now, self.tuning)
        return heeded

    def _ask(self, wish: Wish) -> tuple[int, tuple[str, ...], int, Given | Held]:
        """Now, the keys that answered, their epoch, and the answer; a turn that is given is kept."""

        def take(connection: Connection) -> tuple[int, tuple[str, ...], int, Given | Held]:
            every = list(dict.fromkeys(key for keys in self.choices for key in keys))
            now, found = rows.locked(connection, self.clock, every)
            by_key = {one.key: one for one in found}
            for one in found:
                _fits(one, wish)
            best = min(self._answers(by_key, wish, now), key=_sooner)
            keys, states, answer = best
            if isinstance(answer, Given):
                for before, after in zip(states, answer.states, strict=True):
                    rows.save(connection, before, after)
            return now, keys, sum(one.epoch for one in states), answer

        return retry.write(self.engine, self.clock, take)

    def _answers(
        self, by_key: dict[str, State], wish: Wish, now: int
    ) -> list[tuple[tuple[str, ...], list[State], Given | Held]]:
        answers = []
        for keys in self.choices:
            states = [by_key[key] for key in keys]
            answers.append((keys, states, reserve(states, wish, now, self.tuning)))
        return answers

    def _sleep(self, wait: int) -> None:
        if wait > 0:
            self.waiting(wait / _SECOND)
            self.clock.sleep(wait / _SECOND)

    def _still(self, keys: tuple[str, ...], epoch: int) -> bool:
        """Whether a turn that was given ahead of time holds."""
        with reading(self.engine) as connection:
            return rows.epoch(connection, keys) == epoch

    def _refusal(self, held: Held, now: int) -> RateLimited:
        provider = self.choices[0][0].partition("/")[0]
        at = from_micros(held.possible_at)
        wait = (held.possible_at - now) / _SECOND
        if held.circuit is not Circuit.CLOSED:
            return CircuitOpen(
                f"{provider} failed too often; it is tried again in {wait:.0f} s "
                f"(at {at:%H:%M:%S} UTC)",
                retry_at=at,
                provider=provider,
            )
        return RateLimited(
            f"{provider} has no turn for the next {wait:.0f} s (until {at:%H:%M:%S} UTC)",
            retry_at=at,
            provider=provider,
        )


def _sooner(
    answer: tuple[tuple[str, ...], list[State], Given | Held],
) -> tuple[bool, int, int]:
    """A turn rather than none, the earliest, then of the key that was not used for longest."""
    _, states, found = answer
    if isinstance(found, Given):
        return False, found.at, states[-1].granted_at
    return True, found.look_at, states[-1].granted_at


def _fits(state: State, wish: Wish) -> None:
    most = min(burst_of(one.pace) for one in state.meters)
    if not 1 <= wish.weight <= most:
        raise BadInput(
            f"a request of weight {wish.weight} never fits {state.key}, which lets {most} through "
            "at once; ask for less, or give its limit a larger burst"
        )
