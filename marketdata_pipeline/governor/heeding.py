"""What the ending of a request says of a provider: from its state to the new one.

Not here: the log of requests (log), reading and writing states (rows). Pure functions.
"""

from dataclasses import replace
from datetime import timedelta

from marketdata_pipeline.domain.gate import LONGEST_RETRY_AFTER, Attempt, Effect, Ending, Turn
from marketdata_pipeline.domain.tuning import Tuning, micros
from marketdata_pipeline.governor.backoff import CURVES
from marketdata_pipeline.governor.easing import refused_at
from marketdata_pipeline.governor.state import State

TELLING = 2
"""So many attempts of one request count for the breaker: the others say nothing of the provider
that these did not, and a single broken symbol must not stop all requests."""
_FEWEST_OUTCOMES = 20
"""A share of fewer requests says nothing."""


def indifferent(state: State, attempt: Attempt) -> bool:
    """Whether the ending changes nothing, whatever turn it was: most do not."""
    quiet = not (state.failures or state.refusals or state.opened_until or attempt.used)
    return attempt.ending.effect is Effect.SERVED and quiet


def heed(state: State, turn: Turn, attempt: Attempt, now: int, tuning: Tuning) -> State:
    """The state after a request ended.

    Requests of an earlier epoch were on their way when it was already known that the provider
    refuses or is out of order: they count no second time, but their Retry-After does.
    """
    state = _believed(state, attempt, now)
    effect = attempt.ending.effect
    if effect is Effect.REFUSED:
        return _refused(state, turn, attempt, now, tuning)
    if effect is Effect.BLOCKED:
        held = _cooled(state, now + micros(tuning.block), now)
        return held if held.opened_until > now else _opened(held, now, tuning)
    fresh = turn.epoch == state.epoch
    if effect is Effect.FAILED and attempt.retry_after is not None:
        state = _cooled(state, now + _told(attempt.retry_after), now)
    if not fresh:
        return state
    if effect is Effect.SERVED:
        return _served(state, turn)
    if effect is Effect.FAILED or (turn.probe and attempt.ending is Ending.MALFORMED_REPLY):
        return _failed(state, turn, now, tuning)
    return replace(state, probe_until=0) if turn.probe else state


def slowed(state: State, outcomes: int, failed: int, now: int, tuning: Tuning) -> State:
    """The state where so many of the last outcomes were failures: slower above a share.

    At most once in the time that it takes to come back from it. Where no spacing is configured or
    learned it is slower than requests came of late. What a limit asks in the long run says nothing
    of that: inside a burst they come faster, and a limit that is all burst asks for nearly its
    whole window between two.
    """
    present = state.distance(tuning) or refused_at(0, state.granted, now - state.refused_at)
    few = outcomes < _FEWEST_OUTCOMES or failed <= tuning.failure_share * outcomes
    if few or not present or now - state.eased_at < micros(tuning.plateau):
        return state
    return replace(state, ceiling=present, age=0, eased_at=now)


def set_aside(state: State, now: int, tuning: Tuning) -> State:
    """The state of a credential that was refused while there are others."""
    return _cooled(state, now + micros(tuning.opened), now)


def _cooled(state: State, until: int, now: int) -> State:
    """Nobody sends until then; who sleeps for a turn before that asks anew."""
    if until <= max(now, state.cooldown_until):
        return state
    return replace(state, cooldown_until=until).voided(now)


def _told(wait: timedelta) -> int:
    """What a provider says of the time to wait, within reason."""
    return micros(min(max(wait, timedelta(0)), LONGEST_RETRY_AFTER))


def _believed(state: State, attempt: Attempt, now: int) -> State:
    """What the provider says of windows that are used up."""
    if not attempt.used:
        return state
    said = {micros(window): used for window, used in attempt.used.items()}
    meters = tuple(
        one.heeding(said[one.window], now) if one.window in said else one for one in state.meters
    )
    return replace(state, meters=meters)


def _refused(state: State, turn: Turn, attempt: Attempt, now: int, tuning: Tuning) -> State:
    fresh = turn.epoch == state.epoch
    refusals = state.refusals + 1 if fresh else max(1, state.refusals)
    wait = CURVES[tuning.curve](micros(tuning.cooldown), refusals, micros(tuning.longest_cooldown))
    if attempt.retry_after is not None:
        wait = _told(attempt.retry_after)
    if not fresh:
        return _cooled(state, now + wait, now)
    until = max(state.cooldown_until, now + wait)
    held = replace(
        state.voided(now),
        cooldown_until=until,
        ceiling=min(_ceiling(state, now, tuning), micros(tuning.slowest)),
        age=0,
        refusals=refusals,
    )
    return _failed(held, turn, now, tuning)


def _ceiling(state: State, now: int, tuning: Tuning) -> int:
    """The spacing that was too fast: twice the present one where the probe was refused too.

    Where none is configured and none was learned, the present one is that of the fastest limit.
    """
    present = state.distance(tuning) or min(one.pace.interval for one in state.meters)
    if state.refusals:
        return 2 * present
    return refused_at(present, state.granted, now - state.refused_at)


def _served(state: State, turn: Turn) -> State:
    if state.opened_until and not turn.probe:
        return state
    return replace(state, failures=0, refusals=0, opened_until=0, probe_until=0)


def _failed(state: State, turn: Turn, now: int, tuning: Tuning) -> State:
    if turn.errand.attempt > TELLING and not turn.probe:
        return state
    failures = state.failures + 1
    if turn.probe or failures >= tuning.failures:
        return replace(_opened(state, now, tuning), failures=failures)
    return replace(state, failures=failures)


def _opened(state: State, now: int, tuning: Tuning) -> State:
    opened = replace(state, opened_until=now + micros(tuning.opened), probe_until=0)
    return opened.voided(now)
