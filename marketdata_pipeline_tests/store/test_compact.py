import itertools
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, event, select, update

from marketdata_pipeline.database.engine import reading, writing
from marketdata_pipeline.database.metadata import chunks, retired_files
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import StoreError, WriteConflict
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.chunks import MOST_INLINE
from marketdata_pipeline.store.compact import Compacted, Compactor, worth_merging
from marketdata_pipeline.store.release import Releaser
from marketdata_pipeline.store.tracking import Tracked, Tracking
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.store.writes import COIN, bars_at, minutes, settle, write_of


@pytest.fixture
def compactor(engine: Engine, folder: Path, clock: FrozenClock) -> Compactor:
    return Compactor(engine, folder, clock)


def live(engine: Engine) -> list[Any]:
    with reading(engine) as connection:
        rows = select(chunks).where(chunks.c.superseded_at.is_(None)).order_by(chunks.c.id)
        return list(connection.execute(rows))


def tail_of(engine: Engine) -> int:
    with reading(engine) as connection:
        return int(connection.execute(select(series_table.c.tail)).scalar_one())


def write(store: BarStore, first: int, count: int, mark: float = 1.0) -> None:
    settle(store, write_of(bars_at(minutes(first, count), mark)))


def test_many_small_chunks_become_one_and_no_bar_changes(
    store: BarStore, compactor: Compactor, engine: Engine
) -> None:
    for first in range(0, 50, 5):
        write(store, first, 8, first)
    before = store.read_with_fetches(COIN)
    assert compactor.compact(COIN) == Compacted(merged=10, made=1, rows=53, superseded=27)
    pd.testing.assert_frame_equal(store.read_with_fetches(COIN), before)
    pd.testing.assert_frame_equal(store.tail(COIN, 20), store.read(COIN).iloc[-20:])
    (row,) = live(engine)
    assert (row.rows, row.seq, row.fetch_id, row.state) == (53, 10, None, None)
    assert store.versions([COIN]) == {COIN: 10}, "readers' caches stay good"
    assert compactor.compact(COIN) == Compacted(), "there is nothing left to do"


def test_bars_of_one_fetch_in_two_parts_stay_two_chunks(
    compactor: Compactor, engine: Engine, store: BarStore
) -> None:
    series = Series.parse("AAPL|1m")
    store.commit(write_of(bars_at(minutes(-2, 5)), series), expected_version=None)
    assert compactor.compact(series) == Compacted()
    assert [row.part for row in live(engine)] == ["2023", "2024"]


def test_writing_compacts_by_itself_once_the_tail_is_long(store: BarStore, engine: Engine) -> None:
    for first in range(40):
        write(store, first, 1)
    assert len(live(engine)) < 20
    assert tail_of(engine) < 8192
    assert len(store.read(COIN)) == 40


def test_large_chunks_wait_until_what_came_since_is_worth_writing_them_again() -> None:
    assert worth_merging([100_000, 30, 30, 30]) == 3
    assert worth_merging([100_000, *[390] * 64]) == 64
    assert worth_merging([100_000, *[390] * 65]) == 66
    assert worth_merging([100_000, 30]) == 0
    assert worth_merging([30, 100_000, 1]) == 3
    assert worth_merging([5]) == worth_merging([]) == 0


@given(st.lists(st.integers(1, 10_000), max_size=200))
def test_what_is_left_is_few_chunks_however_many_came(sizes: list[int]) -> None:
    kept: list[int] = []
    for size in sizes:
        kept.append(size)
        if count := worth_merging(kept):
            kept[-count:] = [sum(kept[-count:])]
    assert sum(kept) == sum(sizes)
    assert all(older > 4 * newer for older, newer in itertools.pairwise(kept))


def test_a_stale_compactor_changes_nothing_though_ids_could_be_given_again(
    store: BarStore, compactor: Compactor, engine: Engine, folder: Path, clock: FrozenClock
) -> None:
    """It read chunks that another one merged since: their ids must be nobody's now."""
    for first in range(0, 6, 2):
        write(store, first, 4, first)

    class Slow(Compactor):
        def _all_merged(self, series: Series, found: Any) -> Any:
            mergers = super()._all_merged(series, found)
            compactor.compact(series)
            for first in range(20, 26, 2):
                write(store, first, 4, 50 + first)
            return mergers

    assert Slow(engine, folder, clock).compact(COIN) == Compacted()
    assert len(store.read(COIN)) == 8 + 8
    assert store.read(COIN)["volume"].tolist()[-4:] == [74] * 4
    assert not list(folder.rglob("*.parquet"))


def test_a_series_that_is_removed_while_merging_is_no_fault(
    store: BarStore, engine: Engine, folder: Path, clock: FrozenClock
) -> None:
    for first in (0, MOST_INLINE):
        write(store, first, MOST_INLINE + 1)
    tracking = Tracking(engine, clock)
    tracking.put(Tracked(COIN.instrument, (COIN.timeframe,)))
    tracking.remove(COIN.instrument)
    kept = set(folder.rglob("*.parquet"))

    class Slow(Compactor):
        def _all_merged(self, series: Series, found: Any) -> Any:
            mergers = super()._all_merged(series, found)
            assert Releaser(engine, clock, kept=timedelta(0)).remove(COIN.instrument)
            return mergers

    assert Slow(engine, folder, clock).compact(COIN) == Compacted()
    assert set(folder.rglob("*.parquet")) == kept


def test_two_that_find_nothing_to_merge_at_once_leave_no_tail_below_zero(
    store: BarStore, compactor: Compactor, engine: Engine, folder: Path, clock: FrozenClock
) -> None:
    write(store, 0, 1)
    assert tail_of(engine) == 512

    class Slow(Compactor):
        def _all_merged(self, series: Series, found: Any) -> Any:
            assert compactor.compact(series) == Compacted()
            return super()._all_merged(series, found)

    assert Slow(engine, folder, clock).compact(COIN) == Compacted()
    assert tail_of(engine) == 0


def test_more_chunks_than_a_statement_takes_are_merged_in_one_go(
    store: BarStore, engine: Engine, folder: Path, clock: FrozenClock
) -> None:
    for first in range(5):
        write(store, first, 1, first)
    before = store.read_with_fetches(COIN)
    executed: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *told: executed.append(told[2]))
    done = Compactor(engine, folder, clock, ids_at_once=2).compact(COIN)
    assert done == Compacted(merged=5, made=1, rows=5)
    assert len([one for one in executed if one.startswith("DELETE FROM chunks")]) == 3
    pd.testing.assert_frame_equal(store.read_with_fetches(COIN), before)


def test_a_chunk_that_is_gone_from_any_batch_stops_the_merging(
    store: BarStore, engine: Engine, folder: Path, clock: FrozenClock
) -> None:
    for first in range(5):
        write(store, first, 1, first)

    class Slow(Compactor):
        def _all_merged(self, series: Series, found: Any) -> Any:
            mergers = super()._all_merged(series, found)
            with writing(engine) as connection:
                connection.execute(delete(chunks).where(chunks.c.id == 2))
            return mergers

    assert Slow(engine, folder, clock, ids_at_once=2).compact(COIN) == Compacted()
    assert [row.rows for row in live(engine)] == [1] * 4


def test_a_write_while_merging_wins_over_what_is_merged(
    store: BarStore, engine: Engine, folder: Path, clock: FrozenClock
) -> None:
    for first in range(0, 6, 2):
        write(store, first, 4, first)

    class Slow(Compactor):
        def _all_merged(self, series: Series, found: Any) -> Any:
            write(store, 0, 8, 9)
            return super()._all_merged(series, found)

    assert Slow(engine, folder, clock).compact(COIN).merged == 3
    assert store.read(COIN)["volume"].tolist() == [9] * 8
    assert tail_of(engine) == 512, "of the chunk that came since"


def test_files_that_were_merged_stay_for_those_who_read_them(
    store: BarStore, compactor: Compactor, engine: Engine, folder: Path
) -> None:
    for first in (0, MOST_INLINE):
        write(store, first, MOST_INLINE + 1)
    before = {str(path.relative_to(folder)) for path in folder.rglob("*.parquet")}
    assert len(before) == 2
    compactor.compact(COIN)
    filed, newest = live(engine)
    after = {str(path.relative_to(folder)) for path in folder.rglob("*.parquet")}
    assert after == before | {filed.path}
    assert newest.path is None
    assert compactor.compact(COIN) == Compacted(), "both are left alone"
    with reading(engine) as connection:
        assert set(connection.execute(select(retired_files.c.path)).scalars()) == before
    assert len(store.read(COIN)) == 2 * MOST_INLINE + 1


def test_a_damaged_chunk_is_not_merged_and_the_write_that_came_last_is_stored(
    store: BarStore, compactor: Compactor, engine: Engine
) -> None:
    for first in range(15):
        write(store, first, 1)
    with writing(engine) as connection:
        connection.execute(update(chunks).where(chunks.c.id == 3).values(data=b"rubbish"))
    with pytest.raises(StoreError, match="chunk 3 in the catalog is damaged"):
        compactor.compact(COIN)
    before = len(live(engine))
    store.commit(write_of(bars_at(minutes(100, 3))), expected_version=None)
    assert len(live(engine)) == before + 1
    assert len(store.tail(COIN, 3)) == 3


def test_merging_that_takes_longer_than_half_the_grace_is_given_up(
    store: BarStore, engine: Engine, folder: Path, clock: FrozenClock
) -> None:
    for first in (0, MOST_INLINE):
        write(store, first, MOST_INLINE + 1)
    kept = set(folder.rglob("*.parquet"))

    class Slow(Compactor):
        def _all_merged(self, series: Series, found: Any) -> Any:
            mergers = super()._all_merged(series, found)
            clock.advance(timedelta(minutes=31))
            return mergers

    with pytest.raises(WriteConflict, match="took too long"):
        Slow(engine, folder, clock).compact(COIN)
    assert len(live(engine)) == 2
    assert set(folder.rglob("*.parquet")) == kept


def test_the_series_written_since_are_the_ones_to_compact(
    store: BarStore, compactor: Compactor
) -> None:
    assert compactor.pending() == []
    write(store, 0, 1)
    assert compactor.pending() == [COIN]
    compactor.compact(COIN)
    assert compactor.pending() == []
    assert compactor.compact(Series.parse("MSFT|1d")) == Compacted()


def test_what_changed_since_a_version_is_the_same_after_merging(
    store: BarStore, compactor: Compactor
) -> None:
    for first in (0, 10, 20):
        write(store, first, 5)
    before = [store.changed_since(COIN, version) for version in range(4)]
    compactor.compact(COIN)
    assert [store.changed_since(COIN, version) for version in range(4)] == before
