"""Backups while others write, and backup and restore that are killed at any moment."""

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import inspect, select

from marketdata_pipeline.database.engine import open_engine, reading
from marketdata_pipeline.database.home import Home, make_home, open_home
from marketdata_pipeline.database.metadata import fetches
from marketdata_pipeline.domain.bars import labels_of
from marketdata_pipeline.domain.ranges import to_micros
from marketdata_pipeline.errors import BadInput, HomeError
from marketdata_pipeline.store.backup import take_backup
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.restore import restore_backup
from marketdata_pipeline_tests.children import PROCESSES
from marketdata_pipeline_tests.databases import Databases
from marketdata_pipeline_tests.store.acknowledged import assert_nothing_lost
from marketdata_pipeline_tests.store.keeper import RENAMED, STEPS, back_up, restore
from marketdata_pipeline_tests.store.kept import Registered, bars_of, filled_home
from marketdata_pipeline_tests.store.writer import Job, keep_writing, told_in
from marketdata_pipeline_tests.store.writes import COIN, START, STOCK

Work = Callable[[Path, str | None, Path, str, Connection], None]
"""What a process does with a home, its database and a backup, up to a step, telling each."""


@pytest.fixture
def url(database_url: str) -> str | None:
    """What the settings say of the database: nothing for SQLite in the home."""
    return None if database_url.startswith("sqlite") else database_url


@pytest.fixture
def second_url(url: str | None, request: pytest.FixtureRequest) -> Iterator[str | None]:
    """A second database of the same kind."""
    if url is None:
        yield None
        return
    databases: Databases = request.getfixturevalue("databases")
    with databases.empty() as made:
        yield made


@dataclass
class Scribe:
    """A process that writes COIN's bars, compacts and collects, and notes what it was told."""

    process: BaseProcess
    told: Path

    def stored(self) -> list[Job]:
        """What was acknowledged to it so far."""
        return self._jobs()[0]

    def begun(self) -> list[Job]:
        """What it has begun so far."""
        return self._jobs()[1]

    def _jobs(self) -> tuple[list[Job], list[Job]]:
        return told_in(self.told.read_text().splitlines() if self.told.exists() else [])


@contextmanager
def writing_home(folder: Path, url: str | None) -> Iterator[tuple[Home, list[Scribe]]]:
    """A home that three processes write to, each past its first ten writes."""
    with make_home(folder, database_url=url) as home:
        shown = home.engine.url.render_as_string(hide_password=False)
        scribes = []
        for seed in range(3):
            told = folder.parent / f"told-{seed}"
            process = PROCESSES.Process(target=keep_writing, args=(shown, home.bars, seed, told))
            process.start()
            scribes.append(Scribe(process, told))
        try:
            await_until(home, lambda: all(len(one.stored()) >= 10 for one in scribes))
            yield home, scribes
            assert all(one.process.is_alive() for one in scribes), "a writer broke off"
        finally:
            for one in scribes:
                one.process.kill()
                one.process.join()


def await_until(home: Home, so: Callable[[], bool]) -> None:
    for _ in range(1200):
        if so():
            return
        home.clock.sleep(0.05)
    pytest.fail("the writers do not write")


def assert_none_torn(home: Home, begun: list[Job]) -> None:
    """A fetch that is there has each of its labels, or a later fetch has it."""
    found = BarStore(home.engine, home.bars, home.clock).read(COIN)
    marks = dict(zip(labels_of(found).tolist(), found["volume"].astype(int), strict=True))
    with reading(home.engine) as connection:
        at = connection.execute(select(fetches.c.fetched_at)).scalars().all()
    by_fetch = {one.fetched: one for one in begun}
    there = [by_fetch[micros - to_micros(START)] for micros in at]
    assert there
    torn = [
        job
        for job in there
        if any(marks.get(label, 0) < job.fetched for label in job.labels.tolist())
    ]
    assert torn == []


@pytest.mark.proof
def test_a_backup_while_three_processes_write_holds_what_was_acknowledged_before(
    tmp_path: Path, url: str | None, second_url: str | None
) -> None:
    with writing_home(tmp_path / "home", url) as (home, scribes):
        before = [job for one in scribes for job in one.stored()]
        manifest = take_backup(home, tmp_path / "backup")
        after = sum(len(one.stored()) for one in scribes)
        await_until(home, lambda: sum(len(one.stored()) for one in scribes) > after + 5)
    begun = [job for one in scribes for job in one.begun()]
    assert len(before) >= 30
    found = restore_backup(
        tmp_path / "backup", tmp_path / "restored", database_url=second_url, register=Registered()
    )
    assert found.manifest == manifest
    with open_home(tmp_path / "restored", database_url=second_url) as restored:
        store = BarStore(restored.engine, restored.bars, restored.clock)
        assert_nothing_lost(store, before, begun)
        assert_none_torn(restored, begun)
        assert found.bars == len(store.read(COIN)) == len(np.unique(labels_of(store.read(COIN))))


@dataclass
class Keeper:
    """A process that takes a backup or puts one back, and what it tells of its steps."""

    process: BaseProcess
    told: Connection

    @classmethod
    def start(
        cls, work: Work, home: Path, url: str | None, backup: Path, step: str = "none"
    ) -> "Keeper":
        told, tells = PROCESSES.Pipe(duplex=False)
        process = PROCESSES.Process(target=work, args=(home, url, backup, step, tells))
        process.start()
        tells.close()
        return cls(process, told)

    def kill_at(self, step: str) -> None:
        """Kill it once it stands still at a step."""
        try:
            while self.told.recv() != step:
                pass
        except EOFError:
            pytest.fail(f"it never came to the step {step!r}")
        self.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.told.close()


def leftovers(folder: Path) -> list[Path]:
    return [one for one in folder.iterdir() if ".unfinished-" in one.name]


@pytest.mark.proof
@pytest.mark.parametrize("step", STEPS["backup"])
def test_a_backup_that_is_killed_is_whole_or_not_there(
    tmp_path: Path, url: str | None, step: str
) -> None:
    backup, before = tmp_path / "backup", {}
    with filled_home(tmp_path / "home", url) as home:
        before = bars_of(home, COIN, STOCK)
    Keeper.start(back_up, tmp_path / "home", url, backup, step).kill_at(step)
    assert backup.exists() is (step == RENAMED)
    assert len(leftovers(tmp_path)) == (0 if step == RENAMED else 1)
    for one in leftovers(tmp_path):
        with pytest.raises(BadInput, match="is no backup"):
            restore_backup(one, tmp_path / "restored", register=Registered())
    if step != RENAMED:
        with open_home(tmp_path / "home", database_url=url) as home:
            take_backup(home, backup)
    restore_backup(backup, tmp_path / "restored", register=Registered())
    with open_home(tmp_path / "restored") as home:
        after = bars_of(home, COIN, STOCK)
    assert all(after[one].equals(before[one]) for one in (COIN, STOCK))


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    with filled_home(tmp_path / "home") as home:
        take_backup(home, tmp_path / "backup")
    return tmp_path / "backup"


def assert_home_or_nothing(target: Path, url: str | None) -> bool:
    """Whether a whole home is there; what is none does not look like one."""
    try:
        home = open_home(target, database_url=url)
    except HomeError as error:
        assert "no home at" in str(error)  # noqa: PT017 - either may be
        if url is not None:
            engine = open_engine(url)
            with reading(engine) as connection:
                assert inspect(connection).get_table_names() == []
            engine.dispose()
        return False
    with home:
        found = bars_of(home, COIN, STOCK)
    assert [len(found[one]) for one in (COIN, STOCK)] == [4250, 30]
    return True


@pytest.mark.proof
@pytest.mark.parametrize("step", STEPS["restore"])
def test_a_restore_that_is_killed_leaves_a_home_or_nothing_that_looks_like_one(
    tmp_path: Path, backup: Path, url: str | None, step: str
) -> None:
    target = tmp_path / "restored"
    Keeper.start(restore, target, url, backup, step).kill_at(step)
    there = assert_home_or_nothing(target, url)
    assert there is (step == RENAMED and url is None)
    if target.exists() and not there:  # renamed, and the database's commit was not made any more
        assert step == RENAMED
        with pytest.raises(BadInput, match="is not empty"):
            restore_backup(backup, target, database_url=url, register=Registered())
        shutil.rmtree(target)
    if not there:
        restore_backup(backup, target, database_url=url, register=Registered())
        assert assert_home_or_nothing(target, url)


@pytest.mark.proof
def test_many_kills_at_any_moment_leave_a_home_or_nothing(
    tmp_path: Path, backup: Path, url: str | None
) -> None:
    dice, target = random.Random(5), tmp_path / "restored"  # noqa: S311 - repeatable, not secret
    whole = 0
    for number in range(25):
        copy = tmp_path / f"copy-{number}"
        for work, home, database, folder in (
            (restore, target, url, backup),
            (back_up, tmp_path / "home", None, copy),
        ):
            child = Keeper.start(work, home, database, folder)
            child.told.recv()
            child.process.join(dice.uniform(0, 0.5))
            child.kill()
        if copy.exists():
            whole += 1
            again = tmp_path / "again"
            restore_backup(copy, again, register=Registered())
            assert assert_home_or_nothing(again, None)
            shutil.rmtree(again)
        there = assert_home_or_nothing(target, url)
        whole += there
        if there and url is not None:
            break  # the database is full now
        shutil.rmtree(target, ignore_errors=True)
    assert whole, "each was killed before it was done"
