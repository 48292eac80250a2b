from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.config import Settings
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.gate import Attempt, Circuit, Effect, Ending, RateLimit, Turn
from marketdata_pipeline.domain.tuning import Tuning
from marketdata_pipeline.errors import ProviderError
from marketdata_pipeline.governor.gcra import Meter, pace_of
from marketdata_pipeline.governor.heeding import heed, indifferent, slowed
from marketdata_pipeline.governor.reserving import Given, Wish, reserve
from marketdata_pipeline.governor.state import State
from marketdata_pipeline.providers.yahoo.endpoint import Timeouts

SECOND = 1_000_000
NOW = 10**15
TUNING = Tuning()
MINUTE = timedelta(minutes=1)
FRESH = State("x", SECOND, (Meter(60 * SECOND, pace_of(RateLimit(600, MINUTE, 60))),))


@dataclass(frozen=True)
class Sent:
    """How a request was sent; ``epoch`` None: of the present one."""

    now: int = NOW
    epoch: int | None = None
    probe: bool = False
    attempt: int = 1


NOW_SENT = Sent()


def told(
    state: State,
    ending: Ending,
    sent: Sent = NOW_SENT,
    *,
    retry_after: float | None = None,
    used: Mapping[timedelta, int] | None = None,
) -> State:
    epoch = state.epoch if sent.epoch is None else sent.epoch
    turn = Turn("x", epoch, Errand(attempt=sent.attempt), probe=sent.probe)
    wait = None if retry_after is None else timedelta(seconds=retry_after)
    return heed(state, turn, Attempt(ending, retry_after=wait, used=used or {}), sent.now, TUNING)


def granted(state: State, count: int, every: int) -> State:
    for number in range(count):
        found = reserve([state], Wish(longest=10**9), NOW + number * every, TUNING)
        assert isinstance(found, Given)
        (state,) = found.states
    return state


def kinds(of: type[ProviderError] = ProviderError) -> list[type[ProviderError]]:
    return [of, *(one for sub in of.__subclasses__() for one in kinds(sub))]


def test_each_error_that_a_request_ends_with_is_an_ending() -> None:
    none = {
        "provider",
        "circuit_open",
        "split_contradicted",
        "quarantined",
    }  # no request ends with these
    categories = {one.category for one in kinds()} - none
    assert categories == {str(one) for one in Ending} - {"answered", "abandoned"}


@pytest.mark.parametrize("ending", list(Ending))
def test_what_changes_nothing_is_known_beforehand(ending: Ending) -> None:
    same = told(FRESH, ending) == FRESH
    if indifferent(FRESH, Attempt(ending)):
        assert same
    assert same is (ending.effect in {Effect.SERVED, Effect.NONE})


def test_a_retry_after_is_a_cooldown_for_all_and_a_shorter_one_does_not_end_it() -> None:
    long = told(FRESH, Ending.RATE_LIMITED, retry_after=100)
    assert long.cooldown_until == NOW + 100 * SECOND
    for late in (told(long, Ending.RATE_LIMITED, Sent(epoch=0), retry_after=1),
                 told(long, Ending.RATE_LIMITED, retry_after=1)):  # fmt: skip
        assert late.cooldown_until == NOW + 100 * SECOND
    longer = told(long, Ending.RATE_LIMITED, Sent(epoch=0), retry_after=200)
    assert longer.cooldown_until == NOW + 200 * SECOND


def test_without_a_time_the_cooldown_doubles_with_each_probe_that_fails() -> None:
    state, now, waits = FRESH, NOW, []
    for _ in range(4):
        state = told(state, Ending.RATE_LIMITED, Sent(now))
        waits.append((state.cooldown_until - now) // SECOND)
        now = state.cooldown_until
    assert waits == [30, 60, 120, 240]
    served = told(state, Ending.ANSWERED, Sent(now))
    assert told(served, Ending.RATE_LIMITED, Sent(now)).cooldown_until == now + 30 * SECOND


def test_one_refusal_takes_a_tenth_off_the_rate_and_doubling_needs_a_probe_that_fails() -> None:
    first = told(FRESH, Ending.RATE_LIMITED, retry_after=10)
    assert first.distance(TUNING) == pytest.approx(SECOND / 0.9, abs=1)
    second = told(first, Ending.RATE_LIMITED, retry_after=10)
    assert second.ceiling == 2 * first.distance(TUNING)
    proven = told(told(first, Ending.ANSWERED), Ending.RATE_LIMITED, retry_after=10)
    assert proven.ceiling == first.distance(TUNING)


def test_refusals_of_one_congestion_count_once() -> None:
    first = told(FRESH, Ending.RATE_LIMITED, retry_after=10)
    late = told(first, Ending.RATE_LIMITED, Sent(epoch=0), retry_after=10)
    assert late == first


def test_a_quota_that_fell_is_seen_from_what_was_granted_between_two_refusals() -> None:
    first = told(
        granted(FRESH, 60, SECOND), Ending.RATE_LIMITED, Sent(NOW + 60 * SECOND), retry_after=1
    )
    again = replace(told(first, Ending.ANSWERED), granted=30)
    second = told(again, Ending.RATE_LIMITED, Sent(NOW + 120 * SECOND), retry_after=1)
    assert second.ceiling == 2 * SECOND


def test_refusals_never_make_it_slower_than_the_slowest_nor_faster_than_configured() -> None:
    state = FRESH
    for _ in range(12):
        state = told(state, Ending.RATE_LIMITED)
    assert state.distance(TUNING) == 30 * SECOND
    assert replace(state, age=10**12).distance(TUNING) == FRESH.spacing


@pytest.mark.parametrize(
    "ending", [Ending.UNAVAILABLE, Ending.TIMEOUT, Ending.RATE_LIMITED], ids=str
)
def test_five_failures_in_a_row_open_the_breaker(ending: Ending) -> None:
    state = FRESH
    for _ in range(4):
        state = told(state, ending, retry_after=0)
        assert state.circuit(NOW) is Circuit.CLOSED
    interrupted = told(told(state, Ending.ANSWERED), ending)
    assert interrupted.circuit(NOW) is Circuit.CLOSED
    opened = told(state, ending)
    assert opened.opened_until == NOW + 300 * SECOND
    assert opened.epoch > state.epoch, "turns that were given ahead are void"


def test_one_request_that_fails_again_and_again_stops_no_others() -> None:
    state = FRESH
    for _ in range(2):  # two broken symbols, tried six times each
        for attempt in range(1, 7):
            state = told(state, Ending.UNAVAILABLE, Sent(attempt=attempt))
    assert (state.circuit(NOW), state.failures) == (Circuit.CLOSED, 4)
    third = told(state, Ending.UNAVAILABLE)
    assert third.circuit(NOW) is Circuit.OPEN, "it is the provider"
    probing = replace(third, opened_until=NOW)
    again = told(probing, Ending.UNAVAILABLE, Sent(NOW + 1, attempt=6, probe=True))
    assert again.circuit(NOW + 1) is Circuit.OPEN


@pytest.mark.parametrize(
    "ending",
    [Ending.UNKNOWN_SYMBOL, Ending.OUT_OF_DEPTH, Ending.MALFORMED_REPLY, Ending.CREDENTIALS],
    ids=str,
)
def test_what_is_no_failure_of_the_provider_never_opens_it(ending: Ending) -> None:
    state = FRESH
    for _ in range(20):
        state = told(state, ending)
    assert state == FRESH


def test_a_page_that_turns_us_away_opens_it_at_once_and_cools_all_down() -> None:
    blocked = told(FRESH, Ending.BLOCKED)
    assert blocked.circuit(NOW) is Circuit.OPEN
    assert blocked.cooldown_until == NOW + 300 * SECOND


def opened() -> State:
    state = FRESH
    for _ in range(5):
        state = told(state, Ending.TIMEOUT)
    found = reserve([state], Wish(), state.opened_until, TUNING)
    assert isinstance(found, Given)
    assert found.probe
    return found.states[0]


def test_a_probe_that_is_served_closes_it_and_one_that_fails_opens_it_anew() -> None:
    probing, now = opened(), NOW + 301 * SECOND
    closed = told(probing, Ending.UNKNOWN_SYMBOL, Sent(now, probe=True))
    assert (closed.circuit(now), closed.failures) == (Circuit.CLOSED, 0)
    again = told(probing, Ending.TIMEOUT, Sent(now, probe=True))
    assert again.opened_until == now + 300 * SECOND
    broken = told(probing, Ending.MALFORMED_REPLY, Sent(now, probe=True))
    assert broken.circuit(now) is Circuit.OPEN, "what it sends cannot be used"
    unclear = told(probing, Ending.ABANDONED, Sent(now, probe=True))
    assert unclear.circuit(now) is Circuit.HALF_OPEN
    assert unclear.probe_until == 0, "another one may try"


def test_an_answer_to_a_request_from_before_closes_nothing() -> None:
    probing = opened()
    assert told(probing, Ending.ANSWERED, Sent(epoch=0)) == probing
    assert told(probing, Ending.ANSWERED) == probing, "only the probe tells"


@given(st.integers(0, 100), st.integers(0, 100))
def test_too_many_failures_among_the_last_slow_it_down_once_in_a_while(
    outcomes: int, failed: int
) -> None:
    failed = min(outcomes, failed)
    state = slowed(FRESH, outcomes, failed, NOW, TUNING)
    slower = outcomes >= 20 and failed > outcomes / 10
    assert (state.distance(TUNING) > FRESH.distance(TUNING)) is slower
    assert slowed(state, 100, 100, NOW + SECOND, TUNING).ceiling == (
        state.ceiling if slower else FRESH.spacing
    )


def test_failures_inside_a_burst_slow_down_what_was_sent_and_not_to_the_pace_of_the_limit() -> None:
    window = 3600 * SECOND
    burst = RateLimit(100_000, timedelta(hours=1), 100_000)  # else its turns are an hour apart
    bare = State("x", 0, (Meter(window, pace_of(burst)),))
    busy = granted(bare, 100, SECOND // 10)
    state = slowed(busy, 100, 50, NOW + 10 * SECOND, TUNING)
    assert SECOND // 10 < state.distance(TUNING) < SECOND // 8
    assert slowed(bare, 100, 50, NOW, TUNING) == bare, "how fast it was is not known"


def test_what_the_provider_says_is_used_is_believed() -> None:
    state = told(FRESH, Ending.ANSWERED, used={MINUTE: 590, timedelta(hours=1): 1})
    free_at = state.meters[0].earliest(1) - NOW
    assert free_at == 30 * SECOND * 50 // 60, "ten of a burst of sixty are left"
    assert told(FRESH, Ending.ANSWERED, used={MINUTE: 540}).meters == FRESH.meters


@pytest.mark.parametrize(
    "state",
    [
        replace(FRESH, failures=1),
        replace(FRESH, refusals=1),
        replace(FRESH, opened_until=1),
    ],
)
def test_an_answer_after_anything_else_does_change_something(state: State) -> None:
    assert not indifferent(state, Attempt(Ending.ANSWERED))
    assert indifferent(FRESH, Attempt(Ending.ANSWERED))
    assert not indifferent(FRESH, Attempt(Ending.ANSWERED, used={MINUTE: 1}))
    assert not indifferent(FRESH, Attempt(Ending.TIMEOUT))


def test_where_no_spacing_is_known_the_fastest_limit_is_what_was_refused() -> None:
    fast, slow = Meter(SECOND, pace_of(RateLimit(600, MINUTE, 60))), FRESH.meters[0]
    slow = replace(slow, pace=replace(slow.pace, interval=9 * SECOND))
    bare = State("x", 0, (slow, fast))
    assert told(bare, Ending.RATE_LIMITED).ceiling == fast.pace.interval


def test_a_refusal_starts_the_rate_anew_at_age_nought() -> None:
    old = replace(FRESH, ceiling=2 * SECOND, age=10 * SECOND)
    assert told(old, Ending.RATE_LIMITED).age == 0
    assert slowed(old, 100, 100, NOW, TUNING).age == 0


def test_a_late_refusal_without_a_time_waits_as_long_as_the_first() -> None:
    first = told(FRESH, Ending.RATE_LIMITED)
    late = told(first, Ending.RATE_LIMITED, Sent(NOW + SECOND, epoch=0))
    assert late.cooldown_until == NOW + 31 * SECOND
    assert (late.refusals, late.ceiling) == (first.refusals, first.ceiling)
    assert late.epoch > first.epoch, "who sleeps for a turn before that asks anew"


def test_what_was_given_ahead_is_void_after_a_refusal_and_what_was_sent_is_not() -> None:
    busy = granted(replace(FRESH, tat=NOW), 30, 0)
    assert busy.tat == NOW + 30 * SECOND
    refused = told(busy, Ending.RATE_LIMITED, retry_after=0)
    assert refused.tat == NOW + SECOND
    assert (refused.granted, refused.refused_at) == (0, NOW)
    idle = replace(FRESH, tat=NOW - SECOND)
    assert told(idle, Ending.RATE_LIMITED, retry_after=0).tat == NOW - SECOND


def test_a_late_refusal_voids_turns_only_where_it_makes_the_cooldown_longer() -> None:
    first = told(FRESH, Ending.RATE_LIMITED, retry_after=1)
    longer = told(first, Ending.RATE_LIMITED, Sent(NOW + SECOND // 3, epoch=0), retry_after=10)
    assert longer.epoch == first.epoch + 1
    assert longer.cooldown_until == NOW + SECOND // 3 + 10 * SECOND
    shorter = told(longer, Ending.RATE_LIMITED, Sent(NOW + SECOND // 2, epoch=0), retry_after=1)
    assert shorter == longer


def test_a_block_page_for_a_request_from_before_opens_the_breaker_too_but_once() -> None:
    refused = told(FRESH, Ending.RATE_LIMITED, retry_after=1)
    blocked = told(refused, Ending.BLOCKED, Sent(epoch=0))
    assert blocked.circuit(NOW) is Circuit.OPEN
    assert told(blocked, Ending.BLOCKED, Sent(epoch=0)) == blocked


def test_an_outage_that_says_how_long_is_waited_for() -> None:
    down = told(FRESH, Ending.UNAVAILABLE, retry_after=40)
    assert (down.cooldown_until, down.failures) == (NOW + 40 * SECOND, 1)
    assert down.distance(TUNING) == FRESH.spacing, "it is no refusal"


def test_a_retry_after_beyond_a_day_is_a_day() -> None:
    assert told(FRESH, Ending.RATE_LIMITED, retry_after=1e9).cooldown_until == NOW + 86400 * SECOND


def test_a_probe_is_given_up_only_after_the_longest_request() -> None:
    longest = Timeouts().escalated(99)
    assert TUNING.probe > timedelta(seconds=longest.connect + longest.read)
    slow = Settings(connect_timeout=100, read_timeout=500)
    assert slow.tuning.probe >= timedelta(seconds=600)
