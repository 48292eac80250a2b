"""Totals over all series, as the database adds them up."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, delete, event, insert, select, update

from marketdata_pipeline.database.dialect import wall_micros
from marketdata_pipeline.database.engine import reading, writing
from marketdata_pipeline.database.metadata import fetches, instruments, tracked_instruments
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.instrument import AssetClass, Instrument
from marketdata_pipeline.domain.ranges import from_micros, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.catalog import Catalog
from marketdata_pipeline.store.totals import (
    NewestGroup,
    StoredGroup,
    Totals,
    TrackedGroup,
    Written,
    read_totals,
)
from marketdata_pipeline.store.tracking import Tracked, Tracking
from marketdata_pipeline.store.verdicts import Verdicts
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.store.writes import COIN, START, bars_at, minutes, write_of

D1, H1, M1 = Timeframe.D1, Timeframe.H1, Timeframe.M1
EQUITY, CRYPTO = AssetClass.EQUITY, AssetClass.CRYPTO
AAPL, IBM, AZN = (Instrument(key) for key in ("AAPL", "IBM", "AZN.L"))
DAY = to_micros(START)
LATE = Verdict(passed=False, score=0.5, detail="half of it")
FULL = Verdict(passed=True, score=1.0, detail="all of it")


@pytest.fixture
def tracking(engine: Engine, clock: FrozenClock) -> Tracking:
    return Tracking(engine, clock)


def track(tracking: Tracking, *instruments: Instrument, timeframes: Sequence[Timeframe]) -> None:
    for one in instruments:
        tracking.put(Tracked(one, tuple(timeframes)))


def stored(store: BarStore, *series: Series) -> None:
    for one in series:
        store.commit(write_of(bars_at([DAY]), one), expected_version=None)


def commit_at(engine: Engine, ages: Sequence[timedelta], clock: FrozenClock) -> None:
    """A fetch of one request and ten bars for each age, in the order given."""
    with writing(engine) as connection:
        now = wall_micros(connection, clock)
        row = dict.fromkeys(("window_start", "market_at", "fetched_at"), 0)
        texts = {"kind": "reply", "provider": "yahoo", "origin": "yahoo", "basis": "raw"}
        known = connection.execute(
            insert(series_table)
            .values(key="BTC-USD|1d", instrument_id=1, timeframe="1d")
            .returning(series_table.c.id)
        ).scalar_one()
        rest = {"series_id": known, "window_end": 1, "rows": 10, "requests": 1, "dropped": "[]"}
        rows = [
            {**row, **texts, **rest, "committed_at": now - age // timedelta(microseconds=1)}
            for age in ages
        ]
        connection.execute(insert(fetches), rows)


def test_an_empty_catalog_has_none(engine: Engine, clock: FrozenClock) -> None:
    found = read_totals(engine, clock)
    assert found == Totals(found.at)


def test_instruments_that_are_alike_come_as_one_group(
    engine: Engine, clock: FrozenClock, tracking: Tracking
) -> None:
    track(tracking, IBM, AAPL, AZN, timeframes=[H1, D1])
    track(tracking, COIN.instrument, timeframes=[D1])
    track(tracking, Instrument("MSFT"), timeframes=[D1])
    tracking.remove(Instrument("MSFT"))
    assert read_totals(engine, clock).tracked == (
        TrackedGroup(CRYPTO, COIN.instrument, (D1,), 1),
        TrackedGroup(EQUITY, AZN, (H1, D1), 1),
        TrackedGroup(EQUITY, AAPL, (H1, D1), 2),
    )


def test_a_stored_series_is_tracked_or_not_by_its_own_timeframe(
    engine: Engine, clock: FrozenClock, tracking: Tracking, store: BarStore
) -> None:
    track(tracking, AAPL, timeframes=[D1, H1])
    stored(store, Series(AAPL, D1), Series(AAPL, M1), Series(IBM, D1))
    Catalog(engine, clock).record_error(Series(IBM, H1), "unavailable", "nothing, and not tracked")
    assert [
        (one.timeframe, one.tracked, one.series) for one in read_totals(engine, clock).stored
    ] == [(D1, False, 1), (D1, True, 1), (M1, False, 1)]


def test_verdicts_and_errors_are_added_up(
    engine: Engine, clock: FrozenClock, tracking: Tracking, store: BarStore
) -> None:
    track(tracking, AAPL, IBM, AZN, timeframes=[D1])
    stored(store, *(Series(one, D1) for one in (AAPL, IBM, AZN)))
    verdicts = Verdicts(engine, clock)
    verdicts.put(Series(AAPL, D1), {"completeness": FULL, "freshness": LATE})
    verdicts.put(Series(IBM, D1), {"completeness": LATE})
    Catalog(engine, clock).record_error(Series(AZN, D1), "unavailable", "down")
    assert read_totals(engine, clock).stored == (
        StoredGroup(EQUITY, D1, tracked=True, series=3, complete=1, completeness=1.5, failing=1),
    )


def test_an_etf_is_counted_as_one_once_the_provider_has_said_so(
    engine: Engine, clock: FrozenClock, tracking: Tracking, store: BarStore
) -> None:
    track(tracking, Instrument("SPY"), timeframes=[D1])
    write = write_of(bars_at([DAY]), Series(Instrument("SPY"), D1))
    store.commit(replace(write, asset_class=AssetClass.ETF), expected_version=None)
    found = read_totals(engine, clock)
    assert [one.asset_class for one in found.tracked] == [AssetClass.ETF]
    assert [one.asset_class for one in found.stored] == [AssetClass.ETF]


def test_tracked_series_are_grouped_by_their_newest_bar_and_the_minute_of_their_update(
    engine: Engine, clock: FrozenClock, tracking: Tracking, store: BarStore
) -> None:
    track(tracking, AAPL, IBM, timeframes=[D1])
    track(tracking, COIN.instrument, timeframes=[M1, D1])
    stored(store, Series(IBM, D1), Series(AAPL, D1), Series(AZN, D1))
    store.commit(write_of(bars_at(minutes(0, 5))), expected_version=None)
    Catalog(engine, clock).record_error(Series(COIN.instrument, D1), "unavailable", "down")
    found = read_totals(engine, clock)
    assert set(found.newest) == {
        NewestGroup(AAPL, D1, START, 2),
        NewestGroup(COIN.instrument, M1, START + timedelta(minutes=4), 1),
        NewestGroup(COIN.instrument, D1, None, 1),
    }
    counts = {(one.timeframe, one.at): one.series for one in found.updated}
    assert counts.pop((D1, None)) == 1
    assert sum(counts.values()) == 3
    for _, at in counts:
        assert isinstance(at, datetime)
        assert (at.second, at.microsecond) == (0, 0)
        assert timedelta(0) <= found.at - at < timedelta(minutes=2)


def test_what_came_in_the_last_minute_and_hour_is_counted_by_its_commit(
    engine: Engine, clock: FrozenClock, tracking: Tracking
) -> None:
    track(tracking, COIN.instrument, timeframes=[D1])
    seconds = [9000, 3700, 3500, 100, 50, 40, 0]
    commit_at(engine, [timedelta(seconds=one) for one in seconds], clock)
    found = read_totals(engine, clock)
    assert (found.minute, found.hour) == (Written(3, 30), Written(5, 50))


@pytest.mark.parametrize("gone", [0, 256])
@pytest.mark.parametrize("pace", [0.5, 2.0, 30.0, 3000.0])
def test_many_older_fetches_change_no_count(
    engine: Engine, clock: FrozenClock, tracking: Tracking, pace: float, gone: int
) -> None:
    track(tracking, COIN.instrument, timeframes=[D1])
    ages = [timedelta(seconds=1 + pace * number) for number in range(3000)][::-1]
    commit_at(engine, ages, clock)
    with writing(engine) as connection:  # an id that a failed transaction took is never seen
        connection.execute(delete(fetches).where(fetches.c.id == len(ages) - gone))
    left = ages[: len(ages) - gone - 1] + ages[len(ages) - gone :]
    within = [one for one in left if one <= timedelta(hours=1)]
    found = read_totals(engine, clock)
    assert 0 <= len(within) - found.hour.requests <= 5, "the database's own clock has gone on"


@pytest.mark.parametrize("count", [1, 40])
def test_however_many_series_there_are_the_queries_are_as_many(
    engine: Engine, clock: FrozenClock, tracking: Tracking, store: BarStore, count: int
) -> None:
    instruments = [Instrument(f"A{number}") for number in range(count)]
    track(tracking, *instruments, timeframes=[D1, H1])
    stored(store, *(Series(one, D1) for one in instruments))
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    found = read_totals(engine, clock)
    asked = [one for one in asked if one.startswith("SELECT")]
    clock_reads = sum("clock_timestamp" in one for one in asked)
    assert len(asked) - clock_reads == 8
    assert len(found.tracked) == len(found.stored) == len(found.newest) == 1


def test_the_instant_is_the_databases(engine: Engine, clock: FrozenClock) -> None:
    found = read_totals(engine, clock)
    with reading(engine) as connection:
        now = from_micros(wall_micros(connection, clock))
    assert timedelta(0) <= now - found.at < timedelta(seconds=30)


def test_held_and_named_instruments_are_counted_as_such_that_come_first(
    tracking: Tracking, engine: Engine, clock: FrozenClock
) -> None:
    track(tracking, AAPL, IBM, AZN, timeframes=[D1])
    with writing(engine) as connection:
        known = select(instruments.c.id).where(instruments.c.key == "IBM")
        ours = tracked_instruments.c.instrument_id == known.scalar_subquery()
        connection.execute(update(tracked_instruments).where(ours).values(holders=2))
    found = {one.example.venue.calendar: one for one in read_totals(engine, clock).tracked}
    assert {name: (one.instruments, one.first) for name, one in found.items()} == {
        "XNYS": (2, 1), "XLON": (1, 0),
    }  # fmt: skip
    named = [AAPL, IBM, Instrument("MSFT")]
    assert sorted(one.first for one in read_totals(engine, clock, named).tracked) == [0, 2]
