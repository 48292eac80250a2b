"""Quota and latency of the simulator."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import requests

from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.simulator.limits import Latency, Limits, Quota
from marketdata_pipeline.simulator.server import running
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.simulator.histories import SATURDAY, history, listing

NOON = datetime(2024, 3, 11, 12, tzinfo=UTC)


def test_what_is_above_the_quota_is_told_when_it_will_be_answered() -> None:
    limits = Limits(Quota(2, 60))
    assert [limits.refusal(NOON + timedelta(seconds=one)) for one in (0, 10)] == [None, None]
    refused = limits.refusal(NOON + timedelta(seconds=20.5))
    assert refused is not None
    assert (refused.status, refused.headers) == (429, {"Retry-After": "40"})
    assert limits.refusal(NOON + timedelta(seconds=60)) is None, "the first one is a minute old"
    assert limits.refusal(NOON + timedelta(seconds=61)) is not None


def test_a_refused_request_does_not_count() -> None:
    limits = Limits(Quota(1, 10))
    assert limits.refusal(NOON) is None
    assert all(limits.refusal(NOON + timedelta(seconds=one)) for one in range(1, 10))
    assert limits.refusal(NOON + timedelta(seconds=10)) is None


@pytest.mark.parametrize("text", ["", "5", "5/0", "0/5", "a/b", "-1/5", "1/2/3", "1.5/2"])
def test_a_quota_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadInput, match="2000/3600"):
        Quota.parse(text)


def test_a_quota_is_spelled_requests_in_seconds() -> None:
    assert Quota.parse(" 2000/3600 ") == Quota(2000, 3600)


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
        asked = {"quota": {"requests": 1, "seconds": 60}, "latency": {"median": 0.001}}
        said = requests.post(page, json=asked, timeout=5).json()
        assert said["quota"] == {"requests": 1, "seconds": 60}
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
        b'{"quota": {"requests": 0, "seconds": 1}}',
        b'{"quota": {"requests": NaN, "seconds": 60}}',
        b'{"quota": {"requests": 1.5, "seconds": 60}}',
        b'{"latency": {"median": "slow"}}',
    ],
)
def test_a_limit_that_is_none_is_refused_and_changes_nothing(body: bytes) -> None:
    limits = Limits(Quota(5, 5))
    with pytest.raises(BadInput):
        limits.change(body)
    assert limits.quota == Quota(5, 5)
