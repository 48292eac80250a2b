from datetime import timedelta
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from marketdata_pipeline.domain.gate import RateLimit
from marketdata_pipeline.domain.ranges import MICROSECOND
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.governor.gcra import (
    SPREAD,
    Meter,
    Pace,
    burst_of,
    most_within,
    pace_of,
)


@st.composite
def limits(draw: st.DrawFn) -> RateLimit:
    requests = draw(st.integers(1, 60))
    return RateLimit(
        requests,
        timedelta(microseconds=draw(st.integers(1, 10**7))),
        draw(st.integers(1, requests)),
    )


def grants(pace: Pace, asked: list[int]) -> list[int]:
    """When each turn is, of turns that are asked for at these instants: the row's arithmetic."""
    tat, given_at = 0, []
    for now in asked:
        given_at.append(max(now, tat - pace.tau))
        tat = max(tat, now) + pace.interval
    return given_at


def fullest(instants: list[int], length: int) -> int:
    """The most instants in any closed window of a length."""
    at = np.sort(np.array(instants))
    return int((np.searchsorted(at, at + length, side="right") - np.arange(len(at))).max())


@given(limits(), st.lists(st.integers(0, 200_000), min_size=1, max_size=200), st.randoms())
def test_no_window_ever_sees_more_arrivals_than_the_limit(
    limit: RateLimit, pauses: list[int], dice: Random
) -> None:
    granted = grants(pace_of(limit), np.cumsum(pauses).tolist())
    spread = SPREAD // MICROSECOND
    arrivals = [at + dice.randint(0, spread) for at in granted]
    assert fullest(arrivals, limit.window // MICROSECOND) <= limit.requests


@given(limits(), st.integers(1, 3))
def test_a_crowd_gets_the_burst_at_once_and_the_quota_in_a_window(
    limit: RateLimit, windows: int
) -> None:
    pace = pace_of(limit)
    assume(limit.requests * windows < 500)
    granted = grants(pace, [10**12] * (limit.requests * windows))
    assert granted.count(10**12) == limit.burst
    length = (limit.window + SPREAD) // MICROSECOND
    assert fullest(granted, length) <= limit.requests
    spent = granted[min(limit.requests, len(granted)) - 1] - granted[0]
    assert spent <= length + limit.requests, "the pace is no slower than it has to be"


def test_the_pace_of_ten_a_second_leaves_room_for_the_spread() -> None:
    assert pace_of(RateLimit(10, timedelta(seconds=1), 1)) == Pace(105_001, 0)
    assert pace_of(RateLimit(10, timedelta(seconds=1), 3)) == Pace(131_251, 262_502)


@pytest.mark.parametrize(
    ("requests", "seconds", "burst"), [(0, 1, 0), (10, 1, 0), (10, 1, 11), (10, 0, 1), (10, -1, 1)]
)
def test_a_limit_that_cannot_be_is_refused(requests: int, seconds: int, burst: int) -> None:
    with pytest.raises(BadInput, match="1 <= burst <= requests"):
        pace_of(RateLimit(requests, timedelta(seconds=seconds), burst))


@given(st.integers(1, 3000), st.data())
def test_a_pace_tells_the_limit_that_it_was_made_from(requests: int, data: st.DataObject) -> None:
    limit = RateLimit(requests, timedelta(hours=1), data.draw(st.integers(1, requests)))
    pace = pace_of(limit)
    assert burst_of(pace) == limit.burst
    assert most_within(limit.window, pace) == limit.requests


@given(limits(), st.lists(st.integers(0, 200_000), max_size=100), st.integers(0, 10**6))
def test_turns_that_are_free_are_granted_at_once_and_the_next_is_not(
    limit: RateLimit, pauses: list[int], idle: int
) -> None:
    meter, now = Meter(1, pace_of(limit)), 0
    for pause in pauses:
        now = max(now + pause, meter.earliest(1))
        meter = meter.taken(now, 1)
    now += idle
    free = meter.free(now)
    assert 0 <= free <= limit.burst
    for number in range(free + 1):
        assert (meter.earliest(1) <= now) is (number < free)
        meter = meter.taken(now, 1)


@given(limits(), st.data())
def test_a_request_of_a_weight_counts_as_so_many_single_ones(
    limit: RateLimit, data: st.DataObject
) -> None:
    weight = data.draw(st.integers(1, limit.burst))
    heavy = light = Meter(1, pace_of(limit), data.draw(st.integers(0, 10**8)))
    at = max(10**7, heavy.earliest(weight))
    for _ in range(weight):
        assert light.earliest(1) <= at
        light = light.taken(at, 1)
    assert heavy.taken(at, weight) == light


@given(limits(), st.integers(0, 100), st.integers(0, 10**9))
def test_what_the_provider_says_is_used_leaves_no_more_than_the_rest(
    limit: RateLimit, used: int, tat: int
) -> None:
    now = 10**9
    meter = Meter(limit.window // MICROSECOND, pace_of(limit), tat)
    told = meter.heeding(used, now)
    assert told.free(now) <= max(0, limit.requests - used)
    assert told.free(now) <= meter.free(now)
    if used <= limit.requests - limit.burst:
        assert told.free(now) == meter.free(now), "there is enough for a burst"


@given(limits(), st.lists(st.integers(0, 200_000), min_size=1, max_size=100), st.integers(0, 10**7))
def test_without_what_was_given_ahead_the_next_turn_comes_soon_and_none_too_soon(
    limit: RateLimit, pauses: list[int], now: int
) -> None:
    meter, asked, sent = Meter(1, pace_of(limit)), 0, Meter(1, pace_of(limit))
    for pause in pauses:
        asked += pause
        at = max(asked, meter.earliest(1))
        meter = meter.taken(at, 1)
        if at <= now:
            sent = sent.taken(at, 1)
    settled = meter.settled(now)
    assert settled.earliest(1) <= now + meter.pace.interval
    assert settled.tat >= min(sent.tat, now), "what was sent still counts"
    assert settled.tat >= sent.tat
