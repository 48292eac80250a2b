from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, select, update

from marketdata_pipeline.database.engine import reading, writing
from marketdata_pipeline.database.metadata import tracked_instruments
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.tracking import Standing, Tracked, Tracking, end, put_standings
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.store.writes import START, STOCK, bars_at, write_of

APPLE, COIN = Instrument.parse("AAPL"), Instrument.parse("BTC-USD")
D1, H1, W1 = Timeframe.D1, Timeframe.H1, Timeframe.W1


@pytest.fixture
def tracking(engine: Engine, clock: FrozenClock) -> Tracking:
    return Tracking(engine, clock)


def test_what_is_put_is_tracked_in_the_order_of_tracking(tracking: Tracking) -> None:
    coin = Tracked(COIN, (D1,), START, START)
    apple = Tracked(APPLE, (D1, W1), None, START + timedelta(seconds=1))
    assert tracking.put(apple) == apple
    assert tracking.put(coin) == coin
    assert tracking.all() == [coin, apple]
    assert tracking.get(COIN) == coin
    assert tracking.get(Instrument.parse("MSFT")) is None


def test_tracking_without_an_instant_starts_now(tracking: Tracking, engine: Engine) -> None:
    found = tracking.put(Tracked(COIN, (D1,)))
    assert found.first_tracked_at is not None
    if engine.dialect.name == "sqlite":
        assert found.first_tracked_at == FrozenClock().wall


def test_tracking_again_adds_timeframes_in_the_order_of_the_grid(tracking: Tracking) -> None:
    tracking.put(Tracked(APPLE, (W1,), START, START))
    found = tracking.put(Tracked(APPLE, (H1, D1), START, START + timedelta(days=1)))
    assert found == tracking.get(APPLE) == Tracked(APPLE, (H1, D1, W1), START, START)


@pytest.mark.parametrize(
    ("before", "asked", "after"), [(5, 3, 3), (3, 5, 3), (5, None, None), (None, 5, None)]
)
def test_since_moves_backwards_only(
    tracking: Tracking, before: int | None, asked: int | None, after: int | None
) -> None:
    def instant(days: int | None) -> datetime | None:
        return None if days is None else START + timedelta(days=days)

    tracking.put(Tracked(APPLE, (D1,), instant(before)))
    assert tracking.put(Tracked(APPLE, (D1,), instant(asked))).since == instant(after)


def test_tracking_by_hand_and_back_leaves_who_holds_it(tracking: Tracking, engine: Engine) -> None:
    tracking.put(Tracked(APPLE, (D1,), START, START))
    tracking.updated([APPLE, COIN])
    tracking.updated([])
    row = tracking.standing(APPLE)
    assert row is not None
    assert tracking.standing(COIN) is None
    held = replace(row, by_hand=False, holders=3, released_at=START)
    with writing(engine) as connection:
        put_standings(connection, [held])
    tracking.put(Tracked(APPLE, (W1,), START - timedelta(days=1)))
    found = tracking.standing(APPLE)
    assert found is not None
    assert found == replace(
        held, by_hand=True, timeframes=(D1, W1), since=START - timedelta(days=1),
        last_tracked_at=found.last_tracked_at,
    )  # fmt: skip
    assert not tracking.remove(APPLE)
    assert tracking.standing(APPLE) == replace(found, by_hand=False)
    with reading(engine) as connection:
        assert connection.execute(select(tracked_instruments.c.last_update)).scalar_one() > 0


def test_what_is_ended_is_no_more_tracked_and_begins_anew_by_hand(
    tracking: Tracking, engine: Engine
) -> None:
    tracking.put(Tracked(APPLE, (D1, W1), START, START))
    tracking.put(Tracked(COIN, (D1,), START, START))
    row = tracking.standing(APPLE)
    assert row is not None
    with writing(engine) as connection:
        put_standings(connection, [replace(row, released_at=START, by_hand=False)])
        end(connection, [APPLE], START + timedelta(days=30))
        end(connection, [], START)
    assert [one.instrument for one in tracking.all()] == [COIN]
    found = tracking.standing(APPLE)
    assert found is not None
    assert found.untracked_at == START + timedelta(days=30)
    tracking.put(Tracked(APPLE, (H1,), None, START + timedelta(days=40)))
    assert tracking.standing(APPLE) == Standing(
        APPLE, (H1,), None, START + timedelta(days=40), _last(tracking), None, by_hand=True
    )


def _last(tracking: Tracking) -> datetime:
    row = tracking.standing(APPLE)
    assert row is not None
    return row.last_tracked_at


def test_a_removed_instrument_keeps_its_bars_and_starts_anew(
    tracking: Tracking, store: BarStore
) -> None:
    store.commit(write_of(bars_at([0]), STOCK), expected_version=None)
    tracking.put(Tracked(APPLE, (D1, W1), START, START))
    tracking.remove(APPLE)
    tracking.remove(APPLE)
    tracking.remove(COIN)
    assert tracking.all() == []
    assert tracking.get(APPLE) is None
    assert len(store.read(STOCK)) == 1
    later = START + timedelta(days=9)
    anew = Tracked(APPLE, (H1,), later, later)
    assert tracking.put(anew) == tracking.get(APPLE) == anew


def test_what_is_held_and_tracked_is_known(tracking: Tracking, engine: Engine) -> None:
    for one in (APPLE, COIN):
        tracking.put(Tracked(one, (D1,)))
    assert tracking.held() == set()
    with writing(engine) as connection:
        connection.execute(update(tracked_instruments).values(holders=1))
    assert tracking.held() == {APPLE, COIN}
    with writing(engine) as connection:
        connection.execute(update(tracked_instruments).values(holders=0))
    assert tracking.held() == set()


def test_when_instruments_were_last_updated(tracking: Tracking, engine: Engine) -> None:
    for one in (APPLE, COIN):
        tracking.put(Tracked(one, (D1,)))
    tracking.updated([])
    assert tracking.last_updates() == {}
    tracking.updated([APPLE, APPLE, Instrument.parse("MSFT")])
    found = tracking.last_updates()
    assert list(found) == [APPLE]
    if engine.dialect.name == "sqlite":
        assert found[APPLE] == FrozenClock().wall
    tracking.remove(APPLE)
    assert tracking.last_updates() == {}
