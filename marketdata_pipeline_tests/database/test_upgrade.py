"""A home of an earlier version is upgraded after a backup, and finds its way back."""

import shutil
import threading
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert, make_url, text

from marketdata_pipeline.database import upgrade as upgrading
from marketdata_pipeline.database.engine import Busy, open_engine, reading, writing
from marketdata_pipeline.database.home import History, Replay, make_home, open_home, upgraded_home
from marketdata_pipeline.database.manifest import Manifest
from marketdata_pipeline.database.metadata import REVISIONS, chunks, instruments
from marketdata_pipeline.database.migrate import losses, move_within, revision
from marketdata_pipeline.database.rows import sum_up, tables_at
from marketdata_pipeline.database.sealed import open_sealed_file
from marketdata_pipeline.database.upgrade import BACKUPS, downgrade
from marketdata_pipeline.errors import BadInput, HomeError, StoreError
from marketdata_pipeline_tests.database.filled import CONTENT, FILE, NAME, ROWS, old_home
from marketdata_pipeline_tests.fakes import Lines
from marketdata_pipeline_tests.samples import sampled

NEWEST = REVISIONS[-1]
_START = datetime(2013, 2, 15, 21, tzinfo=UTC)
RECORDED = Replay(History.RECORDED)


@pytest.fixture(autouse=True)
def _one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalog gets the same name at each upgrade, so that its tables can be compared."""
    monkeypatch.setattr("marketdata_pipeline.database.claim.new_name", lambda: NAME)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def url(database_url: str, folder: Path) -> str:
    """The catalog's URL: in the home on SQLite, a database of its own on Postgres."""
    sqlite = database_url.startswith("sqlite")
    return f"sqlite:///{folder / 'catalog.sqlite'}" if sqlite else database_url


def backups(folder: Path) -> list[Path]:
    there = folder / BACKUPS
    return sorted(there.iterdir()) if there.is_dir() else []


def sums(url: str, at: str) -> dict[str, Any]:
    engine = open_engine(url)
    with reading(engine) as connection:
        assert revision(connection) == at
        found = sum_up(connection, tables_at(at))
    engine.dispose()
    return dict(found)


def sealed_sums(backup: Path, at: str) -> dict[str, Any]:
    engine = open_sealed_file(backup / "catalog.sqlite")
    with reading(engine) as connection:
        assert revision(connection) == at
        found = sum_up(connection, tables_at(at))
    engine.dispose()
    return dict(found)


@pytest.mark.parametrize("earlier", sampled(REVISIONS[:-1], 3))
def test_an_upgrade_keeps_what_was_there_before(folder: Path, url: str, earlier: str) -> None:
    old_home(folder, url, earlier)
    before = sums(url, earlier)
    make_home(folder, database_url=url, replay=RECORDED).engine.dispose()
    (backup,) = backups(folder)
    manifest = Manifest.read(backup)
    assert backup.name.startswith(f"{earlier}-")
    assert (manifest.revision, manifest.mode, manifest.history) == (earlier, "replay", "recorded")
    assert manifest.database == make_url(url).get_backend_name()
    assert manifest.tables == before == sealed_sums(backup, earlier)
    assert [(one.path, one.size) for one in manifest.bars] == [(f"bars/{FILE}", len(CONTENT))]
    assert (backup / "bars" / FILE).samefile(folder / "bars" / FILE), "no room is taken twice"
    assert sums(url, NEWEST)["chunks"].rows == before["chunks"].rows


@pytest.mark.parametrize("earlier", sampled(REVISIONS[:-1], 3))
def test_a_copy_of_that_backup_is_a_home_of_the_earlier_version(
    folder: Path, url: str, tmp_path: Path, earlier: str
) -> None:
    old_home(folder, url, earlier)
    before = sums(url, earlier)
    upgraded = upgraded_home(folder, database_url=url)
    assert upgraded is not None
    upgraded.engine.dispose()
    copy = tmp_path / "copy"
    shutil.copytree(backups(folder)[0], copy)
    assert sums(f"sqlite:///{copy / 'catalog.sqlite'}", earlier) == before
    assert (copy / "bars" / FILE).read_bytes() == CONTENT
    with make_home(copy, replay=RECORDED) as home:  # and one of this version, once it is upgraded
        assert home.history is History.RECORDED


def test_a_new_home_and_one_of_this_version_take_no_backup(folder: Path, url: str) -> None:
    for _ in range(2):
        make_home(
            folder, database_url=url, replay=Replay(History.RECORDED, _START)
        ).engine.dispose()
    assert not (folder / BACKUPS).exists()


def test_the_log_says_where_the_backup_is(folder: Path, url: str, log_lines: Lines) -> None:
    old_home(folder, url, REVISIONS[0])
    make_home(folder, database_url=url, replay=RECORDED).engine.dispose()
    (line,) = log_lines("catalog upgraded")
    assert (line["found"], line["revision"]) == (REVISIONS[0], NEWEST)
    assert line["backup"] == str(backups(folder)[0])


def test_of_upgrades_at_once_one_takes_the_backup_and_all_find_it_done(
    folder: Path, url: str
) -> None:
    old_home(folder, url, REVISIONS[0])
    failed: list[BaseException] = []

    def run() -> None:
        try:
            make_home(folder, database_url=url, replay=RECORDED).engine.dispose()
        except BaseException as error:  # noqa: BLE001 - it is reported by the test's thread
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(backups(folder)) == 1
    assert [one.name for one in (folder / BACKUPS).iterdir()] == [backups(folder)[0].name]


def test_nothing_is_written_between_the_backup_and_the_change(
    folder: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_home(folder, url, "0003")
    query = {"timeout": "0.05"} if url.startswith("sqlite") else {"options": "-c lock_timeout=50ms"}
    other = open_engine(make_url(url).update_query_dict(query))
    refused: list[Busy] = []

    def write_first(connection: Connection, target: str) -> None:
        row = {"key": "LATE", "asset_class": "equity", "venue": "XNYS"}
        with pytest.raises(Busy) as busy, writing(other) as second:
            second.execute(insert(instruments).values(row))
        refused.append(busy.value)
        move_within(connection, target)

    monkeypatch.setattr(upgrading, "move_within", write_first)
    make_home(folder, database_url=url, replay=RECORDED).engine.dispose()
    assert len(refused) == 1
    kept = Manifest.read(backups(folder)[0]).tables["instruments"]
    assert kept == sums(url, NEWEST)["instruments"]
    other.dispose()


def test_an_upgrade_that_fails_changes_nothing_and_leaves_no_backup(
    folder: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_home(folder, url, "0002")
    before = sums(url, "0002")

    def fail_late(connection: Connection, target: str) -> None:
        assert len(backups(folder)) == 1
        move_within(connection, target)
        raise ZeroDivisionError

    monkeypatch.setattr(upgrading, "move_within", fail_late)
    with pytest.raises(ZeroDivisionError):
        make_home(folder, database_url=url, replay=RECORDED)
    assert sums(url, "0002") == before
    assert not (folder / BACKUPS).exists()
    assert (folder / "bars" / FILE).read_bytes() == CONTENT


def test_without_room_for_the_backup_nothing_is_upgraded(
    folder: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_home(folder, url, "0002")
    before = sums(url, "0002")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match=r"backups/0002-.* cannot be written: No space left"):
        make_home(folder, database_url=url, replay=RECORDED)
    monkeypatch.undo()
    assert sums(url, "0002") == before
    assert backups(folder) == []


def test_a_home_that_lost_a_bar_file_is_upgraded_all_the_same(folder: Path, url: str) -> None:
    old_home(folder, url, "0003")
    (folder / "bars" / FILE).unlink()
    make_home(folder, database_url=url, replay=RECORDED).engine.dispose()
    manifest = Manifest.read(backups(folder)[0])
    assert (manifest.missing, manifest.bars) == ((FILE,), ())


def test_bar_files_are_copied_where_a_disk_gives_no_second_names(
    folder: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_home(folder, url, "0003")

    def refuse(_self: Path, _target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    make_home(folder, database_url=url, replay=RECORDED).engine.dispose()
    (backup,) = backups(folder)
    assert (backup / "bars" / FILE).read_bytes() == CONTENT
    assert not (backup / "bars" / FILE).samefile(folder / "bars" / FILE)


@pytest.mark.parametrize("earlier", sampled(REVISIONS[:-1], 3))
def test_a_catalog_goes_back_to_each_earlier_revision_and_up_again(
    folder: Path, url: str, earlier: str
) -> None:
    old_home(folder, url, earlier)
    before = sums(url, earlier)
    make_home(folder, database_url=url, replay=RECORDED).engine.dispose()
    above = sums(url, NEWEST)
    engine = open_engine(url)
    done = downgrade(engine, folder, earlier)
    engine.dispose()
    assert sums(url, earlier) == before
    assert (done.found, done.target, done.backup) == (NEWEST, earlier, backups(folder)[-1])
    assert Manifest.read(done.backup).tables == above == sealed_sums(done.backup, NEWEST)
    with pytest.raises(HomeError, match="older version; run marketdata init"):
        open_home(folder, database_url=url)
    make_home(folder, database_url=url, replay=RECORDED).engine.dispose()
    assert sums(url, NEWEST) == above
    assert (folder / "bars" / FILE).read_bytes() == CONTENT


def test_once_bars_were_written_in_the_newest_form_only_the_backup_leads_back(
    folder: Path, url: str
) -> None:
    old_home(folder, url, NEWEST)
    engine = open_engine(url)
    with writing(engine) as connection:
        connection.execute(insert(chunks), [{**ROWS["chunks"][0], "id": 11, "schema": 2}])
    before = sums(url, NEWEST)
    with pytest.raises(HomeError, match=r"1 chunks of bars were written .* restore the backup"):
        downgrade(engine, folder, "0003")
    engine.dispose()
    assert sums(url, NEWEST) == before


def test_what_a_way_back_loses_is_said_step_by_step() -> None:
    told = losses("0004", "0001")
    assert len(told) == 3
    assert told[0].startswith("Superseded values")
    assert losses("0003", "0002") == ["Dagster is told of every series once more."]
    assert all(losses(later, earlier) for earlier, later in pairwise(REVISIONS))


@pytest.mark.parametrize("target", [NEWEST, "0000", "9999", "base", ""])
def test_no_other_revision_is_a_way_back(folder: Path, url: str, target: str) -> None:
    old_home(folder, url, NEWEST)
    engine = open_engine(url)
    with pytest.raises(BadInput, match=rf"the catalog is at {NEWEST}; earlier than that is one of"):
        downgrade(engine, folder, target)
    engine.dispose()
    assert backups(folder) == []


def test_the_first_revision_has_no_way_back(folder: Path, url: str) -> None:
    old_home(folder, url, REVISIONS[0])
    engine = open_engine(url)
    with pytest.raises(BadInput, match="none, it is the first"):
        downgrade(engine, folder, REVISIONS[0])
    engine.dispose()


def test_without_a_catalog_there_is_no_way_back(folder: Path, database_url: str) -> None:
    engine = open_engine(database_url)
    with pytest.raises(HomeError, match="no home at"):
        downgrade(engine, folder, REVISIONS[0])
    engine.dispose()


def test_a_home_of_made_up_bars_does_not_go_back_to_where_there_were_none(
    folder: Path, url: str
) -> None:
    made = make_home(folder, database_url=url, replay=Replay(History.MIXED, _START, seed=7))
    made.engine.dispose()
    before, engine = sums(url, NEWEST), open_engine(url)
    with pytest.raises(
        HomeError, match="made-up bars has no form before 0002; nothing was changed"
    ):
        downgrade(engine, folder, "0001")
    assert sums(url, NEWEST) == before
    assert backups(folder) == []
    assert _goes_back(engine, folder) == "0002"
    engine.dispose()


def _goes_back(engine: Engine, folder: Path) -> str | None:
    downgrade(engine, folder, "0002")
    with reading(engine) as connection:
        assert connection.execute(text("SELECT seed FROM home")).scalar() == 7
        return revision(connection)
