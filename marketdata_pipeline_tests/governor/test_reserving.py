from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.gate import Budget, Circuit, RateLimit
from marketdata_pipeline.domain.tuning import Tuning
from marketdata_pipeline.governor.budget import Day
from marketdata_pipeline.governor.gcra import Meter, pace_of
from marketdata_pipeline.governor.limits import LIMITS
from marketdata_pipeline.governor.reserving import Given, Held, Wish, reserve
from marketdata_pipeline.governor.state import State

SECOND = 1_000_000
NOW = 10**15
TUNING = Tuning()
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
LONG = 3600 * SECOND


def state(*rates: RateLimit, spacing: float = 0.0, budget: Budget | None = None) -> State:
    meters = tuple(Meter(one.window // timedelta(microseconds=1), pace_of(one)) for one in rates)
    return State("x", int(spacing * SECOND), meters, None if budget is None else Day(budget))


def yahoo() -> State:
    limits = LIMITS["yahoo"].limits
    return state(*limits.rates, spacing=limits.spacing.total_seconds())


def take(one: State, now: int = NOW, **wish: object) -> Given:
    found = reserve([one], Wish(**{"longest": LONG, **wish}), now, TUNING)  # type: ignore[arg-type] # of any field
    assert isinstance(found, Given), found
    return found


def turns(one: State, count: int, *, share: float = 1.0, now: int = NOW) -> tuple[State, list[int]]:
    """The state after so many turns, and when they are; who gets none asks again when told to."""
    given_at: list[int] = []
    while len(given_at) < count:
        found = reserve([one], Wish(share=share, longest=LONG), now, TUNING)
        if isinstance(found, Held):
            assert found.look_at > now
            now = found.look_at
            continue
        one, now = found.states[0], max(now, found.at)
        given_at.append(found.at)
    return one, given_at


RATES = st.builds(
    RateLimit,
    st.integers(5, 60),
    st.integers(1, 10).map(lambda n: timedelta(seconds=n)),
    st.integers(1, 5),
)


@given(
    st.lists(RATES, min_size=1, max_size=3, unique_by=lambda one: one.window),
    st.lists(
        st.tuples(st.integers(0, SECOND), st.sampled_from(list(Priority))),
        min_size=1,
        max_size=150,
    ),
)
def test_of_several_limits_none_is_ever_overrun_whoever_asks(
    rates: list[RateLimit], asked: list[tuple[int, Priority]]
) -> None:
    one, now, came = state(*rates), NOW, list[int]()
    for pause, priority in asked:
        now += pause
        found = reserve([one], Wish(share=priority.share, longest=LONG), now, TUNING)
        if isinstance(found, Given):
            one = found.states[0]
            came.append(found.at)
        else:
            assert found.look_at > now
    for rate in rates:
        length = rate.window // timedelta(microseconds=1)
        for start in came:
            assert sum(start <= at <= start + length for at in came) <= rate.requests


def test_three_hundred_requests_after_an_idle_hour_are_less_than_1_5_s_apart_on_yahoo() -> None:
    for priority in (Priority.URGENT, Priority.TRACKED):
        _, came = turns(yahoo(), 300, share=priority.share)
        assert (came[-1] - came[0]) / 299 < 1.5 * SECOND
        assert min(later - before for before, later in pairwise(came)) >= 0.79 * SECOND


@pytest.mark.parametrize(
    "one", [yahoo(), state(RateLimit(600, MINUTE, 20)), state(RateLimit(75, MINUTE, 1))]
)
def test_six_that_are_not_urgent_keep_five_urgent_turns_no_longer_than_five_seconds(
    one: State,
) -> None:
    busy, came = turns(one, 400, share=Priority.CATALOG.share)
    now = came[-1]
    for _ in range(6):  # six threads at once, all of which take what they get ahead of time
        found = reserve([busy], Wish(share=Priority.CATALOG.share, longest=LONG), now, TUNING)
        busy = found.states[0] if isinstance(found, Given) else busy
    _, urgent = turns(busy, 5, now=now)
    assert urgent[-1] - now <= 5 * SECOND


def test_the_less_urgent_leave_their_share_of_the_burst_to_others() -> None:
    one = state(RateLimit(1000, HOUR, 100))
    at_once = {
        priority: sum(at == NOW for at in turns(one, 101, share=priority.share)[1])
        for priority in Priority
    }
    assert list(at_once.values()) == [100, 75, 50, 25]


def test_all_limits_are_taken_from_or_none() -> None:
    one = state(RateLimit(10, timedelta(seconds=1), 2), RateLimit(100, HOUR, 1))
    first = take(one)
    second = reserve(first.states, Wish(longest=SECOND), NOW, TUNING)
    assert isinstance(second, Held)
    third = take(first.states[0])
    assert third.at == NOW + one.meters[1].pace.interval
    tats = [meter.tat for meter in third.states[0].meters]
    assert tats == [third.at + meter.pace.interval for meter in one.meters]


def test_a_bucket_and_its_provider_give_a_turn_together() -> None:
    wide, narrow = state(RateLimit(100, MINUTE, 5)), state(RateLimit(2, MINUTE, 1))
    first = reserve([wide, narrow], Wish(), NOW, TUNING)
    assert isinstance(first, Given)
    second = reserve(first.states, Wish(longest=LONG), NOW, TUNING)
    assert isinstance(second, Given)
    assert second.at == NOW + narrow.meters[0].pace.interval
    assert [one.granted_at for one in second.states] == [second.at] * 2


def test_a_days_credits_that_are_used_up_hold_until_the_next_day() -> None:
    one = state(RateLimit(100, MINUTE, 100), budget=Budget(2))
    used, _ = turns(one, 2)
    found = reserve([used], Wish(longest=LONG), NOW, TUNING)
    assert isinstance(found, Held)
    assert used.day is not None
    assert found.possible_at == used.day.until > NOW


def test_before_midnight_no_turn_is_given_for_the_day_after() -> None:
    one = state(RateLimit(1000, HOUR, 1), budget=Budget(1000))
    used, _ = turns(one, 1)
    assert used.day is not None
    late = used.day.until - SECOND
    near = take(used, late).states[0]
    found = reserve([near], Wish(longest=LONG), late, TUNING)
    assert isinstance(found, Held), "its turn is after midnight"
    assert found.look_at == used.day.until < found.possible_at
    assert near.day is not None
    assert near.day.left(late) == 998


def test_what_a_clock_that_was_ahead_left_behind_is_settled() -> None:
    ahead = NOW + 86400 * SECOND
    one = state(RateLimit(60, MINUTE, 2), spacing=0.8, budget=Budget(2))
    left, _ = turns(one, 2, now=ahead)
    first = take(left)
    assert first.at <= NOW + left.meters[0].pace.interval
    assert first.states[0].day is not None
    assert first.states[0].day.left(NOW) == 1
    held = replace(one, cooldown_until=NOW + 9 * 86400 * SECOND)
    found = reserve([held], Wish(), NOW, TUNING)
    assert isinstance(found, Held)
    assert found.possible_at == NOW + 86400 * SECOND, "no provider says more than a day"
    proper = replace(one, cooldown_until=NOW + 86400 * SECOND, granted_at=NOW + 3600 * SECOND)
    assert proper.sane(NOW, 3600 * SECOND) == proper


def test_another_timeframe_of_the_same_instrument_comes_after_a_third_of_the_spacing() -> None:
    first = take(yahoo()).states[0]
    assert take(first).at == NOW + int(0.8 * SECOND)
    follows = take(first, follows=True)
    assert abs(follows.at - NOW - 0.3 * 0.8 * SECOND) <= 1
    assert take(follows.states[0]).at == follows.at + int(0.8 * SECOND)


def test_after_refusals_a_following_request_keeps_the_whole_distance_and_the_quota_binds() -> None:
    eased = replace(yahoo(), ceiling=SECOND)
    first = take(eased).states[0]
    assert take(first, follows=True).at == NOW + eased.distance(TUNING) > NOW + SECOND
    spent, _ = turns(state(RateLimit(60, MINUTE, 1), spacing=0.5), 1)
    assert take(spent, follows=True).at == NOW + spent.meters[0].pace.interval


def test_once_the_rate_is_back_all_is_as_it_was_before_the_refusal() -> None:
    back = replace(yahoo(), ceiling=SECOND, age=1000 * SECOND)
    first = take(back).states[0]
    assert (first.ceiling, first.age) == (0, 0)
    assert take(first, follows=True).at < NOW + int(0.3 * SECOND)


def test_no_turn_lies_inside_a_cooldown_and_the_burst_does_not_eat_it() -> None:
    one = replace(state(RateLimit(60, MINUTE, 10)), cooldown_until=NOW + 100 * SECOND)
    after, came = turns(one, 11)
    assert came[:10] == [NOW + 100 * SECOND] * 10
    assert came[10] == NOW + 100 * SECOND + after.meters[0].pace.interval


def test_an_open_breaker_gives_none_and_then_one_probe_to_all_of_them() -> None:
    one = replace(yahoo(), opened_until=NOW + 300 * SECOND)
    shut = reserve([one], Wish(longest=LONG), NOW, TUNING)
    assert shut == Held(one.opened_until, one.opened_until, Circuit.OPEN)
    probe = take(one, one.opened_until)
    assert probe.probe
    second = reserve(probe.states, Wish(longest=LONG), one.opened_until + 1, TUNING)
    assert isinstance(second, Held)
    assert second.circuit is Circuit.HALF_OPEN
    assert second.look_at == one.opened_until + 1 + SECOND // 2
    lost = take(probe.states[0], second.possible_at)
    assert lost.probe, "the first probe was never heard of again"


def test_a_breaker_between_requests_lets_no_second_probe_through_for_a_later_instant() -> None:
    one = replace(yahoo(), opened_until=NOW, cooldown_until=NOW + SECOND)
    assert reserve([one], Wish(longest=LONG), NOW, TUNING) == Held(NOW + SECOND, NOW + SECOND)


@pytest.mark.parametrize(
    ("one", "places"),
    [
        pytest.param(state(RateLimit(1000, HOUR, 1)), 0, id="slow: an urgent one would wait"),
        pytest.param(state(RateLimit(121, MINUTE, 1)), 5, id="two a second"),
        pytest.param(state(RateLimit(1000, MINUTE, 1), spacing=0.5), 5, id="spaced"),
        pytest.param(state(RateLimit(140, MINUTE, 20)), 25 - 10, id="half of a burst of twenty"),
    ],
)
def test_the_less_urgent_get_turns_ahead_as_far_as_five_urgent_ones_come_in_time(
    one: State, places: int
) -> None:
    share, ahead = Priority.TRACKED.share, 0
    while True:
        found = reserve([one], Wish(share=share, longest=LONG), NOW, TUNING)
        if isinstance(found, Held):
            break
        ahead += found.at > NOW
        (one,) = found.states
    assert ahead == places
    urgent = turns(one, 5)[1][-1]
    if places:
        assert NOW + 4 * SECOND < urgent <= NOW + 5 * SECOND
        later = reserve([one], Wish(share=share, longest=LONG), found.look_at, TUNING)
        assert isinstance(later, Given), "then there is one"
        early = reserve([one], Wish(share=share, longest=LONG), found.look_at - 1, TUNING)
        assert isinstance(early, Held), "and not before"
    assert found.look_at <= found.possible_at


def test_without_spacing_a_turn_far_ahead_keeps_nobody_waiting_who_may_use_the_burst() -> None:
    one, _ = turns(state(RateLimit(1000, HOUR, 100)), 40, share=Priority.CATALOG.share)
    assert take(one).at == NOW


def test_a_place_ahead_has_to_leave_room_in_each_of_the_limits() -> None:
    wide, narrow = state(RateLimit(1000, MINUTE, 1)), state(RateLimit(1000, HOUR, 1))
    for order in ([wide, narrow], [narrow, wide]):
        first = reserve(order, Wish(share=0.5, longest=LONG), NOW, TUNING)
        assert isinstance(first, Given)
        assert isinstance(reserve(first.states, Wish(share=0.5, longest=LONG), NOW, TUNING), Held)


def test_turns_are_counted_since_the_last_refusal_and_anew_after_a_pause() -> None:
    one = state(RateLimit(1000, HOUR, 100))
    for number, (at, counted, since) in enumerate(
        [
            (NOW, 1, NOW),
            (NOW + 60 * SECOND, 2, NOW),
            (NOW + 120 * SECOND + 1, 1, NOW + 120 * SECOND + 1),
        ]
    ):
        one = take(one, at).states[0]
        assert (one.granted, one.refused_at, one.granted_at) == (counted, since, at), number
    waited = replace(one, cooldown_until=one.granted_at + 300 * SECOND)
    after = take(waited, waited.cooldown_until).states[0]
    assert after.granted == 2, "a cooldown is no pause: it is part of the quota"


def test_only_time_in_use_brings_the_rate_back() -> None:
    one = replace(state(RateLimit(1000, HOUR, 100), spacing=0.5), ceiling=SECOND, granted_at=NOW)
    soon = take(one, NOW + 2 * SECOND).states[0]
    assert soon.age == 2 * SECOND
    late = take(one, NOW + 900 * SECOND).states[0]
    assert late.age == 5 * SECOND
    slow = replace(one, ceiling=20 * SECOND)
    assert take(slow, NOW + 900 * SECOND).states[0].age == 2 * slow.distance(TUNING)
    assert take(replace(one, ceiling=0), NOW + 2 * SECOND).states[0].age == 0
