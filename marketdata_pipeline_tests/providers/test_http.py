"""Turns are reported however a request ends; connections are few and used again."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Barrier

import pytest

from marketdata_pipeline.domain.errand import Errand, Priority
from marketdata_pipeline.domain.gate import Attempt, Ending, Turn
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import (
    Blocked,
    CredentialsRefused,
    HomeError,
    MalformedReply,
    OutOfDepth,
    ProviderError,
    ProviderTimeout,
    RateLimited,
    SplitContradicted,
    StoreError,
    Unavailable,
    UnknownSymbol,
)
from marketdata_pipeline.providers.http import Connections, turn_taken
from marketdata_pipeline_tests.fakes import FrozenClock, Lines, OpenGate

AAPL = Series.parse("AAPL|1d")
ERRAND = Errand(Priority.HELD, attempt=2)
LATER = datetime(2024, 3, 15, 22, tzinfo=UTC)


def test_an_answer_is_reported_with_what_is_known_of_it() -> None:
    gate, clock = OpenGate(), FrozenClock()
    used = {timedelta(minutes=1): 7}
    with turn_taken(gate, clock, ERRAND, AAPL) as sent:
        assert gate.reported == [], "it is under way"
        sent.status, sent.used = 200, used
        clock.advance(timedelta(seconds=3))
    ((turn, told),) = gate.reported
    assert (turn.errand, turn.series) == (ERRAND, AAPL)
    assert told == Attempt(Ending.ANSWERED, 200, timedelta(seconds=3), None, used)


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (UnknownSymbol("who?"), Ending.UNKNOWN_SYMBOL),
        (OutOfDepth("too long ago"), Ending.OUT_OF_DEPTH),
        (RateLimited("later", retry_at=LATER), Ending.RATE_LIMITED),
        (Unavailable("down"), Ending.UNAVAILABLE),
        (ProviderTimeout("late"), Ending.TIMEOUT),
        (Blocked("go away"), Ending.BLOCKED),
        (MalformedReply("broken"), Ending.MALFORMED_REPLY),
        (CredentialsRefused("no key"), Ending.CREDENTIALS),
        (ProviderError("unheard of"), Ending.ABANDONED),
        (SplitContradicted("no reply's own word"), Ending.ABANDONED),
        (HomeError("other world"), Ending.ABANDONED),
        (KeyboardInterrupt(), Ending.ABANDONED),
        (ZeroDivisionError(), Ending.ABANDONED),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_leaves_the_block_is_the_ending_and_goes_on(
    error: BaseException, ending: Ending
) -> None:
    gate = OpenGate()

    def refused() -> None:
        with turn_taken(gate, FrozenClock(), ERRAND) as sent:
            sent.status, sent.retry_after = 418, timedelta(seconds=5)
            raise error

    with pytest.raises(type(error)) as caught:
        refused()
    assert caught.value is error
    assert gate.attempts == [Attempt(ending, 418, retry_after=timedelta(seconds=5))]


def test_an_ending_may_be_said_where_nothing_is_raised() -> None:
    gate = OpenGate()
    with turn_taken(gate, FrozenClock(), ERRAND) as sent:
        sent.ending = Ending.BLOCKED
    assert gate.attempts == [Attempt(Ending.BLOCKED)]


class Forgetful(OpenGate):
    """A gate whose catalog takes no word."""

    def report(self, turn: Turn, attempt: Attempt) -> None:
        super().report(turn, attempt)
        raise StoreError("the catalog is busy")


def test_where_the_catalog_takes_no_word_the_answer_and_the_error_still_count(
    log_lines: Lines,
) -> None:
    gate, clock = Forgetful(), FrozenClock()
    with turn_taken(gate, clock, ERRAND, AAPL):
        pass
    with pytest.raises(Unavailable, match="down"), turn_taken(gate, clock, ERRAND, AAPL):
        raise Unavailable("down")
    assert [one.ending for one in gate.attempts] == [Ending.ANSWERED, Ending.UNAVAILABLE]
    assert len(log_lines("request not reported")) == 2


def test_without_a_turn_nothing_begins_and_nothing_is_reported() -> None:
    gate = OpenGate(shut=RateLimited("no turn", retry_at=LATER))
    begun = []
    with pytest.raises(RateLimited), turn_taken(gate, FrozenClock(), ERRAND):
        begun.append(1)
    assert (begun, gate.reported) == ([], [])


def test_a_clock_that_is_set_back_makes_no_time_negative() -> None:
    gate, clock = OpenGate(), FrozenClock()
    with turn_taken(gate, clock, ERRAND):
        clock.advance(timedelta(seconds=-3))
    assert gate.attempts == [Attempt(Ending.ANSWERED)]


def test_a_request_is_a_line_of_the_log(log_lines: Lines) -> None:
    with (
        pytest.raises(Unavailable),
        turn_taken(OpenGate("yahoo/second"), FrozenClock(), ERRAND, AAPL),
    ):
        raise Unavailable("down")
    (line,) = log_lines("request")
    expected = {
        "provider": "yahoo/second",
        "series": "AAPL|1d",
        "attempt": 2,
        "priority": "held",
        "status": 0,
        "ms": 0,
        "ending": "unavailable",
    }
    assert {key: line[key] for key in expected} == expected


def test_a_connection_that_was_given_back_is_the_next_one() -> None:
    connections = Connections(count().__next__, most=3)
    for _ in range(3):
        with connections.one() as used:
            assert used == 0
    with connections.one() as first, connections.one() as second:
        assert (first, second) == (0, 1)
    with connections.one() as used:
        assert used == 0, "the one that was given back last"


def test_what_breaks_gives_its_connection_back() -> None:
    connections = Connections(count().__next__, most=1)
    used = []

    def interrupted() -> None:
        with connections.one() as one:
            used.append(one)
            raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            interrupted()
    assert used == [0, 0, 0]


def test_one_that_cannot_be_made_takes_no_place() -> None:
    made = iter([ZeroDivisionError(), ZeroDivisionError(), None])

    def make() -> int:
        error = next(made)
        if error is not None:
            raise error
        return 7

    connections = Connections(make, most=1)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), connections.one():
            pass
    with connections.one() as used:
        assert used == 7


def test_as_many_as_may_are_used_at_once() -> None:
    connections, all_there = Connections(count().__next__, most=4), Barrier(4)

    def use(_: int) -> int:
        with connections.one() as used:
            all_there.wait(timeout=5)
            return used

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(use, range(8)))
    assert set(found) == {0, 1, 2, 3}
