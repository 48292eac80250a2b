"""Which providers do not serve, by the end of their newest requests and by their breakers."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine, update

from marketdata_pipeline.database.engine import writing
from marketdata_pipeline.database.governing import governor as table
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.gate import Attempt, Ending, Limits, RateLimit, Turn
from marketdata_pipeline.domain.ranges import to_micros
from marketdata_pipeline.governor.failing import Failing, Failure, failures
from marketdata_pipeline.governor.governor import Governor
from marketdata_pipeline.governor.log import record
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.store.queued import now_of

MINUTE = timedelta(minutes=1)
LIMITS = Limits((RateLimit(100, 60 * MINUTE, 10),))


@pytest.fixture
def governor(engine: Engine) -> Governor:
    made = Governor(engine, FrozenClock())
    for key in ("fmp", "fmp/FMP_API_KEY", "yahoo"):
        made.register(key, LIMITS)
    return made


def ended(governor: Governor, key: str, *endings: Ending) -> None:
    """Have requests ended so, a minute apart, the last one a minute ago."""
    now = now_of(governor.engine, FrozenClock())
    with writing(governor.engine) as connection:
        for ago, ending in zip(range(len(endings), 0, -1), endings, strict=True):
            at = to_micros(now - ago * MINUTE)
            record(connection, Turn(key, 0, Errand()), Attempt(ending), at)


def opened(governor: Governor, key: str) -> None:
    until = to_micros(now_of(governor.engine, FrozenClock()) + MINUTE)
    with writing(governor.engine) as connection:
        connection.execute(update(table).where(table.c.key == key).values(opened_until=until))


def found(governor: Governor) -> list[tuple[str, Failing, int]]:
    return [(one.key, one.failing, one.requests) for one in failures(governor)]


def test_who_was_never_asked_or_serves_does_not_fail(governor: Governor) -> None:
    assert failures(Governor(governor.engine, FrozenClock())) == []
    ended(governor, "yahoo", Ending.BLOCKED, Ending.UNKNOWN_SYMBOL)
    assert failures(governor) == []


def test_a_closed_breaker_with_failures_is_not_shut(governor: Governor) -> None:
    ended(governor, "yahoo", Ending.TIMEOUT, Ending.UNAVAILABLE)
    assert failures(governor) == []


def test_an_open_breaker_fails_since_the_first_failure_after_the_last_served(
    governor: Governor,
) -> None:
    ended(governor, "yahoo", Ending.TIMEOUT, Ending.ANSWERED, Ending.TIMEOUT, Ending.UNAVAILABLE)
    opened(governor, "yahoo")
    (one,) = failures(governor)
    assert (one.key, one.failing, one.requests) == ("yahoo", Failing.SHUT, 2)
    assert one.served_at is not None
    assert one.since - one.served_at == pytest.approx(MINUTE, abs=timedelta(seconds=1))


def test_an_open_breaker_without_a_log_fails_since_now(governor: Governor) -> None:
    opened(governor, "yahoo")
    (one,) = failures(governor)
    assert isinstance(one, Failure)
    assert (one.served_at, one.requests) == (None, 0)


@pytest.mark.parametrize(
    ("ending", "failing"),
    [(Ending.BLOCKED, Failing.BLOCKED), (Ending.CREDENTIALS, Failing.CREDENTIALS)],
)
def test_the_newest_request_says_more_than_the_breaker(
    governor: Governor, ending: Ending, failing: Failing
) -> None:
    opened(governor, "fmp/FMP_API_KEY")
    ended(governor, "fmp/FMP_API_KEY", Ending.ANSWERED, ending, Ending.ABANDONED)
    assert found(governor) == [("fmp/FMP_API_KEY", failing, 1)]
