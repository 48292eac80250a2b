"""Quotas and latency of the simulator."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import requests

from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.simulator.limits import Latency, Limits
from marketdata_pipeline.simulator.quota import Quota, Step
from marketdata_pipeline.simulator.server import running
from marketdata_pipeline.simulator.wire import RetryAfter
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.simulator.histories import SATURDAY, history, listing

NOON = datetime(2024, 3, 11, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def granted(limits: Limits, *instants: float) -> list[bool]:
    return [limits.refusal(after(one)) is None for one in instants]


def changed(limits: Limits, said: dict[str, Any], now: float = 0) -> None:
    limits.change(json.dumps(said).encode(), after(now))


def test_what_is_above_the_quota_is_told_when_it_will_be_answered() -> None:
    limits = Limits.of(Quota(2, 60))
    assert granted(limits, 0, 10) == [True, True]
    refused = limits.refusal(after(20.5))
    assert refused is not None
    assert (refused.status, refused.headers) == (429, {"Retry-After": "40"})
    assert refused.announced == 40
    assert limits.refusal(after(60)) is None, "the first one is a minute old"
    assert limits.refusal(after(61)) is not None


def test_a_refused_request_does_not_count() -> None:
    limits = Limits.of(Quota(1, 10))
    assert granted(limits, *range(11)) == [True, *[False] * 9, True]


def test_several_quotas_hold_at_once_and_the_longest_wait_is_told() -> None:
    limits = Limits.of(Quota(2, 1), Quota(3, 60))
    assert granted(limits, 0, 0.1, 0.2, 1.0, 1.1) == [True, True, False, True, False]
    refused = limits.refusal(after(2.5))
    assert refused is not None
    assert refused.headers["Retry-After"] == "58", "of the minute, though the second is free"


def test_never_are_more_granted_than_a_quota_says() -> None:
    dice = np.random.default_rng(3)
    limits = Limits.of(Quota(10, 1), Quota(60, 10))
    came = np.cumsum(dice.exponential(0.02, 3000)).tolist()
    passed = [one for one in came if limits.refusal(after(one)) is None]
    for quota in (Quota(10, 1), Quota(60, 10)):
        most = max(sum(one - quota.seconds < other <= one for other in passed) for one in passed)
        assert most == quota.requests, "all of it, and not one above"


def test_a_refusal_may_tell_a_date_or_nothing() -> None:
    limits = Limits((Step(0, (Quota(1, 60),)),), retry_after=RetryAfter.DATE)
    limits.refusal(NOON)
    dated = limits.refusal(after(0.5))
    assert dated is not None
    assert dated.headers == {"Retry-After": "Mon, 11 Mar 2024 12:01:00 GMT"}
    limits.retry_after = RetryAfter.OFF
    mute = limits.refusal(after(1))
    assert mute is not None
    assert (mute.headers, mute.announced) == ({}, None)


def test_quotas_move_by_a_schedule_that_counts_from_the_first_request() -> None:
    schedule = (Step(0, (Quota(3, 10),)), Step(20, (Quota(1, 10),)), Step(40))
    limits = Limits(schedule)
    assert granted(limits, 5, 6, 7, 8) == [True, True, True, False]
    assert granted(limits, 24, 24.5, 24.9) == [True, True, True], "20 s after the first at 5"
    assert granted(limits, 25, 34, 35) == [False, False, True]
    assert granted(limits, 45, 45, 45) == [True, True, True]


def test_a_quota_that_fell_counts_what_was_granted_before_it_fell() -> None:
    limits = Limits((Step(0, (Quota(4, 60),)), Step(10, (Quota(2, 60),))))
    assert granted(limits, 0, 1, 2, 3) == [True] * 4
    refused = limits.refusal(after(12))
    assert refused is not None
    assert refused.headers["Retry-After"] == "50", "when only the one of second 3 is left"
    assert granted(limits, 61.9, 62) == [False, True]


def test_a_schedule_that_is_posted_counts_from_then_on() -> None:
    limits = Limits()
    limits.refusal(NOON)
    said = {"schedule": [{"after": 0, "quota": None}, {"after": 10, "quota": "1/60"}]}
    changed(limits, said, 100)
    assert granted(limits, 100, 109, 110) == [True, True, False]
    assert limits.written(after(105))["quota"] is None
    assert limits.written(after(110)) == {
        "quota": "1/60",
        "schedule": said["schedule"],
        "since": after(100).isoformat(),
        "retry_after": "seconds",
        "latency": {"median": 0.0, "spread": 0.5},
    }


def test_a_posted_quota_holds_until_it_is_changed() -> None:
    limits = Limits()
    changed(limits, {"quota": "2/10,3/60", "retry_after": "off"})
    assert limits.schedule == (Step(0, (Quota(2, 10), Quota(3, 60))),)
    assert limits.retry_after is RetryAfter.OFF
    changed(limits, {"retry_after": "date"})
    assert limits.schedule, "what is not said stays"
    changed(limits, {"quota": None})
    assert limits.quotas(NOON) == ()


def test_a_day_of_grants_is_remembered_for_a_quota_of_a_day() -> None:
    limits = Limits.of(Quota(5000, 86_400))
    assert all(granted(limits, *range(0, 50_000, 10)))
    assert granted(limits, 50_000, 86_399, 86_400) == [False, False, True]


def test_latencies_are_spread_around_their_median() -> None:
    dice = np.random.default_rng(1)
    drawn = [Latency(0.2, 0.5).drawn(dice) for _ in range(2000)]
    assert np.median(drawn) == pytest.approx(0.2, rel=0.1)
    assert np.percentile(drawn, 95) == pytest.approx(0.2 * np.exp(1.645 * 0.5), rel=0.1)
    assert Latency().drawn(dice) == 0.0
    assert Latency(1000.0, 0.0).drawn(dice) == 60.0


@pytest.mark.parametrize("wrong", [(-1.0, 0.5), (0.1, -0.5), (float("nan"), 0.5)])
def test_a_latency_below_nothing_is_refused(wrong: tuple[float, float]) -> None:
    with pytest.raises(BadInput, match="median"):
        Latency(*wrong)


def test_limits_change_while_it_runs() -> None:
    with running(history(listing("AAPL")), FrozenClock(market=SATURDAY)) as simulator:
        page = f"{simulator.url}/simulator/limits"
        chart = f"{simulator.url}/v8/finance/chart/AAPL?range=5d&interval=1d"
        assert requests.get(page, timeout=5).json()["quota"] is None
        asked = {"quota": "1/60", "latency": {"median": 0.001}}
        said = requests.post(page, json=asked, timeout=5).json()
        assert said["quota"] == "1/60"
        assert said["latency"] == {"median": 0.001, "spread": 0.5}
        answers = [requests.get(chart, timeout=5) for _ in range(2)]
        assert [one.status_code for one in answers] == [200, 429]
        assert answers[1].headers["Retry-After"] == "60"
        assert requests.post(page, json={"latency": {"median": 0}}, timeout=5).json()["quota"]
        requests.post(page, json={"latency": {"spread": 0.1}}, timeout=5)
        said = requests.post(page, json={"latency": {"median": 0.002}}, timeout=5).json()
        assert said["latency"] == {"median": 0.002, "spread": 0.1}, "what is not said stays"
        said = requests.post(page, json={"latency": None, "quota": None}, timeout=5).json()
        assert (said["latency"]["median"], said["quota"]) == (0.0, None)
        assert requests.get(chart, timeout=5).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[1]",
        b'{"quota": 3}',
        b'{"pace": 1}',
        b'{"quota": {"requests": 1, "seconds": 1}}',
        b'{"quota": "0/60"}',
        b'{"quota": "1/60", "schedule": []}',
        b'{"schedule": [{"after": 5, "quota": "1/1"}, {"after": 1, "quota": "2/1"}]}',
        b'{"schedule": [{"after": NaN, "quota": "1/1"}]}',
        b'{"schedule": [{"quota": "1/1"}]}',
        b'{"retry_after": "later"}',
        b'{"latency": {"median": "slow"}}',
        b'{"quota": "1/1", "latency": {"median": -1}}',
    ],
)
def test_a_limit_that_is_none_is_refused_and_changes_nothing(body: bytes) -> None:
    limits = Limits.of(Quota(5, 5))
    before = limits.written(NOON)
    with pytest.raises(BadInput):
        limits.change(body, NOON)
    assert limits.written(NOON) == before
