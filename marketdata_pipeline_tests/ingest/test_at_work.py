"""A run at its batch: what it says of each row, whichever way it ends."""

import threading
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from threading import Event

import pytest
from sqlalchemy import Engine

from marketdata_pipeline import errors
from marketdata_pipeline.domain.backfill import Backfill, Claim, Status
from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import MarketDataError, StoreError
from marketdata_pipeline.ingest.at_work import THREAD, Part, at_work, parts
from marketdata_pipeline.ingest.outcome import Outcome
from marketdata_pipeline.ingest.queue import Queue, Room
from marketdata_pipeline.store.backfills import Wanted
from marketdata_pipeline_tests.fakes import FrozenClock, Lines
from marketdata_pipeline_tests.ingest.test_after import ROW
from marketdata_pipeline_tests.store.queued import all_rows, day, pass_time

A, B, C = (Instrument(name) for name in "ABC")
D1, H1, H4 = Timeframe.D1, Timeframe.H1, Timeframe.H4
MARKET = FrozenClock().market
BROKEN = errors.MalformedReply("cut off", provider="yahoo")
DOWN = errors.Unavailable("refused", provider="yahoo")
_Fails = Mapping[Series, MarketDataError]


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def queue(engine: Engine, clock: FrozenClock) -> Queue:
    return Queue(engine, clock)


@dataclass
class Scripted:
    """An update that does as it is told; ``breaks`` is raised in place of a series' outcome."""

    fails: _Fails = field(default_factory=dict)
    breaks: Mapping[Series, BaseException] = field(default_factory=dict)
    asked: list[Part] = field(default_factory=list)
    closed: int = 0

    def __call__(self, part: Part) -> Generator[Outcome]:
        self.asked.append(part)
        try:
            for one in part.series:
                if one in self.breaks:
                    raise self.breaks[one]
                yield _outcome(one, self.fails.get(one))
        finally:
            self.closed += 1


def _outcome(series: Series, error: MarketDataError | None) -> Outcome:
    return Outcome(series, 0, 1, None, 5, None, None, "truth", "x", None, error, 0.1)


def _put(queue: Queue, *wanted: Wanted) -> list[Claim]:
    queue.enqueue_all(wanted)
    return [one.claim for one in all_rows(queue.engine)]


def _run(queue: Queue, claims: Sequence[Claim], update: Scripted) -> list[Series]:
    with at_work(queue, claims, "run") as work:
        return [one.series for one in work.updates(update, MARKET)]


def _wish(instrument: Instrument, *frames: Timeframe) -> Wanted:
    return Wanted(instrument, frames or (D1,))


def _said(queue: Queue) -> list[tuple[str, str | None]]:
    return [(one.status.value, one.error_category) for one in all_rows(queue.engine)]


def test_rows_are_concluded_as_their_series_are_done(queue: Queue) -> None:
    claims = _put(queue, _wish(A, H1, D1), _wish(B))
    with at_work(queue, claims, "run") as work:
        assert [str(one) for one in work.series] == ["A|1h", "A|1d", "B|1d"]
        seen = [
            (str(outcome.series), [one.status.value for one in all_rows(queue.engine)])
            for outcome in work.updates(Scripted({Series(B, D1): BROKEN}), MARKET)
        ]
        assert work.done == [A]
    assert seen == [
        ("A|1h", ["in_progress", "in_progress"]),
        ("A|1d", ["completed", "in_progress"]),
        ("B|1d", ["completed", "pending"]),
    ]
    assert _said(queue) == [("completed", None), ("pending", "malformed_reply")]


def test_an_error_of_one_series_counts_for_its_row_once_all_are_done(queue: Queue) -> None:
    claims = _put(queue, _wish(A, H1, D1), _wish(B))
    _run(queue, claims, Scripted({Series(A, H1): BROKEN}))
    first, second = all_rows(queue.engine)
    assert (first.status, first.attempts) == (Status.PENDING, 1)
    assert second.status is Status.COMPLETED


def test_what_is_somebody_elses_is_left_alone(queue: Queue) -> None:
    claims = _put(queue, _wish(A), _wish(B))
    queue.start(claims[:1], "another")
    before = all_rows(queue.engine)[0]
    assert _run(queue, claims, Scripted()) == [Series(B, D1)]
    assert all_rows(queue.engine)[0] == before


def test_a_run_whose_claims_are_stale_does_nothing(queue: Queue) -> None:
    (claim,) = _put(queue, _wish(A))
    update = Scripted()
    assert _run(queue, [Claim(claim.id, 7)], update) == []
    assert update.asked == []


def test_without_a_turn_the_run_ends_and_the_rest_waits_for_one(
    queue: Queue, clock: FrozenClock
) -> None:
    at = clock.wall_now() + timedelta(minutes=7)
    limited = errors.RateLimited("no turn", retry_at=at, provider="yahoo")
    later = replace(_wish(B), start=day(1), end=day(3))
    claims = _put(queue, _wish(A), later, _wish(C))
    update = Scripted({Series(A, D1): limited})
    assert _run(queue, claims, update) == [Series(A, D1), Series(C, D1)]
    first, second, third = all_rows(queue.engine)
    assert first.retry_after == second.retry_after == at
    assert [one.status for one in (first, second)] == [Status.RATE_LIMITED] * 2
    assert (second.attempts, second.launch) == (0, 1)
    assert third.status is Status.COMPLETED, "it needed none"


def test_a_run_that_fails_once_all_is_said_loses_nothing(queue: Queue, clock: FrozenClock) -> None:
    at = clock.wall_now() + timedelta(minutes=7)
    limited = errors.RateLimited("no turn", retry_at=at, provider="yahoo")
    claims = _put(queue, _wish(A), replace(_wish(B), start=day(1)))

    def fails() -> None:
        with at_work(queue, claims, "run") as work:
            list(work.updates(Scripted({Series(A, D1): limited}), MARKET))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert _said(queue) == [("rate_limited", "rate_limited")] * 2


def test_after_an_exception_the_rest_is_begun_again_at_once(queue: Queue) -> None:
    claims = _put(queue, _wish(A, H1, D1), _wish(B), _wish(C))
    update = Scripted(breaks={Series(B, D1): ZeroDivisionError()})
    with pytest.raises(ZeroDivisionError):
        _run(queue, claims, update)
    assert _said(queue) == [("completed", None), ("pending", "lost"), ("pending", "lost")]
    again = queue.take(9, "another")
    assert [str(one.claim) for one in again] == ["2:1", "3:1"]


def test_a_run_that_breaks_off_each_time_is_begun_less_often(
    queue: Queue, clock: FrozenClock
) -> None:
    claims = _put(queue, _wish(A))
    for number in range(2):
        with pytest.raises(ZeroDivisionError):
            _run(queue, claims, Scripted(breaks={Series(A, D1): ZeroDivisionError()}))
        batches = queue.ask(Room(urgent=0, mass=1))
        assert len(batches) == 1 - number
        claims = batches[0].claims if batches else []
    pass_time(queue.engine, clock, timedelta(minutes=6))
    assert queue.take(1, "another")


@pytest.mark.parametrize("told", [KeyboardInterrupt, SystemExit])
def test_a_run_that_is_told_to_end_gives_the_rest_back(
    queue: Queue, told: type[BaseException]
) -> None:
    claims = _put(queue, _wish(A), _wish(B))
    with pytest.raises(told):
        _run(queue, claims, Scripted(breaks={Series(B, D1): told()}))
    assert _said(queue) == [("completed", None), ("pending", "not_done")]
    assert queue.take(1, "another")


def test_what_went_wrong_before_the_run_ended_counts(queue: Queue) -> None:
    claims = _put(queue, _wish(A, H1, D1))
    update = Scripted({Series(A, H1): DOWN}, {Series(A, D1): KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        _run(queue, claims, update)
    assert _said(queue) == [("pending", "unavailable")]
    assert not queue.take(1, "another")


def test_a_block_that_stops_asking_closes_the_update_and_gives_the_rest_back(queue: Queue) -> None:
    claims = _put(queue, _wish(A), _wish(B))
    update = Scripted()
    with at_work(queue, claims, "run") as work:
        outcomes = work.updates(update, MARKET)
        assert next(outcomes).series == Series(A, D1)
    assert update.closed == 1
    assert list(outcomes) == []
    assert _said(queue) == [("completed", None), ("pending", "not_done")]


@dataclass(frozen=True, slots=True, eq=False)
class Deaf(Queue):
    """A queue that does not take what is said of the first rows."""

    refused: list[Backfill] = field(default_factory=list)
    times: int = 1

    def conclude(self, row: Backfill, errors: Sequence[MarketDataError]) -> None:
        if len(self.refused) < self.times:
            self.refused.append(row)
            raise StoreError("the disk is full")
        Queue.conclude(self, row, errors)


def test_what_could_not_be_said_is_said_again_at_the_end(
    queue: Queue, clock: FrozenClock, log_lines: Lines
) -> None:
    claims = _put(queue, _wish(A), _wish(B))
    _run(Deaf(queue.engine, clock), claims, Scripted({Series(A, D1): BROKEN}))
    assert _said(queue) == [("pending", "malformed_reply"), ("completed", None)]
    assert len(log_lines("not concluded")) == 1


def test_a_row_of_which_nothing_could_be_said_is_left_to_its_lease(
    queue: Queue, clock: FrozenClock
) -> None:
    claims = _put(queue, _wish(A))
    assert _run(Deaf(queue.engine, clock, times=3), claims, Scripted()) == [Series(A, D1)]
    (row,) = all_rows(queue.engine)
    assert row.status is Status.IN_PROGRESS
    for freed in (0, 1):
        pass_time(queue.engine, clock, queue.lease + timedelta(seconds=1))
        assert len(queue.free_lost()) == freed


@dataclass(frozen=True, slots=True, eq=False)
class Renewing(Queue):
    """A queue that tells of each renewal; every other one finds no catalog."""

    told: list[str] = field(default_factory=list)
    enough: Event = field(default_factory=Event)

    def renew(self, run_id: str) -> int:
        self.told.append(run_id)
        if len(self.told) % 2:
            raise StoreError("no answer")
        if len(self.told) == 4:
            self.enough.set()
        return Queue.renew(self, run_id)


def test_leases_are_renewed_as_long_as_the_run_is_at_work(
    queue: Queue, clock: FrozenClock, log_lines: Lines
) -> None:
    claims = _put(queue, _wish(A))
    renewing = Renewing(queue.engine, clock, lease=timedelta(milliseconds=30))
    with at_work(renewing, claims, "run"):
        assert renewing.enough.wait(20)
        assert THREAD in {one.name for one in threading.enumerate()}
    assert THREAD not in {one.name for one in threading.enumerate()}
    assert set(renewing.told) == {"run"}
    assert len(log_lines("leases not renewed")) >= 2


def _row(number: int, instrument: Instrument, **changed: object) -> Backfill:
    return replace(ROW, id=number, instrument=instrument, **changed)  # type: ignore[arg-type]


def test_rows_that_want_the_same_are_one_part_the_urgent_first() -> None:
    rows = [
        _row(1, A),
        _row(2, B, start=day(1), end=day(3)),
        _row(3, C),
        _row(4, A, timeframes=(H4,)),
        _row(5, B, start=day(1)),
        _row(6, C, priority=Priority.URGENT),
    ]
    found = parts(rows, MARKET)
    assert [[row.id for row in one.rows] for one in found] == [[6], [1, 3], [2], [4], [5]]
    assert [one.priority for one in found] == [Priority.URGENT, *[Priority.HELD] * 4]
    assert [one.wanted for one in found] == [
        None, None, TimeRange(day(1), day(3)), None, TimeRange(day(1), MARKET),
    ]  # fmt: skip
    assert [str(one) for one in found[3].series] == ["A|4h"]
