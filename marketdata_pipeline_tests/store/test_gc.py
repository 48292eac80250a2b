import os
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import chunks, retired_files
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.errors import StoreError
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.chunks import MOST_INLINE
from marketdata_pipeline.store.compact import Compactor
from marketdata_pipeline.store.gc import Collected, Collector
from marketdata_pipeline_tests.store.writes import COIN, bars_at, minutes, settle, write_of

NONE = timedelta(0)
WEEK = timedelta(days=7)
HOUR = timedelta(hours=1)
LARGE = MOST_INLINE + 1


@pytest.fixture
def merged(engine: Engine, folder: Path) -> BarStore:
    """A store whose series is one file; two were merged, of one of which nothing counts."""
    store = BarStore(engine, folder, SystemClock())
    for mark in (1, 2):
        settle(store, write_of(bars_at(minutes(0, LARGE), mark)))
    Compactor(engine, folder, SystemClock()).compact(COIN)
    return store


def collector(engine: Engine, folder: Path, kept: timedelta, grace: timedelta) -> Collector:
    return Collector(engine, folder, SystemClock(), kept=kept, grace=grace)


def names_in(engine: Engine) -> tuple[set[str], set[str]]:
    """The files that chunks name, and those that are retired."""
    with reading(engine) as connection:
        named = connection.execute(select(chunks.c.path).where(chunks.c.path.is_not(None)))
        retired = connection.execute(select(retired_files.c.path))
        return set(named.scalars()), set(retired.scalars())


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_within_their_time_everything_stays(merged: BarStore, engine: Engine, folder: Path) -> None:
    before = files_in(folder)
    assert len(before) == 4, "two that were merged, what counts, what does not count any more"
    assert collector(engine, folder, WEEK, HOUR).collect() == Collected()
    assert files_in(folder) == before
    assert len(merged.read(COIN)) == LARGE


def test_retired_files_go_after_the_grace(merged: BarStore, engine: Engine, folder: Path) -> None:
    _, retired = names_in(engine)
    size = sum((folder / path).stat().st_size for path in retired)
    done = collector(engine, folder, WEEK, NONE).collect()
    assert done == Collected(retired=2, size=size)
    named, left = names_in(engine)
    assert (files_in(folder), left) == (named, set())
    assert merged.read(COIN)["volume"].tolist() == [2] * LARGE


def test_superseded_bars_go_after_their_time_and_their_file_a_grace_later(
    merged: BarStore, engine: Engine, folder: Path
) -> None:
    assert collector(engine, folder, NONE, HOUR).collect() == Collected(superseded=1)
    named, retired = names_in(engine)
    assert (len(named), len(retired), len(files_in(folder))) == (1, 3, 4)
    assert collector(engine, folder, NONE, NONE).collect().retired == 3
    assert files_in(folder) == named
    assert len(merged.read(COIN)) == LARGE


def test_files_that_nothing_ever_named_go_after_the_grace(
    merged: BarStore, engine: Engine, folder: Path
) -> None:
    old, young = folder / COIN.slug / "left.parquet", folder / COIN.slug / ".young.parquet.tmp"
    for path in (old, young):
        path.write_bytes(b"123")
    past = old.stat().st_mtime - HOUR.total_seconds() - 1
    os.utime(old, (past, past))
    assert collector(engine, folder, WEEK, HOUR).collect() == Collected(orphans=1, size=3)
    assert (old.exists(), young.exists()) == (False, True)
    os.utime(young, (past, past))
    assert collector(engine, folder, WEEK, HOUR).collect() == Collected(orphans=1, size=3)
    assert len(merged.read(COIN)) == LARGE


def test_a_strangers_file_stays(merged: BarStore, engine: Engine, folder: Path) -> None:
    for name in ("notes.txt", f"{COIN.slug}/notes.txt"):
        (folder / name).write_text("mine")
        os.utime(folder / name, (0, 0))
    collector(engine, folder, NONE, NONE).collect()
    assert {"notes.txt", f"{COIN.slug}/notes.txt"} <= files_in(folder)
    assert len(merged.read(COIN)) == LARGE


def test_killed_after_removing_files_the_next_call_does_the_rest(
    merged: BarStore, engine: Engine, folder: Path
) -> None:
    _, retired = names_in(engine)
    (folder / min(retired)).unlink()
    collector(engine, folder, WEEK, NONE).collect()
    assert names_in(engine)[1] == set()
    assert len(merged.read(COIN)) == LARGE


def test_a_file_that_cannot_be_removed_is_a_store_error(
    merged: BarStore, engine: Engine, folder: Path
) -> None:
    _, retired = names_in(engine)
    stuck = folder / min(retired)
    stuck.unlink()
    stuck.mkdir()
    with pytest.raises(StoreError, match=f"{stuck.name} cannot be removed"):
        collector(engine, folder, WEEK, NONE).collect()
    assert len(merged.read(COIN)) == LARGE


def test_before_any_bars_there_is_nothing_to_collect(engine: Engine, folder: Path) -> None:
    assert collector(engine, folder, NONE, NONE).collect() == Collected()
