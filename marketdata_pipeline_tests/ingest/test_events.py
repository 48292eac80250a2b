"""Transactions in, and what is tracked, held and queued by them; on both databases."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, insert, select, update

from marketdata_pipeline.database.engine import reading, writing
from marketdata_pipeline.database.happening import backfill_queue, transactions
from marketdata_pipeline.database.metadata import home, instruments, tracked_instruments
from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.backfill import Backfill
from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import DEFAULT_TIMEFRAMES, Timeframe
from marketdata_pipeline.domain.transaction import Side, Transaction
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.events import Events, Processed
from marketdata_pipeline.ingest.track import Keeping
from marketdata_pipeline.store import backfills, holdings, identity
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.holdings import Holding
from marketdata_pipeline.store.tracking import Standing, Tracked, Tracking, put_standings, standings
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.store.writes import bars_at, write_of

AAPL, AZN, EURUSD = (Instrument.parse(one) for one in ("AAPL", "AZN.L", "EURUSD=X"))
BUY, SELL, IN, OUT = Side
DAY = timedelta(days=1)


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def told(
    named: str, side: Side, quantity: float, at: str, instrument: str = "AAPL", **more: object
) -> Transaction:
    known = {"portfolio": "main", **more}
    return Transaction(named, instrument=instrument, side=side, quantity=quantity,
                       executed_at=day(at), **known)  # type: ignore[arg-type]  # fmt: skip


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def events(engine: Engine, clock: FrozenClock) -> Events:
    return Events(engine, clock, Keeping())


def standing(engine: Engine, instrument: Instrument = AAPL) -> Standing:
    found = Tracking(engine, FrozenClock()).standing(instrument)
    assert found is not None
    return found


def queue(engine: Engine) -> list[Backfill]:
    with reading(engine) as connection:
        rows = connection.execute(select(backfill_queue).order_by(backfill_queue.c.id)).all()
    return [backfills.backfill_of(row) for row in rows]


def held(engine: Engine) -> list[Holding]:
    with reading(engine) as connection:
        return holdings.all_of(connection)


def rejected(engine: Engine) -> dict[str, str | None]:
    wanted = select(transactions.c.external_id, transactions.c.rejected)
    with reading(engine) as connection:
        return {row.external_id: row.rejected for row in connection.execute(wanted)}


def release(engine: Engine, ago: timedelta) -> None:
    """Have all that was released have been so long ago."""
    row = tracked_instruments
    at = row.c.released_at - ago // timedelta(microseconds=1)
    with writing(engine) as connection:
        connection.execute(update(row).values(released_at=at))


def do(events: Events, *wanted: Transaction) -> Processed:
    events.record(wanted)
    return events.process()


def test_a_purchase_is_tracked_from_a_year_before_and_queued_whole(
    events: Events, engine: Engine
) -> None:
    done = do(events, told("1", BUY, 10, "2021-03-01"))
    (row,) = queue(engine)
    assert done == Processed(seen=1, tracked=(AAPL,), queued=(row.id,))
    assert (row.instrument, row.timeframes, row.start, row.end, row.priority) == (
        AAPL, DEFAULT_TIMEFRAMES, None, None, Priority.URGENT,
    )  # fmt: skip
    found = standing(engine)
    assert (found.since, found.timeframes) == (day("2020-03-01"), DEFAULT_TIMEFRAMES)
    assert (found.holders, found.by_hand, found.released_at, found.untracked_at) == (
        1, False, None, None,
    )  # fmt: skip
    assert held(engine) == [Holding("main", AAPL, 10, day("2021-03-01"))]


def test_the_settings_say_how_much_and_which(engine: Engine, clock: FrozenClock) -> None:
    events = Events(engine, clock, Keeping((Timeframe.D1,), months_before_purchase=3))
    do(events, told("1", BUY, 10, "2024-01-31T15:30"))
    assert standing(engine).since == day("2023-10-31")
    assert [row.timeframes for row in queue(engine)] == [(Timeframe.D1,)]


def test_the_same_id_twice_is_one_in_its_portfolio(events: Events, engine: Engine) -> None:
    one = told("1", BUY, 10, "2021-03-01")
    assert events.record([one, one]) == 1
    assert events.record([one, replace(one, quantity=99)]) == 0
    assert events.record([replace(one, portfolio="other")]) == 1
    events.process()
    assert [one.quantity for one in held(engine)] == [10, 10]
    assert standing(engine).holders == 2


def test_a_thousand_three_times_are_tracked_once(events: Events, engine: Engine) -> None:
    many = [
        told(
            f"{at}", BUY if at % 3 else SELL, 1 + at % 7, f"2021-{1 + at % 12:02}-05", f"X{at % 90}"
        )
        for at in range(1000)
    ]
    seen = []
    for _ in range(3):
        events.record(many)
        while (done := events.process(400)).seen:
            seen.append(done.seen)
    assert seen == [400, 400, 200]
    assert len(queue(engine)) == 90
    assert len({row.instrument for row in queue(engine)}) == 90
    before = standing(engine, Instrument.parse("X1")), held(engine)
    with writing(engine) as connection:
        connection.execute(update(transactions).values(processed_at=None))
    while events.process(1000).seen:
        pass
    assert (standing(engine, Instrument.parse("X1")), held(engine)) == before
    assert len(queue(engine)) == 90


def test_an_earlier_purchase_reaches_back_and_fetches_only_that(
    events: Events, engine: Engine
) -> None:
    do(events, told("1", BUY, 10, "2021-03-01"))
    fetched(engine)
    do(events, told("2", BUY, 1, "2019-05-05"))
    assert standing(engine).since == day("2018-05-05")
    _, row = queue(engine)
    assert (row.start, row.end) == (day("2018-05-05"), day("2020-03-01"))


def fetched(engine: Engine) -> None:
    """All that is queued has been done."""
    row = backfill_queue
    with writing(engine) as connection:
        done = update(row).values(status="completed", completed_at=row.c.created_at)
        connection.execute(done)


def test_an_earlier_purchase_while_the_whole_is_waiting_is_a_part_of_it(
    events: Events, engine: Engine
) -> None:
    do(events, told("1", BUY, 10, "2021-03-01"))
    do(events, told("2", BUY, 1, "2019-05-05"))
    assert [(row.start, row.end) for row in queue(engine)] == [(None, None)]


def test_a_later_purchase_counts_and_fetches_nothing(events: Events, engine: Engine) -> None:
    do(events, told("1", BUY, 10, "2021-03-01"))
    fetched(engine)
    done = do(events, told("2", BUY, 1, "2022-05-05", portfolio="other"))
    assert (done.tracked, done.queued, len(queue(engine))) == ((), (), 1)
    assert (standing(engine).holders, standing(engine).since) == (2, day("2020-03-01"))


def test_the_last_sale_releases_and_a_purchase_within_the_grace_takes_back(
    events: Events, engine: Engine
) -> None:
    do(events, told("1", BUY, 0.1, "2021-03-01"), told("2", BUY, 0.2, "2021-03-02"))
    do(events, told("3", SELL, 0.3, "2022-03-01"))
    found = standing(engine)
    assert (found.holders, held(engine)) == (0, [])
    assert found.released_at is not None
    assert found.untracked_at is None
    assert events.end_upkeep() == []
    do(events, told("4", BUY, 1, "2023-03-01"))
    assert (standing(engine).released_at, standing(engine).holders) == (None, 1)
    assert len(queue(engine)) == 1


def test_what_was_sold_before_anybody_looked_is_urgent_once_it_is_bought_again(
    events: Events, engine: Engine
) -> None:
    do(events, told("1", BUY, 1, "2021-03-01"), told("2", SELL, 1, "2021-04-01"))
    assert [row.priority for row in queue(engine)] == [Priority.HELD]
    done = do(events, told("3", BUY, 1, "2022-03-01"))
    (row,) = queue(engine)
    assert ((row.id,), row.priority, row.start) == (done.queued, Priority.URGENT, None)


def test_upkeep_ends_after_the_grace_and_a_purchase_begins_anew(
    events: Events, engine: Engine
) -> None:
    do(events, told("1", BUY, 1, "2021-03-01"), told("x", BUY, 1, "2021-03-01", "MSFT"))
    do(events, told("2", SELL, 1, "2022-03-01"))
    release(engine, 29 * DAY)
    assert events.end_upkeep() == []
    release(engine, DAY)
    assert events.end_upkeep() == [AAPL]
    assert events.end_upkeep() == []
    assert standing(engine).untracked_at is not None
    assert [str(one.instrument) for one in Tracking(engine, FrozenClock()).all()] == ["MSFT"]
    fetched(engine)
    done = do(events, told("3", BUY, 1, "2023-03-01"))
    assert done.tracked == (AAPL,)
    assert len(done.queued) == 1
    found = standing(engine)
    assert (found.untracked_at, found.released_at, found.holders) == (None, None, 1)


def test_with_the_upkeep_of_a_void_purchase_its_waiting_backfill_ends(
    events: Events, engine: Engine
) -> None:
    do(events, told("1", BUY, 1, "2021-03-01"), told("x", BUY, 1, "2021-03-01", "MSFT"))
    assert len(queue(engine)) == 2
    assert events.void("main", "1")
    do(events)
    assert len(queue(engine)) == 2, "it may be taken back"
    release(engine, 31 * DAY)
    assert events.end_upkeep() == [AAPL]
    assert [str(one.instrument) for one in queue(engine)] == ["MSFT"]


def test_what_is_tracked_by_hand_outlives_its_sale(events: Events, engine: Engine) -> None:
    tracking = Tracking(engine, FrozenClock())
    tracking.put(Tracked(AAPL, (Timeframe.D1,)))
    done = do(events, told("1", BUY, 1, "2021-03-01"))
    assert done.tracked == ()
    (row,) = queue(engine)
    assert (row.timeframes, row.start) == (DEFAULT_TIMEFRAMES, None)
    assert (standing(engine).since, standing(engine).by_hand) == (None, True)
    do(events, told("2", SELL, 1, "2022-03-01"))
    release(engine, 99 * DAY)
    assert events.end_upkeep() == []
    assert len(queue(engine)) == 1
    assert tracking.remove(AAPL)
    assert tracking.get(AAPL) is None
    assert queue(engine) == []


def test_tracking_by_hand_changes_nothing_of_who_holds_it(events: Events, engine: Engine) -> None:
    tracking = Tracking(engine, FrozenClock())
    do(events, told("1", BUY, 1, "2021-03-01"))
    before = standing(engine)
    tracking.put(Tracked(AAPL, (Timeframe.M5,), day("2019-01-01")))
    after = standing(engine)
    assert after == replace(
        before, by_hand=True, since=day("2019-01-01"), last_tracked_at=after.last_tracked_at,
        timeframes=(Timeframe.M5, *DEFAULT_TIMEFRAMES),
    )  # fmt: skip
    assert not tracking.remove(AAPL)
    assert tracking.get(AAPL) is not None
    assert standing(engine) == replace(after, by_hand=False)


def test_a_void_releases_and_the_range_it_reached_stays(events: Events, engine: Engine) -> None:
    do(events, told("1", BUY, 1, "2021-03-01"))
    assert events.void("main", "1")
    assert events.void("main", "1")
    assert not events.void("main", "2")
    assert not events.void("other", "1")
    events.process()
    found = standing(engine)
    assert (found.holders, found.since, held(engine)) == (0, day("2020-03-01"), [])
    assert found.released_at is not None


def test_a_void_may_come_before_anybody_looked_or_with_the_transaction(
    events: Events, engine: Engine
) -> None:
    one = told("1", BUY, 1, "2021-03-01")
    events.record([one])
    assert events.record([replace(one, voided_at=day("2024-01-01"))]) == 0
    two = told("2", BUY, 1, "2021-03-01", voided_at=day("2024-01-01"))
    assert events.record([two, replace(two, voided_at=None)]) == 1
    assert events.process() == Processed(seen=2)
    assert (held(engine), queue(engine)) == ([], [])
    assert events.record([two]) == 0
    assert events.process() == Processed()


def test_a_bad_row_is_rejected_once_with_its_reason(events: Events, engine: Engine) -> None:
    done = do(
        events,
        told("venue", BUY, 1, "2021-03-01", "AAPL.XX"),
        told("class", BUY, 1, "2021-03-01", "BRK.B"),
        told("future", BUY, 1, "2024-03-17"),
        told("currency", BUY, 1, "2021-03-01", currency="12$"),
        told("unknown", BUY, 1, "2021-03-01", "NOSUCHTHING"),
    )
    assert (done.seen, done.rejected, done.left) == (5, 4, 0)
    assert done.tracked == (Instrument.parse("NOSUCHTHING"),)
    reasons = rejected(engine)
    assert "'.XX' of 'AAPL.XX' is not known" in str(reasons["venue"])
    assert "BRK-B" in str(reasons["class"])
    assert "in the future: 2024-03-17" in str(reasons["future"])
    assert str(reasons["currency"]) == "'12$' is no currency; write three letters, e.g. EUR"
    assert reasons["unknown"] is None
    assert events.process() == Processed()


def test_a_rejected_row_counts_for_nothing_beside_good_ones(events: Events, engine: Engine) -> None:
    do(events, told("1", BUY, 5, "2024-03-18"), told("2", BUY, 3, "2021-03-01"))
    do(events, told("3", BUY, 1, "2021-03-01"))
    assert [one.quantity for one in held(engine)] == [4]
    assert events.void("main", "1")
    assert events.process().rejected == 1


def test_a_row_that_waits_for_its_turn_counts_already(events: Events, engine: Engine) -> None:
    events.record([told("1", BUY, 5, "2021-03-01"), told("2", SELL, 2, "2021-04-01")])
    assert events.process(1).left == 1
    assert [one.quantity for one in held(engine)] == [3]


def test_a_bad_row_that_waits_for_its_turn_counts_for_nothing(
    events: Events, engine: Engine
) -> None:
    events.record([told("1", BUY, 5, "2021-03-01"), told("2", BUY, 7, "2024-03-18")])
    assert events.process(1).left == 1
    assert [one.quantity for one in held(engine)] == [5]


def test_what_is_tracked_by_hand_meanwhile_is_not_lost(events: Events, engine: Engine) -> None:
    tracking = Tracking(engine, FrozenClock())
    tracking.put(Tracked(AAPL, (Timeframe.M5,)))
    tracking.remove(AAPL)
    events.record([told("1", BUY, 5, "2021-03-01")])
    other = threading.Thread(target=events.process)
    with writing(engine) as connection:
        identity.lock_instrument(connection, AAPL)
        before = standings(connection, [AAPL])[AAPL]
        other.start()
        other.join(0.3)
        put_standings(connection, [replace(before, by_hand=True, untracked_at=None)])
    other.join(10)
    found = standing(engine)
    assert (found.by_hand, found.holders) == (True, 1)
    assert found.timeframes == (Timeframe.M5, *DEFAULT_TIMEFRAMES)


def test_one_at_a_time_draws_conclusions(events: Events, engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(insert(home).values(id=1, mode="live", created_at=1))
    do(events, told("1", BUY, 5, "2021-03-01"))
    other = threading.Thread(target=events.recount, args=([AAPL],))
    with writing(engine) as connection:
        connection.execute(select(home).with_for_update())
        other.start()
        other.join(0.3)
        assert other.is_alive()
    other.join(10)
    assert not other.is_alive()


def test_one_spelling_is_as_good_as_another(events: Events, engine: Engine) -> None:
    do(events, told("1", BUY, 5, "2021-03-01", " aapl "), told("2", SELL, 2, "2022-01-01"))
    do(events, told("3", SELL, 3, "2022-01-01", "Aapl"))
    assert (held(engine), standing(engine).holders) == ([], 0)


def test_nothing_is_taken_in_where_one_cannot_be(events: Events, engine: Engine) -> None:
    with pytest.raises(BadInput, match="transaction 2: its quantity is 0"):
        events.record([told("1", BUY, 1, "2021-03-01"), told("2", BUY, 0, "2021-03-01")])
    assert rejected(engine) == {}


def with_split(store: BarStore, on: str) -> None:
    """A reply has told of a 4:1 split of AAPL."""
    series = Series(AAPL, Timeframe.D1)
    split = Action(date.fromisoformat(on), ActionKind.SPLIT, Fraction(4))
    write = write_of(bars_at([0]), series)
    within = TimeRange(day("1980-12-12"), day("2024-01-01"))
    store.commit(replace(write, actions=(split,), actions_within=within), expected_version=None)


@pytest.fixture
def store(engine: Engine, tmp_path: Path, clock: FrozenClock) -> BarStore:
    return BarStore(engine, tmp_path / "bars", clock)


def test_a_split_leaves_a_rest_of_what_was_sold(
    events: Events, engine: Engine, store: BarStore
) -> None:
    done = do(events, told("1", BUY, 10, "2020-01-02"), told("2", SELL, 10, "2021-01-04"))
    assert (held(engine), done.tracked, len(done.queued)) == ([], (AAPL,), 1)
    found = standing(engine)
    assert found.holders == 0
    assert found.released_at is not None
    assert [row.priority for row in queue(engine)] == [Priority.HELD]
    with_split(store, "2020-08-31")
    done = events.recount([AAPL])
    assert [(row.id, row.priority) for row in queue(engine)] == [(*done.queued, Priority.URGENT)]
    assert held(engine) == [Holding("main", AAPL, 30, day("2020-01-02"))]
    assert (standing(engine).holders, standing(engine).released_at) == (1, None)


def test_upkeep_does_not_end_where_a_refresh_told_of_a_split_that_left_a_rest(
    events: Events, engine: Engine, store: BarStore
) -> None:
    do(events, told("1", BUY, 10, "2020-01-02"), told("2", SELL, 10, "2021-01-04"))
    with_split(store, "2020-08-31")
    release(engine, 31 * DAY)
    assert events.end_upkeep() == []
    assert held(engine) == [Holding("main", AAPL, 30, day("2020-01-02"))]
    found = standing(engine)
    assert (found.holders, found.released_at, found.untracked_at) == (1, None, None)


def test_all_are_reckoned_anew_and_only_what_changed_is_written(
    events: Events, engine: Engine, store: BarStore
) -> None:
    many = [told(f"{at}", BUY, 1, "2020-01-02", f"W{at}") for at in range(1200)]
    events.record([told("a", BUY, 10, "2020-01-02", "aapl"), *many])
    while events.process().left:
        pass
    events.record([told("later", BUY, 1, "2020-01-02", "MSFT")])
    with writing(engine):  # a look disturbs nobody
        assert events.recount_all() == []
    with_split(store, "2020-08-31")
    assert events.miscounted() == [AAPL]
    assert events.recount_all() == [AAPL]
    assert events.miscounted() == []
    assert held(engine)[0] == Holding("main", AAPL, 40, day("2020-01-02"))
    assert len(held(engine)) == 1201


def test_what_was_oversold_only_for_want_of_a_split_is_released(
    events: Events, engine: Engine, store: BarStore
) -> None:
    do(events, told("1", BUY, 10, "2020-01-02"), told("2", SELL, 40, "2021-01-04"))
    assert [one.quantity for one in held(engine)] == [-30]
    with_split(store, "2020-08-31")
    events.recount([AAPL, AAPL])
    assert (held(engine), standing(engine).holders) == ([], 0)


def in_currencies(engine: Engine, clock: FrozenClock, **more: object) -> Events:
    return Events(engine, clock, Keeping(**more))  # type: ignore[arg-type]  # any field


def test_the_pair_of_currencies_is_tracked_for_those_that_need_it(
    engine: Engine, clock: FrozenClock
) -> None:
    events = in_currencies(engine, clock, base_currency="EUR", portfolio_currencies={"us": "USD"})
    done = do(
        events,
        told("1", BUY, 1, "2021-03-01"),
        told("2", BUY, 1, "2020-03-01", "MSFT"),
        told("3", BUY, 1, "2019-03-01", "SAP.DE"),
        told("4", BUY, 1, "2018-03-01", portfolio="us"),
        told("5", BUY, 1, "2022-03-01", portfolio="third"),
    )
    assert [str(one) for one in done.tracked] == ["AAPL", "MSFT", "SAP.DE", "EURUSD=X"]
    found = standing(engine, EURUSD)
    assert (found.holders, found.since) == (2, day("2019-03-01"))
    assert [row.priority for row in queue(engine)] == [Priority.URGENT] * 4
    do(events, told("6", SELL, 1, "2023-03-01"), told("7", SELL, 1, "2023-03-01", "MSFT"))
    assert standing(engine, EURUSD).holders == 1
    do(events, told("8", SELL, 1, "2023-03-01", portfolio="third"))
    found = standing(engine, EURUSD)
    assert found.holders == 0
    assert found.released_at is not None
    assert standing(engine).holders == 1


def test_a_pair_that_is_held_itself_counts_each_portfolio_once(
    engine: Engine, clock: FrozenClock
) -> None:
    events = in_currencies(engine, clock, base_currency="EUR")
    do(
        events,
        told("1", BUY, 1, "2021-03-01"),
        told("2", BUY, 1, "2020-03-01", "EURUSD=X"),
        told("3", BUY, 1, "2020-03-01", "EURUSD=X", portfolio="other"),
    )
    assert standing(engine, EURUSD).holders == 2
    do(events, told("4", SELL, 1, "2022-03-01", "EURUSD=X"))
    assert standing(engine, EURUSD).holders == 2


def test_without_a_setting_the_transactions_own_currency_counts(
    events: Events, engine: Engine
) -> None:
    do(
        events,
        told("1", BUY, 1, "2021-03-01", "AZN.L", currency="EUR"),
        told("2", BUY, 1, "2021-03-01", currency="usd"),
        told("3", BUY, 1, "2021-03-01", "MSFT"),
    )
    assert [str(one.pair) for one in held(engine)] == ["None", "EURGBP=X", "None"]


def test_the_currency_that_a_provider_told_counts_once_it_is_known(
    engine: Engine, clock: FrozenClock
) -> None:
    events = in_currencies(engine, clock, base_currency="EUR")
    do(events, told("1", BUY, 1, "2021-03-01", "AZN.L"))
    pair = Instrument.parse("EURGBP=X")
    assert standing(engine, pair).holders == 1
    with writing(engine) as connection:
        told_ = update(instruments).where(instruments.c.key == "AZN.L")
        connection.execute(told_.values(currency="USD"))
    done = events.recount([AZN])
    assert done.tracked == (EURUSD,)
    assert (standing(engine, EURUSD).holders, standing(engine, pair).holders) == (1, 0)


def test_holders_are_counted_anew_before_upkeep_ends(events: Events, engine: Engine) -> None:
    do(events, told("1", BUY, 1, "2021-03-01"), told("2", BUY, 1, "2021-03-01", "MSFT"))
    with writing(engine) as connection:
        wrong = update(tracked_instruments)
        connection.execute(wrong.values(holders=7, released_at=1))
    assert events.end_upkeep() == []
    found = standing(engine)
    assert (found.holders, found.released_at) == (1, None)


def test_an_idle_look_takes_no_lock(engine: Engine, events: Events) -> None:
    with writing(engine):
        assert events.process() == Processed()
        assert events.recount([]) == Processed()


def test_plain_rows_of_another_program_are_no_worse(events: Events, engine: Engine) -> None:
    rows = [
        _plain("1", "AAPL", to_micros(day("2021-03-01"))),
        _plain("2", "aapl", 10**15 * 1600),  # nanoseconds
        _plain("3", "AAPL", -(10**15) * 1600),
        _plain("4", "MSFT", to_micros(day("2021-03-01")), voided_at=10**15 * 1600),
    ]
    with writing(engine) as connection:
        connection.execute(insert(transactions), rows)
    done = events.process()
    assert (done.seen, done.rejected, done.tracked) == (4, 2, (AAPL,))
    assert "in the future: 9999-12-31" in str(rejected(engine)["2"])


def _plain(named: str, instrument: str, at: int, voided_at: int | None = None) -> dict[str, object]:
    return {
        "external_id": named, "portfolio": "main", "instrument": instrument, "side": "buy",
        "quantity": 1, "executed_at": at, "recorded_at": 1, "voided_at": voided_at,
    }  # fmt: skip


def test_two_that_process_at_once_do_each_row_once(engine: Engine, clock: FrozenClock) -> None:
    with writing(engine) as connection:
        connection.execute(insert(home).values(id=1, mode="live", created_at=1))
    many = [told(f"{at}", BUY, 1, "2021-03-01", f"Y{at}") for at in range(120)]
    Events(engine, clock, Keeping()).record(many)
    done: list[Processed] = []

    def work() -> None:
        mine = Events(engine, FrozenClock(), Keeping())
        while (one := mine.process(10)).seen:
            done.append(one)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sum(one.seen for one in done) == 120
    assert sum(len(one.tracked) for one in done) == 120
    assert len(queue(engine)) == 120


def statements(engine: Engine, work: Callable[[], object]) -> int:
    """How many it takes, but for the queue's, whose rows are inserted one by one on SQLite."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, text: str, *_rest: object) -> None:
        seen.append(text)

    event.listen(engine, "before_cursor_execute", note)
    work()
    event.remove(engine, "before_cursor_execute", note)
    return len([one for one in seen if "INSERT INTO backfill_queue" not in one])


def test_many_rows_take_as_many_statements_as_few(events: Events, engine: Engine) -> None:
    def numbered(first: int, count: int) -> Sequence[Transaction]:
        return [told(f"{at}", BUY, 1, "2021-03-01", f"Z{at}") for at in range(first, first + count)]

    events.record(numbered(0, 5))
    few = statements(engine, events.process)
    events.record(numbered(100, 200))
    assert statements(engine, events.process) <= few
    assert len(queue(engine)) == 205


@pytest.mark.proof  # it takes up to ten seconds on each database
def test_ten_thousand_rows_of_eight_thousand_instruments_take_little(
    events: Events, engine: Engine
) -> None:
    many = [
        told(f"{at}", BUY, 1, f"20{at % 20:02}-03-01", f"Q{at % 8000}.L", currency="EUR")
        for at in range(10_000)
    ]
    before, began = memory(anew=True), time.monotonic()
    assert events.record(many) == 10_000
    assert events.process(10_000).left == 0
    assert time.monotonic() - began < 60
    assert memory() - before < 150_000_000
    assert len(queue(engine)) == 8001
    assert standing(engine, Instrument.parse("EURGBP=X")).holders == 1
    assert len(Tracking(engine, FrozenClock()).all()) == 8001


def memory(*, anew: bool = False) -> int:
    """The most bytes that this process has had since it was last reckoned ``anew``; 0: unknown."""
    own = Path("/proc/self")
    if not (own / "clear_refs").exists():  # it is no Linux
        return 0
    if anew:
        (own / "clear_refs").write_text("5")
    (line,) = (one for one in (own / "status").read_text().splitlines() if "VmHWM" in one)
    return 1024 * int(line.split()[1])
