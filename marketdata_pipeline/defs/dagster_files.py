"""The SQLite files of Dagster's storage: one for each run, and those that all runs share.

Not here: what is in them (dagster_tables). SQLite uses a deleted row's place again and gives none
of it back by itself.
"""

import re
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from math import inf
from pathlib import Path
from time import perf_counter

from marketdata_pipeline.domain.clock import Clock

PAGES = 500
"""Given back in one transaction: 2 MB, which takes 50 ms."""
REWRITTEN = 200_000_000
"""Bytes that are in use of a file that is rewritten at once; other writers wait 3 s for it."""
LARGE = 32_000_000
"""Bytes of a run's file: 32,766 events at 1 kB each, as many as a statement may name."""
LEFT_FOR = 86_400.0
"""Seconds since it was written after which a file whose run is not known is nobody's."""
_PATIENCE = 30.0
_INCREMENTAL = 2
_RUN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class DagsterFiles:
    """The files of an instance.

    Args:
        folder: of the run's files.
        common: the files that all runs share.
        say: takes a line about a file that could not be shrunk.
    """

    def __init__(
        self, folder: Path, common: Sequence[Path], clock: Clock, say: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._common = common
        self._clock = clock
        self._say = say

    def size(self) -> int:
        """Bytes of all of them."""
        common = {part for one in self._common for part in _parts(one)}
        return sum(_size(one) for one in {*self._folder.iterdir(), *common})

    def has(self, run_id: str) -> bool:
        """Whether a run has a file of its own; Dagster makes one by looking for it."""
        return self._of(run_id).exists()

    def is_large(self, run_id: str) -> bool:
        """Whether a run's file may hold more events than SQLite takes numbers in a statement."""
        return _size(self._of(run_id)) > LARGE

    def remove(self, run_id: str) -> None:
        """Remove a run's file; what lies beside it first, so that a kill leaves it to be found."""
        for one in reversed(_parts(self._of(run_id))):
            one.unlink(missing_ok=True)

    def nobodys(self, known: Collection[str]) -> list[str]:
        """Runs that are not known and have a file: Dagster deletes a run and leaves it."""
        until = self._clock.wall_now().timestamp() - LEFT_FOR
        found = [one for one in self._folder.glob("*.db") if _RUN.fullmatch(one.stem)]
        return [one.stem for one in found if one.stem not in known and _written(one) <= until]

    def rewrite(self, run_id: str) -> None:
        """Give back what was deleted from a run's file, which nobody else writes to."""
        self._open(self._of(run_id), _rewrite)

    def shrink(self) -> None:
        """Give back what was deleted from the common files, in short transactions.

        A file has to be rewritten once before that can be; one that is too large keeps its size.
        """
        for path in self._common:
            self._open(path, self._shrink)

    def _shrink(self, connection: sqlite3.Connection) -> None:
        free, pages, size, kind = (
            connection.execute(f"PRAGMA {one}").fetchone()[0]
            for one in ("freelist_count", "page_count", "page_size", "auto_vacuum")
        )
        if kind != _INCREMENTAL:
            used = (pages - free) * size
            if used > REWRITTEN:
                raise sqlite3.OperationalError(
                    f"{used / 1e6:.0f} MB are in use, and Dagster would have to wait while it is "
                    "rewritten; what is free in it is used again"
                )
            connection.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
            connection.execute("VACUUM")
            free = 0
        for _ in range(0, free, PAGES):
            with leaving_room(self._clock):  # execute() would stop after one page
                connection.executescript(f"PRAGMA incremental_vacuum({PAGES})")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _open(self, path: Path, use: Callable[[sqlite3.Connection], object]) -> None:
        try:
            with closing(sqlite3.connect(path, _PATIENCE, isolation_level=None)) as connection:
                use(connection)
        except sqlite3.OperationalError as error:  # locked for long, no room: it works as it is
            self._say(f"{path} keeps its size: {error}")

    def _of(self, run_id: str) -> Path:
        return self._folder / f"{run_id}.db"


@contextmanager
def leaving_room(clock: Clock) -> Iterator[None]:
    """Wait for as long as the block took: whoever else writes gets half of the time."""
    began = perf_counter()
    yield
    clock.sleep(perf_counter() - began)


def _rewrite(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA freelist_count").fetchone()[0]:
        connection.execute("VACUUM")


def _parts(path: Path) -> list[Path]:
    return [path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return inf
