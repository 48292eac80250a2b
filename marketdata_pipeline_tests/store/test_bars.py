import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine, select, text, update

from marketdata_pipeline.database.engine import reading, writing
from marketdata_pipeline.database.metadata import chunks, fetches
from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.bars import COLUMNS, INDEX_DTYPE, BadRow, empty, labels_of
from marketdata_pipeline.domain.contract import schema_of
from marketdata_pipeline.domain.coverage import Coverage, Span, SpanKind
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import ContractViolation, StoreError, WriteConflict
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.chunks import MOST_INLINE
from marketdata_pipeline.store.codec import SCHEMA
from marketdata_pipeline.store.write import FetchKind, Stale, State
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.store.writes import (
    COIN,
    MINUTE,
    START,
    STOCK,
    bars_at,
    minutes,
    range_of,
    settle,
    write_of,
)

LARGEST_WHOLE = MOST_INLINE + MOST_INLINE // 8
"""Rows above which a write is two chunks."""


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def chunk_rows(engine: Engine) -> list[Any]:
    with reading(engine) as connection:
        return list(connection.execute(select(chunks).order_by(chunks.c.id)))


def span_of(first: int, count: int) -> TimeRange:
    return range_of(bars_at(minutes(first, count)))


@pytest.mark.parametrize("count", [1, MOST_INLINE, MOST_INLINE + 1, LARGEST_WHOLE])
def test_what_is_committed_is_read(store: BarStore, engine: Engine, count: int) -> None:
    bars = bars_at(minutes(0, count))
    done = store.commit(write_of(bars), expected_version=None)
    assert (done.version, done.rows_new) == (1, count)
    found = store.read(COIN)
    pd.testing.assert_frame_equal(found, bars, check_freq=False)
    schema_of(COLUMNS, INDEX_DTYPE).validate(found)
    (chunk,) = chunk_rows(engine)
    assert (chunk.path is None) is (count <= MOST_INLINE)


def test_the_last_bars_of_a_large_write_are_read_without_its_file(
    store: BarStore, engine: Engine, folder: Path
) -> None:
    count = LARGEST_WHOLE + 1
    bars = bars_at(minutes(0, count))
    assert store.commit(write_of(bars), expected_version=None).rows_new == count
    assert [row.rows for row in chunk_rows(engine)] == [MOST_INLINE + 1, MOST_INLINE // 8]
    pd.testing.assert_frame_equal(store.read(COIN), bars, check_freq=False)
    (path,) = files_in(folder)
    path.unlink()
    newest = bars.iloc[-MOST_INLINE // 8 :]
    pd.testing.assert_frame_equal(store.tail(COIN, MOST_INLINE // 8), newest, check_freq=False)
    with pytest.raises(StoreError, match="cannot be read"):
        store.tail(COIN, MOST_INLINE // 8 + 1)


def test_an_unknown_series_is_empty(store: BarStore) -> None:
    schema_of(COLUMNS, INDEX_DTYPE).validate(store.read(COIN))
    assert len(store.read(COIN)) == len(store.tail(COIN, 5)) == 0
    assert store.snapshot(COIN).version == 0
    assert store.coverage([COIN]) == {COIN: Coverage()}
    assert store.versions([COIN, STOCK]) == {COIN: 0, STOCK: 0}
    assert store.changed_since(COIN, 0) is None


def test_a_range_is_half_open_over_chunks(store: BarStore) -> None:
    for first in (0, 10, 20):
        store.commit(write_of(bars_at(minutes(first, 10))), expected_version=None)
    found = store.read(COIN, span_of(5, 20))
    assert labels_of(found).tolist() == minutes(5, 20).tolist()


def test_of_one_label_the_last_committed_bar_wins(store: BarStore) -> None:
    store.commit(write_of(bars_at(minutes(0, 10), 1)), expected_version=None)
    store.commit(write_of(bars_at(minutes(5, 10), 2)), expected_version=1)
    done = store.commit(write_of(bars_at(minutes(3, 4), 3)), expected_version=2)
    assert store.read(COIN)["volume"].tolist() == [1] * 3 + [3] * 4 + [2] * 8
    assert done.rows_new == 0


def test_new_rows_are_counted_once(store: BarStore, engine: Engine) -> None:
    store.commit(write_of(bars_at(minutes(0, 10))), expected_version=None)
    done = store.commit(write_of(bars_at(minutes(5, 10))), expected_version=1)
    assert done.rows_new == 5
    with reading(engine) as connection:
        row = connection.execute(text("SELECT rows, first_ts, last_ts FROM series")).one()
    assert tuple(row) == (15, minutes(0, 1)[0], minutes(14, 1)[0])


def test_a_blind_write_over_stored_bars_is_stale_and_changes_nothing(
    store: BarStore, engine: Engine, folder: Path
) -> None:
    store.commit(write_of(bars_at(minutes(0, 10), 1)), expected_version=None)
    for bars in (bars_at(minutes(9, 3), 2), bars_at(minutes(0, MOST_INLINE + 1), 2)):
        with pytest.raises(Stale, match=r"BTC-USD\|1m was changed by another writer"):
            store.commit(write_of(bars), expected_version=None)
    assert store.read(COIN)["volume"].tolist() == [1] * 10
    assert store.versions([COIN]) == {COIN: 1}
    assert store.coverage([COIN])[COIN].spans[0].within == span_of(0, 10)
    assert files_in(folder) == []
    with reading(engine) as connection:
        assert len(connection.execute(select(fetches)).all()) == 1


def test_a_blind_write_into_a_hole_between_stored_bars_is_none(store: BarStore) -> None:
    around = [*minutes(0, 5), *minutes(10, 5)]
    store.commit(write_of(bars_at(around, 1)), expected_version=None)
    store.commit(write_of(bars_at(minutes(5, 5), 2)), expected_version=None)
    assert store.read(COIN)["volume"].tolist() == [1] * 5 + [2] * 5 + [1] * 5


@pytest.mark.parametrize("size", [4, MOST_INLINE + 1])
def test_a_write_judged_against_an_older_version_is_stale(
    store: BarStore, folder: Path, size: int
) -> None:
    store.commit(write_of(bars_at(minutes(0, 10))), expected_version=None)
    store.commit(write_of(bars_at(minutes(0, 10))), expected_version=1)
    with pytest.raises(Stale):
        store.commit(write_of(bars_at(minutes(0, size))), expected_version=1)
    assert store.versions([COIN]) == {COIN: 2}
    assert files_in(folder) == []


def test_a_version_raised_between_reading_and_writing_is_stale(
    store: BarStore, engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from marketdata_pipeline.store import chunks as module

    store.commit(write_of(bars_at(minutes(0, 10))), expected_version=None)
    other = BarStore(engine, folder, FrozenClock())
    encode = module.pieces_of

    def another_comes_first(*arguments: Any, fetched: bool) -> list[module.Piece]:
        monkeypatch.setattr(module, "pieces_of", encode)
        other.commit(write_of(bars_at(minutes(0, 10), 5)), expected_version=1)
        return encode(*arguments, fetched=fetched)

    monkeypatch.setattr(module, "pieces_of", another_comes_first)
    with pytest.raises(Stale):
        store.commit(write_of(bars_at(minutes(0, MOST_INLINE + 1))), expected_version=1)
    assert store.read(COIN)["volume"].tolist() == [5] * 10
    assert files_in(folder) == []


def test_two_writers_that_both_saw_an_empty_window_do_not_both_write(
    store: BarStore, engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from marketdata_pipeline.store import chunks as module

    other = BarStore(engine, folder, FrozenClock())
    encode = module.pieces_of

    def another_comes_first(*arguments: Any, fetched: bool) -> list[module.Piece]:
        monkeypatch.setattr(module, "pieces_of", encode)
        other.commit(write_of(bars_at(minutes(3, 1), 5)), expected_version=None)
        return encode(*arguments, fetched=fetched)

    monkeypatch.setattr(module, "pieces_of", another_comes_first)
    with pytest.raises(Stale):
        store.commit(write_of(bars_at(minutes(0, 10))), expected_version=None)
    assert store.read(COIN)["volume"].tolist() == [5]


def test_stale_is_a_conflict_for_whoever_does_not_judge_again() -> None:
    assert issubclass(Stale, WriteConflict)
    assert Stale.category == "conflict"


def test_an_answer_without_bars_covers_and_leaves_the_version(store: BarStore) -> None:
    store.commit(write_of(bars_at(minutes(0, 10))), expected_version=None)
    done = store.commit(write_of(empty(), window=span_of(10, 10)), expected_version=None)
    assert (done.version, done.rows_new) == (1, 0)
    assert done.coverage == store.coverage([COIN])[COIN]
    assert [one.within for one in done.coverage.spans] == [span_of(0, 20)]


def test_coverage_is_changed_from_what_is_stored_at_the_commit(store: BarStore) -> None:
    hole = Span(span_of(3, 2), SpanKind.HOLE, START + timedelta(hours=1), 2)
    deep = Span(span_of(20, 5), SpanKind.OUT_OF_DEPTH)
    seen: list[Coverage] = []

    def change(before: Coverage) -> Coverage:
        seen.append(before)
        return before.overlay([hole, deep])

    first = store.commit(write_of(bars_at(minutes(0, 10))), expected_version=None)
    write = replace(write_of(bars_at(minutes(30, 1))), coverage=change)
    second = store.commit(write, expected_version=None)
    assert seen == [first.coverage]
    assert store.coverage([COIN, STOCK]) == {COIN: second.coverage, STOCK: Coverage()}
    assert second.coverage.holes() == [hole]
    assert second.coverage.spans[-1] == deep


def test_a_change_of_coverage_that_raises_rolls_everything_back(
    store: BarStore, folder: Path
) -> None:
    def refuse(_before: Coverage) -> Coverage:
        raise ZeroDivisionError

    write = replace(write_of(bars_at(minutes(0, MOST_INLINE + 1))), coverage=refuse)
    with pytest.raises(ZeroDivisionError):
        store.commit(write, expected_version=None)
    assert store.versions([COIN]) == {COIN: 0}
    assert files_in(folder) == []


def test_spans_without_a_fetch_are_laid_over_the_coverage(store: BarStore) -> None:
    deep = Span(span_of(0, 5), SpanKind.OUT_OF_DEPTH)
    assert store.cover(COIN, [deep]) == Coverage((deep,))
    store.commit(write_of(bars_at(minutes(5, 5))), expected_version=None)
    assert [one.kind for one in store.coverage([COIN])[COIN].spans] == [
        SpanKind.OUT_OF_DEPTH,
        SpanKind.ANSWERED,
    ]


def test_many_spans_are_changed_by_their_difference_only(store: BarStore, engine: Engine) -> None:
    holes = [Span(span_of(2 * number, 1), SpanKind.HOLE, START, 0) for number in range(1200)]
    store.cover(COIN, holes)
    with writing(engine) as connection:
        connection.execute(
            text("UPDATE coverage SET tries = 9 WHERE start = (SELECT max(start) FROM coverage)")
        )
    after = store.cover(COIN, [Span(span_of(0, 2300), SpanKind.ANSWERED)])
    assert len(after.spans) == 1 + 50
    assert store.coverage([COIN])[COIN] == after
    assert after.spans[-1].tries == 9


def test_the_fetch_is_kept_with_all_that_it_was(
    store: BarStore, engine: Engine, clock: FrozenClock
) -> None:
    write = write_of(bars_at(minutes(0, 3)), fetched_at=START + timedelta(seconds=5))
    dropped = (BadRow(START + timedelta(minutes=3), "finite"),)
    fetch = replace(write.fetch, dropped=dropped, run_id="run", requests=4, window=span_of(0, 9))
    done = store.commit(replace(write, fetch=fetch), expected_version=None)
    with reading(engine) as connection:
        row = connection.execute(select(fetches)).one()
    assert (row.id, row.kind, row.provider, row.origin) == (
        done.fetch_id,
        "reply",
        "yahoo",
        "simulator:recorded",
    )
    assert TimeRange(from_micros(row.window_start), from_micros(row.window_end)) == span_of(0, 9)
    assert (row.basis, row.currency, row.rows, row.requests) == ("raw", "USD", 3, 4)
    assert from_micros(row.fetched_at) == START + timedelta(seconds=5)
    assert from_micros(row.market_at) == START + timedelta(days=90)
    assert json.loads(row.dropped) == [[int(minutes(3, 1)[0]), "finite"]]
    assert (row.base_version, row.run_id) == (None, "run")
    real = to_micros(datetime.now(UTC))
    expected = to_micros(clock.wall) if engine.dialect.name == "sqlite" else real
    assert abs(row.committed_at - expected) < 60_000_000


def test_each_bar_points_to_its_fetch_and_is_provisional(store: BarStore) -> None:
    first = store.commit(write_of(bars_at(minutes(0, 4))), expected_version=None)
    second = store.commit(write_of(bars_at(minutes(2, 4))), expected_version=1)
    found = store.read_with_fetches(COIN)
    assert found["fetch_id"].tolist() == [first.fetch_id] * 2 + [second.fetch_id] * 4
    assert set(found["state"]) == {State.PROVISIONAL}
    assert found.dtypes[["fetch_id", "state"]].astype(str).tolist() == ["int32", "int8"]


def test_a_snapshot_tells_when_each_bar_was_fetched(store: BarStore) -> None:
    early, late = START, START + timedelta(seconds=1)
    store.commit(write_of(bars_at(minutes(0, 4)), fetched_at=late), expected_version=None)
    store.commit(write_of(bars_at(minutes(4, 4)), fetched_at=early), expected_version=None)
    found = store.snapshot(COIN, span_of(3, 2))
    assert found.version == 2
    assert found.fetched_at.tolist() == [to_micros(late), to_micros(early)]
    assert labels_of(found.bars).tolist() == minutes(3, 2).tolist()


@pytest.mark.parametrize("rows", [0, 1, 4, 5, 9, 100])
def test_the_tail_counts_overlapping_rows_once(store: BarStore, rows: int) -> None:
    store.commit(write_of(bars_at(minutes(0, 5), 1)), expected_version=None)
    for version, mark in enumerate((2, 3, 4, 5, 6, 7), start=1):
        store.commit(write_of(bars_at(minutes(2, 8), mark)), expected_version=version)
    pd.testing.assert_frame_equal(
        store.tail(COIN, rows), store.read(COIN).iloc[max(0, 10 - rows) :]
    )


def test_chunks_of_earlier_versions_are_read_like_any_other(
    store: BarStore, engine: Engine, folder: Path
) -> None:
    """Their checksum is the SHA-256 of the whole: one in the catalog, one that is a file."""
    store.commit(write_of(bars_at(minutes(0, MOST_INLINE + 1))), expected_version=None)
    store.commit(write_of(bars_at(minutes(MOST_INLINE + 1, 3), 2)), expected_version=None)
    before = store.read(COIN)
    with writing(engine) as connection:
        for row in connection.execute(select(chunks)).all():
            data = row.data if row.path is None else (folder / row.path).read_bytes()
            earlier = update(chunks).where(chunks.c.id == row.id)
            connection.execute(earlier.values(checksum=sha256(data).hexdigest()))
    pd.testing.assert_frame_equal(store.read(COIN), before)
    pd.testing.assert_frame_equal(store.tail(COIN, 9), before.iloc[-9:])


def test_the_tail_sees_a_newer_value_in_a_chunk_that_ends_earlier(store: BarStore) -> None:
    store.commit(write_of(bars_at(minutes(0, 30), 1)), expected_version=None)
    store.commit(write_of(bars_at(minutes(20, 9), 2)), expected_version=1)
    assert store.tail(COIN, 3)["volume"].tolist() == [2, 2, 1]


def test_the_tail_sees_dense_bars_behind_sparse_chunks_that_end_later(store: BarStore) -> None:
    sparse = [[*minutes(number, 1), *minutes(100 + number, 1)] for number in range(4)]
    store.commit(write_of(bars_at(minutes(50, 11), 1)), expected_version=None)
    for version, labels in enumerate(sparse, start=1):
        store.commit(write_of(bars_at(labels, 2)), expected_version=version)
    expected = [*minutes(59, 2), *minutes(100, 4)]
    assert labels_of(store.tail(COIN, 6)).tolist() == expected


def test_the_tail_reads_no_chunk_that_cannot_matter(store: BarStore, engine: Engine) -> None:
    for first in range(0, 100, 10):
        store.commit(write_of(bars_at(minutes(first, 10))), expected_version=None)
    with writing(engine) as connection:
        connection.execute(update(chunks).where(chunks.c.id <= 6).values(data=b"unreadable"))
    assert labels_of(store.tail(COIN, 35)).tolist() == minutes(65, 35).tolist()


def test_the_tail_reads_no_more_of_a_file_than_its_end(store: BarStore, folder: Path) -> None:
    noise = np.random.default_rng(1).random(30_000)
    store.commit(write_of(bars_at(minutes(0, 30_000)).assign(open=noise)), expected_version=None)
    (path,) = files_in(folder)
    path.write_bytes(bytes(1000) + path.read_bytes()[1000:])
    assert labels_of(store.tail(COIN, 2_000)).tolist() == minutes(28_000, 2_000).tolist()
    with pytest.raises(StoreError, match="damaged"):
        store.read(COIN)


def test_what_changed_since_a_version_is_one_span(store: BarStore) -> None:
    store.commit(write_of(bars_at(minutes(0, 5))), expected_version=None)
    store.commit(write_of(bars_at(minutes(20, 5))), expected_version=None)
    store.commit(write_of(bars_at(minutes(10, 5))), expected_version=None)
    last = TimeRange(from_micros(int(minutes(10, 1)[0])), from_micros(int(minutes(24, 1)[0]) + 1))
    assert store.changed_since(COIN, 1) == last
    assert store.changed_since(COIN, 3) is None


def test_actions_and_facts_are_stored_with_the_bars(store: BarStore, engine: Engine) -> None:
    split = Action(date(2020, 8, 31), ActionKind.SPLIT, Fraction(4))
    write = replace(
        write_of(bars_at([0]), STOCK),
        actions=(split,),
        actions_within=span_of(0, 10),
        first_trade=date(1980, 12, 12),
    )
    store.commit(write, expected_version=None)
    with reading(engine) as connection:
        found = connection.execute(text("SELECT currency, first_trade FROM instruments")).one()
        assert tuple(found) == ("USD", "1980-12-12")
        kept = connection.execute(text("SELECT ex_date, numerator, fetch_id FROM actions")).one()
        assert tuple(kept) == ("2020-08-31", "4", 1)


def test_a_successful_write_clears_an_error(store: BarStore, engine: Engine) -> None:
    store.commit(write_of(bars_at(minutes(0, 5))), expected_version=None)
    with writing(engine) as connection:
        connection.execute(
            text("UPDATE series SET error_category = 'x', error_message = 'y', error_at = 1")
        )
    store.commit(write_of(empty(), window=span_of(5, 1)), expected_version=None)
    with reading(engine) as connection:
        found = text("SELECT error_category, error_message, error_at FROM series")
        assert tuple(connection.execute(found).one()) == (None, None, None)


@pytest.mark.parametrize(
    ("labels", "value", "said"),
    [
        ([2, 1], 1.0, "sorted and unique"),
        ([1, 1], 1.0, "sorted and unique"),
        ([1], float("nan"), "finite"),
        ([1], float("inf"), "finite"),
    ],
)
def test_bars_that_cannot_be_are_refused(
    store: BarStore, labels: list[int], value: float, said: str
) -> None:
    bars = bars_at(labels).assign(close=value)
    with pytest.raises(ContractViolation, match=said):
        store.commit(write_of(bars, window=span_of(0, 1)), expected_version=None)
    assert store.versions([COIN]) == {COIN: 0}


def test_a_derived_fetch_names_the_version_of_its_base(store: BarStore, engine: Engine) -> None:
    write = write_of(bars_at([0]), STOCK)
    fetch = replace(write.fetch, kind=FetchKind.DERIVED, base_version=3, currency=None)
    store.commit(replace(write, fetch=fetch), expected_version=None)
    with reading(engine) as connection:
        row = connection.execute(select(fetches)).one()
    assert (row.kind, row.base_version) == ("derived", 3)


def test_a_damaged_or_missing_file_names_series_and_file(store: BarStore, folder: Path) -> None:
    bars = bars_at(minutes(0, MOST_INLINE + 1))
    store.commit(write_of(bars), expected_version=None)
    (path,) = files_in(folder)
    whole = path.read_bytes()
    path.write_bytes(whole[:1000] + b"\0" + whole[1001:])
    with pytest.raises(StoreError, match=rf"BTC-USD\|1m: bar file .*{path.name} is damaged"):
        store.read(COIN)
    path.unlink()
    with pytest.raises(StoreError, match=rf"BTC-USD\|1m: bar file .*{path.name} cannot be"):
        store.read(COIN)
    path.write_bytes(whole)
    pd.testing.assert_frame_equal(store.read(COIN), bars, check_freq=False)


def test_a_damaged_inline_chunk_names_series_and_chunk(store: BarStore, engine: Engine) -> None:
    store.commit(write_of(bars_at(minutes(0, 3))), expected_version=None)
    with writing(engine) as connection:
        connection.execute(update(chunks).values(data=b"rubbish"))
    with pytest.raises(StoreError, match=r"BTC-USD\|1m: chunk 1 in the catalog is damaged"):
        store.read(COIN)


def test_bytes_with_a_right_checksum_that_are_no_parquet_are_a_store_error(
    store: BarStore, engine: Engine
) -> None:
    from marketdata_pipeline.store.checksums import checksum

    store.commit(write_of(bars_at(minutes(0, 3))), expected_version=None)
    with writing(engine) as connection:
        connection.execute(update(chunks).values(data=b"rubbish", checksum=checksum(b"rubbish")))
    with pytest.raises(StoreError, match="cannot be read"):
        store.read(COIN)


def test_a_chunk_of_a_newer_version_is_refused(store: BarStore, engine: Engine) -> None:
    store.commit(write_of(bars_at(minutes(0, 3))), expected_version=None)
    with writing(engine) as connection:
        connection.execute(update(chunks).values(schema=SCHEMA + 1))
    with pytest.raises(StoreError, match="newer version; update marketdata-pipeline"):
        store.read(COIN)


@pytest.mark.parametrize(
    ("series", "parts"),
    [("AAPL|1m", ["2023", "2024"]), ("BTC-USD|1m", ["2023Q4", "2024Q1"]), ("AAPL|15m", ["all"])],
)
def test_a_write_is_cut_into_the_parts_of_its_series(
    store: BarStore, engine: Engine, series: str, parts: list[str]
) -> None:
    bars = bars_at(minutes(-2, 5))
    done = store.commit(write_of(bars, Series.parse(series)), expected_version=None)
    found = chunk_rows(engine)
    assert [row.part for row in found] == parts
    assert {row.seq for row in found} == {done.version}
    pd.testing.assert_frame_equal(store.read(Series.parse(series)), bars, check_freq=False)


def test_a_disk_that_fills_up_between_two_parts_leaves_neither(
    store: BarStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs: list[int] = []

    def full(handle: int) -> None:
        syncs.append(handle)
        if len(syncs) > 3:  # a file, its folder and the one above: the first part is whole
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    both = bars_at(minutes(-MOST_INLINE - 1, 2 * MOST_INLINE + 2))
    with pytest.raises(StoreError, match="No space left on device"):
        store.commit(write_of(both, Series.parse("AAPL|1m")), expected_version=None)
    assert len(syncs) == 4
    assert files_in(folder) == []


def test_a_part_before_1970_is_named_by_its_year(store: BarStore, engine: Engine) -> None:
    store.commit(write_of(bars_at([-MINUTE, 0]), Series.parse("AAPL|5m")), expected_version=None)
    assert [row.part for row in chunk_rows(engine)] == ["1969", "1970"]


def test_series_do_not_see_each_other(store: BarStore) -> None:
    store.commit(write_of(bars_at(minutes(0, 3), 1)), expected_version=None)
    store.commit(write_of(bars_at(minutes(0, 3), 2), STOCK), expected_version=None)
    assert store.read(COIN)["volume"].tolist() == [1] * 3
    assert store.read(STOCK)["volume"].tolist() == [2] * 3
    assert store.versions([COIN, STOCK]) == {COIN: 1, STOCK: 1}


def test_a_catalog_that_stays_busy_is_a_conflict_and_leaves_no_file(
    folder: Path, clock: FrozenClock, tmp_path: Path
) -> None:
    from marketdata_pipeline.database.engine import open_engine
    from marketdata_pipeline.database.migrate import upgrade

    engine = open_engine(f"sqlite:///{tmp_path}/catalog.sqlite?timeout=0.01")
    upgrade(engine)
    store = BarStore(engine, folder, clock)
    with writing(engine), pytest.raises(WriteConflict, match="busy"):
        store.commit(write_of(bars_at(minutes(0, MOST_INLINE + 1))), expected_version=None)
    assert files_in(folder) == []
    engine.dispose()


def test_a_connection_lost_at_commit_leaves_the_file_that_may_count(
    store: BarStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from marketdata_pipeline.database import retry

    def lose(engine: Engine, _clock: FrozenClock, work: Any) -> None:
        with writing(engine) as connection:
            work(connection)
        raise StoreError("the server closed the connection unexpectedly")

    monkeypatch.setattr(retry, "write", lose)
    bars = bars_at(minutes(0, MOST_INLINE + 1))
    with pytest.raises(StoreError, match="closed the connection"):
        store.commit(write_of(bars), expected_version=None)
    pd.testing.assert_frame_equal(store.read(COIN), bars, check_freq=False)
    assert len(files_in(folder)) == 1


def test_an_earlier_fetch_that_commits_late_changes_nothing_that_a_later_one_holds(
    store: BarStore,
) -> None:
    late = write_of(bars_at(minutes(5, 10), 2), fetched_at=START + timedelta(seconds=2))
    early = write_of(bars_at(minutes(0, 10), 1), fetched_at=START + timedelta(seconds=1))
    settle(store, late)
    done = settle(store, early)
    assert store.read(COIN)["volume"].tolist() == [1] * 5 + [2] * 10
    assert done.rows_new == 5


def test_a_chunk_that_names_a_fetch_of_another_series_is_a_store_error(
    store: BarStore, engine: Engine
) -> None:
    ours = settle(store, write_of(bars_at(minutes(0, 5)))).fetch_id
    other = settle(store, write_of(bars_at(minutes(0, 5)), STOCK)).fetch_id
    with writing(engine) as connection:
        connection.execute(update(chunks).where(chunks.c.fetch_id == ours).values(fetch_id=other))
    said = rf"^BTC-USD\|1m: its bars name the fetch {other}, .*; run marketdata verify$"
    with pytest.raises(StoreError, match=said):
        store.snapshot(COIN)
    assert len(store.read(COIN)) == 5, "the bars themselves can be read"
