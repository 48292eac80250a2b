"""The queue: wishes go in, batches come out, and whatever dies in between, each row is done."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from marketdata_pipeline import errors
from marketdata_pipeline.domain.backfill import Backfill, Claim, Status
from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput, MarketDataError
from marketdata_pipeline.ingest.after import LOST
from marketdata_pipeline.ingest.queue import Batch, Queue, Room, batches
from marketdata_pipeline.store.backfills import Wanted
from marketdata_pipeline_tests.fakes import FrozenClock, Lines
from marketdata_pipeline_tests.store.queued import all_rows, day, now_of, pass_time

APPLE = Instrument("AAPL")
D1, H1 = Timeframe.D1, Timeframe.H1
MINUTE = timedelta(minutes=1)
ROOM = Room(urgent=5, mass=5)
DOWN = errors.Unavailable("refused", provider="yahoo")
BROKEN = errors.MalformedReply("cut off", provider="yahoo")


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def queue(engine: Engine, clock: FrozenClock) -> Queue:
    return Queue(engine, clock)


def _wishes(count: int, priority: Priority) -> list[Wanted]:
    names = (f"{str(priority)[0].upper()}{number}" for number in range(count))
    return [Wanted(Instrument(one), (D1,), priority=priority) for one in names]


def _put(queue: Queue, count: int, priority: Priority = Priority.CATALOG) -> list[int]:
    return queue.enqueue_all(_wishes(count, priority))


def _sizes(found: Sequence[Batch]) -> list[tuple[int, bool]]:
    return [(len(one.rows), one.mass) for one in found]


def _one(queue: Queue, number: int) -> Backfill:
    found = queue.task(number)
    assert found is not None
    return found


def _begun(queue: Queue, run: str = "run") -> Backfill:
    """The only row of the queue, put in and begun."""
    queue.enqueue(APPLE, [D1])
    (batch,) = queue.ask(ROOM)
    (row,) = queue.start(batch.claims, run)
    return row


def test_a_wish_is_a_row_that_can_be_looked_at(queue: Queue) -> None:
    within = TimeRange(day(1), day(9))
    number = queue.enqueue(APPLE, [D1, H1, D1], within, priority=Priority.URGENT)
    found = _one(queue, number)
    assert (found.timeframes, found.start, found.end) == ((H1, D1), day(1), day(9))
    assert found.priority is Priority.URGENT
    assert queue.enqueue(APPLE, [H1], within) == number
    assert queue.task(number + 1) is None
    assert queue.rows() == queue.rows([Status.PENDING]) == [found]
    assert queue.rows([Status.FAILED]) == []


def test_what_cannot_be_wanted_is_refused(queue: Queue, clock: FrozenClock) -> None:
    with pytest.raises(BadInput, match="name at least one timeframe"):
        queue.enqueue(APPLE, [])
    tomorrow = clock.market_now() + timedelta(days=1)
    with pytest.raises(BadInput, match="is in the future"):
        queue.enqueue(APPLE, [D1], TimeRange(tomorrow, tomorrow + MINUTE))
    assert queue.rows() == []


def test_a_single_row_names_its_batch_and_the_key_of_its_run(queue: Queue) -> None:
    number = queue.enqueue(APPLE, [D1], priority=Priority.URGENT)
    (batch,) = queue.ask(ROOM)
    assert (batch.name, batch.key, batch.mass) == (f"{number}:0", f"backfill:{number}:0", False)
    assert batch.claims == [Claim(number, 0)]
    assert _one(queue, number).batch == batch.name
    assert queue.ask(ROOM) == []


@pytest.mark.parametrize(
    ("urgent", "room", "sizes"),
    [
        (1, 5, [1]),
        (5, 5, [1] * 5),
        (7, 5, [2, 2, 2, 1]),
        (20, 5, [4] * 5),
        (20, 1, [20]),
        (3, 20, [1] * 3),
    ],
)
def test_urgent_rows_are_shared_out_among_the_urgent_runs(
    queue: Queue, urgent: int, room: int, sizes: list[int]
) -> None:
    _put(queue, urgent, Priority.URGENT)
    found = queue.ask(Room(urgent=room, mass=0))
    assert _sizes(found) == [(size, False) for size in sizes]


def test_of_very_many_urgent_rows_the_rest_is_mass(queue: Queue) -> None:
    _put(queue, 130, Priority.URGENT)
    assert _sizes(queue.ask(Room(urgent=2, mass=1))) == [(10, False), (10, False), (100, True)]
    assert _sizes(queue.ask(Room(urgent=2, mass=1))) == [(5, False), (5, False)]


def test_urgent_rows_come_before_a_mass_that_was_there_before(queue: Queue) -> None:
    _put(queue, 250)
    _put(queue, 3, Priority.URGENT)
    found = queue.ask(Room(urgent=3, mass=2))
    assert _sizes(found) == [(1, False)] * 3 + [(100, True)] * 2
    assert {row.priority for one in found if not one.mass for row in one.rows} == {Priority.URGENT}


@pytest.mark.parametrize(("urgent", "mass"), [(0, 0), (1, 0), (0, 1), (0, 3)])
def test_there_are_never_more_batches_than_there_is_room(
    queue: Queue, urgent: int, mass: int
) -> None:
    _put(queue, 30, Priority.URGENT)
    _put(queue, 230)
    found = queue.ask(Room(urgent=urgent, mass=mass))
    assert len([one for one in found if not one.mass]) == urgent
    assert len([one for one in found if one.mass]) == mass
    asked = sum(one.asked_at is not None for one in all_rows(queue.engine))
    assert asked == sum(len(one.rows) for one in found)


def test_eight_thousand_rows_of_the_catalog_are_eighty_batches(queue: Queue) -> None:
    rows = [_one(queue, number) for number in _put(queue, 1)] * 8000
    found = batches(rows, Room(urgent=5, mass=100), queue.size)
    assert _sizes(found) == [(100, True)] * 80


def test_a_batch_that_no_run_has_begun_comes_again_whole_by_the_same_name(
    queue: Queue, clock: FrozenClock
) -> None:
    _put(queue, 150)
    _put(queue, 1, Priority.URGENT)
    first = queue.ask(Room(urgent=1, mass=2))
    assert queue.ask(ROOM) == []
    pass_time(queue.engine, clock, queue.launching + MINUTE)
    again = queue.ask(Room(urgent=0, mass=0))
    assert sorted((one.key, one.mass, one.claims) for one in again) == sorted(
        (one.key, one.mass, one.claims) for one in first
    )
    queue.start(first[0].claims, "run")
    assert len(queue.ask(ROOM)) == 2


def test_urgent_rows_that_were_asked_for_as_mass_come_again_as_mass(
    queue: Queue, clock: FrozenClock
) -> None:
    _put(queue, 25, Priority.URGENT)
    assert _sizes(queue.ask(Room(urgent=0, mass=1))) == [(25, True)]
    _put(queue, 26, Priority.URGENT)
    assert _sizes(queue.ask(Room(urgent=0, mass=1))) == [(1, True)]
    pass_time(queue.engine, clock, queue.launching + MINUTE)
    assert _sizes(queue.ask(ROOM)) == [(25, True), (1, True)]


def test_who_does_not_ask_again_gets_only_what_is_new(queue: Queue, clock: FrozenClock) -> None:
    _put(queue, 2)
    late = queue.ask(ROOM)
    pass_time(queue.engine, clock, queue.launching + MINUTE)
    number = queue.enqueue(APPLE, [D1], priority=Priority.URGENT)
    assert [one.claims for one in queue.ask(ROOM, again=False)] == [[Claim(number, 0)]]
    assert [one.name for one in queue.ask(ROOM)] == [one.name for one in late]


def test_a_mass_that_waits_for_its_runs_does_not_stop_what_is_new(
    queue: Queue, clock: FrozenClock
) -> None:
    _put(queue, 300)
    queue.ask(Room(urgent=0, mass=3))
    pass_time(queue.engine, clock, queue.launching + MINUTE)
    number = queue.enqueue(APPLE, [D1])
    fresh = [one for one in queue.ask(Room(urgent=0, mass=1)) if len(one.rows) == 1]
    assert [one.claims for one in fresh] == [[Claim(number, 0)]]


def test_a_batch_that_is_never_begun_is_given_up_and_asked_for_anew(
    queue: Queue, clock: FrozenClock
) -> None:
    number = queue.enqueue(APPLE, [D1])
    (stale,) = queue.ask(ROOM)
    assert len(queue.free_lost()) == 0
    pass_time(queue.engine, clock, 10 * queue.launching + MINUTE)
    assert len(queue.free_lost()) == 1
    (batch,) = queue.ask(ROOM)
    assert (stale.key, batch.key) == (
        f"backfill:mass:{number}:0",
        f"backfill:mass:{number}:1",
    )
    assert queue.start(stale.claims, "late") == []
    found = _one(queue, number)
    assert (found.attempts, found.setbacks, found.error_category) == (0, 1, LOST)
    assert (found.run_id, found.error_message) == (None, "no run has begun it")


def test_a_run_of_ones_own_takes_rows_of_one_urgency(queue: Queue) -> None:
    _put(queue, 2, Priority.CATALOG)
    _put(queue, 3, Priority.URGENT)
    found = [queue.take(2, f"run {number}") for number in range(4)]
    taken = [[row.priority for row in one] for one in found]
    urgent, catalog = Priority.URGENT, Priority.CATALOG
    assert taken == [[urgent] * 2, [urgent], [catalog] * 2, []]
    assert [one.run_id for one in found[1]] == ["run 1"]
    assert {one.status for one in all_rows(queue.engine)} == {Status.IN_PROGRESS}, "at once"
    assert queue.ask(ROOM) == []


def test_a_run_of_ones_own_may_leave_urgent_rows_to_others(queue: Queue) -> None:
    _put(queue, 5, Priority.URGENT)
    _put(queue, 5, Priority.CATALOG)
    found = [queue.take(4, "run", urgent=3) for _ in range(4)]
    assert [len(one) for one in found] == [3, 2, 4, 1]


def test_a_run_of_ones_own_takes_nothing_that_was_asked_of_another(
    queue: Queue, clock: FrozenClock
) -> None:
    queue.enqueue(APPLE, [D1])
    queue.ask(ROOM)
    pass_time(queue.engine, clock, queue.launching + MINUTE)
    assert queue.take(5, "run") == []


def test_when_the_next_row_is_due_is_known(queue: Queue, clock: FrozenClock) -> None:
    assert queue.until_due() is None
    row = _begun(queue)
    assert queue.until_due() is None
    queue.conclude(row, [DOWN])
    wait = queue.until_due()
    assert wait is not None
    assert abs(wait - 5 * MINUTE) < 0.2 * MINUTE
    pass_time(queue.engine, clock, 6 * MINUTE)
    assert queue.until_due() == timedelta(0)


def test_what_is_done_is_completed(queue: Queue) -> None:
    row = _begun(queue)
    queue.conclude(row, [])
    found = _one(queue, row.id)
    assert (found.status, found.run_id, found.lease_until) == (Status.COMPLETED, "run", None)
    assert found.completed_at is not None


@pytest.mark.parametrize(
    ("error", "minutes", "counts"),
    [
        (DOWN, 5, (0, 1)),
        (errors.StoreError("full"), 5, (0, 1)),
        (errors.CredentialsRefused("no", provider="fmp"), 5, (0, 1)),
        (errors.NotDone("ended"), 0, (0, 0)),
        (errors.CutOff("10 of 20 failed"), 5, (0, 1)),
        (errors.UnknownSymbol("who", provider="yahoo"), 24 * 60, (0, 0)),
        (BROKEN, 2, (1, 0)),
        (errors.ContractViolation("no"), 2, (1, 0)),
    ],
)
def test_each_kind_of_error_has_its_consequence(
    queue: Queue,
    clock: FrozenClock,
    error: MarketDataError,
    minutes: int,
    counts: tuple[int, int],
) -> None:
    """``counts``: attempts and setbacks."""
    row = _begun(queue)
    queue.conclude(row, [error])
    found = _one(queue, row.id)
    assert (found.status, found.attempts, found.setbacks) == (Status.PENDING, *counts)
    assert (found.launch, found.batch, found.lease_until) == (1, None, None)
    assert (found.error_category, found.error_message) == (error.category, str(error))
    wait = found.retry_after - now_of(queue.engine, clock)
    assert abs(wait - minutes * MINUTE) < 0.2 * MINUTE
    assert bool(queue.take(1, "another")) is (not minutes)


def test_without_a_turn_it_is_begun_when_one_is_possible(queue: Queue, clock: FrozenClock) -> None:
    row = _begun(queue)
    at = now_of(queue.engine, clock) + 7 * MINUTE
    queue.conclude(row, [errors.RateLimited("no turn", retry_at=at, provider="yahoo")])
    found = _one(queue, row.id)
    assert (found.status, found.retry_after) == (Status.RATE_LIMITED, at)
    assert (found.attempts, found.setbacks, found.launch) == (0, 0, 1)
    assert queue.take(1, "another") == []
    pass_time(queue.engine, clock, 7 * MINUTE)
    assert queue.take(1, "another")


def test_after_five_failures_of_its_own_it_is_given_up_until_somebody_tries_again(
    queue: Queue, clock: FrozenClock
) -> None:
    row = _begun(queue)
    for number in range(5):
        queue.conclude(row, [BROKEN])
        assert _one(queue, row.id).attempts == number + 1
        pass_time(queue.engine, clock, 17 * MINUTE)
        taken = queue.take(1, f"run {number}")
        assert len(taken) == (0 if number == 4 else 1)
        row = taken[0] if taken else row
    (found,) = queue.rows([Status.FAILED])
    assert (found.id, found.error_message) == (row.id, "cut off")
    assert queue.retry([row.id]) == 1
    assert queue.retry() == 0
    assert queue.take(1, "another")


def test_setbacks_between_attempts_do_not_count_as_such(queue: Queue, clock: FrozenClock) -> None:
    row = _begun(queue)
    for error in (BROKEN, DOWN, BROKEN, DOWN, DOWN, BROKEN, BROKEN):
        queue.conclude(row, [error])
        pass_time(queue.engine, clock, 41 * MINUTE)
        (row,) = queue.take(1, "run")
    assert (row.attempts, row.setbacks) == (4, 0)


def test_a_lost_lease_frees_the_row_and_the_run_that_lost_it_has_no_say(
    queue: Queue, clock: FrozenClock, log_lines: Lines
) -> None:
    row = _begun(queue, "first")
    pass_time(queue.engine, clock, queue.lease + MINUTE)
    assert len(queue.free_lost()) == 0
    pass_time(queue.engine, clock, queue.lease)
    assert len(queue.free_lost()) == 1
    assert len(queue.free_lost()) == 0
    found = _one(queue, row.id)
    assert (found.status, found.launch, found.attempts) == (Status.PENDING, 1, 0)
    (theirs,) = queue.take(1, "second")
    queue.conclude(row, [])
    assert _one(queue, row.id) == theirs
    assert len(log_lines("somebody else is at it by now")) == 1
    queue.conclude(theirs, [])
    assert _one(queue, row.id).status is Status.COMPLETED


def test_a_renewed_lease_is_not_lost(queue: Queue, clock: FrozenClock) -> None:
    _begun(queue)
    for _ in range(3):
        pass_time(queue.engine, clock, 0.8 * queue.lease)
        assert queue.renew("run") == 1
        assert len(queue.free_lost()) == 0


def test_after_a_catalog_was_away_for_long_a_run_may_renew_its_lease_first(
    queue: Queue, clock: FrozenClock
) -> None:
    _begun(queue)
    pass_time(queue.engine, clock, 10 * queue.lease)
    assert len(queue.free_lost()) == 0
    assert queue.renew("run") == 1
    pass_time(queue.engine, clock, 0.9 * queue.lease)
    assert len(queue.free_lost()) == 0


def test_a_run_that_died_frees_what_it_was_at_and_what_it_never_began(queue: Queue) -> None:
    _put(queue, 3)
    (batch,) = queue.ask(ROOM)
    first, *rest = batch.claims
    queue.start([first], "run")
    assert queue.run_died("another") == 0
    assert queue.run_died("run", batch.claims) == 3
    assert queue.run_died("run", batch.claims) == 0
    found = [_one(queue, one.id) for one in (first, *rest)]
    assert [(one.status, one.launch, one.setbacks) for one in found] == [("pending", 1, 1)] * 3
    (again,) = queue.ask(ROOM)
    assert again.name == f"mass:{first.id}:1+2"


def test_old_completed_rows_are_removed(queue: Queue, clock: FrozenClock) -> None:
    queue.conclude(_begun(queue), [])
    assert queue.prune(timedelta(days=1)) == 0
    pass_time(queue.engine, clock, timedelta(days=2))
    assert queue.prune(timedelta(days=1)) == 1
    assert queue.rows() == []
