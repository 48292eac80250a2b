"""A restored home is equal to the one that was backed up, or is not there."""

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert, inspect, select, text

from marketdata_pipeline.database.engine import open_engine, reading, writing
from marketdata_pipeline.database.home import Home, make_home, open_home
from marketdata_pipeline.database.manifest import MANIFEST, Manifest
from marketdata_pipeline.database.metadata import REVISIONS, instruments, series
from marketdata_pipeline.database.rows import sum_up, tables_at
from marketdata_pipeline.database.sealed import open_new_file
from marketdata_pipeline.database.upgrade import BACKUPS, downgrade
from marketdata_pipeline.domain.clock import ReplayClock
from marketdata_pipeline.errors import BadInput, HomeError, StoreError
from marketdata_pipeline.store.backup import take_backup
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.faults import Fault
from marketdata_pipeline.store.restore import Restored, restore_backup
from marketdata_pipeline.store.verify import Verifier
from marketdata_pipeline_tests.database.filled import as_earlier_versions_wrote
from marketdata_pipeline_tests.databases import Databases
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.samples import sampled
from marketdata_pipeline_tests.store.kept import (
    Registered,
    bars_of,
    craft,
    filled_home,
    paths_below,
    tell_otherwise,
)
from marketdata_pipeline_tests.store.writes import COIN, STOCK, bars_at, minutes, settle, write_of

NEWEST = REVISIONS[-1]
ESCAPES = [
    "/etc/passwd",
    "../outside.parquet",
    "a/../../outside.parquet",
    "..",
    ".",
    "",
    "a//b.parquet",
    "a/./b.parquet",
    "a\\..\\b.parquet",
    "..\\outside.parquet",
    "C:\\outside.parquet",
    "C:outside.parquet",
    "a/b\x00.parquet",
    "a/b\n.parquet",
    "a/…/b.parquet",
    "~/b.parquet/..",
    "a/b.parquet/",
]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a home on SQLite and a backup of it, to be copied."""
    folder = tmp_path_factory.mktemp("saved")
    with filled_home(folder / "home") as home:
        take_backup(home, folder / "backup")
    return folder


@pytest.fixture
def backup(saved: Path, tmp_path: Path) -> Path:
    """A backup of its own for each test, the home beside it."""
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    return tmp_path / "backup"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "restored"


@pytest.fixture
def url(database_url: str) -> str | None:
    """What the settings say of the database: nothing for SQLite in the home."""
    return None if database_url.startswith("sqlite") else database_url


@pytest.fixture
def registered() -> Registered:
    return Registered()


def restored(backup: Path, target: Path, url: str | None = None) -> Restored:
    return restore_backup(backup, target, database_url=url, register=Registered())


def is_nothing_left(target: Path, url: str | None) -> bool:
    """Whether neither a folder nor a table is there."""
    if url is not None:
        engine = open_engine(url)
        with reading(engine) as connection:
            names = inspect(connection).get_table_names()
        engine.dispose()
        assert names == []
    return not target.exists() and not list(target.parent.glob(".*"))


def all_sums(home: Home) -> dict[str, Any]:
    with reading(home.engine) as connection:
        return dict(sum_up(connection, tables_at(NEWEST)))


@pytest.fixture(params=["sqlite", "postgres"])
def source_url(request: pytest.FixtureRequest, databases: Databases) -> Iterator[str | None]:
    """Where the home was that is backed up; a database beside that of ``url``."""
    if request.param == "sqlite":
        yield None
        return
    with databases.empty() as made:
        yield made


def test_a_home_comes_back_equal_on_either_database(
    tmp_path: Path, target: Path, url: str | None, source_url: str | None, registered: Registered
) -> None:
    with filled_home(tmp_path / "home", source_url) as home:
        take_backup(home, tmp_path / "backup")
        bars, before = bars_of(home, COIN, STOCK), all_sums(home)
    found = restore_backup(tmp_path / "backup", target, database_url=url, register=registered)
    assert (found.series, found.bars, found.unreadable) == (2, 4280, ())
    assert found.manifest.tables == before
    with open_home(target, database_url=url) as home:
        after, shown = all_sums(home), select(series.c.shown_version)
        again = bars_of(home, COIN, STOCK)
        with reading(home.engine) as connection:
            assert set(connection.execute(shown).scalars()) == {0}, "Dagster is told anew"
    assert {name for name in before if after[name] != before[name]} == {"home", "series"}
    assert all(again[one].equals(bars[one]) for one in (COIN, STOCK))
    assert stat.S_IMODE(target.stat().st_mode) == 0o700


def test_a_restored_home_has_no_fault_that_the_other_had_not(
    tmp_path: Path, backup: Path, target: Path, url: str | None
) -> None:
    restored(backup, target, url)
    found: list[list[Fault]] = []
    for folder, database in ((tmp_path / "home", None), (target, url)):
        with open_home(folder, database_url=database) as home:
            verifier = Verifier(home.engine, home.bars, FrozenClock())
            each = [fault for one in (COIN, STOCK) for fault in verifier.faults(one)]
            found.append([*each, *verifier.everywhere()])
    assert found[0] == found[1]
    assert {one.kind for one in found[1]} <= {"coverage", "contract"}, "made-up bars have those"


def test_a_restored_home_is_written_on_as_before(
    backup: Path, target: Path, url: str | None
) -> None:
    restored(backup, target, url)
    with open_home(target, database_url=url) as home:
        store = BarStore(home.engine, home.bars, home.clock)
        settle(store, write_of(bars_at(minutes(9000, 4200), 7)))
        settle(store, write_of(bars_at(minutes(90, 10), 8), STOCK))
        assert len(store.read(COIN)) == 4250 + 4200
        assert len(store.read(STOCK)) == 40


def test_an_id_of_the_lost_home_is_not_given_again(
    tmp_path: Path, target: Path, url: str | None
) -> None:
    row = {"key": "GONE", "asset_class": "equity", "venue": "XNYS"}
    with filled_home(tmp_path / "home") as home, writing(home.engine) as connection:
        wanted = insert(instruments).values(row).returning(instruments.c.id)
        gone = connection.execute(wanted).scalar_one()
        connection.execute(instruments.delete().where(instruments.c.id == gone))
    with open_home(tmp_path / "home") as home:
        take_backup(home, tmp_path / "backup")
    restored(tmp_path / "backup", target, url)
    with open_home(target, database_url=url) as home, writing(home.engine) as connection:
        assert connection.execute(wanted).scalar_one() == gone + 1


def test_partitions_are_registered_before_the_home_is_there(
    backup: Path, target: Path, url: str | None, registered: Registered
) -> None:
    restore_backup(backup, target, database_url=url, register=registered)
    ((dagster, known),) = registered.seen
    assert [str(one) for one in known] == ["MSFT", "BTC-USD", "AAPL"], "tracked, then with bars"
    assert dagster.parent != target
    assert not dagster.exists()
    assert (target / "dagster" / "dagster.yaml").is_file()


def test_where_partitions_cannot_be_registered_nothing_is_restored(
    backup: Path, target: Path, url: str | None
) -> None:
    def refuse(*_arguments: object) -> None:
        raise StoreError("Dagster's instance cannot be used")

    with pytest.raises(StoreError, match="Dagster's instance"):
        restore_backup(backup, target, database_url=url, register=refuse)
    assert is_nothing_left(target, url)
    restored(backup, target, url)


def test_a_replay_home_goes_on_with_its_market_time(tmp_path: Path, target: Path) -> None:
    from marketdata_pipeline.database.home import History, Replay
    from marketdata_pipeline_tests.database.test_home import MARKET, WALL

    with make_home(tmp_path / "home", replay=Replay(History.MIXED, MARKET, WALL, seed=7)) as home:
        take_backup(home, tmp_path / "backup")
    found = restored(tmp_path / "backup", target)
    assert (found.manifest.mode, found.manifest.history, found.manifest.seed) == (
        "replay", "mixed", 7,
    )  # fmt: skip
    with open_home(target) as home:
        assert home.clock == ReplayClock(MARKET, WALL)


def test_a_home_that_is_there_is_never_written_over(backup: Path, target: Path) -> None:
    with filled_home(target) as home:
        before = all_sums(home)
    with pytest.raises(BadInput, match="restored is not empty"):
        restored(backup, target)
    with open_home(target) as home:
        assert all_sums(home) == before


def test_a_database_with_a_home_in_it_is_never_written_over(
    backup: Path, target: Path, tmp_path: Path, postgres_url: str
) -> None:
    with filled_home(tmp_path / "other", postgres_url) as home:
        before = all_sums(home)
        with pytest.raises(HomeError, match=r"holds tables of a home already \(action"):
            restored(backup, target, postgres_url)
        assert all_sums(home) == before
    assert not target.exists()


def test_one_table_of_ours_is_enough_to_refuse_a_database(
    backup: Path, target: Path, postgres_url: str
) -> None:
    engine = open_engine(postgres_url)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE series (id integer)"))
    with pytest.raises(HomeError, match=r"holds tables of a home already \(series"):
        restored(backup, target, postgres_url)
    with writing(engine) as connection:
        connection.execute(text("DROP TABLE series"))
        connection.execute(text("CREATE TABLE strange (id integer)"))
    engine.dispose()
    restored(backup, target, postgres_url)


def test_a_catalog_elsewhere_on_sqlite_is_filled_in_place(
    backup: Path, target: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere.sqlite'}"
    restored(backup, target, url)
    with open_home(target, database_url=url) as home:
        assert len(bars_of(home, COIN)[COIN]) == 4250
    assert not (target / "catalog.sqlite").exists()
    with pytest.raises(HomeError, match="holds tables of a home already"):
        restored(backup, tmp_path / "third", url)


def test_an_empty_folder_is_filled_in_place(backup: Path, target: Path, url: str | None) -> None:
    target.mkdir(mode=0o755)
    inode = target.stat().st_ino
    restored(backup, target, url)
    assert target.stat().st_ino == inode
    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    with open_home(target, database_url=url) as home:
        assert len(bars_of(home, COIN)[COIN]) == 4250
    assert not [one.name for one in target.iterdir() if one.name.startswith(".")]


@pytest.mark.parametrize("earlier", sampled(REVISIONS[:-1], 3))
def test_a_backup_of_an_earlier_revision_is_upgraded(
    tmp_path: Path, target: Path, url: str | None, earlier: str
) -> None:
    with filled_home(tmp_path / "home") as home:
        bars = bars_of(home, COIN, STOCK)
        as_earlier_versions_wrote(home)
        downgrade(home.engine, home.folder, earlier)
    with make_home(tmp_path / "home"):
        pass
    kept = next((tmp_path / "home" / BACKUPS).glob(f"{earlier}-*"))
    found = restored(kept, target, url)
    assert (found.manifest.revision, found.bars) == (earlier, 4280)
    with open_home(target, database_url=url) as home:
        again = bars_of(home, COIN, STOCK)
    assert all(again[one].equals(bars[one]) for one in (COIN, STOCK))
    assert (kept / "bars").is_dir()


def test_a_backup_of_a_newer_revision_is_refused(backup: Path, target: Path) -> None:
    tell_otherwise(backup, lambda told: told.update(revision="9999"))
    with pytest.raises(BadInput, match="was written by a newer version; update marketdata-"):
        restored(backup, target)
    tell_otherwise(backup, lambda told: told.update(revision=NEWEST, format=2, tables="new"))
    with pytest.raises(BadInput, match="was written by a newer version; update marketdata-"):
        restored(backup, target)
    assert is_nothing_left(target, None)


def test_a_catalog_of_another_revision_than_the_manifest_says_is_refused(
    backup: Path, target: Path, url: str | None
) -> None:
    tell_otherwise(backup, lambda told: told.update(revision="0003"))
    with pytest.raises(StoreError):
        restored(backup, target, url)
    assert is_nothing_left(target, url)


def test_a_series_whose_file_was_lost_before_is_told_of(
    tmp_path: Path, target: Path, url: str | None
) -> None:
    with filled_home(tmp_path / "home") as home:
        as_earlier_versions_wrote(home)
        for file in home.bars.rglob("*.parquet"):
            file.unlink()
        kept = downgrade(home.engine, home.folder, "0003").backup
    found = restored(kept, target, url)
    assert (found.unreadable, found.series, found.bars) == ((COIN,), 1, 30)
    with open_home(target, database_url=url) as home:
        assert len(bars_of(home, STOCK)[STOCK]) == 30


@pytest.mark.parametrize("path", ESCAPES)
def test_a_manifest_that_names_a_path_elsewhere_is_refused(
    backup: Path, target: Path, path: str
) -> None:
    before = paths_below(backup.parent)

    def name(told: dict[str, Any]) -> None:
        told["files"][1]["path"] = path if path.startswith(("/", "C:", "..")) else f"bars/{path}"

    tell_otherwise(backup, name)
    with pytest.raises(BadInput, match=r"manifest.json names '.*', which is no path of a bar file"):
        restored(backup, target)
    assert paths_below(backup.parent) == before


@pytest.mark.parametrize(
    "path", ["dagster/dagster.yaml", "bars", "manifest.json", "barsx/a.parquet"]
)
def test_a_manifest_that_names_anything_but_bars_is_refused(
    backup: Path, target: Path, path: str
) -> None:
    tell_otherwise(backup, lambda told: told["files"][1].update(path=path))
    with pytest.raises(BadInput, match=rf"names '{path}', which is no path of a bar file"):
        restored(backup, target)
    assert is_nothing_left(target, None)


@pytest.mark.parametrize("path", sampled(ESCAPES, 4))
@pytest.mark.parametrize("table", ["chunks", "retired_files"])
def test_a_catalog_that_names_a_path_elsewhere_is_refused(
    backup: Path, target: Path, path: str, table: str
) -> None:
    before = paths_below(backup.parent)
    spelled = path.replace("'", "''")
    if "\x00" in path:
        spelled = path.replace("\x00", "' || char(0) || '")
    statement = (
        f"UPDATE chunks SET path = '{spelled}' WHERE path IS NOT NULL"  # noqa: S608 - crafted
        if table == "chunks"
        else f"INSERT INTO retired_files VALUES ('{spelled}', 1)"  # noqa: S608 - crafted
    )
    craft(backup, statement)
    with pytest.raises(
        BadInput, match=r"catalog.sqlite names '.*', which is no path of a bar file"
    ):
        restored(backup, target)
    assert paths_below(backup.parent) == before


def test_a_catalog_that_names_a_path_elsewhere_leaves_no_table_on_postgres(
    backup: Path, target: Path, postgres_url: str
) -> None:
    craft(backup, "UPDATE chunks SET path = '../../x' WHERE path IS NOT NULL")
    with pytest.raises(BadInput, match="is no path of a bar file"):
        restored(backup, target, postgres_url)
    assert is_nothing_left(target, postgres_url)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE chunks SET path = 'a/b.parquet'", "names a/b.parquet, which the backup does not"),
        ("UPDATE chunks SET checksum = 's8:00'", "is damaged: its checksum differs from the cat"),
        ("UPDATE chunks SET checksum = 'c', superseded_at = 1", "is damaged: its checksum differs"),
    ],
)
def test_a_catalog_that_names_another_file_than_the_backup_holds_is_refused(
    backup: Path, target: Path, statement: str, said: str
) -> None:
    craft(backup, f"{statement} WHERE path IS NOT NULL")
    with pytest.raises(StoreError, match=said):
        restored(backup, target)
    assert is_nothing_left(target, None)


def one_bar_file(backup: Path) -> Path:
    return next((backup / "bars").rglob("*.parquet"))


def link_file_out(backup: Path) -> None:
    file = one_bar_file(backup)
    shutil.move(file, backup.parent / "outside.parquet")
    file.symlink_to(backup.parent / "outside.parquet")


def link_folder_out(backup: Path) -> None:
    shutil.move(backup / "bars", backup.parent / "outside")
    (backup / "bars").symlink_to(backup.parent / "outside")


def link_catalog_out(backup: Path) -> None:
    shutil.move(backup / "catalog.sqlite", backup.parent / "outside.sqlite")
    (backup / "catalog.sqlite").symlink_to(backup.parent / "outside.sqlite")


def link_manifest_out(backup: Path) -> None:
    shutil.move(backup / MANIFEST, backup.parent / "outside.json")
    (backup / MANIFEST).symlink_to(backup.parent / "outside.json")


def make_pipe(backup: Path) -> None:
    file = one_bar_file(backup)
    file.unlink()
    os.mkfifo(file)  # reading it would wait for ever


@pytest.mark.parametrize(
    "lead_out",
    [link_file_out, link_folder_out, link_catalog_out, link_manifest_out, make_pipe],
)
def test_a_backup_in_which_a_link_leads_out_is_refused(
    backup: Path, target: Path, lead_out: Callable[[Path], None]
) -> None:
    lead_out(backup)
    with pytest.raises(BadInput, match="is a link or no file; only plain files are taken"):
        restored(backup, target)
    assert is_nothing_left(target, None)


def test_the_backup_itself_may_be_named_by_a_link(backup: Path, target: Path) -> None:
    (backup.parent / "link").symlink_to(backup)
    restored(backup.parent / "link", target)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_damaged_or_missing_file_is_named_and_nothing_is_restored(
    backup: Path, target: Path, url: str | None
) -> None:
    file = one_bar_file(backup)
    flip(file)
    with pytest.raises(StoreError, match=rf"{file.name} is damaged: its checksum differs"):
        restored(backup, target, url)
    file.unlink()
    with pytest.raises(StoreError, match=rf"{file.name} cannot be read: No such file"):
        restored(backup, target, url)
    assert is_nothing_left(target, url)


@pytest.mark.parametrize("size", [0, 100, 40_000])
def test_a_truncated_catalog_is_named(backup: Path, target: Path, size: int) -> None:
    catalog = backup / "catalog.sqlite"
    assert catalog.stat().st_size > size
    catalog.write_bytes(catalog.read_bytes()[:size])
    with pytest.raises(StoreError, match=r"catalog.sqlite is damaged: its checksum differs"):
        restored(backup, target)
    assert is_nothing_left(target, None)


@pytest.mark.parametrize("size", [0, 100, 40_000])
def test_a_truncated_catalog_that_the_manifest_swears_to_is_a_sentence_too(
    backup: Path, target: Path, url: str | None, size: int
) -> None:
    data = (backup / "catalog.sqlite").read_bytes()[:size]
    (backup / "catalog.sqlite").write_bytes(data)
    tell_otherwise(
        backup,
        lambda told: told["files"][0].update(size=size, sha256=hashlib.sha256(data).hexdigest()),
    )
    with pytest.raises(StoreError, match=r"catalog.sqlite cannot be used"):
        restored(backup, target, url)
    assert is_nothing_left(target, url)


def test_rows_that_are_not_those_of_the_manifest_are_noticed(
    backup: Path, target: Path, url: str | None
) -> None:
    said = Manifest.read(backup).tables
    craft(backup, "UPDATE quality SET score = 2", "UPDATE series SET tail = 77 WHERE id = 1")
    changed = Manifest.read(backup).tables["series"]
    assert changed != said["series"]

    def claim(told: dict[str, Any]) -> None:
        told["tables"]["series"]["digest"] = said["series"].digest

    tell_otherwise(backup, claim)
    with pytest.raises(StoreError, match=r"series in .*catalog.sqlite is not what it was"):
        restored(backup, target, url)
    tell_otherwise(backup, lambda told: told["tables"].pop("governor"))
    with pytest.raises(StoreError, match=r"is not what it was"):
        restored(backup, target, url)
    assert is_nothing_left(target, url)


def test_a_chunk_whose_bars_are_damaged_inside_the_catalog_is_noticed(
    backup: Path, target: Path, url: str | None
) -> None:
    craft(backup, "UPDATE chunks SET data = x'00' WHERE series_id = 2")
    with pytest.raises(StoreError, match=r"AAPL\|1d: chunk 3 in the catalog is damaged"):
        restored(backup, target, url)
    assert is_nothing_left(target, url)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is damaged: it is no JSON"),
        (b"{", "is damaged: it is no JSON"),
        (b"\xff\xfe", "is damaged: it is no JSON"),
        (b"[]", "is damaged: "),
        (b"{}", "is damaged: revision: Field required"),
    ],
)
def test_a_manifest_that_is_none_is_a_sentence(
    backup: Path, target: Path, content: bytes, said: str
) -> None:
    (backup / MANIFEST).write_bytes(content)
    with pytest.raises(BadInput, match=said) as refused:
        restored(backup, target)
    assert "\n" not in str(refused.value)


def test_a_truncated_manifest_is_a_sentence(backup: Path, target: Path) -> None:
    whole = (backup / MANIFEST).read_bytes()
    for size in range(0, len(whole) - 2, 97):
        (backup / MANIFEST).write_bytes(whole[:size])
        with pytest.raises(BadInput, match="is damaged: it is no JSON"):
            restored(backup, target)


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told["files"].append(told["files"][1]),
        lambda told: told["files"].pop(0),
        lambda told: told["files"][1].update(sha256="A" * 64),
        lambda told: told["files"][1].update(size=-1),
        lambda told: told["files"][1].update(size="many"),
        lambda told: told.update(tables={"series": {"rows": 1}}),
        lambda told: told.update(created_at="yesterday"),
    ],
)
def test_a_manifest_that_says_what_cannot_be_is_refused(
    backup: Path, target: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    tell_otherwise(backup, change)
    with pytest.raises(BadInput, match=r"manifest\.json is damaged: "):
        restored(backup, target)


def test_a_folder_that_is_no_backup_is_refused(tmp_path: Path, target: Path) -> None:
    with filled_home(tmp_path / "home") as home:
        folder = home.folder
    for no_backup in (folder, tmp_path / "absent", folder / "catalog.sqlite"):
        with pytest.raises(BadInput, match=r"is no backup: manifest.json cannot be read"):
            restored(no_backup, target)


@pytest.mark.parametrize("call", [1, 2, 5])
def test_a_disk_that_fills_up_leaves_nothing(
    backup: Path, target: Path, url: str | None, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    synced = iter(range(1, 99))

    def full(_handle: int) -> None:
        if next(synced) >= call:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="restored cannot be written: No space left on device"):
        restored(backup, target, url)
    monkeypatch.undo()
    assert is_nothing_left(target, url)
    restored(backup, target, url)


def test_a_full_disk_under_the_catalog_leaves_nothing(
    backup: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from marketdata_pipeline.store import restore

    def small(path: Path) -> Engine:
        engine = open_new_file(path)
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 20")
        return engine

    monkeypatch.setattr(restore, "open_new_file", small)
    with pytest.raises(StoreError, match="database or disk is full"):
        restored(backup, target)
    assert is_nothing_left(target, None)


def test_an_interrupted_restore_leaves_nothing(backup: Path, target: Path, url: str | None) -> None:
    seen: set[str] = set()
    for step in ("files copied", "rows copied", "rows compared", "series read"):

        def interrupt(what: str, done: int, total: int, step: str = step) -> None:
            seen.add(what)
            if (what, done) == (step, total):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            restore_backup(backup, target, database_url=url, register=Registered(), told=interrupt)
        assert is_nothing_left(target, url)
    assert len(seen) == 4


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_the_backup_is_the_same_after_a_restore(backup: Path, target: Path, journal: str) -> None:
    craft(backup, f"PRAGMA journal_mode = {journal}")
    before = {one: (backup / one).stat() for one in paths_below(backup)}
    restored(backup, target)
    after = {one: (backup / one).stat() for one in paths_below(backup)}
    assert {one: (stat.st_size, stat.st_mtime_ns) for one, stat in before.items()} == {
        one: (stat.st_size, stat.st_mtime_ns) for one, stat in after.items()
    }
    assert not one_bar_file(backup).samefile(next((target / "bars").rglob("*.parquet")))


def test_a_backup_that_cannot_be_written_to_is_restored(backup: Path, target: Path) -> None:
    for one in (backup, *backup.rglob("*")):
        one.chmod(0o500 if one.is_dir() else 0o400)
    try:
        restored(backup, target)
    finally:
        for one in (backup, *backup.rglob("*")):
            one.chmod(0o700)
    with open_home(target) as home:
        settle(
            BarStore(home.engine, home.bars, home.clock), write_of(bars_at(minutes(9000, 4200), 7))
        )
