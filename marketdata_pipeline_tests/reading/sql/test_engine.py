"""DuckDB over the tables that it is handed: right answers, one sentence for a wrong query, and no
way to anything else."""

import os
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marketdata_pipeline.domain.bars import COLUMNS, frame
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput, StoreError
from marketdata_pipeline.reading.export import parquet
from marketdata_pipeline.reading.export.extract import Extract
from marketdata_pipeline.reading.sql.engine import answering
from marketdata_pipeline.reading.sql.query import Query
from marketdata_pipeline.reading.sql.tables import TABLES, BarsFile, Tables
from marketdata_pipeline.store.provenance import Source
from marketdata_pipeline_tests.reading.sql.asking import rows
from marketdata_pipeline_tests.store.writes import START, minutes

SECRET = "nobody may read this"  # noqa: S105 - no password


def bars_file(folder: Path, key: str, count: int = 3) -> BarsFile:
    """A file of bars whose close counts from 1."""
    series = Series.parse(key)
    columns = dict.fromkeys(COLUMNS, np.arange(count) + 1.0)
    extract = Extract(
        series=series,
        version=1,
        basis="raw",
        currency="USD",
        bars=frame(minutes(0, count), columns),
        fetch_id=np.ones(count, np.int32),
        state=np.zeros(count, np.int8),
        sources={1: Source("yahoo", "yahoo", START)},
    )
    path = folder / f"{series.slug}.parquet"
    path.write_bytes(parquet.encode(extract))
    return BarsFile(series.instrument, series.timeframe, path)


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    """Three series of two timeframes, whose folder has a name that means something to DuckDB."""
    folder = tmp_path / "a[b]*" / "instrument=X"
    folder.mkdir(parents=True)
    files = [bars_file(folder, key) for key in ("AAPL|1m", "EURUSD=X|1m", "AAPL|1h")]
    no_rows: dict[str, Any] = dict.fromkeys(TABLES, list)
    actions = [{"instrument": "AAPL", "ex_date": "1995-05-17", "kind": "split", "value": 2.0}]
    return Tables(files, {**no_rows, "actions": lambda: actions})


def test_bars_hold_all_timeframes_and_each_has_a_table(tables: Tables) -> None:
    counted = "SELECT instrument, timeframe, count(*), sum(close) FROM {} GROUP BY ALL ORDER BY ALL"
    assert rows(counted.format("bars"), tables) == [
        ("AAPL", "1h", 3, 6.0),
        ("AAPL", "1m", 3, 6.0),
        ("EURUSD=X", "1m", 3, 6.0),
    ]
    assert rows(counted.format("bars_1m"), tables) == [
        ("AAPL", "1m", 3, 6.0),
        ("EURUSD=X", "1m", 3, 6.0),
    ]
    assert rows(counted.format("bars_1d"), tables) == []


def test_an_instrument_is_found_by_its_spelling(tables: Tables) -> None:
    asked = "SELECT count(*) FROM bars_1m WHERE instrument = 'EURUSD=X' AND ts > '2024-01-01'"
    assert rows(asked, tables) == [(2,)]


def test_instants_are_utc_whatever_the_machines_zone(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    asked = "SELECT ts, ts::DATE, ts::VARCHAR, date_trunc('day', ts) FROM bars_1h LIMIT 1"
    ((ts, day, text, cut),) = rows(asked, tables)
    assert (ts, day, text, cut) == (START, date(2024, 1, 1), "2024-01-01 00:00:00+00", START)
    assert ts.utcoffset() == START.utcoffset()


def test_every_table_is_shown_with_its_columns(tables: Tables) -> None:
    shown = [name for (name,) in rows("SHOW TABLES", tables)]
    assert shown == sorted(tables.columns())
    for name, columns in tables.columns().items():
        told = {row[0]: row[1] for row in rows(f"DESCRIBE {name}", tables)}
        spelled = {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}
        assert told == {one: spelled.get(kind, kind) for one, kind in columns.items()}


def test_what_is_known_beside_bars_has_its_types(tables: Tables) -> None:
    assert rows("FROM actions", tables) == [("AAPL", date(1995, 5, 17), "split", 2.0, None)]
    assert rows("FROM quality", tables) == []


def test_columns_are_named_with_their_types(tables: Tables) -> None:
    with answering(Query.parse("SELECT ts, close AS c, 1 FROM bars_1h"), tables) as answer:
        assert [(one.name, one.kind) for one in answer.columns] == [
            ("ts", "TIMESTAMP WITH TIME ZONE"),
            ("c", "DOUBLE"),
            ("1", "INTEGER"),
        ]


def test_a_table_whose_name_is_put_together_is_an_error_not_empty(tables: Tables) -> None:
    with pytest.raises(BadInput, match="bars_1h is not made ready: its name has to stand in"):
        rows("FROM query_table('bars_' || '1h')", tables)


def test_what_is_in_a_string_counts_as_mentioned(tables: Tables) -> None:
    assert rows("SELECT count(*) FROM query_table('bars_1h')", tables) == [(3,)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("FROM nope", "Catalog Error: Table with name nope does not exist!"),
        ("SELECT nope FROM bars", 'Binder Error: Referenced column "nope" not found'),
        ("SELECT CAST('a' AS INT) FROM bars", "Conversion Error: Could not convert string 'a'"),
        ("SELECT error('no')", "Invalid Input Error: no"),
        ("SELECT $1", "Invalid Input Error: Values were not provided"),
        ("SELECT INTERVAL 100000000 YEAR", "a value is too large to be shown"),
    ],
)
def test_a_wrong_query_gets_duckdbs_words_in_one_line(tables: Tables, text: str, said: str) -> None:
    with pytest.raises(BadInput) as found:
        rows(text, tables)
    assert str(found.value).startswith(said)
    assert "\n" not in str(found.value)


@pytest.fixture
def secret(tmp_path: Path) -> Iterator[Path]:
    """A file that no query may read; whatever a query does, nothing else comes to its folder."""
    folder = tmp_path / "private"
    folder.mkdir()
    (folder / "secret").write_text(SECRET)
    yield folder
    assert [one.name for one in folder.iterdir()] == ["secret"]
    assert (folder / "secret").read_text() == SECRET


@pytest.mark.parametrize(
    "text",
    [
        "WITH x AS (COPY (SELECT 1) TO '{}/out') FROM x",
        "WITH x AS (\u00a0copy (SELECT 1) TO '{}/out') FROM x",
        "WITH x AS (COPY bars_1h TO '{}/out' (FORMAT parquet)) FROM x",
        "WITH x AS (COPY bars_1h TO '{}/secret'), y AS (PIVOT bars_1h ON ts USING sum(1)) FROM y",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{}/out'",
        "EXPLAIN ANALYZE ATTACH '{}/out'",
        "EXPLAIN ANALYZE EXPORT DATABASE '{}/out'",
        "FROM query('COPY (SELECT 1) TO ''{}/out''')",
        "FROM read_text('{}/secret')",
        "FROM read_blob('{}/*')",
        "FROM read_csv('{}/secret')",
        "FROM '{}/secret.csv'",
        "FROM glob('{}/*')",
        "FROM sniff_csv('{}/secret')",
        "FROM parquet_metadata('{}/secret')",
        "FROM enable_logging('QueryLog', storage := 'file', storage_path := '{}/log')",
        "FROM 'https://example.com/{}.parquet'",
    ],
)
def test_no_query_reaches_a_file_or_an_address(tables: Tables, secret: Path, text: str) -> None:
    with pytest.raises(BadInput) as found:
        rows(text.format(secret), tables)
    assert SECRET not in str(found.value)


def test_the_files_of_bars_are_out_of_reach_too(tables: Tables) -> None:
    file = tables.files[0].path
    before = file.read_bytes()
    with pytest.raises(BadInput, match=r"a query reads its tables \(bars, series, instruments"):
        rows(f"EXPLAIN ANALYZE COPY bars TO '{file}'", tables)
    assert file.read_bytes() == before


@pytest.mark.parametrize("text", ["FROM tables", "FROM connection", "FROM columns", "FROM spill"])
def test_no_variable_of_ours_is_a_table(tables: Tables, text: str) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        rows(text, tables)


def test_a_file_that_is_gone_is_no_fault_of_the_query(tables: Tables) -> None:
    tables.files[0].path.unlink()
    with pytest.raises(StoreError, match="a file of bars cannot be read: Failed to open local"):
        rows("SELECT max(close) FROM bars_1m", tables)
    assert rows("SELECT count(*) FROM bars_1h", tables) == [(3,)]


def test_a_damaged_file_is_no_fault_of_the_query(tables: Tables) -> None:
    file = tables.files[0].path
    file.write_bytes(b"x" * file.stat().st_size)
    with pytest.raises(StoreError, match="a file of bars cannot be read"):
        rows("SELECT max(close) FROM bars_1m", tables)


def test_ctrl_c_ends_a_query_that_would_take_for_ever(tables: Tables) -> None:
    endless = "SELECT count(*) FROM range(1000000) a, range(10000000) b WHERE a.range * b.range = 7"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            rows(endless, tables)
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)


def test_many_rows_come_in_batches(tables: Tables) -> None:
    found = rows("SELECT range FROM range(25000)", tables)
    assert [one for (one,) in found] == list(range(25000))


def test_a_table_without_files_is_empty_with_its_columns(tables: Tables) -> None:
    none = Tables([], tables.facts, adj_close=True)
    with answering(Query.parse("FROM bars"), none) as answer:
        names = [one.name for one in answer.columns]
        assert list(answer.rows) == []
    assert names[:8] == ["instrument", "timeframe", "ts", "open", "high", "low", "close", "volume"]
    assert names[8:] == ["adj_close", "provider", "state", "fetch_id"]


def test_instants_of_facts_are_read_as_they_are_spelled(tables: Tables) -> None:
    series = [{"series": "AAPL|1d", "first": "1962-01-02T00:00:00Z", "last": None, "rows": 3}]
    known = Tables([], {**tables.facts, "series": lambda: series})
    assert rows("SELECT series, first, last, rows FROM series", known) == [
        ("AAPL|1d", datetime(1962, 1, 2, tzinfo=UTC), None, 3)
    ]
