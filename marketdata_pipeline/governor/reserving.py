"""Giving a turn: from a provider's state and a wish to the new state, or to what is in the way.

Not here: reading and writing states (rows), waiting (gate). Pure functions of plain values.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from marketdata_pipeline.domain.gate import Circuit
from marketdata_pipeline.domain.tuning import Tuning, micros
from marketdata_pipeline.governor.state import State

URGENT_TURNS = 5
"""So many of the most urgent turns there must be at once, whoever else waits."""
FOLLOWING = 0.3
"""Another timeframe of the same instrument comes after this share of the spacing."""
_FARTHEST = 3_600_000_000
"""No turn is given further ahead than an hour, or than its caller would wait, in microseconds."""
_IN_USE = 5_000_000
"""A pause up to it (or two requests' distance) counts as use, in microseconds."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller wants.

    Attributes:
        share: of the burst, which it may use up; 1: the most urgent callers.
        follows: it is for the instrument of a request just before.
        longest: the microseconds that it waits at most.
    """

    share: float = 1.0
    weight: int = 1
    follows: bool = False
    longest: int = 0


@dataclass(frozen=True, slots=True)
class Given:
    """A turn at the instant ``at``, and the states as they are with it."""

    at: int
    states: tuple[State, ...]
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """No turn was given.

    Attributes:
        look_at: when to ask again.
        possible_at: the first instant at which a turn may be possible, as far as is known.
        circuit: not closed: a breaker is in the way.
    """

    look_at: int
    possible_at: int
    circuit: Circuit = Circuit.CLOSED


def reserve(states: Sequence[State], wish: Wish, now: int, tuning: Tuning) -> Given | Held:
    """One turn that counts against all of these states, or none at all.

    It is for the first instant that all of them allow. A less urgent caller gets none ahead of
    time where that would keep five urgent ones waiting for longer than they may: it asks again.
    """
    states = [one.sane(now, max(wish.longest, _FARTHEST)) for one in states]
    for one in states:
        if (shut := _shut(one, now, tuning)) is not None:
            return shut
    at = max(_earliest(one, wish, now, tuning) for one in states)
    probe = any(one.opened_until for one in states)
    if at - now > wish.longest or (probe and at > now):
        return Held(at, at)
    if midnights := [one.day.until for one in states if one.day and now < one.day.until <= at]:
        return Held(max(midnights), at)  # the credits of a day are given on that day
    if at > now and wish.share < 1:
        free = max(_place_at(one, wish, at, tuning) for one in states)
        if free > now:
            return Held(min(at, free), at)
    taken = tuple(_taken(one, wish, at, now, tuning) for one in states)
    return Given(at, taken, probe)


def _shut(state: State, now: int, tuning: Tuning) -> Held | None:
    """What a breaker says; None: nothing against a turn."""
    circuit = state.circuit(now)
    if circuit is Circuit.OPEN:
        return Held(state.opened_until, state.opened_until, circuit)
    if circuit is Circuit.HALF_OPEN and now < state.probe_until:
        soon = min(state.probe_until, now + micros(tuning.look))
        return Held(soon, state.probe_until, circuit)
    return None


def _earliest(state: State, wish: Wish, now: int, tuning: Tuning) -> int:
    """The first instant that every limit of the state allows, from now on."""
    after = [one.earliest(wish.weight, wish.share) for one in state.meters]
    at = max(now, state.cooldown_until, _spaced(state, wish, tuning), *after)
    return at if state.day is None else max(at, state.day.earliest(at, wish.weight))


def _spaced(state: State, wish: Wish, tuning: Tuning) -> int:
    """The same of the spacing alone."""
    if not wish.follows or state.distance(tuning) > state.spacing:
        return state.tat
    return state.tat - int((1 - FOLLOWING) * state.distance(tuning))


def _place_at(state: State, wish: Wish, at: int, tuning: Tuning) -> int:
    """From when on a turn for ``at`` leaves urgent callers theirs; now or before: at once."""
    ahead = []
    if distance := state.distance(tuning):
        spaced = max(_spaced(state, wish, tuning), at) + distance
        ahead.append(spaced - _room(tuning, 0, distance))
    for one in state.meters:
        tat = one.taken(at, wish.weight).tat
        ahead.append(tat - _room(tuning, one.pace.tau, one.pace.interval))
    return max(ahead)


def _room(tuning: Tuning, tau: int, interval: int) -> int:
    """How far ahead turns may be given to the less urgent: the fifth urgent one comes in time.

    With ``tat`` that far ahead, urgent turn n comes after ``tat - tau + (n - 1) * interval``.
    """
    return tau + micros(tuning.urgent_within) - (URGENT_TURNS - 1) * interval


def _taken(state: State, wish: Wish, at: int, now: int, tuning: Tuning) -> State:
    """The state with the turn."""
    distance = state.distance(tuning)
    idle = at - state.granted_at > micros(tuning.idle) and state.cooldown_until <= state.granted_at
    age, ceiling = 0, state.ceiling
    if ceiling and distance > state.spacing:
        used = min(max(0, at - state.granted_at), max(_IN_USE, 2 * distance))
        age = state.age + used
    elif ceiling:
        ceiling = 0  # it came all the way back
    probe = now + micros(tuning.probe) if state.opened_until else state.probe_until
    return replace(
        state,
        tat=max(_spaced(state, wish, tuning), at) + distance if distance else state.tat,
        meters=tuple(one.taken(at, wish.weight) for one in state.meters),
        day=None if state.day is None else state.day.taken(at, wish.weight),
        granted=1 if idle else state.granted + 1,
        refused_at=at if idle else state.refused_at,
        granted_at=max(at, state.granted_at),
        ceiling=ceiling,
        age=age,
        probe_until=probe,
    )
