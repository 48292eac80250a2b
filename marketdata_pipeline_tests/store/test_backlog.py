"""The queue in numbers."""

from datetime import timedelta

from sqlalchemy import Engine, event

from marketdata_pipeline.database.engine import writing
from marketdata_pipeline.domain.backfill import Status
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.store import backfills, launches
from marketdata_pipeline.store.backfills import Wanted
from marketdata_pipeline.store.backlog import Backlog, read_backlog
from marketdata_pipeline.store.launches import After
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.store.queued import all_rows, many, now_of, pass_time

WISH = Wanted(Instrument("AAPL"), (Timeframe.D1,))
MINUTE = timedelta(minutes=1)
UNKNOWN = After(Status.PENDING, category="unknown_symbol", message="who")


def _put(engine: Engine, clock: FrozenClock, count: int) -> None:
    with writing(engine) as connection:
        backfills.add_all(connection, clock, many(count, WISH))


def _conclude(engine: Engine, clock: FrozenClock, number: int, after: After) -> None:
    row = all_rows(engine)[number]
    with writing(engine) as connection:
        assert launches.conclude(connection, clock, [(row, after)]) == 1


def test_an_empty_queue_has_no_standing(engine: Engine, clock: FrozenClock) -> None:
    found = read_backlog(engine, clock, named=9)
    assert found == Backlog(at=found.at)


def test_rows_are_counted_by_status_with_the_oldest_and_the_next(
    engine: Engine, clock: FrozenClock
) -> None:
    _put(engine, clock, 2)
    pass_time(engine, clock, MINUTE)
    _put(engine, clock, 6)
    later = now_of(engine, clock) + 9 * MINUTE
    _conclude(engine, clock, 2, After(Status.RATE_LIMITED, later + MINUTE))
    _conclude(engine, clock, 3, After(Status.RATE_LIMITED, later))
    with writing(engine) as connection:
        launches.start(connection, clock, [all_rows(engine)[4].claim], "run", MINUTE)
        launches.ask(connection, clock, {all_rows(engine)[0].id: "asked"})
    found = read_backlog(engine, clock, named=9)
    rows = all_rows(engine)
    assert [(one.status, one.rows, one.oldest, one.next_at) for one in found.standings] == [
        (Status.PENDING, 3, rows[0].created_at, rows[1].retry_after),
        (Status.IN_PROGRESS, 1, rows[4].created_at, None),
        (Status.RATE_LIMITED, 2, rows[2].created_at, later),
    ]


def test_the_pace_is_that_of_the_last_hour(engine: Engine, clock: FrozenClock) -> None:
    _put(engine, clock, 3)
    _conclude(engine, clock, 0, After(Status.COMPLETED))
    pass_time(engine, clock, 61 * MINUTE)
    _conclude(engine, clock, 1, After(Status.COMPLETED))
    pass_time(engine, clock, 10 * MINUTE)
    _conclude(engine, clock, 2, After(Status.COMPLETED))
    found = read_backlog(engine, clock, named=9)
    assert found.done == 2
    assert found.took is not None
    assert abs(found.took - 66 * MINUTE) < 0.2 * MINUTE


def test_failed_and_unresolved_rows_are_named_up_to_a_number(
    engine: Engine, clock: FrozenClock
) -> None:
    _put(engine, clock, 6)
    for number in (1, 4, 5):
        _conclude(engine, clock, number, UNKNOWN)
    for number in (0, 2):
        _conclude(engine, clock, number, After(Status.FAILED, own=True, message="cut off"))
    found = read_backlog(engine, clock, named=2)
    assert [one.id for one in found.failed] == [all_rows(engine)[one].id for one in (0, 2)]
    assert [str(one.instrument) for one in found.unresolved] == ["I1", "I4"]
    assert sum(one.unresolved for one in found.standings) == 3


def test_a_symbol_that_is_known_by_now_is_not_unresolved(
    engine: Engine, clock: FrozenClock
) -> None:
    _put(engine, clock, 1)
    _conclude(engine, clock, 0, UNKNOWN)
    _conclude(engine, clock, 0, After(Status.COMPLETED))
    assert read_backlog(engine, clock, named=2).unresolved == ()


def test_it_takes_as_many_queries_however_many_rows_there_are(
    engine: Engine, clock: FrozenClock
) -> None:
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *told: asked.append(told[2]))

    def queries() -> int:
        asked.clear()
        read_backlog(engine, clock, named=9)
        return len(asked)

    few = queries()
    _put(engine, clock, 50)
    _conclude(engine, clock, 0, UNKNOWN)
    assert queries() == few <= 6
