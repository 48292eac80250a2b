"""What becomes of a row after errors."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from marketdata_pipeline import errors
from marketdata_pipeline.domain.backfill import Backfill, Status
from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import MarketDataError
from marketdata_pipeline.ingest.after import LOST, Patience, after, after_loss, passing
from marketdata_pipeline.store.launches import After

NOW = datetime(2024, 3, 15, 21, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ROW = Backfill(
    id=12,
    instrument=Instrument("AAPL"),
    timeframes=(Timeframe.H1, Timeframe.D1),
    start=None,
    end=None,
    status=Status.IN_PROGRESS,
    priority=Priority.HELD,
    retry_after=NOW,
    attempts=0,
    setbacks=0,
    launch=3,
    batch=None,
    asked_at=None,
    run_id="run",
    lease_until=NOW,
    error_category=None,
    error_message=None,
    created_at=NOW,
    updated_at=NOW,
    completed_at=None,
)
LIMITED = errors.RateLimited("no turn", retry_at=NOW + 7 * MINUTE, provider="yahoo")
OPEN = errors.CircuitOpen("it failed too often", retry_at=NOW + 9 * MINUTE, provider="yahoo")
DOWN = errors.Unavailable("refused", provider="yahoo")
SLOW = errors.ProviderTimeout("took too long", provider="yahoo")
BLOCKED = errors.Blocked("turned away", provider="yahoo")
KEY = errors.CredentialsRefused("the key is refused", provider="fmp")
STORE = errors.StoreError("the disk is full")
CONFLICT = errors.WriteConflict("others came first")
ENDED = errors.NotDone("the run ended")
CUT_OFF = errors.CutOff("10 of 20 failed")
UNKNOWN = errors.UnknownSymbol("no such symbol", provider="yahoo")
BROKEN = errors.MalformedReply("cut off", provider="yahoo")
NONE = errors.Unavailable("no provider serves it")
BARS = errors.ContractViolation("a high below a low")
DEPTH = errors.OutOfDepth("not so far back", provider="yahoo")


def _after(told: Sequence[MarketDataError], row: Backfill = ROW) -> After:
    return after(told, row, NOW, Patience())


def test_without_an_error_it_is_completed() -> None:
    assert _after([]) == After(Status.COMPLETED)


@pytest.mark.parametrize("limited", [LIMITED, OPEN])
def test_without_a_turn_it_waits_for_the_next_one_and_that_costs_nothing(
    limited: errors.RateLimited,
) -> None:
    found = _after([limited], replace(ROW, attempts=4, setbacks=3))
    assert (found.status, found.retry_after) == (Status.RATE_LIMITED, limited.retry_at)
    assert (found.own, found.setback) == (False, False)
    assert (found.category, found.message) == (limited.category, str(limited))


def test_of_several_turns_the_last_counts() -> None:
    assert _after([LIMITED, OPEN, LIMITED]).retry_after == OPEN.retry_at


@pytest.mark.parametrize("error", [DOWN, SLOW, BLOCKED, KEY, STORE, CONFLICT, CUT_OFF])
def test_what_is_nobodys_fault_costs_no_attempt(error: MarketDataError) -> None:
    found = _after([error], replace(ROW, attempts=4))
    assert (found.status, found.own, found.setback) == (Status.PENDING, False, True)
    assert found.retry_after == NOW + 5 * MINUTE
    assert (found.category, found.message) == (error.category, str(error))


def test_the_waits_after_setbacks_double_up_to_forty_minutes() -> None:
    waits = [_after([DOWN], replace(ROW, setbacks=number)).retry_after for number in range(6)]
    assert waits == [NOW + minutes * MINUTE for minutes in (5, 10, 20, 40, 40, 40)]


def test_what_was_not_begun_is_given_back_at_once() -> None:
    found = _after([ENDED], replace(ROW, attempts=4))
    assert (found.status, found.retry_after) == (Status.PENDING, NOW)
    assert (found.own, found.setback) == (False, False)


def test_a_symbol_that_nobody_knows_is_asked_for_again_after_a_day() -> None:
    found = _after([UNKNOWN], replace(ROW, attempts=4))
    assert (found.status, found.retry_after) == (Status.PENDING, NOW + timedelta(days=1))
    assert (found.own, found.setback, found.category) == (False, False, "unknown_symbol")


@pytest.mark.parametrize("error", [BROKEN, NONE, BARS, DEPTH])
def test_its_own_errors_cost_an_attempt_each_until_it_fails(error: MarketDataError) -> None:
    found = [_after([error], replace(ROW, attempts=number)) for number in range(5)]
    assert [one.own for one in found] == [True] * 5
    assert [one.status for one in found] == [Status.PENDING] * 4 + [Status.FAILED]
    waits = [one.retry_after for one in found]
    assert waits == [*(NOW + minutes * MINUTE for minutes in (2, 4, 8, 16)), None]
    assert {(one.category, one.message) for one in found} == {(error.category, str(error))}


ORDER = [LIMITED, DOWN, ENDED, UNKNOWN, BROKEN]


@pytest.mark.parametrize(("first", "second"), list(pairwise(ORDER)))
def test_of_different_errors_the_one_that_tells_when_to_begin_again_counts(
    first: MarketDataError, second: MarketDataError
) -> None:
    assert _after([first, second]) == _after([second, first]) == _after([first])


@pytest.mark.parametrize(
    ("error", "passes"),
    [*((one, True) for one in (LIMITED, OPEN, DOWN, SLOW, KEY, STORE, ENDED)),
     *((one, False) for one in (UNKNOWN, BROKEN, NONE, BARS, DEPTH))],
)  # fmt: skip
def test_what_is_nobodys_fault_passes(error: MarketDataError, *, passes: bool) -> None:
    assert passing(error) is passes


def test_a_lost_run_costs_no_attempt_and_waits_from_the_second_time_on() -> None:
    found = [after_loss(replace(ROW, setbacks=number), NOW, Patience()) for number in range(5)]
    assert {(one.status, one.own, one.setback, one.category) for one in found} == {
        (Status.PENDING, False, True, LOST)
    }
    assert [one.retry_after for one in found] == [
        NOW + minutes * MINUTE for minutes in (0, 5, 10, 20, 40)
    ]
    assert found[0].message == "its run run ended without a word of it"


@pytest.mark.parametrize("run", [None, "an earlier one"])
def test_of_a_row_that_no_run_has_begun_no_run_is_named(run: str | None) -> None:
    found = after_loss(replace(ROW, status=Status.PENDING, run_id=run), NOW, Patience())
    assert found.message == "no run has begun it"


def test_every_error_of_the_tree_leads_somewhere() -> None:
    def kinds(of: type[MarketDataError]) -> list[type[MarketDataError]]:
        return [of, *(each for one in of.__subclasses__() for each in kinds(one))]

    for kind in kinds(MarketDataError):
        if issubclass(kind, errors.RateLimited):
            error: MarketDataError = kind("x", retry_at=NOW)
        else:
            error = kind("x")
        assert _after([error]).status in {Status.PENDING, Status.RATE_LIMITED}
