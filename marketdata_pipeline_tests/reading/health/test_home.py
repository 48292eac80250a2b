"""What the state of a home, its folders and its catalog means."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from marketdata_pipeline.database.examine import CatalogState
from marketdata_pipeline.database.home import History, Home, Replay, make_home
from marketdata_pipeline.database.locks import FileState, Process
from marketdata_pipeline.database.machine import Folder
from marketdata_pipeline.database.metadata import REVISIONS
from marketdata_pipeline.database.sessions import ServerState, Session
from marketdata_pipeline.domain.contact import ClockReading
from marketdata_pipeline.reading.health.finding import Finding, Mark
from marketdata_pipeline.reading.health.home import (
    judge_catalog,
    judge_file,
    judge_folders,
    judge_home,
    judge_server,
    no_home,
)

NOON = datetime(2024, 3, 15, 12, tzinfo=UTC)
PATH = Path("/data/home")


@pytest.fixture
def replay(tmp_path: Path) -> Iterator[Home]:
    with make_home(tmp_path / "home", replay=Replay(History.MIXED, NOON, seed=1)) as made:
        yield made


@pytest.mark.parametrize(
    ("mode", "mark", "says"),
    [
        (0o700, Mark.OK, ""),
        (0o500, Mark.OK, ""),
        (0o755, Mark.NOTE, ", which others may read (755)"),
        (0o710, Mark.NOTE, ", which others may read (710)"),
        (0o770, Mark.WRONG, ", which others may change (770)"),
        (0o702, Mark.WRONG, ", which others may change (702)"),
    ],
)
def test_a_home_is_its_owners_alone(replay: Home, mode: int, mark: Mark, says: str) -> None:
    found = judge_home(replay, Folder(replay.folder, mode))
    assert found.mark is mark
    assert found.says == f"replay home of mixed bars at {replay.folder}{says}"
    assert found.advice == ("" if mark is Mark.OK else f"chmod 700 {replay.folder}")


def test_a_live_home_replays_nothing(tmp_path: Path) -> None:
    with make_home(tmp_path / "home") as made:
        found = judge_home(made, Folder(made.folder, 0o700))
    assert found.says == f"live home at {made.folder}"


def test_no_home_is_wrong() -> None:
    found = no_home(Folder(PATH, None))
    assert (found.mark, found.says) == (Mark.WRONG, "none at /data/home")
    assert "marketdata init" in found.advice


def test_folders_that_can_be_written_share_a_line() -> None:
    found = judge_folders(Folder(PATH, 0o700), Folder(PATH / "bars", 0o755))
    assert found == [Finding("folders", Mark.OK, "home, bars can be written")]


def test_each_folder_that_cannot_be_written_has_a_line_of_its_own() -> None:
    full = Folder(PATH, 0o700, "No space left on device")
    gone = Folder(PATH / "bars", None, "No such file or directory")
    found = judge_folders(full, gone, Folder(PATH / "dagster", 0o755))
    assert [one.mark for one in found] == [Mark.WRONG, Mark.WRONG]
    assert found[0].says == "no file can be made in /data/home: No space left on device"
    assert "right to write" in found[0].advice
    assert "marketdata init" in found[1].advice


CATALOG = CatalogState(
    "sqlite:////data/home/catalog.sqlite",
    server=False,
    revision=REVISIONS[-1],
    trip=timedelta(milliseconds=1.26),
)


@pytest.mark.parametrize(
    ("state", "mark", "says", "advice"),
    [
        (CATALOG, Mark.OK, f"revision {REVISIONS[-1]}, answers in 1.3 ms", ""),
        (replace(CATALOG, trip=timedelta(milliseconds=100)), Mark.OK, "in 100.0 ms", ""),
        (replace(CATALOG, trip=timedelta(milliseconds=101)), Mark.NOTE, "each update", "nearer"),
        (replace(CATALOG, revision=None), Mark.WRONG, "is empty", "marketdata init"),
        (replace(CATALOG, revision=REVISIONS[0]), Mark.WRONG, "older version (0001)", "init"),
        (replace(CATALOG, revision="9999"), Mark.WRONG, "newer version (9999)", "update"),
        (replace(CATALOG, trouble="it is busy"), Mark.WRONG, "it is busy", "docs/recover.md"),
        (replace(CATALOG, server=True, trouble="refused"), Mark.WRONG, "refused", "server up"),
    ],
)
def test_a_catalog_answers_in_time_with_this_codes_tables(
    state: CatalogState, mark: Mark, says: str, advice: str
) -> None:
    found = judge_catalog(state)
    assert found.mark is mark
    assert says in found.says
    assert advice in found.advice
    assert bool(advice) is bool(found.advice)


FREE = FileState(PATH / "catalog.sqlite", timedelta(milliseconds=1), None, (), 4_000_000)
SHELL, PYTHON = Process(12, "sqlite3"), Process(13, "python")


def only(findings: list[Finding]) -> Finding:
    (one,) = findings
    return one


def test_a_free_write_lock_is_well_whoever_has_the_file_open() -> None:
    found = only(judge_file(FREE, "ext4"))
    assert (found.mark, found.advice) == (Mark.OK, "")
    assert found.says == "the write lock is free; no other process has it open"
    many = replace(FREE, others=(SHELL, PYTHON, PYTHON, PYTHON, PYTHON))
    assert only(judge_file(many, None)).says == (
        "the write lock is free; open in sqlite3 12, python 13, python 13 and 2 more"
    )


def test_a_held_write_lock_is_wrong_and_names_who_holds_it() -> None:
    held = replace(FREE, waited=None, holder=SHELL, others=(SHELL, PYTHON))
    found = only(judge_file(held, "ext4"))
    assert found.mark is Mark.WRONG
    assert found.says.endswith("not to be had within a second: sqlite3 12 holds it")
    assert found.advice == "wait, or end process 12"
    unknown = only(judge_file(replace(held, holder=None), "ext4"))
    assert unknown.says.endswith("within a second; open in sqlite3 12, python 13")
    assert only(judge_file(replace(held, holder=None, others=()), "ext4")).mark is Mark.WRONG


def test_a_log_that_grows_is_noted() -> None:
    assert len(judge_file(replace(FREE, log=100_000_000), "ext4")) == 1
    _, found = judge_file(replace(FREE, log=100_000_001), "ext4")
    assert found.mark is Mark.NOTE
    assert "the log of catalog.sqlite has 100 MB" in found.says


@pytest.mark.parametrize(
    ("kind", "mark"),
    [
        ("nfs4", Mark.WRONG),
        ("cifs", Mark.WRONG),
        ("fuse.sshfs", Mark.WRONG),
        ("9p", Mark.NOTE),
        ("virtiofs", Mark.NOTE),
    ],
)
def test_a_file_that_several_systems_see_is_in_danger(kind: str, mark: Mark) -> None:
    _, found = judge_file(FREE, kind)
    assert (found.topic, found.mark) == ("file system", mark)
    assert f"lies on {kind}" in found.says
    assert "Postgres" in found.advice


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "apfs", "overlay", "tmpfs", None])
def test_a_local_file_system_is_not_worth_a_line(kind: str | None) -> None:
    assert only(judge_file(FREE, kind)).mark is Mark.OK


SERVER = ServerState(
    150_018, read_only=False, blocked=(), idle=(), clock=ClockReading(NOON, NOON, NOON)
)


def waits(seconds: float) -> Session:
    return Session(21, "run", timedelta(seconds=seconds), (20,))


def idles(seconds: float) -> Session:
    return Session(20, "shell", timedelta(seconds=seconds))


def test_a_server_where_nobody_is_in_the_way_is_well() -> None:
    found = only(judge_server(replace(SERVER, idle=(idles(60),))))
    assert found.mark is Mark.OK
    assert found.says == "Postgres 15: no session waits, none idles in the way"


@pytest.mark.parametrize(("version", "count"), [(140_000, 0), (130_099, 1)])
def test_a_server_that_is_too_old_is_wrong(version: int, count: int) -> None:
    found = judge_server(replace(SERVER, version=version))
    assert len([one for one in found if one.mark is Mark.WRONG]) == count


def test_a_server_that_takes_no_writes_is_wrong() -> None:
    found = only(judge_server(replace(SERVER, read_only=True)))
    assert (found.topic, found.mark) == ("server", Mark.WRONG)
    assert "MARKETDATA_DATABASE_URL" in found.advice


@pytest.mark.parametrize(("seconds", "mark"), [(10, Mark.NOTE), (10.1, Mark.WRONG)])
def test_who_waits_longer_than_our_writers_do_is_wrong(seconds: float, mark: Mark) -> None:
    found = only(judge_server(replace(SERVER, blocked=(waits(seconds),))))
    assert found.mark is mark
    assert found.says.startswith("a session waits for a lock, 21 (run) for 10 s behind 20")
    assert ("pg_terminate_backend(20)" in found.advice) is (mark is Mark.WRONG)


def test_several_that_wait_are_counted() -> None:
    found = only(judge_server(replace(SERVER, blocked=(waits(30), waits(5)))))
    assert found.says.startswith("2 sessions wait for a lock, 21 (run) for 30 s behind 20")


def test_who_idles_in_a_transaction_for_long_is_noted() -> None:
    found = only(judge_server(replace(SERVER, idle=(idles(200), idles(61), idles(5)))))
    assert found.mark is Mark.NOTE
    assert found.says == (
        "2 sessions idle in a transaction for more than a minute, the longest 20 (shell) for 3 min"
    )
    assert "pg_terminate_backend(20)" in found.advice
