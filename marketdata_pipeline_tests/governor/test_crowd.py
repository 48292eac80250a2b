"""What the decisions lead to, over half an hour of simulated time."""

from datetime import timedelta

import pytest

from marketdata_pipeline.domain.gate import RateLimit
from marketdata_pipeline.governor.gcra import Meter, pace_of
from marketdata_pipeline.governor.state import State
from marketdata_pipeline_tests.governor.crowd import SECOND, Crowd, Server

HOUR = timedelta(hours=1)
MOVES = [(0.0, 120), (600.0, 30), (1200.0, 90)]


def state(limit: RateLimit, spacing: float) -> State:
    window = limit.window // timedelta(microseconds=1)
    return State("x", int(spacing * SECOND), (Meter(window, pace_of(limit)),))


@pytest.mark.parametrize(
    ("spacing", "on_their_way"),
    [pytest.param(0.0, 7, id="all-at-once"), pytest.param(0.25, 0, id="spaced")],
)
def test_a_hidden_quota_that_moves_is_found_used_and_seldom_overrun(
    spacing: float, on_their_way: int
) -> None:
    server = Server(MOVES)
    crowd = Crowd(state(RateLimit(100_000, HOUR, 1000), spacing), server)
    crowd.run(1800)
    for since, _ in MOVES:
        assert server.used(since + 180, since + 600) > 0.8
    assert server.refused < 0.02
    assert crowd.inside <= on_their_way, "when the first refusal came"


def test_without_a_time_to_wait_the_cooldowns_cost_more_and_refusals_stay_few() -> None:
    server = Server(MOVES)
    Crowd(state(RateLimit(100_000, HOUR, 1000), 0.25), server, announced=False).run(1800)
    for since, _ in MOVES:
        assert server.used(since + 180, since + 600) > 0.5
    assert server.refused < 0.02


def test_a_quota_that_is_known_is_used_up_and_never_overrun() -> None:
    server = Server([(0.0, 600)])
    Crowd(state(RateLimit(600, timedelta(minutes=1), 6), 0), server).run(180)
    assert server.refused == 0
    assert server.used(60, 180) > 0.97
