"""Rows of the queue: what is put in, what becomes one row, what is read."""

from dataclasses import replace
from datetime import datetime, timedelta
from multiprocessing.synchronize import Barrier

import pytest
from sqlalchemy import Engine

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.engine import open_engine, reading, writing
from marketdata_pipeline.domain.backfill import Backfill, Claim, Status
from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.store import backfills, launches
from marketdata_pipeline.store.backfills import Wanted
from marketdata_pipeline.store.launches import After
from marketdata_pipeline.store.tracking import Tracked, Tracking
from marketdata_pipeline_tests.children import PROCESSES
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.store.queued import all_rows, day, many, now_of, pass_time

APPLE, COIN = Instrument.parse("AAPL"), Instrument.parse("BTC-USD")
D1, H1, W1 = Timeframe.D1, Timeframe.H1, Timeframe.W1
WISH = Wanted(APPLE, (D1,), day(10), day(20))
_Span = tuple[int | None, int | None]


def _wish(span: _Span, frames: tuple[Timeframe, ...] = (D1,)) -> Wanted:
    start, end = (None if one is None else day(one) for one in span)
    return Wanted(APPLE, frames, start, end)


def _add(engine: Engine, clock: FrozenClock, *wanted: Wanted) -> list[int]:
    return retry.write(engine, clock, lambda one: backfills.add_all(one, clock, wanted))


def _ask(engine: Engine, clock: FrozenClock, *ids: int) -> None:
    with writing(engine) as connection:
        launches.ask(connection, clock, dict.fromkeys(ids, "a batch"))


def _start(engine: Engine, clock: FrozenClock, claim: Claim) -> list[Backfill]:
    with writing(engine) as connection:
        return launches.start(connection, clock, [claim], "run", timedelta(seconds=60))


def test_a_row_says_what_is_wanted(engine: Engine, clock: FrozenClock) -> None:
    wish = Wanted(APPLE, (H1, D1), day(10), day(20), Priority.URGENT)
    (number,) = _add(engine, clock, wish)
    with reading(engine) as connection:
        found = backfills.get(connection, number)
        assert backfills.get(connection, number + 1) is None
    assert found is not None
    assert (found.instrument, found.timeframes) == (APPLE, (H1, D1))
    assert (found.start, found.end, found.priority) == (day(10), day(20), Priority.URGENT)
    assert (found.status, found.attempts, found.setbacks, found.launch) == (Status.PENDING, 0, 0, 0)
    assert found.retry_after == found.created_at == found.updated_at <= now_of(engine, clock)
    assert [str(one) for one in found.series] == ["AAPL|1h", "AAPL|1d"]
    assert str(found.claim) == f"{number}:0"


def test_ids_come_in_the_order_of_the_wishes(engine: Engine, clock: FrozenClock) -> None:
    wanted = many(300, WISH)
    ids = _add(engine, clock, *wanted)
    assert ids == sorted(set(ids))
    named = {one.id: one.instrument for one in all_rows(engine)}
    assert [named[one] for one in ids] == [one.instrument for one in wanted]


def test_the_same_wish_twice_is_one_row(engine: Engine, clock: FrozenClock) -> None:
    first = _add(engine, clock, WISH, WISH)
    assert _add(engine, clock, WISH) == [first[0]]
    assert first[0] == first[1]
    assert len(all_rows(engine)) == 1


def _put(url: str, ready: Barrier) -> None:
    engine, clock = open_engine(url), FrozenClock()
    ready.wait(60)
    for _ in range(5):
        _add(engine, clock, *many(20, WISH))
    engine.dispose()


@pytest.mark.proof
def test_the_same_wish_of_two_processes_at_once_is_one_row(
    catalog_url: str, engine: Engine
) -> None:
    ready = PROCESSES.Barrier(2)
    twins = [PROCESSES.Process(target=_put, args=(catalog_url, ready)) for _ in range(2)]
    for one in twins:
        one.start()
    for one in twins:
        one.join(60)
    assert [one.exitcode for one in twins] == [0, 0]
    assert sorted(str(one.instrument) for one in all_rows(engine)) == sorted(
        str(one.instrument) for one in many(20, WISH)
    )


@pytest.mark.parametrize(
    ("before", "asked", "after"),
    [
        ((10, 20), (12, 18), (10, 20)),
        ((10, 20), (15, 25), (10, 25)),
        ((10, 20), (5, 15), (5, 20)),
        ((10, 20), (20, 25), (10, 25)),
        ((10, 20), (5, 10), (5, 20)),
        ((10, 20), (5, 25), (5, 25)),
        ((10, None), (12, 18), (10, None)),
        ((10, 20), (15, None), (10, None)),
        ((10, 20), (5, None), (5, None)),
        ((None, None), (None, None), (None, None)),
        ((10, 20), (21, 25), None),
        ((10, 20), (5, 9), None),
        ((10, None), (5, 9), None),
        ((None, None), (10, 20), None),
        ((10, 20), (None, None), None),
    ],
)
def test_ranges_that_touch_are_joined(
    engine: Engine, clock: FrozenClock, before: _Span, asked: _Span, after: _Span | None
) -> None:
    ids = [*_add(engine, clock, _wish(before)), *_add(engine, clock, _wish(asked))]
    rows = all_rows(engine)
    if after is None:
        assert ids == [one.id for one in rows]
        assert [(one.start, one.end) for one in rows] == [
            (one.start, one.end) for one in (_wish(before), _wish(asked))
        ]
        return
    (row,) = rows
    assert ids == [row.id, row.id]
    assert (row.start, row.end) == (_wish(after).start, _wish(after).end)


@pytest.mark.parametrize("turned", [False, True])
def test_what_lies_after_the_start_of_tracking_is_part_of_all_of_it(
    engine: Engine, clock: FrozenClock, *, turned: bool
) -> None:
    Tracking(engine, clock).put(Tracked(APPLE, (D1,), day(10)))
    wanted = [Wanted(APPLE, (D1,)), _wish((10, 20))]
    ids = _add(engine, clock, *(reversed(wanted) if turned else wanted))
    later = _add(engine, clock, *(reversed(wanted) if turned else wanted))
    outside = _add(engine, clock, _wish((9, 20)))
    assert len(set(later)) == 1
    assert set(later) <= set(ids)
    assert outside != later[:1]
    assert all_rows(engine)[0].end is None or not turned


def test_where_tracking_began_says_nothing_once_it_is_over(
    engine: Engine, clock: FrozenClock
) -> None:
    tracking = Tracking(engine, clock)
    tracking.put(Tracked(APPLE, (D1,), day(10)))
    tracking.remove(APPLE)
    _add(engine, clock, Wanted(APPLE, (D1,)))
    _add(engine, clock, _wish((11, 20)))
    assert len(all_rows(engine)) == 2


def test_timeframes_are_joined_in_the_order_of_the_grid(engine: Engine, clock: FrozenClock) -> None:
    _add(engine, clock, Wanted(APPLE, (W1,)), Wanted(COIN, (D1,)), Wanted(APPLE, (H1, D1)))
    assert [one.timeframes for one in all_rows(engine)] == [(H1, D1, W1), (D1,)]


def test_the_more_urgent_of_two_wishes_counts(engine: Engine, clock: FrozenClock) -> None:
    for priority in (Priority.TRACKED, Priority.URGENT, Priority.CATALOG):
        _add(engine, clock, Wanted(APPLE, (D1,), priority=priority))
    assert [one.priority for one in all_rows(engine)] == [Priority.URGENT]


@pytest.mark.parametrize(
    ("wish", "joins"),
    [
        (WISH, True),
        (Wanted(APPLE, (D1,), day(12), day(18), Priority.CATALOG), True),
        (Wanted(APPLE, (D1,), day(10), day(21)), False),
        (Wanted(APPLE, (H1,), day(10), day(20)), False),
        (Wanted(APPLE, (D1,), day(10), day(20), Priority.URGENT), False),
    ],
)
def test_a_row_that_a_run_was_asked_for_stays_as_it_is(
    engine: Engine, clock: FrozenClock, wish: Wanted, *, joins: bool
) -> None:
    first = _add(engine, clock, WISH)
    _ask(engine, clock, *first)
    (before,) = all_rows(engine)
    assert (_add(engine, clock, wish) == first) is joins
    assert all_rows(engine)[0] == before


def test_what_a_run_is_at_takes_no_further_wish(engine: Engine, clock: FrozenClock) -> None:
    first = _add(engine, clock, WISH)
    _start(engine, clock, all_rows(engine)[0].claim)
    assert _add(engine, clock, WISH) != first


def test_a_row_does_not_grow_while_a_run_begins_it(engine: Engine, clock: FrozenClock) -> None:
    """On SQLite one of the two waits anyway."""
    _add(engine, clock, WISH)
    (row,) = all_rows(engine)
    if engine.dialect.name == "sqlite":
        pytest.skip("a writing transaction is alone")
    with writing(engine) as connection:
        assert backfills.add_all(connection, clock, [WISH]) == [row.id]
        with writing(engine) as other:
            assert launches.due(other, clock, at_most=9) == [], "it is locked once it was read"
        more = Wanted(APPLE, (D1,), day(20), day(30))
        assert backfills.add_all(connection, clock, [more]) == [row.id]
    assert _start(engine, clock, row.claim)[0].end == day(30)


@pytest.mark.parametrize(
    "then",
    [
        After(Status.RATE_LIMITED, category="rate_limited"),
        After(Status.PENDING, setback=True, category="unavailable"),
        After(Status.PENDING, own=True, category="malformed_reply"),
        After(Status.PENDING, category="unknown_symbol"),
    ],
    ids=["no turn", "setback", "own failure", "unresolved"],
)
def test_a_more_urgent_wish_waits_for_nothing_that_a_lesser_one_waited_for(
    engine: Engine, clock: FrozenClock, then: After
) -> None:
    _add(engine, clock, WISH)
    (row,) = all_rows(engine)
    later = now_of(engine, clock) + timedelta(hours=1)
    with writing(engine) as connection:
        launches.conclude(connection, clock, [(row, replace(then, retry_after=later))])
    _add(engine, clock, WISH)
    assert all_rows(engine)[0].retry_after == later
    _add(engine, clock, Wanted(APPLE, (D1,), priority=Priority.URGENT, start=day(10)))
    assert all_rows(engine)[0].retry_after <= now_of(engine, clock)


def test_rows_come_by_urgency_and_then_by_when_they_are_due(
    engine: Engine, clock: FrozenClock
) -> None:
    _add(engine, clock, Wanted(APPLE, (D1,)))
    pass_time(engine, clock, timedelta(seconds=5))
    _add(engine, clock, Wanted(COIN, (D1,)))
    _add(engine, clock, Wanted(Instrument("MSFT"), (D1,), priority=Priority.URGENT))
    with reading(engine) as connection:
        found = backfills.some(connection, at_most=9)
        assert [str(one.instrument) for one in found] == ["MSFT", "AAPL", "BTC-USD"]
        assert backfills.some(connection, at_most=1) == found[:1]
        assert backfills.some(connection, statuses=[Status.FAILED], at_most=9) == []


def test_instruments_that_something_is_to_be_done_for(engine: Engine, clock: FrozenClock) -> None:
    _add(engine, clock, Wanted(APPLE, (D1,)), Wanted(COIN, (D1,)), Wanted(Instrument("F"), (D1,)))
    first, second, _ = all_rows(engine)
    _start(engine, clock, first.claim)
    with writing(engine) as connection:
        launches.conclude(connection, clock, [(second, After(Status.COMPLETED))])
        found = backfills.open_instruments(connection, ["AAPL", "BTC-USD", "GOOG"])
    assert found == {"AAPL"}


def test_instants_are_aware_utc(engine: Engine, clock: FrozenClock) -> None:
    _add(engine, clock, WISH)
    (row,) = all_rows(engine)
    instants: list[datetime | None] = [row.start, row.end, row.created_at, row.retry_after]
    assert {one.utcoffset() for one in instants if one is not None} == {timedelta(0)}
