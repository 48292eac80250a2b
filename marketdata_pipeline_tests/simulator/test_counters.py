"""What was granted and refused."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from marketdata_pipeline.simulator.counters import OTHERS, Counters
from marketdata_pipeline.simulator.wire import (
    Answer,
    RetryAfter,
    Way,
    retrying,
    too_many_requests,
)

NOON = datetime(2024, 3, 11, 12, tzinfo=UTC)
GOOD = Answer(200, b"{}")
MUTE = too_many_requests()
NONE = {"granted": 0, "refused": 0}


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def limited(wait: float) -> Answer:
    return retrying(MUTE, wait, RetryAfter.SECONDS, NOON)


def counted(*requests: tuple[float, Answer], route: str = "chart", client: str = "") -> Counters:
    counters = Counters()
    for at, answer in requests:
        counters.add(route, client, after(at), answer)
    return counters


def told(counters: Counters, at: float = 0, route: str = "chart") -> dict[str, Any]:
    return dict(counters.written(after(at))[route])


def test_requests_are_counted_as_granted_or_refused() -> None:
    found = told(counted((0, GOOD), (1, MUTE), (2, replace(GOOD, status=503)), (3, MUTE)))
    assert (found["granted"], found["refused"]) == (2, 2)


def test_a_request_that_was_granted_and_then_broken_counts_as_granted() -> None:
    counters = counted((0, replace(GOOD, way=Way.RESET)))
    assert told(counters)["granted"] == 1
    assert counters.requests()["status"] == [0]


@pytest.mark.parametrize("seconds", [1, 60, 3600])
def test_the_most_in_any_window_is_that_of_the_fullest_one(seconds: int) -> None:
    dice = np.random.default_rng(seconds)
    came = np.cumsum(dice.exponential(seconds / 20, 400)).tolist()
    found = told(counted(*((one, GOOD) for one in came)))["most_granted"][str(seconds)]
    assert found == max(sum(one - seconds < other <= one for other in came) for one in came)


def test_two_that_lie_exactly_a_window_apart_are_not_both_in_it() -> None:
    assert told(counted((0, GOOD), (1, GOOD)))["most_granted"] == {"1": 1, "60": 2, "3600": 2}


def test_refused_ones_are_not_among_the_most_granted() -> None:
    assert told(counted((0, GOOD), (0, MUTE)))["most_granted"]["60"] == 1


def test_the_last_windows_are_those_that_end_now() -> None:
    counters = counted((0, GOOD), (30, MUTE), (59.5, GOOD))
    assert told(counters, 60)["last"] == {
        "1": {"granted": 1, "refused": 0},
        "60": {"granted": 1, "refused": 1},
        "3600": {"granted": 2, "refused": 1},
    }


def test_who_comes_before_an_announced_time_is_counted_apart() -> None:
    counters = counted((0, limited(10)), (9, GOOD), (9.5, MUTE), (10, GOOD))
    found = told(counters)
    assert found["inside_retry_after"] == {"granted": 1, "refused": 1}
    assert counters.requests()["inside_retry_after"] == [False, True, True, False]


def test_an_earlier_time_does_not_replace_a_later_one_that_was_announced() -> None:
    found = told(counted((0, limited(10)), (1, limited(2)), (5, GOOD)))
    assert found["inside_retry_after"] == {"granted": 1, "refused": 1}


def test_a_refusal_that_announces_nothing_starts_no_time() -> None:
    assert told(counted((0, MUTE), (1, GOOD)))["inside_retry_after"] == NONE


def test_routes_are_counted_each_for_itself() -> None:
    counters = Counters()
    counters.add("chart", "", NOON, limited(60))
    counters.add("crumb", "", after(1), GOOD)
    assert told(counters, route="crumb")["inside_retry_after"] == NONE
    assert set(counters.written(NOON)) == {"chart", "crumb"}
    assert counters.requests(route="crumb")["at"] == [after(1).timestamp()]


def test_clients_are_counted_by_the_name_that_they_give() -> None:
    counters = Counters()
    counters.add("chart", "one", NOON, GOOD)
    counters.add("chart", "", after(1), GOOD)
    counters.add("chart", "one", after(2), MUTE)
    found = told(counters)["clients"]
    assert {name: (one["granted"], one["refused"]) for name, one in found.items()} == {
        "": (1, 0),
        "one": (1, 1),
    }
    assert counters.requests()["client"] == ["one", "", "one"]


def test_any_number_of_names_is_bounded() -> None:
    counters = Counters()
    for number in range(1200):
        counters.add("chart", f"{'x' * 40}{number}", NOON, GOOD)
        counters.add("chart", str(number), NOON, GOOD)
    found = told(counters)["clients"]
    assert found["x" * 40]["granted"] == 1200
    assert len(found) == 1001
    assert found[OTHERS]["granted"] == 1200 - 999
    assert sum(one["granted"] for one in found.values()) == 2400


def test_the_newest_requests_are_kept_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketdata_pipeline.simulator.counters.KEPT", 1000)
    counters = counted(*((at / 1000, GOOD) for at in range(1010)))
    kept = counters.requests()["at"]
    assert (len(kept), kept[-1]) == (1000, after(1.009).timestamp())
    assert told(counters)["granted"] == 1010
    assert counters.requests(since=kept[-3])["at"] == kept[-3:]


def test_cleared_everything_counts_anew() -> None:
    counters = counted((0, limited(60)))
    counters.clear()
    counters.add("chart", "", after(1), GOOD)
    assert told(counters)["inside_retry_after"] == NONE
    assert (told(counters)["granted"], told(counters)["refused"]) == (1, 0)
    assert len(counters.requests()["at"]) == 1
