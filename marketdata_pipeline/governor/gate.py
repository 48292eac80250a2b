"""A provider's gate: waits for a turn that the rows give, and tells them how its request ended.

Not here: deciding (reserving, heeding), and what to do where there is no turn.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock

from sqlalchemy import Connection, Engine

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.gate import Attempt, Circuit, Effect, Ending, Turn
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import from_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.tuning import Tuning, micros
from marketdata_pipeline.errors import BadInput, CircuitOpen, CredentialsRefused, RateLimited
from marketdata_pipeline.governor import log, rows
from marketdata_pipeline.governor.gcra import burst_of
from marketdata_pipeline.governor.heeding import heed, indifferent, set_aside, slowed
from marketdata_pipeline.governor.reserving import Given, Held, Wish, reserve
from marketdata_pipeline.governor.state import State

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
class _Answer:
    """What the rows of one choice of keys say at one instant.

    ``read_at``: the same instant by the clock of this machine.
    """

    now: int
    read_at: datetime
    states: tuple[State, ...]
    found: Given | Held

    @property
    def key(self) -> str:
        """The narrowest."""
        return self.states[-1].key

    @property
    def epoch(self) -> int:
        """Of all of them: it is another one as soon as any of theirs is."""
        return sum(one.epoch for one in self.states)

    @property
    def at(self) -> int:
        """The instant of the turn, or of asking again."""
        return self.found.at if isinstance(self.found, Given) else self.found.look_at

    @property
    def order(self) -> tuple[bool, int, int]:
        """A turn rather than none, the earliest, then of the key that was not used for longest."""
        return isinstance(self.found, Held), self.at, self.states[-1].granted_at


@dataclass(frozen=True, slots=True)
class RowsGate:
    """One provider's gate; ``choices`` are the keys that count at once, for each credential."""

    engine: Engine
    clock: Clock
    choices: tuple[tuple[str, ...], ...]
    max_wait: timedelta
    waiting: Callable[[float], None]
    tuning: Tuning
    waits_out: bool = True
    _recent: _Recent = field(default_factory=_Recent)

    def turn(self, errand: Errand, series: Series | None = None, *, weight: int = 1) -> Turn:
        """See ``Gate.turn``. What voids turns during the wait makes it wait anew.

        Raises:
            BadInput: the weight is more than may ever be sent at once.
            CredentialsRefused: see ``Gate.turn``.
        """
        share, follows = errand.priority.share, self._recent.again(series, self.clock.wall_now())
        left = self._patience(errand)
        while True:
            answer = self._ask(Wish(share, weight, follows, left))
            wait = self._wait(answer)
            if isinstance(answer.found, Held) and (wait > left or self._gives_way(answer.found)):
                raise self._refusal(answer.found, answer.now)
            self._sleep(wait)
            left = max(0, left - wait)
            now = answer.at <= answer.now
            if isinstance(answer.found, Given) and (now or self._holds(answer)):
                probe = answer.found.probe
                return Turn(answer.key, answer.epoch, errand, series, probe=probe)

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
        said of the provider, and so of each; and a probe that was refused has failed for each.
        """
        fresh = turn.epoch == sum(one.epoch for one in states)
        slower = fresh and attempt.ending.effect is Effect.FAILED
        window = self.tuning.window
        lately = log.failed_of_last(connection, turn.key, window) if slower else (0, 0)
        heeded = []
        for one in states:
            own = Turn(turn.key, one.epoch if fresh else -1, turn.errand, turn.series, turn.probe)
            told = attempt
            if attempt.ending.effect is Effect.REFUSED and one.key != turn.key:
                if not (turn.probe and one.opened_until):
                    continue
                told = replace(attempt, ending=Ending.UNAVAILABLE, retry_after=None)
            after = heed(one, own, told, now, self.tuning)
            if slower:
                after = slowed(after, *lately, now, self.tuning)
            heeded.append((one, after))
        if attempt.ending is Ending.CREDENTIALS:
            before, after = heeded[-1]
            heeded[-1] = before, set_aside(after, now, self.tuning)
        return heeded

    def _ask(self, wish: Wish) -> _Answer:
        """What the rows say; a turn that they give is kept."""

        def take(connection: Connection) -> _Answer:
            every = list(dict.fromkeys(key for keys in self.choices for key in keys))
            now, found = rows.locked(connection, self.clock, every)
            read_at = self.clock.wall_now()
            for one in found:
                _fits(one, wish)
            by_key = {one.key: one for one in found}
            answers = []
            for keys in self.choices:
                states = tuple(by_key[key] for key in keys)
                found_for = reserve(states, wish, now, self.tuning)
                answers.append(_Answer(now, read_at, states, found_for))
            best = min(answers, key=lambda one: one.order)
            if refused := self._refused(connection, by_key, now):
                raise self._no_key(refused)
            if isinstance(best.found, Given):
                for before, after in zip(best.states, best.found.states, strict=True):
                    rows.save(connection, before, after)
            return best

        return retry.write(self.engine, self.clock, take)

    def _refused(
        self, connection: Connection, by_key: Mapping[str, State], now: int
    ) -> list[State]:
        """The narrowest states where each is a credential that was set aside; else none."""
        narrow = [by_key[keys[-1]] for keys in self.choices]
        aside = all(
            one.cooldown_until > now
            and log.newest_ending(connection, one.key) is Ending.CREDENTIALS
            for one in narrow
        )
        return narrow if aside else []

    def _wait(self, answer: _Answer) -> int:
        """How long it is to the answer's instant from now on.

        Since the rows were read they were written as well, and locked until that was on the disk.
        Where this took its time, whoever waits for the whole of the rest would come late, and the
        next one, who does not, too close behind.
        """
        gone = max(0, micros(self.clock.wall_now() - answer.read_at))
        return max(0, answer.at - answer.now - gone)

    def _gives_way(self, held: Held) -> bool:
        """Whether another provider is asked instead of waiting until a breaker lets one try."""
        return held.circuit is not Circuit.CLOSED and not self.waits_out

    def _patience(self, errand: Errand) -> int:
        """How long a turn of this errand may be waited for."""
        longest = micros(self.max_wait)
        if errand.until is None:
            return longest
        return max(0, min(longest, micros(errand.until - self.clock.wall_now())))

    def _sleep(self, wait: int) -> None:
        if wait:
            self.waiting(wait / _SECOND)
            self.clock.sleep(wait / _SECOND)

    def _holds(self, answer: _Answer) -> bool:
        """Whether a turn that was given ahead of time was not voided since."""
        with reading(self.engine) as connection:
            keys = [one.key for one in answer.states]
            return rows.epoch(connection, keys) == answer.epoch

    def _no_key(self, states: Sequence[State]) -> CredentialsRefused:
        provider = self.choices[0][0].partition("/")[0]
        names = [one.key.partition("/")[2] or "requests without a key" for one in states]
        at = from_micros(min(one.cooldown_until for one in states))
        return CredentialsRefused(
            f"{provider} refuses {' and '.join(names)}; it is asked again at {at:%H:%M:%S} UTC",
            provider=provider,
        )

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


def _fits(state: State, wish: Wish) -> None:
    most = min(burst_of(one.pace) for one in state.meters)
    if state.day is not None:
        most = min(most, state.day.budget.credits)
    if not 1 <= wish.weight <= most:
        raise BadInput(
            f"a request of weight {wish.weight} never fits {state.key}, which lets {most} through "
            "at once; ask for less, or give its limit a larger burst"
        )
