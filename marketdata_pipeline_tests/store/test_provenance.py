"""Bars with what they come from, as they are taken out of the store."""

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine, delete, select, update

from marketdata_pipeline.database.engine import writing
from marketdata_pipeline.database.metadata import chunks, fetches
from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.bars import empty
from marketdata_pipeline.domain.ranges import to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import StoreError
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.compact import Compactor
from marketdata_pipeline.store.provenance import ActionsMark, Provenance, Source
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.store.writes import (
    COIN,
    START,
    STOCK,
    bars_at,
    minutes,
    range_of,
    write_of,
)

SPLIT = Action(date(2024, 1, 3), ActionKind.SPLIT, Fraction(4))


@pytest.fixture
def provenance(engine: Engine, folder: Path) -> Provenance:
    return Provenance(engine, folder)


def _two_fetches(store: BarStore) -> None:
    """Ten bars of one provider, of which the last five come again from another one."""
    store.commit(write_of(bars_at(minutes(0, 10))), expected_version=None)
    later = write_of(bars_at(minutes(5, 5), mark=2), fetched_at=START + timedelta(hours=1))
    other = replace(later.fetch, provider="other", origin="simulator:recorded")
    store.commit(replace(later, fetch=other), expected_version=1)


def test_each_bar_knows_its_fetch_and_that_its_provider(
    store: BarStore, provenance: Provenance
) -> None:
    _two_fetches(store)
    found = provenance.read(COIN)
    assert found.version == 2
    pd.testing.assert_frame_equal(found.bars, store.read(COIN))
    first, second = sorted(found.sources)
    assert found.fetch_id.tolist() == [first] * 5 + [second] * 5
    assert found.sources[second] == Source(
        "other", "simulator:recorded", START + timedelta(hours=1)
    )
    assert found.sources[first].fetched_at == START
    assert found.state.tolist() == [0] * 10


def test_only_what_a_range_holds_is_read(store: BarStore, provenance: Provenance) -> None:
    _two_fetches(store)
    found = provenance.read(COIN, range_of(bars_at(minutes(2, 2))))
    assert len(found.bars) == len(found.fetch_id) == len(found.state) == 2
    assert [one.provider for one in found.sources.values()] == ["yahoo"]


def test_compaction_loses_no_provenance(
    store: BarStore, provenance: Provenance, engine: Engine, folder: Path, clock: FrozenClock
) -> None:
    _two_fetches(store)
    before, stored = provenance.read(COIN), provenance.stored()
    Compactor(engine, folder, clock).compact(COIN)
    after = provenance.read(COIN)
    np.testing.assert_array_equal(after.fetch_id, before.fetch_id)
    assert after.sources == before.sources
    assert provenance.stored() == stored, "and is no news"


@pytest.mark.usefixtures("store")
def test_an_unknown_series_has_no_bars(provenance: Provenance) -> None:
    found = provenance.read(COIN)
    assert (found.version, len(found.bars), found.sources) == (0, 0, {})
    assert provenance.stored() == []


def test_a_bar_whose_fetch_is_lost_is_an_error_that_names_it(
    store: BarStore, provenance: Provenance, engine: Engine, folder: Path, clock: FrozenClock
) -> None:
    _two_fetches(store)
    (lost, _) = sorted(provenance.read(COIN).sources)
    Compactor(engine, folder, clock).compact(COIN)
    with writing(engine) as connection:
        connection.execute(update(chunks).values(fetch_id=None))
        connection.execute(delete(fetches).where(fetches.c.id == lost))
    with pytest.raises(StoreError, match=rf"BTC-USD\|1m: its bars name fetch {lost}, which"):
        provenance.read(COIN)


def test_what_is_stored_is_listed_by_instrument_and_grid(
    store: BarStore, provenance: Provenance
) -> None:
    hours = Series.parse("AAPL|1h")
    for series in (COIN, STOCK, hours):
        store.commit(write_of(bars_at(minutes(0, 3)), series), expected_version=None)
    store.commit(write_of(bars_at(minutes(3, 1)), STOCK), expected_version=None)
    store.cover(Series.parse("IBM|1d"), [])
    found = provenance.stored()
    assert [str(one.series) for one in found] == ["AAPL|1h", "AAPL|1d", "BTC-USD|1m"]
    assert [(one.version, one.rows) for one in found] == [(1, 3), (2, 4), (1, 3)]
    assert found[1].first == START
    assert found[1].last == START + timedelta(minutes=3)


def test_a_version_that_comes_again_was_written_at_another_instant(
    store: BarStore, provenance: Provenance, engine: Engine, clock: FrozenClock
) -> None:
    store.commit(write_of(bars_at(minutes(0, 3))), expected_version=None)
    (before,) = provenance.stored()
    with writing(engine) as connection:
        restored = fetches.c.committed_at + 1
        connection.execute(update(fetches).values(committed_at=restored))
    (after,) = provenance.stored()
    assert (after.version, after.written) == (before.version, before.written + 1)
    if engine.dialect.name == "sqlite":
        assert before.written == to_micros(clock.wall_now())


def test_an_answer_without_bars_is_no_news(
    store: BarStore, provenance: Provenance, engine: Engine, clock: FrozenClock
) -> None:
    write = write_of(bars_at(minutes(0, 3)))
    store.commit(write, expected_version=None)
    before = provenance.stored()
    clock.advance(timedelta(hours=1))
    store.commit(replace(write, bars=empty()), expected_version=None)
    with writing(engine) as connection:
        rows = connection.execute(select(fetches.c.committed_at)).scalars().all()
    assert len(set(rows)) == 2
    assert provenance.stored() == before


def test_the_mark_of_actions_is_another_one_once_they_are_others(
    store: BarStore, provenance: Provenance, clock: FrozenClock
) -> None:
    coin, stock = COIN.instrument, STOCK.instrument
    assert provenance.marks_of_actions([stock]) == {stock: ActionsMark()}
    write = write_of(bars_at(minutes(0, 3)), STOCK)
    store.commit(replace(write, actions=(SPLIT,)), expected_version=None)
    first = provenance.marks_of_actions([stock, coin])
    assert first[coin] == ActionsMark()
    assert first[stock].count == 1
    clock.advance(timedelta(hours=1))
    changed = replace(SPLIT, value=Fraction(2))
    again = replace(write_of(bars_at(minutes(3, 1)), STOCK), actions=(changed,))
    store.commit(again, expected_version=None)
    second = provenance.marks_of_actions([stock])
    assert second[stock].count == 1
    assert second[stock].newest > first[stock].newest
