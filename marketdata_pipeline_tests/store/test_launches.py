"""Rows of the queue on their way: asked of a run, begun, concluded, lost, given another chance."""

from datetime import timedelta
from multiprocessing.synchronize import Barrier
from threading import Thread

import pytest
from sqlalchemy import Connection, Engine

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.engine import open_engine, reading, writing
from marketdata_pipeline.domain.backfill import Backfill, Claim, Status
from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.store import backfills, launches
from marketdata_pipeline.store.backfills import Wanted
from marketdata_pipeline.store.launches import After
from marketdata_pipeline_tests.children import PROCESSES
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.store.queued import all_rows, day, many, now_of, pass_time

WISH = Wanted(Instrument("AAPL"), (Timeframe.D1,), day(10), day(20))
MINUTE = timedelta(minutes=1)


class Rows:
    """The statements, each in a transaction of its own."""

    def __init__(self, engine: Engine, clock: FrozenClock) -> None:
        self.engine = engine
        self.clock = clock

    def put(self, *wanted: Wanted) -> list[Backfill]:
        with writing(self.engine) as connection:
            backfills.add_all(connection, self.clock, wanted)
        return all_rows(self.engine)

    def due(self, at_most: int = 99) -> list[int]:
        with writing(self.engine) as connection:
            return [one.id for one in launches.due(connection, self.clock, at_most=at_most)]

    def ask(self, *rows: Backfill, batch: str = "some") -> None:
        with writing(self.engine) as connection:
            launches.ask(connection, self.clock, {one.id: batch for one in rows})

    def start(self, *claims: Claim, run: str = "run", lease: timedelta = MINUTE) -> list[Backfill]:
        with writing(self.engine) as connection:
            return launches.start(connection, self.clock, claims, run, lease)

    def conclude(self, row: Backfill, after: After) -> int:
        with writing(self.engine) as connection:
            return launches.conclude(connection, self.clock, [(row, after)])

    def lost(self) -> list[int]:
        with writing(self.engine) as connection:
            return [one.id for one in launches.lost(connection, self.clock, MINUTE)]

    def forgotten(self, after: timedelta) -> list[int]:
        with writing(self.engine) as connection:
            return [one.id for one in launches.forgotten(connection, self.clock, after)]

    def renew(self, run: str, lease: timedelta = MINUTE) -> int:
        with writing(self.engine) as connection:
            return launches.renew(connection, self.clock, run, lease)

    def retry(self, *ids: int) -> int:
        with writing(self.engine) as connection:
            return launches.retry(connection, self.clock, ids or None)

    def prune(self, kept: timedelta) -> int:
        with writing(self.engine) as connection:
            return launches.prune(connection, self.clock, kept)

    def get(self, number: int) -> Backfill:
        with reading(self.engine) as connection:
            found = backfills.get(connection, number)
        assert found is not None
        return found


@pytest.fixture
def rows(engine: Engine, clock: FrozenClock) -> Rows:
    return Rows(engine, clock)


def test_the_most_urgent_are_due_first_and_then_the_oldest(rows: Rows) -> None:
    for priority in (Priority.CATALOG, Priority.HELD, Priority.URGENT, Priority.HELD):
        number = len(all_rows(rows.engine))
        rows.put(Wanted(Instrument(f"I{number}"), (Timeframe.D1,), priority=priority))
    catalog, held, urgent, second = (one.id for one in all_rows(rows.engine))
    assert rows.due() == [urgent, held, second, catalog]
    assert rows.due(at_most=2) == [urgent, held]


def test_what_was_asked_for_or_put_off_or_begun_or_done_is_not_due(
    rows: Rows, engine: Engine, clock: FrozenClock
) -> None:
    asked, put_off, begun, done, failed, open_one = rows.put(*many(6, WISH))
    later = now_of(engine, clock) + MINUTE
    rows.ask(asked)
    rows.conclude(put_off, After(Status.RATE_LIMITED, later))
    rows.start(begun.claim)
    rows.conclude(done, After(Status.COMPLETED))
    rows.conclude(failed, After(Status.FAILED, own=True))
    assert rows.due() == [open_one.id]
    pass_time(engine, clock, 2 * MINUTE)
    assert rows.due() == [put_off.id, open_one.id]


def test_one_that_asks_locks_what_it_is_given(rows: Rows, engine: Engine) -> None:
    first, second = rows.put(*many(2, WISH))
    if engine.dialect.name == "sqlite":
        pytest.skip("a writing transaction is alone")
    with writing(engine) as connection:
        assert [one.id for one in launches.due(connection, rows.clock, at_most=1)] == [first.id]
        assert rows.due() == [second.id]
        launches.ask(connection, rows.clock, {first.id: "mine"})
    assert rows.due() == [second.id]


def _take(url: str, name: str, ready: Barrier) -> None:
    """Take rows by threes and begin them, until there are none."""
    engine, clock = open_engine(url), FrozenClock()
    ready.wait(60)
    while True:

        def taken(connection: Connection) -> list[Backfill]:
            found = launches.due(connection, clock, at_most=3)
            launches.ask(connection, clock, {one.id: name for one in found})
            return found

        found = retry.write(engine, clock, taken)
        if not found:
            break
        claims = [one.claim for one in found]
        begun = retry.write(
            engine,
            clock,
            lambda one: launches.start(one, clock, claims, name, MINUTE),  # noqa: B023
        )
        assert [one.id for one in begun] == [one.id for one in found]
    engine.dispose()


@pytest.mark.proof
def test_two_takers_at_once_never_get_the_same_row(
    catalog_url: str, engine: Engine, rows: Rows
) -> None:
    rows.put(*many(60, WISH))
    ready = PROCESSES.Barrier(2)
    takers = [
        PROCESSES.Process(target=_take, args=(catalog_url, name, ready)) for name in ("a", "b")
    ]
    for one in takers:
        one.start()
    for one in takers:
        one.join(60)
    assert [one.exitcode for one in takers] == [0, 0]
    found = all_rows(engine)
    assert {one.status for one in found} == {Status.IN_PROGRESS}
    assert [one.batch for one in found] == [one.run_id for one in found]


def test_a_claim_is_good_once(rows: Rows, engine: Engine, clock: FrozenClock) -> None:
    (row,) = rows.put(WISH)
    (begun,) = rows.start(row.claim, run="first")
    assert (begun.status, begun.run_id, begun.launch) == (Status.IN_PROGRESS, "first", 0)
    assert begun.lease_until is not None
    assert abs(begun.lease_until - now_of(engine, clock) - MINUTE) < 0.1 * MINUTE
    assert rows.start(row.claim, run="second") == []
    assert rows.get(row.id) == begun


def test_a_stale_claim_gets_nothing(rows: Rows) -> None:
    (row,) = rows.put(WISH)
    rows.conclude(row, After(Status.PENDING))
    assert rows.start(row.claim) == []
    assert rows.start(Claim(row.id, 2)) == []
    assert rows.start() == []
    assert [one.id for one in rows.start(Claim(row.id, 1))] == [row.id]


def test_of_several_claims_the_good_ones_are_begun(rows: Rows) -> None:
    first, second, third = rows.put(*many(3, WISH))
    rows.conclude(second, After(Status.PENDING))
    found = rows.start(third.claim, second.claim, first.claim)
    assert [one.id for one in found] == [first.id, third.id]


def test_a_row_that_is_given_back_is_launched_anew(rows: Rows) -> None:
    (row,) = rows.put(WISH)
    rows.ask(row, batch="first")
    (begun,) = rows.start(row.claim)
    then = After(Status.PENDING, category="not_done", message="the run ended")
    assert rows.conclude(begun, then) == 1
    after = rows.get(row.id)
    assert (after.status, after.launch, after.batch, after.asked_at) == ("pending", 1, None, None)
    assert (after.attempts, after.setbacks, after.lease_until) == (0, 0, None)
    assert (after.error_category, after.error_message) == ("not_done", "the run ended")
    assert after.run_id is None, "it is nobody's"
    assert rows.due() == [row.id]


def test_attempts_and_setbacks_are_counted_apart(rows: Rows) -> None:
    (row,) = rows.put(WISH)
    counts = []
    for then in (
        After(Status.PENDING, setback=True),
        After(Status.RATE_LIMITED),
        After(Status.PENDING, setback=True),
        After(Status.PENDING, own=True),
        After(Status.PENDING, setback=True),
        After(Status.FAILED, own=True),
    ):
        assert rows.conclude(rows.get(row.id), then) == 1
        found = rows.get(row.id)
        counts.append((found.attempts, found.setbacks, found.launch))
    assert counts == [(0, 1, 1), (0, 1, 2), (0, 2, 3), (1, 0, 4), (1, 1, 5), (2, 0, 5)]


def test_what_is_completed_says_when_and_nothing_of_errors(rows: Rows) -> None:
    (row,) = rows.put(WISH)
    rows.ask(row, batch="12:0+3")
    rows.conclude(row, After(Status.PENDING, setback=True, category="timeout", message="late"))
    (again,) = all_rows(rows.engine)
    rows.ask(again, batch="12:1")
    (begun,) = rows.start(again.claim)
    rows.conclude(begun, After(Status.COMPLETED))
    found = rows.get(row.id)
    assert (found.status, found.launch, found.batch, found.setbacks) == ("completed", 1, "12:1", 0)
    assert found.completed_at == found.updated_at
    assert (found.error_category, found.error_message, found.lease_until) == (None, None, None)
    assert found.asked_at is not None


@pytest.mark.parametrize("ended", [Status.COMPLETED, Status.FAILED])
def test_what_has_ended_is_not_concluded_again(rows: Rows, ended: Status) -> None:
    (row,) = rows.put(WISH)
    assert rows.conclude(row, After(ended)) == 1
    before = rows.get(row.id)
    assert rows.conclude(row, After(Status.PENDING)) == 0
    assert rows.get(row.id) == before


def test_what_somebody_else_has_by_now_is_not_changed(rows: Rows) -> None:
    (row,) = rows.put(WISH)
    (mine,) = rows.start(row.claim, run="mine")
    rows.conclude(mine, After(Status.PENDING, category="lost"))
    (theirs,) = rows.start(rows.get(row.id).claim, run="theirs")
    assert rows.conclude(mine, After(Status.COMPLETED)) == 0
    assert rows.get(row.id) == theirs


def test_a_lease_holds_until_it_runs_out_unless_it_is_renewed(
    rows: Rows, engine: Engine, clock: FrozenClock
) -> None:
    first, second = rows.put(*many(2, WISH))
    rows.start(first.claim, run="first")
    rows.start(second.claim, run="second")
    pass_time(engine, clock, 0.9 * MINUTE)
    assert rows.lost() == []
    assert rows.renew("first") == 1
    assert rows.renew("nobody") == 0
    pass_time(engine, clock, 0.2 * MINUTE)
    assert rows.lost() == [], "noticed only"
    assert rows.renew("first") == 1
    pass_time(engine, clock, 0.8 * MINUTE)
    assert rows.lost() == []
    pass_time(engine, clock, 0.3 * MINUTE)
    assert rows.lost() == [second.id]
    rows.conclude(rows.get(second.id), After(Status.PENDING))
    assert rows.renew("second") == 0
    assert rows.lost() == []


def test_who_renews_a_lease_that_was_over_for_long_has_it(
    rows: Rows, engine: Engine, clock: FrozenClock
) -> None:
    (row,) = rows.put(WISH)
    rows.start(row.claim)
    for _ in range(2):
        pass_time(engine, clock, 60 * MINUTE)
        assert rows.lost() == []
        assert rows.renew("run") == 1
    pass_time(engine, clock, 0.9 * MINUTE)
    assert rows.lost() == []


def test_what_no_run_has_begun_in_time_is_forgotten(
    rows: Rows, engine: Engine, clock: FrozenClock
) -> None:
    first, second, _ = rows.put(*many(3, WISH))
    rows.ask(first, second)
    rows.start(second.claim)
    assert rows.forgotten(MINUTE) == []
    pass_time(engine, clock, 1.1 * MINUTE)
    assert rows.forgotten(MINUTE) == [first.id]


def test_a_batch_of_which_somebody_is_at_one_row_is_not_forgotten_in_part(
    rows: Rows, engine: Engine, clock: FrozenClock
) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("a writing transaction is alone")
    first, second = rows.put(*many(2, WISH))
    rows.ask(first, second)
    pass_time(engine, clock, 2 * MINUTE)
    found: list[list[int]] = []
    other = Thread(target=lambda: found.append(rows.forgotten(MINUTE)))
    with writing(engine) as connection:
        assert len(launches.claimed(connection, [second.claim])) == 1
        other.start()
        other.join(0.3)
    other.join(10)
    assert found == [[first.id, second.id]]


def test_what_a_run_is_at_and_what_it_was_asked_for(rows: Rows) -> None:
    first, second, third = rows.put(*many(3, WISH))
    rows.start(first.claim, run="mine")
    rows.start(second.claim, run="theirs")
    with writing(rows.engine) as connection:
        assert [one.id for one in launches.at_work(connection, "mine")] == [first.id]
        claims = [one.claim for one in (first, second, third)]
        assert [one.id for one in launches.claimed(connection, claims)] == [third.id]


def test_failed_rows_get_all_their_attempts_again(rows: Rows) -> None:
    first, second, third = rows.put(*many(3, WISH))
    for one in (first, second):
        rows.conclude(one, After(Status.FAILED, own=True, category="malformed_reply", message="x"))
    assert rows.retry(first.id, third.id) == 1
    again = rows.get(first.id)
    assert again.run_id is None
    assert (again.status, again.attempts, again.launch) == (Status.PENDING, 0, 1)
    assert again.error_category == "malformed_reply", "why it failed is known until it is done"
    assert rows.get(third.id) == third
    assert rows.due() == [first.id, third.id]
    assert rows.retry() == 1
    assert rows.get(second.id).status is Status.PENDING


def test_what_waits_or_has_failed_can_be_dropped_and_nothing_else(rows: Rows) -> None:
    waiting, asked, put_off, failed, begun, done, other = rows.put(*many(7, WISH))
    rows.ask(asked)
    rows.conclude(put_off, After(Status.RATE_LIMITED))
    rows.conclude(failed, After(Status.FAILED, own=True))
    rows.start(begun.claim)
    rows.conclude(done, After(Status.COMPLETED))
    with writing(rows.engine) as connection:
        ids = [one.id for one in (waiting, asked, put_off, failed, begun, done)]
        assert launches.drop(connection, ids) == 4
    assert [one.id for one in all_rows(rows.engine)] == [begun.id, done.id, other.id]
    assert rows.start(asked.claim) == []


def test_the_waiting_rows_of_an_instrument_can_be_dropped(rows: Rows) -> None:
    waiting, begun, other = rows.put(*many(3, WISH))
    rows.start(begun.claim)
    with writing(rows.engine) as connection:
        launches.drop_waiting(connection, [])
        launches.drop_waiting(connection, [waiting.instrument, begun.instrument])
    assert [one.id for one in all_rows(rows.engine)] == [begun.id, other.id]


def test_only_what_was_completed_long_ago_is_removed(
    rows: Rows, engine: Engine, clock: FrozenClock
) -> None:
    done, failed, _ = rows.put(*many(3, WISH))
    rows.conclude(done, After(Status.COMPLETED))
    rows.conclude(failed, After(Status.FAILED, own=True))
    assert rows.prune(MINUTE) == 0
    pass_time(engine, clock, 2 * MINUTE)
    assert rows.prune(MINUTE) == 1
    assert done.id not in [one.id for one in all_rows(engine)]
    assert len(all_rows(engine)) == 2
