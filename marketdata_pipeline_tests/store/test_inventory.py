from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.ranges import from_micros
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.chunks import MOST_INLINE
from marketdata_pipeline.store.compact import Compactor
from marketdata_pipeline.store.inventory import PLAIN_BYTES, Info, Inventory, Statistics
from marketdata_pipeline.store.write import State
from marketdata_pipeline_tests.store.writes import COIN, STOCK, bars_at, minutes, settle, write_of

LARGE = MOST_INLINE + 1


@pytest.fixture
def inventory(engine: Engine, folder: Path, store: BarStore) -> Inventory:
    return Inventory(engine, folder, store)


def test_of_a_series_it_tells_bars_bytes_years_and_providers(
    store: BarStore, inventory: Inventory, engine: Engine, folder: Path
) -> None:
    settle(store, write_of(bars_at(minutes(-2, 5))))
    other = write_of(bars_at(minutes(0, 5), 2))
    settle(store, replace(other, fetch=replace(other.fetch, provider="tiingo")))
    final = replace(write_of(bars_at(minutes(4, 1), 3)), state=State.FINAL)
    for write in (final, replace(final, bars=bars_at(minutes(4, 1), 4), reason="corrected")):
        store.commit(write, expected_version=store.versions([COIN])[COIN])
    Compactor(engine, folder, SystemClock()).compact(COIN)
    found = inventory.info(COIN)
    first, last = (from_micros(int(minutes(at, 1)[0])) for at in (-2, 4))
    assert replace(found, size=0) == Info(
        COIN, 7, first, last, {2023: 2, 2024: 5}, {"tiingo": 4, "yahoo": 3}, 2, 0, 5, 1
    )
    assert 0 < found.size < 10_000


def test_of_an_unknown_series_it_tells_nothing(inventory: Inventory) -> None:
    assert inventory.info(STOCK) == Info(STOCK, 0, None, None, {}, {}, 0, 0, 0, 0)


def test_the_statistics_add_up_what_lies_in_the_catalog_and_in_files(
    store: BarStore, inventory: Inventory, engine: Engine, folder: Path
) -> None:
    for mark in (1, 2):
        settle(store, write_of(bars_at(minutes(0, LARGE), mark)))
    settle(store, write_of(bars_at(minutes(0, 3)), STOCK))
    Compactor(engine, folder, SystemClock()).compact(COIN)
    found = inventory.statistics()
    files = sorted(path.stat().st_size for path in folder.rglob("*.parquet"))
    inline = inventory.info(STOCK).size
    assert replace(found, size=0, superseded_size=0) == Statistics(
        series=2, rows=LARGE + 3, chunks=2, files=1, size=0, superseded_size=0, fetches=3
    )
    assert found.size - inline in files
    assert found.superseded_size in files
    assert found.bytes_a_bar == found.size / (LARGE + 3)
    assert found.compression == PLAIN_BYTES / found.bytes_a_bar


def test_an_empty_store_has_no_bytes_a_bar(inventory: Inventory) -> None:
    found = inventory.statistics()
    assert found == Statistics(0, 0, 0, 0, 0, 0, 0)
    assert (found.bytes_a_bar, found.compression) == (0, 0)
