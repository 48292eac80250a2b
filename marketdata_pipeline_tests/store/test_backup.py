"""A backup is the state of one moment, whole or not there, whoever writes meanwhile."""

import errno
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text, update

from marketdata_pipeline.database import durable
from marketdata_pipeline.database.engine import reading, writing
from marketdata_pipeline.database.home import Home, make_home, open_home
from marketdata_pipeline.database.manifest import Manifest
from marketdata_pipeline.database.metadata import REVISIONS, chunks
from marketdata_pipeline.database.rows import sum_up, tables_at
from marketdata_pipeline.database.sealed import open_sealed_file
from marketdata_pipeline.errors import BadInput, HomeError, StoreError
from marketdata_pipeline.store.backup import take_backup
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline_tests.store.kept import bars_of, filled_home, paths_below
from marketdata_pipeline_tests.store.writes import COIN, STOCK, bars_at, minutes, settle, write_of


@pytest.fixture
def home(tmp_path: Path, catalog_url: str) -> Iterator[Home]:
    sqlite = catalog_url.startswith("sqlite")
    with filled_home(tmp_path / "home", None if sqlite else catalog_url) as made:
        yield made


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "backups" / "monday"


def named_file(home: Home) -> Path:
    """The one bar file that the catalog names."""
    with reading(home.engine) as connection:
        path = connection.execute(select(chunks.c.path).where(chunks.c.path.is_not(None))).scalar()
    return home.bars / str(path)


def test_a_backup_is_its_owners_alone_and_says_what_it_holds(home: Home, target: Path) -> None:
    manifest = take_backup(home, target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    assert Manifest.read(target) == manifest
    file = named_file(home).relative_to(home.folder)
    assert {one.path for one in manifest.files} == {"catalog.sqlite", str(file)}
    assert paths_below(target) == {
        "manifest.json", "catalog.sqlite", "bars", str(file.parent), str(file),
    }  # fmt: skip
    assert (target / file).read_bytes() == (home.folder / file).read_bytes()
    assert not (target / file).samefile(home.folder / file), "a copy, not a second name"
    assert (manifest.revision, manifest.mode, manifest.history) == (REVISIONS[-1], "live", None)
    assert manifest.database == home.engine.dialect.name
    assert manifest.missing == ()
    assert (manifest.rows, manifest.size) == (
        sum(one.rows for one in manifest.tables.values()),
        sum((target / one.path).stat().st_size for one in manifest.files),
    )


def test_the_catalog_of_a_backup_holds_each_row(home: Home, target: Path) -> None:
    manifest = take_backup(home, target)
    sealed = open_sealed_file(target / "catalog.sqlite")
    tables = tables_at(manifest.revision)
    with reading(home.engine) as left, reading(sealed) as right:
        assert sum_up(left, tables) == sum_up(right, tables) == manifest.tables
    sealed.dispose()
    assert manifest.tables["chunks"].rows == 3
    assert not list(target.glob("catalog.sqlite-*")), "reading it leaves nothing beside it"


def test_a_backup_is_laid_out_as_a_home_is(home: Home, target: Path) -> None:
    take_backup(home, target)
    before = bars_of(home, COIN, STOCK)
    with make_home(target) as copy:
        after = bars_of(copy, COIN, STOCK)
    assert all(after[one].equals(before[one]) for one in (COIN, STOCK))


def test_an_empty_folder_is_filled_in_place(home: Home, target: Path) -> None:
    target.mkdir(parents=True, mode=0o755)
    inode = target.stat().st_ino  # it may be a disk of its own, which nobody can rename
    take_backup(home, target)
    assert target.stat().st_ino == inode
    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    assert {one.name for one in target.iterdir()} == {"bars", "catalog.sqlite", "manifest.json"}
    assert list(target.parent.iterdir()) == [target]


def test_a_folder_with_something_in_it_is_refused(home: Home, target: Path) -> None:
    target.mkdir(parents=True)
    (target / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="monday is not empty; name a folder that is not there yet"):
        take_backup(home, target)
    (target.parent / "file").write_text("mine")
    with pytest.raises(BadInput, match="file is no folder; name another"):
        take_backup(home, target.parent / "file")
    with pytest.raises(BadInput, match="cannot be made: Not a directory"):
        take_backup(home, target.parent / "file" / "deeper")
    assert paths_below(target.parent) == {"monday", "monday/notes.txt", "file"}


def test_a_folder_among_those_of_the_home_is_refused(home: Home) -> None:
    before = paths_below(home.folder)
    for inside in ("bars/backup", "backup", "dagster/backup"):
        with pytest.raises(BadInput, match="is inside the home; name a folder elsewhere"):
            take_backup(home, home.folder / inside)
    assert paths_below(home.folder) == before
    take_backup(home, home.folder / "backups" / "mine")


def test_what_is_committed_after_the_moment_is_not_in_the_backup(home: Home, target: Path) -> None:
    store = BarStore(home.engine, home.bars, home.clock)
    before = bars_of(home, COIN, STOCK)

    def write_meanwhile(what: str, done: int, _total: int) -> None:
        if what == "rows copied" and done == 1:  # of the first table
            settle(store, write_of(bars_at(minutes(9000, 4200), 7)))
            settle(store, write_of(bars_at(minutes(90, 10), 8), STOCK))

    manifest = take_backup(home, target, write_meanwhile)
    assert len(store.read(COIN)) == len(before[COIN]) + 4200
    with make_home(target) as copy:
        after = bars_of(copy, COIN, STOCK)
    assert all(after[one].equals(before[one]) for one in (COIN, STOCK))
    assert len(manifest.bars) == 1


def test_a_file_that_compaction_takes_away_makes_it_begin_again(home: Home, target: Path) -> None:
    before = bars_of(home, STOCK)
    gone, other = named_file(home), home.bars / "other.parquet"
    other.write_bytes(gone.read_bytes())

    def compact(what: str, done: int, total: int) -> None:
        if what == "rows copied" and done == total and gone.exists():
            with writing(home.engine) as connection:
                connection.execute(
                    update(chunks).where(chunks.c.path.is_not(None)).values(path=other.name)
                )
            gone.unlink()

    manifest = take_backup(home, target, compact)
    assert [one.path for one in manifest.bars] == ["bars/other.parquet"]
    with make_home(target) as copy:
        assert bars_of(copy, STOCK)[STOCK].equals(before[STOCK])
        assert len(bars_of(copy, COIN)[COIN]) == 4250


def test_what_was_copied_is_kept_when_it_begins_again(home: Home, target: Path) -> None:
    store = BarStore(home.engine, home.bars, home.clock)
    settle(store, write_of(bars_at(minutes(9000, 4200), 7)))
    settle(store, write_of(bars_at(minutes(19000, 4200), 8)))
    copied: list[int] = []

    def drop_first_and_last(what: str, done: int, total: int) -> None:
        if what != "files copied":
            return
        copied.append(done)
        if done == 1 and total == 3:
            with writing(home.engine) as connection:
                named = select(chunks.c.path).where(chunks.c.path.is_not(None))
                paths = connection.execute(named.order_by(chunks.c.path)).scalars().all()
                for path in (paths[0], paths[2]):
                    connection.execute(delete(chunks).where(chunks.c.path == path))
                    (home.bars / str(path)).unlink()

    manifest = take_backup(home, target, drop_first_and_last)
    assert copied == [1, 2, 1], "two of the first catalog, and that one of the second is there"
    found = [one.relative_to(target) for one in (target / "bars").rglob("*.parquet")]
    assert [str(one) for one in found] == [one.path for one in manifest.bars]
    assert len(found) == 1


def test_files_that_go_away_again_and_again_end_in_a_sentence(home: Home, target: Path) -> None:
    gone = named_file(home)
    names = iter(f"{number}.parquet" for number in range(9))

    def compact(what: str, done: int, total: int) -> None:
        if what == "rows copied" and done == total:
            with writing(home.engine) as connection:
                known = connection.execute(select(chunks.c.path).where(chunks.c.path.is_not(None)))
                old, new = home.bars / str(known.scalar()), home.bars / next(names)
                old.rename(new)
                rows = update(chunks).where(chunks.c.path.is_not(None))
                connection.execute(rows.values(path=new.name))

    with pytest.raises(StoreError, match="went away while they were copied, 3 times"):
        take_backup(home, target, compact)
    assert not target.parent.exists()
    assert not gone.exists()


def test_a_lost_file_ends_the_backup(home: Home, target: Path) -> None:
    file = named_file(home)
    file.unlink()
    with pytest.raises(StoreError, match=rf"{file.name} is missing, though the catalog names it"):
        take_backup(home, target)
    assert not target.parent.exists()


def test_a_damaged_file_ends_the_backup(home: Home, target: Path) -> None:
    file = named_file(home)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(StoreError, match=rf"{file.name} is damaged: its checksum differs"):
        take_backup(home, target)
    file.unlink()
    file.mkdir()
    with pytest.raises(StoreError, match=rf"{file.name} cannot be read: Is a directory"):
        take_backup(home, target)
    assert not target.parent.exists()


def test_a_path_that_leads_out_of_the_bars_is_not_followed(home: Home, target: Path) -> None:
    with writing(home.engine) as connection:
        rows = update(chunks).where(chunks.c.path.is_not(None))
        connection.execute(rows.values(path="../catalog.sqlite"))
    with pytest.raises(BadInput, match=r"the catalog names '../catalog.sqlite', which is no path"):
        take_backup(home, target)


@pytest.mark.parametrize("call", [1, 2, 4])
def test_a_disk_that_fills_up_leaves_nothing(
    home: Home, target: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    synced = iter(range(1, 99))

    def full(_handle: int) -> None:
        if next(synced) >= call:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    for place in (target, target.parent):
        with pytest.raises(StoreError, match="cannot be written: No space left on device"):
            take_backup(home, place)
    assert not target.parent.exists()


def test_a_full_disk_under_the_copied_catalog_is_a_sentence(
    home: Home, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from marketdata_pipeline.database import sealed

    monkeypatch.setattr(sealed, "_FILLING", (*sealed._FILLING, "max_page_count = 60"))  # noqa: SLF001
    with writing(home.engine) as connection:
        rows = connection.execute(select(chunks).where(chunks.c.data.is_not(None))).mappings()
        more = {**rows.first(), "data": bytes(300_000)}  # type: ignore[dict-item]  # it is there
        more.pop("id")
        connection.execute(insert(chunks), [more])
    with pytest.raises(StoreError, match="database or disk is full"):
        take_backup(home, target)
    assert not target.parent.exists()


def test_an_interrupted_backup_leaves_nothing(home: Home, target: Path) -> None:
    def interrupt(what: str, _done: int, _total: int) -> None:
        if what == "files copied":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take_backup(home, target, interrupt)
    assert not target.parent.exists()
    target.mkdir(parents=True)
    with pytest.raises(KeyboardInterrupt):
        take_backup(home, target, interrupt)
    assert list(target.iterdir()) == []


def test_an_empty_folder_is_empty_again_after_a_failure_while_it_is_renamed(
    home: Home, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.mkdir(parents=True)
    rename, seen = Path.rename, []

    def fail_late(self: Path, to: Path) -> Path:
        seen.append(to.name)
        if to.name == "manifest.json":
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", fail_late)
    with pytest.raises(StoreError, match="Input/output error"):
        take_backup(home, target)
    assert seen[-1] == "manifest.json"
    assert len(seen) == 3
    assert list(target.iterdir()) == []


def test_each_file_and_folder_is_durable_before_the_backup_has_its_name(
    home: Home, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc to name an open file")
    import os

    synced: list[Path] = []
    fsync, rename = os.fsync, Path.rename

    def note(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").readlink())
        fsync(handle)

    def look(self: Path, to: Path) -> Path:
        assert {self, *self.rglob("*")} <= set(synced)
        return rename(self, to)

    monkeypatch.setattr("os.fsync", note)
    monkeypatch.setattr(Path, "rename", look)
    take_backup(home, target)
    assert synced[-1] == target.parent


def test_a_home_of_an_older_version_is_upgraded_first(home: Home, target: Path) -> None:
    with writing(home.engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    with pytest.raises(HomeError, match="older version; run marketdata init"):
        take_backup(home, target)
    assert not target.parent.exists()


def test_progress_is_told_to_the_end(home: Home, target: Path) -> None:
    told: dict[str, list[tuple[int, int]]] = {}
    take_backup(home, target, lambda what, *amount: told.setdefault(what, []).append(amount))
    assert set(told) == {"rows copied", "files copied"}
    for steps in told.values():
        assert steps == sorted(steps)
        assert steps[-1][0] == steps[-1][1]


def test_the_manifest_is_json_for_people(home: Home, target: Path) -> None:
    take_backup(home, target)
    told: dict[str, Any] = json.loads((target / "manifest.json").read_text())
    assert told["format"] == 1
    assert told["files"][0]["path"] == "catalog.sqlite"
    assert told["tables"]["series"]["rows"] == 2
    assert len((target / "manifest.json").read_text().splitlines()) > 50


def test_sums_of_a_copied_file_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"x" * 3_000_000)
    with (tmp_path / "one").open("rb") as file:
        copied = durable.copy_file(file, tmp_path / "two")
    with (tmp_path / "two").open("rb") as file:
        assert durable.sum_file(file) == copied
    assert copied.size == 3_000_000


def test_the_home_is_the_same_after_a_backup(home: Home, target: Path, catalog_url: str) -> None:
    tables = tables_at(REVISIONS[-1])
    with reading(home.engine) as connection:
        before = sum_up(connection, tables)
    take_backup(home, target)
    url = None if catalog_url.startswith("sqlite") else catalog_url
    with open_home(home.folder, database_url=url) as again, reading(again.engine) as connection:
        assert sum_up(connection, tables) == before
