"""Who holds a SQLite catalog's write lock, and who has its file open."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from marketdata_pipeline.database.engine import open_engine, reading
from marketdata_pipeline.database.locks import Process, file_state, holder_in
from marketdata_pipeline.database.migrate import upgrade
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.errors import StoreError

CLOCK = SystemClock()
HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2]).fetchall()
print("there", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Engine]:
    """A catalog with empty tables, looked at in a hurry."""
    url = f"sqlite:///{tmp_path / 'catalog.sqlite'}"
    patient = open_engine(url)
    upgrade(patient)
    patient.dispose()
    hurried = open_engine(url, hurried=True)
    yield hurried
    hurried.dispose()


@contextmanager
def other(file: Engine, statement: str) -> Iterator[Process]:
    """Another process that has the catalog open, after a statement."""
    words = [sys.executable, "-c", HOLDER, str(file.url.database), statement]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as started:
        try:
            assert started.stdout is not None
            assert started.stdout.readline() == "there\n"
            comm = Path(f"/proc/{started.pid}/comm")
            yield Process(started.pid, comm.read_text().strip() if comm.exists() else "process")
        finally:
            started.kill()


def test_a_free_lock_is_had_at_once_and_nothing_is_written(file: Engine, tmp_path: Path) -> None:
    before = (tmp_path / "catalog.sqlite").read_bytes()
    found = file_state(file, CLOCK)
    assert found.path == (tmp_path / "catalog.sqlite").resolve()
    assert found.waited is not None
    assert found.waited < timedelta(seconds=0.9)
    assert (found.holder, found.others, found.log) == (None, (), 0)
    assert (tmp_path / "catalog.sqlite").read_bytes() == before


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="the system tells of no locks")
def test_who_holds_the_lock_is_known_by_name(file: Engine) -> None:
    with other(file, "BEGIN IMMEDIATE") as process:
        found = file_state(file, CLOCK)
    assert found.waited is None
    assert found.holder == process
    assert found.others == (process,)
    assert str(process) == f"{process.name} {process.pid}"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system tells of no files")
def test_who_only_reads_is_in_nobodys_way(file: Engine) -> None:
    with other(file, "SELECT * FROM home") as process:
        found = file_state(file, CLOCK)
    assert found.waited is not None
    assert (found.holder, found.others) == (None, (process,))


def test_the_log_has_a_size(file: Engine, tmp_path: Path) -> None:
    with reading(file):
        (tmp_path / "catalog.sqlite-wal").write_bytes(b"")
        patient = open_engine(file.url)
        with patient.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE more (id INTEGER)")
        assert file_state(file, CLOCK).log > 4096
        patient.dispose()


def test_a_system_that_tells_nothing_leaves_it_open(file: Engine, tmp_path: Path) -> None:
    with other(file, "BEGIN IMMEDIATE"):
        found = file_state(file, CLOCK, tmp_path / "no proc")
    assert (found.waited, found.holder, found.others) == (None, None, ())


def test_a_file_that_is_no_catalog_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").write_bytes(b"no database at all" * 100)
    broken = open_engine(f"sqlite:///{tmp_path / 'catalog.sqlite'}", hurried=True)
    with pytest.raises(StoreError, match="not a database"):
        file_state(broken, CLOCK)
    broken.dispose()


LOCKS = """\
1: POSIX  ADVISORY  READ 11 fe:00:77 120 120
2: POSIX  ADVISORY  WRITE 12 fe:00:77 124 124
3: POSIX  ADVISORY  WRITE 13 fe:00:78 120 120
4: FLOCK  ADVISORY  WRITE 14 fe:00:77 0 EOF
5: -> POSIX  ADVISORY  WRITE 15 fe:00:77 120 120
6: POSIX  ADVISORY  WRITE {holder} fe:00:77 120 120
"""


def test_the_write_lock_is_one_byte_of_one_file() -> None:
    assert holder_in(LOCKS.format(holder=16), 77) == 16
    assert holder_in(LOCKS.format(holder=16), 79) is None
    assert holder_in(LOCKS.format(holder=-1), 77) is None, "of another container"
    assert holder_in("", 77) is None
