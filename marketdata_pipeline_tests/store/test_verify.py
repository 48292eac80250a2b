import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Connection, Engine, Update, delete, insert, select, text, update

from marketdata_pipeline.database.engine import writing
from marketdata_pipeline.database.metadata import (
    chunks,
    coverage,
    fetches,
    instruments,
    restatements,
    retired_files,
)
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.ranges import TimeRange, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import StoreError
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.checksums import checksum
from marketdata_pipeline.store.chunks import MOST_INLINE
from marketdata_pipeline.store.compact import Compactor
from marketdata_pipeline.store.gc import Collector
from marketdata_pipeline.store.packed import Packed, pack
from marketdata_pipeline.store.verify import Verifier
from marketdata_pipeline.store.write import State
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.store.writes import (
    COIN,
    START,
    bars_at,
    minutes,
    range_of,
    settle,
    write_of,
)

Hurt = Callable[[Connection], object]


@pytest.fixture
def verifier(engine: Engine, folder: Path, clock: FrozenClock) -> Verifier:
    return Verifier(engine, folder, clock)


@pytest.fixture
def filled(store: BarStore, engine: Engine, folder: Path, clock: FrozenClock) -> BarStore:
    """A series of a file, merged chunks, superseded bars, a restatement and a small tail."""
    for mark in (1, 2, 3):
        settle(store, write_of(bars_at(minutes(0, 5), mark)))
    for mark, reason in ((4, None), (5, "corrected")):
        write = replace(write_of(bars_at(minutes(1, 2), mark)), state=State.FINAL, reason=reason)
        store.commit(write, expected_version=store.versions([COIN])[COIN])
    Compactor(engine, folder, clock).compact(COIN)
    settle(store, write_of(bars_at(minutes(5, MOST_INLINE + 1))))
    settle(store, write_of(bars_at(minutes(MOST_INLINE + 6, 2))))
    return store


def told(verifier: Verifier) -> list[tuple[str, str]]:
    """The kind and the text of every fault."""
    found = [fault for series in verifier.series() for fault in verifier.faults(series)]
    return [(fault.kind, fault.text) for fault in [*found, *verifier.everywhere()]]


def test_a_store_that_was_only_written_to_has_no_fault(
    filled: BarStore, verifier: Verifier
) -> None:
    assert verifier.series() == [COIN]
    assert verifier.faults(COIN) == []
    assert verifier.everywhere() == []
    assert verifier.faults(Series.parse("MSFT|1d")) == []
    assert len(filled.read(COIN)) == MOST_INLINE + 8


HURTS: dict[str, tuple[Hurt, list[tuple[str, str]]]] = {
    "a changed byte": (
        lambda one: one.execute(
            update(chunks).where(chunks.c.data.is_not(None)).values(checksum="s8:00")
        ),
        [
            *(
                (
                    "unreadable",
                    (
                        f"{COIN}: chunk {one} in the catalog is damaged: its checksum differs from "
                        "the catalog's; docs/recover.md says what to do"
                    ),
                )
                for one in (6, 7, 9)
            )
        ],
    ),
    "a chunk that is gone": (
        lambda one: one.execute(delete(chunks).where(chunks.c.path.is_not(None))),
        [
            ("catalog", "the catalog counts 4104 bars, the chunks hold 7"),
            ("coverage", "4097 bars are covered but absent, first 2024-01-01T00:05:00+00:00"),
        ],
    ),
    "a count that is wrong": (
        lambda one: one.execute(update(series_table).values(rows=7)),
        [("catalog", "the catalog counts 7 bars, the chunks hold 4104")],
    ),
    "a first label that is wrong": (
        lambda one: one.execute(update(series_table).values(first_ts=0)),
        [("catalog", "the catalog's first or last label is not that of the chunks")],
    ),
    "a last label that is wrong": (
        lambda one: one.execute(update(series_table).values(last_ts=series_table.c.last_ts + 1)),
        [("catalog", "the catalog's first or last label is not that of the chunks")],
    ),
    "a write that is not there": (
        lambda one: one.execute(update(series_table).values(version=20)),
        [("fetch", "7 fetches brought bars, but the version is 20")],
    ),
    "bars that nobody answered": (
        lambda one: one.execute(delete(coverage)),
        [("coverage", "4104 bars were never answered, first 2024-01-01T00:00:00+00:00")],
    ),
    "a catalog that says less of a chunk than it holds": (
        lambda one: one.execute(_filed().values(rows=chunks.c.rows - 1)),
        [("chunk", "chunk 8 holds other bars than the catalog says")],
    ),
    "a chunk of another part": (
        lambda one: one.execute(_filed().values(part="2023Q4")),
        [("chunk", "chunk 8 of part 2023Q4 holds bars of 2024Q1")],
    ),
    "a chunk whose bars are not sorted": (
        lambda one: _rewrite_newest(one, [1, 0]),
        [
            ("chunk", "chunk 9 is not sorted, or holds a label twice"),
            ("catalog", "the catalog's first or last label is not that of the chunks"),
        ],
    ),
    "a chunk that holds a label twice": (
        lambda one: _rewrite_newest(one, [0, 0]),
        [
            ("chunk", "chunk 9 is not sorted, or holds a label twice"),
            ("catalog", "the catalog's first or last label is not that of the chunks"),
            ("coverage", "1 bars are covered but absent, first 2024-01-03T20:23:00+00:00"),
        ],
    ),
    "a chunk of a later version than the series": (
        lambda one: one.execute(_filed().values(seq=20)),
        [("chunk", "chunk 8 is of version 20, the series of 7")],
    ),
    "a state that there is none of": (
        lambda one: one.execute(_filed().values(state=7)),
        [("chunk", "chunk 8 holds a state that there is none of")],
    ),
    "a chunk of another series' fetch": (
        lambda one: one.execute(_filed().values(fetch_id=_stranger(one))),
        [("fetch", "chunk 8 names a fetch that is none of the series'")],
    ),
    "a restatement of another series' bar": (
        lambda one: one.execute(update(restatements).values(old_fetch_id=_stranger(one))),
        [
            *(
                ("journal", f"restatement {one} names a fetch that is none of the series'")
                for one in (1, 2)
            )
        ],
    ),
    "a restatement by another series' fetch": (
        lambda one: one.execute(update(restatements).values(new_fetch_id=_stranger(one))),
        [
            *(
                ("journal", f"restatement {one} names a fetch that is none of the series'")
                for one in (1, 2)
            )
        ],
    ),
    "a restatement of a bar that is not final": (
        lambda one: one.execute(
            update(restatements).where(restatements.c.id == 1).values(ts=to_micros(START))
        ),
        [("journal", "restatement 1 is of a bar that is not final")],
    ),
    "a file that two chunks name": (
        lambda one: one.execute(text("UPDATE chunks SET path = 'x/y.parquet', data = NULL")),
        [
            *4
            * [
                (
                    "unreadable",
                    (
                        f"{COIN}: bar file FOLDER/x/y.parquet cannot be read: "
                        "No such file or directory"
                    ),
                )
            ],
            *4 * [("file", "bar file x/y.parquet is missing")],
            ("file", "two chunks name the bar file x/y.parquet"),
        ],
    ),
    "a series under another name": (
        lambda one: one.execute(update(series_table).values(timeframe="5m")),
        [("catalog", f"series {COIN} is kept as another one")],
    ),
}


def _filed() -> Update:
    """An update of the one chunk that is a file: of the large write."""
    return update(chunks).where(chunks.c.path.is_not(None))


def _rewrite_newest(connection: Connection, order: list[int]) -> None:
    """Keep the bars of the newest chunk in another order."""
    newest = connection.execute(select(chunks).order_by(chunks.c.id.desc()).limit(1)).one()
    data = pack(
        Packed(newest.data, newest.fetch_id, newest.state).within(None).where(np.array(order))
    )
    labels = Packed(data, newest.fetch_id, newest.state).within(None).ts
    told = {"ts_min": int(labels.min()), "ts_max": int(labels.max())}
    changed = update(chunks).where(chunks.c.id == newest.id)
    connection.execute(changed.values(data=data, checksum=checksum(data), **told))


def _stranger(connection: Connection) -> int:
    """The id of a fetch of a series of its own."""
    ours = connection.execute(text("SELECT id FROM instruments")).scalar_one()
    other = {"key": "BTC-USD|1d", "instrument_id": ours, "timeframe": "1d"}
    made = insert(series_table).values(other).returning(series_table.c.id)
    first = connection.execute(text("SELECT * FROM fetches ORDER BY id LIMIT 1"))
    row = dict(first.mappings().one())
    row.pop("id")
    row |= {"series_id": connection.execute(made).scalar_one(), "version": None}
    return int(connection.execute(insert(fetches).values(row).returning(fetches.c.id)).scalar_one())


@pytest.mark.parametrize(("hurt", "expected"), HURTS.values(), ids=HURTS.keys())
def test_each_fault_is_found_and_nothing_else(
    filled: BarStore,
    verifier: Verifier,
    engine: Engine,
    folder: Path,
    hurt: Hurt,
    expected: list[tuple[str, str]],
) -> None:
    assert told(verifier) == []
    with writing(engine) as connection:
        hurt(connection)
    found = [(kind, said.replace(str(folder), "FOLDER")) for kind, said in told(verifier)]
    assert sorted(found) == sorted(expected)
    assert filled.versions([COIN])[COIN] > 0


def test_a_missing_and_a_damaged_file_are_found_with_their_names(
    filled: BarStore, verifier: Verifier, folder: Path
) -> None:
    (path,) = folder.rglob("*.parquet")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"?")
    assert [one.kind for one in verifier.faults(COIN)] == ["unreadable"]
    assert path.name in verifier.faults(COIN)[0].text
    path.unlink()
    assert [one.kind for one in verifier.faults(COIN)] == ["unreadable"]
    assert [one.text for one in verifier.everywhere()] == [
        f"bar file {COIN.slug}/{path.name} is missing"
    ]
    path.write_bytes(whole)
    assert verifier.faults(COIN) == []
    assert len(filled.read(COIN)) == MOST_INLINE + 8


def test_bars_that_break_the_contract_are_found(store: BarStore, verifier: Verifier) -> None:
    bars = bars_at(minutes(0, 3))
    settle(store, write_of(bars.assign(low=bars["high"] + 1)))
    assert {one.kind for one in verifier.faults(COIN)} == {"contract"}
    assert len(verifier.faults(COIN)) == 3


def test_an_answer_without_an_expected_bar_is_found(store: BarStore, verifier: Verifier) -> None:
    bars = bars_at(minutes(0, 10)).drop(bars_at(minutes(4, 2)).index)
    settle(store, write_of(bars))
    (fault,) = verifier.faults(COIN)
    assert (fault.kind, fault.series) == ("coverage", COIN)
    first = START + timedelta(minutes=4)
    assert fault.text == f"2 bars are covered but absent, first {first.isoformat()}"


def test_no_bar_is_expected_before_the_listing(
    store: BarStore, verifier: Verifier, engine: Engine
) -> None:
    """Labels are those of the coin: its second day is the first one of its listing."""
    bars = bars_at(minutes(1440, 5))
    answered = TimeRange(START + timedelta(minutes=1438), range_of(bars).end)
    settle(store, write_of(bars, window=answered))
    first = (START + timedelta(minutes=1438)).isoformat()
    absent = ("coverage", f"2 bars are covered but absent, first {first}")
    assert told(verifier) == [absent]
    with writing(engine) as connection:
        connection.execute(update(instruments).values(first_trade="2024-01-02"))
    assert told(verifier) == []
    with writing(engine) as connection:
        connection.execute(update(instruments).values(first_trade="2024-01-01"))
    assert told(verifier) == [absent]


def test_bars_that_went_back_in_time_are_found(
    store: BarStore, verifier: Verifier, engine: Engine
) -> None:
    """As where a merger takes back what came while it was made."""
    for mark in (1, 2):
        settle(store, write_of(bars_at(minutes(0, 10), mark)))
    assert verifier.faults(COIN) == []
    with writing(engine) as connection:
        connection.execute(update(chunks).where(chunks.c.fetch_id == 2).values(seq=1))
        connection.execute(update(chunks).where(chunks.c.fetch_id == 1).values(seq=2))
    (fault,) = verifier.faults(COIN)
    assert fault.kind == "chunk"
    first = START.isoformat()
    assert fault.text == f"10 bars are not those of their latest fetch, first {first}"


def test_spans_that_overlap_are_found(store: BarStore, verifier: Verifier, engine: Engine) -> None:
    settle(store, write_of(bars_at(minutes(0, 10))))
    start = to_micros(START) + 60_000_000
    with writing(engine) as connection:
        row = {"series_id": 1, "start": start, "end": start + 1, "kind": "answered"}
        connection.execute(insert(coverage).values(row))
    assert "two spans of the coverage overlap" in [one.text for one in verifier.faults(COIN)]


def test_a_catalog_that_names_no_series_is_a_store_error(
    store: BarStore, verifier: Verifier, engine: Engine
) -> None:
    settle(store, write_of(bars_at(minutes(0, 1))))
    with writing(engine) as connection:
        connection.execute(update(series_table).values(key="nothing"))
    with pytest.raises(StoreError, match="names 'nothing', which is no series"):
        verifier.series()


def test_a_file_that_nothing_names_is_found_once_no_writer_can_be_at_it(
    filled: BarStore, verifier: Verifier, folder: Path
) -> None:
    left = folder / COIN.slug / "left.parquet"
    left.write_bytes(b"123")
    assert len(filled.read(COIN)) > 0
    os.utime(left, (0, 0))
    assert [one.text for one in verifier.orphans()] == [
        f"nothing names the bar file {COIN.slug}/left.parquet; marketdata gc removes it"
    ]


def test_a_retired_file_that_a_chunk_names_is_found_and_stays(
    filled: BarStore, verifier: Verifier, engine: Engine, folder: Path
) -> None:
    (path,) = folder.rglob("*.parquet")
    name = str(path.relative_to(folder))
    with writing(engine) as connection:
        connection.execute(insert(retired_files).values(path=name, retired_at=0))
    assert [one.text for one in verifier.everywhere()] == [
        f"the bar file {name} is retired, yet a chunk names it"
    ]
    Collector(engine, folder, SystemClock(), grace=timedelta(0)).collect()
    assert len(filled.read(COIN)) == MOST_INLINE + 8
