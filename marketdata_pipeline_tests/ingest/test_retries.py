"""Which failures are followed by another attempt, after how long, and which never."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain.errand import Errand, Priority
from marketdata_pipeline.domain.gate import Ending
from marketdata_pipeline.errors import (
    Blocked,
    CircuitOpen,
    CredentialsRefused,
    HomeError,
    MalformedReply,
    OutOfDepth,
    ProviderError,
    ProviderTimeout,
    QuarantinedReply,
    RateLimited,
    SplitContradicted,
    StoreError,
    Unavailable,
    UnknownSymbol,
)
from marketdata_pipeline.ingest.retries import JITTER, RULES, WAITS, Retries, jittered, wait_after
from marketdata_pipeline_tests.fakes import FrozenClock, Lines

LATER = datetime(2024, 3, 15, 22, tzinfo=UTC)
ERRAND = Errand(Priority.HELD, run_id="f00")


def limited(kind: type[RateLimited] = RateLimited, *, requests: int = 1) -> RateLimited:
    """As an adapter raises it for a 429; without a request: as the gate does."""
    error = kind("no more", retry_at=LATER)
    error.requests = requests
    return error


def refused_key(*, requests: int) -> CredentialsRefused:
    """As an adapter raises it for a 401, when there may be another key; or as the gate does."""
    error = CredentialsRefused("no key")
    error.requests = requests
    return error


class Failing:
    """Fails with these errors, one an attempt, then answers; keeps the errands it was given."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.errands: list[Errand] = []

    def __call__(self, errand: Errand) -> str:
        self.errands.append(errand)
        if self.errors:
            raise self.errors.pop(0)
        return "answered"


def middling(clock: FrozenClock, *waits: float) -> Retries:
    """Retries whose jitter is none."""

    class Middle(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return (a + b) / 2

    return Retries(clock, waits or WAITS, Middle(1))


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (Unavailable("down"), [1, 3, 8, 15, 30]),
        (ProviderTimeout("late"), [1, 3, 8, 15, 30]),
        (MalformedReply("broken"), [1, 3]),
        (limited(), [0, 0, 0, 0]),
        (limited(requests=0), []),
        (limited(CircuitOpen, requests=0), []),
        (limited(CircuitOpen), []),
        (Blocked("go away"), []),
        (SplitContradicted("no split"), []),
        (QuarantinedReply("odd"), []),
        (UnknownSymbol("who?"), []),
        (OutOfDepth("too long ago"), []),
        (refused_key(requests=1), [0, 0, 0, 0]),
        (refused_key(requests=0), []),
        (StoreError("disk"), []),
        (HomeError("other world"), []),
        (KeyboardInterrupt(), []),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, BaseException) else None,
)
def test_an_error_that_stays_is_tried_again_as_the_table_says(
    error: BaseException, waits: list[float]
) -> None:
    clock, attempt = FrozenClock(), Failing(*[error] * 20)
    with pytest.raises(type(error)) as caught:
        middling(clock).run(attempt, ERRAND)
    assert caught.value is error
    assert clock.slept == waits
    assert attempt.errands == [
        Errand(Priority.HELD, nth, "f00") for nth in range(1, len(waits) + 2)
    ]


@pytest.mark.parametrize("passing", [1, 5])
def test_what_passes_is_answered_in_the_end(passing: int) -> None:
    attempt = Failing(*[Unavailable("down")] * passing)
    assert middling(FrozenClock()).run(attempt, ERRAND) == "answered"
    assert len(attempt.errands) == passing + 1


def test_each_kind_has_patience_of_its_own_and_all_together_an_end() -> None:
    clock = FrozenClock()
    mixed = Failing(
        Unavailable("down"), MalformedReply("broken"), limited(), ProviderTimeout("late")
    )
    assert middling(clock).run(mixed, ERRAND) == "answered"
    assert clock.slept == [1, 1, 0, 3]
    endless = Failing(*[Unavailable("down"), limited(), MalformedReply("broken")] * 9)
    with pytest.raises(MalformedReply):
        middling(clock).run(endless, ERRAND)
    assert len(endless.errands) == 1 + len(WAITS)


@pytest.mark.parametrize(
    ("waits", "attempts"), [((), (1, 1, 5)), ((0.0,), (2, 2, 5)), ((2.0,) * 10, (11, 3, 5))]
)
def test_other_waits_are_other_numbers_of_attempts(
    waits: tuple[float, ...], attempts: tuple[int, ...]
) -> None:
    for error, expected in zip(
        (Unavailable("down"), MalformedReply("broken"), limited()), attempts, strict=True
    ):
        attempt = Failing(*[error] * 20)
        with pytest.raises(type(error)):
            Retries(FrozenClock(), waits).run(attempt, ERRAND)
        assert len(attempt.errands) == expected


CATEGORIES = sorted({*map(str, Ending), "circuit_open", "split_contradicted", "quarantined"})
waits_of_a_setting = st.lists(st.floats(0, 3600), max_size=10)


@given(st.lists(st.sampled_from(CATEGORIES), min_size=1, max_size=40), waits_of_a_setting)
def test_whatever_fails_there_is_an_end_and_no_wait_but_those_of_the_setting(
    failures: list[str], waits: list[float]
) -> None:
    wait = wait_after(failures, waits)
    if failures[-1] not in RULES or len(failures) > max(len(waits), 4):
        assert wait is None
    if wait is not None:
        assert wait in (waits if RULES[failures[-1]].waits else [0.0])


@given(st.sampled_from(sorted(RULES)), waits_of_a_setting.map(sorted))
def test_one_kind_is_patient_for_a_while_and_then_never_again(
    kind: str, waits: list[float]
) -> None:
    found = [wait_after([kind] * nth, waits) for nth in range(1, 15)]
    told = [one for one in found if one is not None]
    assert found == [*told, *[None] * (len(found) - len(told))], "no hole in between"
    assert all(before <= after for before, after in pairwise(told))


@given(st.floats(0, 3600), st.integers())
def test_jitter_is_a_tenth_at_most(wait: float, seed: int) -> None:
    found = jittered(wait, random.Random(seed))  # noqa: S311 - jitter
    assert wait * (1 - JITTER) - 1e-9 <= found <= wait * (1 + JITTER) + 1e-9


def test_those_who_failed_together_do_not_come_back_together() -> None:
    clock = FrozenClock()
    for seed in range(20):
        attempt = Failing(Unavailable("down"))
        Retries(clock, dice=random.Random(seed)).run(attempt, ERRAND)  # noqa: S311 - jitter
    assert len(set(clock.slept)) == 20
    assert all(0.9 <= one <= 1.1 for one in clock.slept)


def test_each_attempt_that_fails_is_a_line_and_the_last_one_a_warning(log_lines: Lines) -> None:
    def said(attempt: Failing) -> list[tuple[object, ...]]:
        before = len(log_lines("attempt failed"))
        with pytest.raises(ProviderError):
            middling(FrozenClock(), 1.0).run(attempt, ERRAND)
        keys = ("level", "attempt", "category", "again_in", "series", "provider")
        return [tuple(line[key] for key in keys) for line in log_lines("attempt failed")[before:]]

    down = Unavailable("down", provider="yahoo", series="AAPL|1d")
    assert said(Failing(down, down)) == [
        ("info", 1, "unavailable", 1.0, "AAPL|1d", "yahoo"),
        ("warning", 2, "unavailable", None, "AAPL|1d", "yahoo"),
    ]
    assert said(Failing(UnknownSymbol("who?"))) == [
        ("warning", 1, "unknown_symbol", None, None, None)
    ]
    assert said(Failing(limited(requests=0))) == [], "nothing was attempted"


def test_no_wait_goes_by_without_the_clock() -> None:
    clock = FrozenClock()
    before = clock.wall_now()
    with pytest.raises(Unavailable):
        middling(clock).run(Failing(*[Unavailable("down")] * 9), ERRAND)
    assert clock.wall_now() - before == timedelta(seconds=57)


def test_where_the_last_of_its_failures_opened_the_breaker_that_failure_is_told() -> None:
    clock = FrozenClock()
    shut = CircuitOpen("failed too often", retry_at=clock.wall, provider="yahoo")
    errors: list[ProviderError] = [Unavailable("its name leads nowhere"), shut]

    def attempt(_errand: Errand) -> None:
        raise errors.pop(0)

    with pytest.raises(Unavailable, match="its name leads nowhere") as told:
        Retries(clock).run(attempt, Errand())
    assert told.value.__cause__ is shut
    errors[:] = [shut]
    with pytest.raises(CircuitOpen):
        Retries(clock).run(attempt, Errand())


def test_nobody_tries_again_after_the_end_of_the_errand() -> None:
    clock = FrozenClock()
    tried: list[int] = []

    def attempt(errand: Errand) -> None:
        tried.append(errand.attempt)
        raise Unavailable("down")

    until = clock.wall + timedelta(seconds=3.5)
    with pytest.raises(Unavailable):
        Retries(clock).run(attempt, Errand(until=until))
    assert tried == [1, 2], "the third would come after four seconds"
