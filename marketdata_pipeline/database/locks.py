"""Who is in the way of a catalog in SQLite: its write lock, its log, who has it open.

Not here: a server's sessions (sessions), and what all that means (reading.health).
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine

from marketdata_pipeline.database.engine import Busy, writing
from marketdata_pipeline.domain.clock import Clock

_PROC = Path("/proc")
_WRITE_LOCK = "120"
"""The byte of the file ``-shm`` that a writer locks (https://www.sqlite.org/walformat.html 2.3)."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process of this machine and the name of its program."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} {self.pid}"


@dataclass(frozen=True, slots=True)
class FileState:
    """A catalog's file.

    Attributes:
        waited: until the write lock was had; None: it was not, within the engine's patience.
        holder: who holds it then; None: not known.
        others: the other processes that have the file open, as far as this user may see them.
        log: bytes of its write-ahead log.
    """

    path: Path
    waited: timedelta | None
    holder: Process | None
    others: tuple[Process, ...]
    log: int


def file_state(engine: Engine, clock: Clock, proc: Path = _PROC) -> FileState:
    """Take the write lock for a moment, and look around; nothing is written.

    Raises:
        StoreError: the file is unreadable, or refuses writers.
    """
    path = Path(str(engine.url.database)).resolve()
    began, waited, holder = clock.wall_now(), None, None
    try:
        with writing(engine):
            waited = clock.wall_now() - began
    except Busy:
        holder = _holder(path, proc)
    log = path.with_name(f"{path.name}-wal")
    size = log.stat().st_size if log.exists() else 0
    return FileState(path, waited, holder, tuple(_others(path, proc)), size)


def holder_in(locks: str, inode: int) -> int | None:
    """The process id that holds the write lock of the file ``-shm`` with that inode.

    Args:
        locks: the content of /proc/locks; a line with ``->`` is somebody who waits.
        inode: of the file.
    """
    for line in locks.splitlines():
        fields = line.split()
        if fields[1:4] != ["POSIX", "ADVISORY", "WRITE"]:
            continue
        pid, file, first = fields[4:7]
        if file.rpartition(":")[2] == str(inode) and first == _WRITE_LOCK:
            return int(pid) if int(pid) > 0 else None  # of another namespace: no number here
    return None


def _holder(path: Path, proc: Path) -> Process | None:
    with suppress(OSError):
        inode = path.with_name(f"{path.name}-shm").stat().st_ino
        pid = holder_in((proc / "locks").read_text(), inode)
        return None if pid is None else _process(pid, proc)
    return None


def _others(path: Path, proc: Path) -> Iterator[Process]:
    """The other processes that have the file open."""
    for folder in proc.glob("[0-9]*"):
        pid = int(folder.name)
        if pid != os.getpid() and _has_open(folder / "fd", str(path)):
            yield _process(pid, proc)


def _has_open(folder: Path, path: str) -> bool:
    try:
        return any(_target(one) == path for one in folder.iterdir())
    except OSError:  # somebody else's, or just ended
        return False


def _target(one: Path) -> str:
    try:
        return str(one.readlink())
    except OSError:
        return ""


def _process(pid: int, proc: Path) -> Process:
    """Its name only: the whole command line may hold secrets."""
    name = "process"
    with suppress(OSError):
        name = (proc / str(pid) / "comm").read_text("utf-8", "replace").strip() or name
    return Process(pid, name)
