"""What a disk, a folder or a database does to a write: a clear error, nothing lost, and again."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import Engine, make_url, text, update

from marketdata_pipeline.database.engine import open_engine, writing
from marketdata_pipeline.database.metadata import chunks
from marketdata_pipeline.database.migrate import upgrade
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.coverage import Coverage
from marketdata_pipeline.errors import HomeError, StoreError, WriteConflict
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.chunks import MOST_INLINE
from marketdata_pipeline.store.compact import Compactor
from marketdata_pipeline.store.verify import Verifier
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.store.writes import COIN, bars_at, minutes, write_of

LARGE = MOST_INLINE + 1


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file of this process grows beyond ``room`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def later(mark: float = 2.0, count: int = 10) -> pd.DataFrame:
    return bars_at(minutes(LARGE, count), mark)


def assert_only_the_older(store: BarStore, engine: Engine, folder: Path) -> None:
    assert len(store.read(COIN)) == LARGE
    assert store.versions([COIN]) == {COIN: 1}
    assert Verifier(engine, folder, SystemClock()).faults(COIN) == []
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 1


def assert_the_next_attempt_succeeds(store: BarStore, engine: Engine, folder: Path) -> None:
    store.commit(write_of(later()), expected_version=None)
    assert len(store.read(COIN)) == LARGE + 10
    assert Verifier(engine, folder, SystemClock()).faults(COIN) == []


@pytest.fixture
def older(store: BarStore) -> BarStore:
    """A store with a file of bars in it."""
    store.commit(write_of(bars_at(minutes(0, LARGE))), expected_version=None)
    return store


def test_a_disk_without_room_for_a_file_of_bars(
    older: BarStore, engine: Engine, folder: Path
) -> None:
    with (
        full_disk(100),
        pytest.raises(StoreError, match=r"BTC-USD\|1m: bars cannot be written to .*: File too"),
    ):
        older.commit(write_of(later(count=LARGE)), expected_version=None)
    assert_only_the_older(older, engine, folder)
    assert_the_next_attempt_succeeds(older, engine, folder)


def fill(store: BarStore) -> None:
    for first in range(100):
        bars = bars_at(minutes(2 * LARGE + 1000 * first, 1000))
        store.commit(write_of(bars), expected_version=None)


def test_a_disk_without_room_for_the_catalog(tmp_path: Path, clock: FrozenClock) -> None:
    file, folder = tmp_path / "small.sqlite", tmp_path / "few"
    engine = open_engine(f"sqlite:///{file}")
    upgrade(engine)
    store = BarStore(engine, folder, clock)
    store.commit(write_of(bars_at(minutes(0, LARGE))), expected_version=None)
    room = file.with_name("small.sqlite-wal").stat().st_size + 4096
    with full_disk(room), pytest.raises(StoreError, match=r"the catalog .* cannot be used: .*disk"):
        fill(store)
    assert Verifier(engine, folder, SystemClock()).faults(COIN) == []
    assert len(store.read(COIN)) >= LARGE
    store.commit(write_of(later()), expected_version=None)
    assert Verifier(engine, folder, SystemClock()).faults(COIN) == []
    engine.dispose()


def test_a_disk_without_room_for_compaction(older: BarStore, engine: Engine, folder: Path) -> None:
    older.commit(write_of(later(count=LARGE)), expected_version=None)
    compactor = Compactor(engine, folder, SystemClock())
    before = older.read_with_fetches(COIN)
    with full_disk(100), pytest.raises(StoreError, match="bars cannot be written"):
        compactor.compact(COIN)
    pd.testing.assert_frame_equal(older.read_with_fetches(COIN), before)
    assert compactor.compact(COIN).merged == 2
    pd.testing.assert_frame_equal(older.read_with_fetches(COIN), before)


def test_a_write_that_takes_longer_than_half_the_grace_is_given_up(
    older: BarStore, engine: Engine, folder: Path, clock: FrozenClock
) -> None:
    """Its file may be gone by then: nothing names it yet."""
    write = write_of(later(count=LARGE))

    def slow(before: Coverage) -> Coverage:
        clock.advance(timedelta(minutes=31))
        return write.coverage(before)

    with pytest.raises(WriteConflict, match="the write took too long; run the same again"):
        older.commit(replace(write, coverage=slow), expected_version=None)
    assert_only_the_older(older, engine, folder)
    assert_the_next_attempt_succeeds(older, engine, folder)


def test_a_folder_that_became_a_file(older: BarStore, engine: Engine, folder: Path) -> None:
    moved = folder.rename(folder.with_name("moved"))
    folder.write_text("in the way")
    with pytest.raises(StoreError, match=r"BTC-USD\|1m: bars cannot be written to"):
        older.commit(write_of(later(count=LARGE)), expected_version=None)
    with pytest.raises(StoreError, match="cannot be read: Not a directory"):
        older.read(COIN)
    folder.unlink()
    moved.rename(folder)
    assert_only_the_older(older, engine, folder)
    assert_the_next_attempt_succeeds(older, engine, folder)


def test_a_catalog_that_may_only_be_read(tmp_path: Path, clock: FrozenClock) -> None:
    file, folder = tmp_path / "fixed.sqlite", tmp_path / "few"
    engine = open_engine(f"sqlite:///{file}")
    upgrade(engine)
    BarStore(engine, folder, clock).commit(write_of(later()), expected_version=None)
    fixed = open_engine(f"sqlite:///file:{file}?mode=ro&uri=true")
    store = BarStore(fixed, folder, clock)
    with pytest.raises(StoreError, match="cannot be used: attempt to write a readonly database"):
        store.commit(write_of(bars_at(minutes(0, LARGE))), expected_version=None)
    assert len(store.read(COIN)) == 10
    assert not [path for path in folder.rglob("*") if path.is_file()]
    BarStore(engine, folder, clock).commit(
        write_of(bars_at(minutes(0, LARGE))), expected_version=None
    )
    assert len(store.read(COIN)) == LARGE + 10
    fixed.dispose()
    engine.dispose()


def test_a_chunk_of_a_newer_version_beside_older_ones(
    older: BarStore, engine: Engine, folder: Path
) -> None:
    older.commit(write_of(later(count=2000)), expected_version=None)
    newer = update(chunks).where(chunks.c.path.is_(None))
    with writing(engine) as connection:
        connection.execute(newer.values(schema=9))
    with pytest.raises(StoreError, match="newer version; update marketdata-pipeline"):
        older.read(COIN)
    with pytest.raises(StoreError, match="newer version"):
        Compactor(engine, folder, SystemClock()).compact(COIN)
    with writing(engine) as connection:
        connection.execute(newer.values(schema=1))
    assert len(older.read(COIN)) == LARGE + 2000


def test_a_catalog_of_a_newer_version_is_not_touched(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(HomeError, match="newer version; update marketdata-pipeline"):
        upgrade(engine)


def test_a_catalog_that_another_program_keeps_locked(
    older: BarStore, engine: Engine, catalog_url: str, folder: Path, clock: FrozenClock
) -> None:
    sqlite = catalog_url.startswith("sqlite")
    bound = {"timeout": "0.05"} if sqlite else {"options": "-c lock_timeout=50ms"}
    hasty = open_engine(make_url(catalog_url).update_query_dict(bound))
    held = text("UPDATE series SET tail = tail")
    with engine.connect().execution_options(catalog_writes=True) as other, other.begin():
        other.execute(held)
        with pytest.raises(WriteConflict, match="is busy; try again"):
            BarStore(hasty, folder, clock).commit(write_of(later()), expected_version=None)
    assert clock.slept, "it was tried again, ever later"
    assert_only_the_older(older, engine, folder)
    assert_the_next_attempt_succeeds(BarStore(hasty, folder, clock), engine, folder)
    hasty.dispose()


def test_a_connection_that_is_lost_in_the_middle_of_a_write(
    postgres_url: str, tmp_path: Path, clock: FrozenClock
) -> None:
    engine, other = open_engine(postgres_url), open_engine(postgres_url)
    upgrade(engine)
    folder = tmp_path / "few"
    store = BarStore(engine, folder, clock)
    store.commit(write_of(bars_at(minutes(0, LARGE))), expected_version=None)

    def lost(before: Coverage) -> Coverage:
        """Called within the transaction."""
        with writing(other) as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        return write.coverage(before)

    write = write_of(later(count=LARGE))
    with pytest.raises(StoreError, match=r"the catalog .* cannot be used"):
        store.commit(replace(write, coverage=lost), expected_version=None)
    assert_only_the_older(store, engine, folder)
    assert_the_next_attempt_succeeds(store, engine, folder)
    engine.dispose()
    other.dispose()
