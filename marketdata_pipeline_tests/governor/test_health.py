"""A provider's health, as a function of its turns and of its requests."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain.gate import Circuit, Effect, Ending, Turns
from marketdata_pipeline.governor.health import (
    SLOW,
    Condition,
    Health,
    Volume,
    health_of,
    latency_of,
    longest_streak,
    never_asked,
    shares_of,
)
from marketdata_pipeline.governor.logged import Count, Logged, Request

NOW = datetime(2024, 3, 15, 21, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
OPEN = Turns("yahoo", 2000, 200, 2 * SECOND, 200, NOW, None)
ANSWERED, TIMEOUT, REFUSED = Ending.ANSWERED, Ending.TIMEOUT, Ending.RATE_LIMITED
ENDINGS = st.sampled_from(list(Ending))
UNTIL = NOW + 5 * MINUTE


def request(ending: Ending, took: timedelta = SECOND, at: datetime = NOW) -> Request:
    return Request("yahoo", "AAPL|1d", "held", 1, None, ending, 200, at, took)


def logged(*endings: Ending, took: timedelta = SECOND, every: timedelta = 10 * MINUTE) -> Logged:
    """The newest first, as a log has them; the newest ended ``every`` ago."""
    newest = [request(one, took, NOW - (n + 1) * every) for n, one in enumerate(endings)]
    counts = []
    for ending in dict.fromkeys(endings):
        ended = [one.ended_at for one in newest if one.ending is ending]
        recent = sum(NOW - one <= HOUR for one in ended)
        counts.append(Count(ending, len(ended), recent, max(ended)))
    served = [one.ended_at for one in newest if one.ending.effect is Effect.SERVED]
    return Logged(tuple(newest), tuple(counts), max(served, default=None))


def condition(turns: Turns, log: Logged) -> tuple[str, str]:
    found = health_of(turns, log, NOW)
    return str(found.condition), found.why


def test_a_provider_that_answers_is_healthy() -> None:
    log = logged(*[ANSWERED] * 6, Ending.UNKNOWN_SYMBOL, TIMEOUT, ANSWERED, took=2 * SECOND)
    found = health_of(OPEN, log, NOW)
    assert (str(found.condition), found.why) == ("healthy", "it answers")
    assert found.latency is not None
    assert (found.latency.p50, found.latency.requests) == (2 * SECOND, 8)
    assert found.success == pytest.approx(8 / 9)
    assert found.failures == {TIMEOUT: pytest.approx(1 / 9)}
    assert (found.hour, found.day) == (Volume(6, 6), Volume(9, 8))
    assert (found.served_at, found.streak) == (NOW - 10 * MINUTE, 1)


def test_nothing_is_known_of_one_that_was_not_asked() -> None:
    assert health_of(OPEN, Logged(served_at=NOW - 50 * HOUR), NOW) == Health(
        key="yahoo",
        condition=Condition.UNKNOWN,
        why="it was not asked in the last 24 hours",
        latency=None,
        success=None,
        failures={},
        hour=Volume(0, 0),
        day=Volume(0, 0),
        served_at=NOW - 50 * HOUR,
        streak=0,
    )
    assert never_asked("tiingo") == replace(
        health_of(replace(OPEN, provider="tiingo"), Logged(), NOW), why="it was never asked"
    )


@pytest.mark.parametrize("log", [Logged(), logged(TIMEOUT), logged(ANSWERED)])
def test_an_open_breaker_says_down_whatever_was_asked(log: Logged) -> None:
    shut = replace(OPEN, circuit=Circuit.OPEN, open_until=UNTIL, cooldown_until=UNTIL)
    state, why = condition(shut, log)
    assert state == "down"
    cause = " (timeout)" if log.newest and log.newest[0].ending is TIMEOUT else ""
    assert why == f"it failed too often{cause}; no turn until 21:05:00 UTC"
    half = replace(OPEN, circuit=Circuit.HALF_OPEN)
    assert condition(half, log)[1].endswith("; one request tries whether it is back")


def test_ten_in_a_row_that_were_not_answered_are_down() -> None:
    assert condition(OPEN, logged(*[TIMEOUT] * 10, ANSWERED)) == (
        "down",
        "none of the last 10 requests was answered (timeout)",
    )
    assert condition(OPEN, logged(*[TIMEOUT] * 9, ANSWERED))[0] == "healthy"


def test_one_or_two_failures_alone_are_not_yet_down() -> None:
    assert condition(OPEN, logged(Ending.MALFORMED_REPLY))[0] == "healthy"
    assert condition(OPEN, logged(TIMEOUT, TIMEOUT))[0] == "healthy"
    assert condition(OPEN, logged(Ending.CREDENTIALS, TIMEOUT, TIMEOUT))[0] == "down"


def test_requests_that_were_abandoned_say_nothing() -> None:
    log = logged(*[Ending.ABANDONED, TIMEOUT] * 2, *[Ending.ABANDONED] * 30, ANSWERED)
    found = health_of(OPEN, log, NOW)
    assert found.condition is Condition.HEALTHY
    assert found.failures == {TIMEOUT: pytest.approx(2 / 3)}
    assert found.streak == 2
    assert found.day == Volume(35, 1)
    only = health_of(OPEN, logged(Ending.ABANDONED), NOW)
    assert (only.success, only.failures) == (None, {})


@pytest.mark.parametrize(
    ("turns", "log", "why"),
    [
        (
            replace(OPEN, cooldown_until=UNTIL),
            Logged(),
            "it asked to wait; no turn until 21:05:00 UTC",
        ),
        (
            replace(OPEN, cooldown_until=NOW + 50 * HOUR),
            logged(REFUSED),
            "it asked to wait; no turn until 2024-03-17 23:00 UTC",
        ),
        (
            replace(OPEN, eased=0.9999),
            logged(ANSWERED),
            "it refused or failed, so 99 % of the rate is used for now",
        ),
        (
            replace(OPEN, budget_left=0, next_at=NOW + HOUR),
            logged(ANSWERED),
            "no credits are left today; no turn until 22:00:00 UTC",
        ),
        (
            OPEN,
            logged(ANSWERED, REFUSED, every=2 * MINUTE),
            "it refused a request at 20:56:00 UTC",
        ),
    ],
)
def test_a_provider_that_wants_fewer_requests_is_limited(
    turns: Turns, log: Logged, why: str
) -> None:
    assert condition(turns, log) == ("limited", why)


def test_a_refusal_of_more_than_five_minutes_ago_is_over() -> None:
    assert condition(OPEN, logged(ANSWERED, REFUSED, every=2.5 * MINUTE))[0] == "healthy"


def test_a_rate_that_nobody_uses_says_nothing() -> None:
    assert condition(replace(OPEN, eased=0.5), Logged())[0] == "unknown"


def test_slow_answers_count_from_twenty_requests_on() -> None:
    late = SLOW + timedelta(seconds=0.25)
    assert condition(OPEN, logged(*[ANSWERED] * 20, took=late)) == (
        "slow",
        "one request in twenty takes longer than 5.2 s",
    )
    assert condition(OPEN, logged(*[ANSWERED] * 19, took=late))[0] == "healthy"
    assert condition(OPEN, logged(*[ANSWERED] * 20, took=SLOW))[0] == "healthy"


def test_what_failed_says_nothing_of_how_long_answers_take() -> None:
    log = logged(*[ANSWERED] * 20)
    failed = tuple(request(TIMEOUT, 25 * SECOND) for _ in range(9))
    found = health_of(OPEN, replace(log, newest=failed + log.newest), NOW)
    assert found.condition is Condition.HEALTHY
    assert found.latency is not None
    assert found.latency.p99 == SECOND


def test_each_condition_says_what_to_do() -> None:
    assert [str(one) for one in Condition] == ["healthy", "unknown", "slow", "limited", "down"]
    assert all(one.advice for one in Condition)


@given(st.lists(st.integers(0, 60_000_000), min_size=1, max_size=200))
def test_percentiles_are_those_of_numpy(micros: list[int]) -> None:
    found = latency_of([timedelta(microseconds=one) for one in micros])
    assert found is not None
    expected = np.percentile(np.array(micros, dtype=np.float64), [50, 95, 99], method="linear")
    measured = [one / timedelta(microseconds=1) for one in (found.p50, found.p95, found.p99)]
    assert measured == pytest.approx(list(expected), abs=1)
    assert min(micros) <= measured[0] <= measured[1] <= measured[2] <= max(micros)


@given(st.dictionaries(ENDINGS, st.integers(0, 10**9)))
def test_shares_of_success_and_failures_come_to_one(numbers: dict[Ending, int]) -> None:
    counts = tuple(Count(ending, number, 0, NOW - HOUR) for ending, number in numbers.items())
    found = health_of(OPEN, Logged(counts=counts), NOW)
    if found.success is None:
        assert not any(n for ending, n in numbers.items() if ending is not Ending.ABANDONED)
        assert not found.failures
    else:
        assert found.success + sum(found.failures.values()) == pytest.approx(1)
        assert 0 <= found.success <= 1
        assert all(0 < share <= 1 for share in found.failures.values())
    assert shares_of(counts).keys().isdisjoint({Ending.ABANDONED})


@given(st.lists(ENDINGS, max_size=40))
def test_the_longest_streak_is_what_counting_along_finds(endings: list[Ending]) -> None:
    longest = current = 0
    for ending in endings:
        if ending is Ending.ABANDONED:
            continue
        current = 0 if ending.effect is Effect.SERVED else current + 1
        longest = max(longest, current)
    assert longest_streak([request(one) for one in endings]) == longest
    assert longest_streak([request(one) for one in endings[::-1]]) == longest


@st.composite
def stands(draw: st.DrawFn) -> Turns:
    until = draw(st.none() | st.just(UNTIL))
    circuit = draw(st.sampled_from(list(Circuit)))
    return replace(
        OPEN,
        cooldown_until=until,
        circuit=circuit,
        open_until=UNTIL if circuit is Circuit.OPEN else None,
        eased=draw(st.sampled_from([0.1, 1.0])),
        budget_left=draw(st.none() | st.integers(0, 2)),
    )


@given(stands(), st.lists(ENDINGS, max_size=30), st.sampled_from([SECOND, 2 * SLOW]))
def test_whatever_is_worse_is_said_first(
    turns: Turns, endings: Sequence[Ending], took: timedelta
) -> None:
    found = health_of(turns, logged(*endings, took=took, every=MINUTE), NOW)
    if turns.circuit is not Circuit.CLOSED:
        assert found.condition is Condition.DOWN
    elif turns.cooldown_until is not None:
        assert found.condition in {Condition.DOWN, Condition.LIMITED}
    elif not endings:
        assert found.condition is Condition.UNKNOWN
    else:
        assert found.condition is not Condition.UNKNOWN
        if turns.eased < 1 or turns.budget_left == 0:
            assert found.condition in {Condition.DOWN, Condition.LIMITED}
    assert found.why
    assert not found.why.endswith(".")
