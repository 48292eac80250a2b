"""Dagster's SQLite files: they go with their runs and shrink by what was deleted."""

import os
import sqlite3
import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from marketdata_pipeline.defs import dagster_files
from marketdata_pipeline.defs.dagster_files import LEFT_FOR, PAGES, DagsterFiles
from marketdata_pipeline_tests.defs.past import Past, kinds, pruned, told
from marketdata_pipeline_tests.fakes import FrozenClock

KEYS = ("a|1", "b|1")


@pytest.fixture
def past(sqlite_instance: dg.DagsterInstance) -> Past:
    return Past(sqlite_instance)


@pytest.fixture
def folder(past: Past) -> Path:
    """Where the files of runs are."""
    return Path(past.instance.root_directory) / "history" / "runs"


def _runs(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir() if one.name[8:9] == "-"}


@pytest.fixture
def common(tmp_path: Path) -> Path:
    """A file that several write to."""
    path = tmp_path / "index.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    return path


def _fill(path: Path, megabytes: int) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE filling (id INTEGER PRIMARY KEY, text TEXT)")
        some = (("x" * 1000,) for _ in range(megabytes * 1000))
        connection.executemany("INSERT INTO filling (text) VALUES (?)", some)


def _delete(path: Path, share: float) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        last = connection.execute("SELECT max(id) FROM filling").fetchone()[0] * share
        connection.execute("DELETE FROM filling WHERE id <= ?", (last,))


def test_the_file_of_a_deleted_run_goes_with_it(past: Past, folder: Path) -> None:
    first = past.refreshed(*KEYS)
    until = datetime.now(UTC)
    second = past.refreshed(*KEYS)
    done = pruned(past.instance, until)
    assert _runs(folder) == {f"{second}.db"}
    assert done.bytes_before - done.bytes_after > 100_000, first


def test_pruning_makes_the_common_files_ones_that_shrink(past: Past, folder: Path) -> None:
    past.reported("a|1")
    pruned(past.instance)
    for path in (folder / "index.db", folder.parent / "runs.db"):
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,), "incremental"


def test_a_large_file_is_emptied_in_steps_before_dagster_does_it_at_once(
    past: Past, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dagster_files, "LARGE", 100_000)
    first = past.refreshed(*KEYS)
    until = datetime.now(UTC)
    second = past.refreshed(*KEYS)
    left = []
    delete_run = past.instance.delete_run

    def delete(run_id: str) -> None:
        left.extend(kinds(past.instance, run_id))
        delete_run(run_id)

    monkeypatch.setattr(past.instance, "delete_run", delete)
    assert pruned(past.instance, until).runs == 1, first
    assert "PIPELINE_SUCCESS" in left
    assert "ASSET_MATERIALIZATION" not in left
    assert _runs(folder) == {f"{second}.db"}


@pytest.mark.proof
def test_the_file_of_a_run_that_keeps_something_is_written_anew_without_the_rest(
    past: Past, folder: Path
) -> None:
    many = [f"{name}|{size}" for name in "abc" for size in (1, 2)] * 8
    first = past.refreshed(*many)
    size = (folder / f"{first}.db").stat().st_size
    until = datetime.now(UTC)
    past.refreshed(*many[1:6])
    pruned(past.instance, until)
    assert kinds(past.instance, first).count("ASSET_MATERIALIZATION") == 1
    assert (folder / f"{first}.db").stat().st_size < size - 50_000


def test_a_file_of_a_run_that_dagster_deleted_goes_once_it_is_a_day_old(
    past: Past, folder: Path
) -> None:
    first, second = past.refreshed(*KEYS), past.refreshed(*KEYS)
    past.instance.delete_run(first)
    assert pruned(past.instance).files == 0
    yesterday = datetime.now(UTC).timestamp() - LEFT_FOR - 1
    for one in folder.iterdir():  # all of them: of what is known nothing goes
        os.utime(one, (yesterday, yesterday))
    assert pruned(past.instance).files == 1
    assert _runs(folder) == {f"{second}.db"}
    assert told(past.instance)["statuses"]["materialized"] == list(KEYS)


def test_a_removal_that_is_broken_off_leaves_a_file_that_is_found_again(tmp_path: Path) -> None:
    run_id = str(uuid.uuid4())
    (tmp_path / f"{run_id}.db").touch()
    (tmp_path / f"{run_id}.db-wal").mkdir()  # no file: it cannot be removed as one
    clock = FrozenClock(wall=datetime.now(UTC) + timedelta(days=2))
    files = DagsterFiles(tmp_path, [], clock, print)
    with pytest.raises(OSError, match="-wal"):
        files.remove(run_id)
    assert files.nobodys(set()) == [run_id]


def test_a_file_gives_back_in_steps_what_was_deleted_from_it(common: Path) -> None:
    clock = FrozenClock()
    files = DagsterFiles(common.parent, [common], clock, pytest.fail)
    files.shrink()
    _fill(common, megabytes=12)
    _delete(common, share=0.8)
    assert common.stat().st_size > 12_000_000
    files.shrink()
    assert files.size() == common.stat().st_size < 4_000_000
    assert len(clock.slept) == -(-9_600_000 // (4096 * PAGES))


def test_a_file_that_was_never_made_for_it_is_written_anew_once(common: Path) -> None:
    clock = FrozenClock()
    _fill(common, megabytes=3)
    _delete(common, share=0.8)
    DagsterFiles(common.parent, [common], clock, pytest.fail).shrink()
    assert common.stat().st_size < 1_000_000
    assert clock.slept == []


def test_a_file_with_too_much_in_it_keeps_its_size(
    common: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dagster_files, "REWRITTEN", 500_000)
    _fill(common, megabytes=3)
    _delete(common, share=0.8)
    lines: list[str] = []
    DagsterFiles(common.parent, [common], FrozenClock(), lines.append).shrink()
    assert common.stat().st_size > 3_000_000
    (line,) = lines
    assert line.startswith(f"{common} keeps its size: 1 MB are in use")


def test_a_file_that_somebody_writes_to_for_long_keeps_its_size(
    common: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dagster_files, "_PATIENCE", 0.05)
    _fill(common, megabytes=1)
    lines: list[str] = []
    with closing(sqlite3.connect(common, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        DagsterFiles(common.parent, [common], FrozenClock(), lines.append).shrink()
    assert lines == [f"{common} keeps its size: database is locked"]
