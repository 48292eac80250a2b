"""The two clocks: the machine's, and a market time that starts elsewhere at real speed."""

import time
from datetime import UTC, datetime, timedelta

from marketdata_pipeline.domain.clock import Clock, ReplayClock, SystemClock
from marketdata_pipeline_tests.fakes import FrozenClock

SOON = timedelta(seconds=2)


def test_both_hands_of_the_system_clock_show_the_machines_time_in_utc() -> None:
    clock: Clock = SystemClock()
    for shown in (clock.market_now(), clock.wall_now()):
        assert shown.utcoffset() == timedelta(0)
        assert abs(shown - datetime.now(UTC)) < SOON


def test_market_time_of_a_replay_runs_on_from_its_start_at_real_speed() -> None:
    start = datetime(2013, 2, 15, 21, tzinfo=UTC)
    clock: Clock = ReplayClock(start, datetime.now(UTC) - timedelta(hours=3))
    assert abs(clock.market_now() - (start + timedelta(hours=3))) < SOON
    assert abs(clock.wall_now() - datetime.now(UTC)) < SOON


def test_all_who_are_given_the_same_pair_agree() -> None:
    pair = datetime(2013, 2, 15, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)
    assert abs(ReplayClock(*pair).market_now() - ReplayClock(*pair).market_now()) < SOON


def test_sleeping_takes_that_long_and_never_fails_for_a_moment_that_is_over() -> None:
    before = time.monotonic()
    SystemClock().sleep(0.02)
    assert time.monotonic() - before >= 0.02
    SystemClock().sleep(-5)


def test_a_frozen_clock_moves_only_when_told() -> None:
    clock = FrozenClock()
    shown = clock.market_now()
    clock.sleep(90)
    assert clock.market_now() - shown == timedelta(seconds=90)
    assert clock.slept == [90]
