"""When a batch ends before all its series are done."""

from datetime import UTC, datetime, timedelta

import pytest

from marketdata_pipeline.errors import (
    BadInput,
    Blocked,
    CircuitOpen,
    CredentialsRefused,
    CutOff,
    MalformedReply,
    MarketDataError,
    NotDone,
    OutOfDepth,
    ProviderTimeout,
    RateLimited,
    SplitContradicted,
    StoreError,
    Unavailable,
    UnknownSymbol,
)
from marketdata_pipeline.ingest.course import Course, blames_provider, too_many
from marketdata_pipeline_tests.fakes import FrozenClock

MINUTES = timedelta(minutes=5)
LATER = datetime(2024, 3, 16, tzinfo=UTC)
DOWN = Unavailable("truth is down", provider="truth")


@pytest.mark.parametrize(
    ("error", "blamed"),
    [
        (DOWN, True),
        (ProviderTimeout("late", provider="truth"), True),
        (Blocked("blocked", provider="truth"), True),
        (MalformedReply("broken", provider="truth"), True),
        (SplitContradicted("4:1", provider="truth"), True),
        (CredentialsRefused("no key", provider="truth"), True),
        (Unavailable("no provider serves AAPL|15m"), False),
        (UnknownSymbol("who", provider="truth"), False),
        (OutOfDepth("too old", provider="truth"), False),
        (RateLimited("later", retry_at=LATER, provider="truth"), False),
        (CircuitOpen("later", retry_at=LATER, provider="truth"), False),
        (StoreError("damaged"), False),
        (BadInput("what"), False),
        (None, False),
    ],
)
def test_a_provider_is_blamed_for_what_does_not_work_only(
    error: MarketDataError | None, *, blamed: bool
) -> None:
    assert blames_provider(error) is blamed


@pytest.mark.parametrize(
    ("failed", "done", "share", "over"),
    [
        (9, 9, 0.3, False),
        (10, 10, 0.3, True),
        (10, 33, 0.3, True),
        (10, 34, 0.3, False),
        (30, 100, 0.3, False),
        (31, 100, 0.3, True),
        (100, 100, 1.0, False),
        (10, 1000, 0.0, True),
    ],
)
def test_ten_and_more_than_the_share_of_those_done_are_too_many(
    failed: int, done: int, share: float, *, over: bool
) -> None:
    assert too_many(failed, done, share) is over


def test_no_series_is_begun_once_the_time_is_over() -> None:
    clock = FrozenClock()
    course = Course(clock, MINUTES)
    clock.advance(MINUTES - timedelta(seconds=1))
    course.go_on()
    clock.advance(timedelta(seconds=1))
    with pytest.raises(NotDone, match="not begun within 300 s of its run; the next one goes on"):
        course.go_on()


def test_without_a_time_it_goes_on_for_ever() -> None:
    clock = FrozenClock()
    course = Course(clock)
    clock.advance(timedelta(days=9))
    course.go_on()


def test_once_too_many_failed_it_stays_over_and_says_why() -> None:
    course = Course(FrozenClock(), None, 0.3)
    for _ in range(20):
        course.note(None)
    for _ in range(9):
        course.note(DOWN)
    course.go_on()
    course.note(DOWN)
    for _ in range(50):
        course.note(None)
    with pytest.raises(CutOff, match="not begun, since 10 of 30 failed: truth is down"):
        course.go_on()


def test_what_is_not_done_counts_neither_as_done_nor_as_failed() -> None:
    course = Course(FrozenClock(), None, 0.3)
    for _ in range(10):
        course.note(UnknownSymbol("who", provider="truth"))
        course.note(NotDone("not begun"))
    for _ in range(9):
        course.note(DOWN)
    course.go_on()
    for _ in range(90):
        course.note(NotDone("not begun"))
    course.note(DOWN)
    with pytest.raises(NotDone, match="10 of 20 failed"):
        course.go_on()
