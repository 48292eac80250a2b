"""Changing the tables of a home's catalog, upwards or back, with a backup taken first.

Not here: what changes (migrations), and backups that people ask for (store).
The backup lies in the home's folder ``backups``, named by revision and instant. It is taken inside
the transaction that then changes the tables, from a state that no other process can change: on
SQLite that transaction holds the write lock from its start, on Postgres it locks each table against
writers. A second process that wants the same waits, and finds it done.
Bar files get a second name instead of a copy, since they never change.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from marketdata_pipeline.database.claim import MARKER
from marketdata_pipeline.database.dialect import is_postgres, wall_micros
from marketdata_pipeline.database.durable import link_file, unfinished, write_file
from marketdata_pipeline.database.engine import writing
from marketdata_pipeline.database.folders import BARS
from marketdata_pipeline.database.manifest import MANIFEST, BackedFile
from marketdata_pipeline.database.metadata import REVISIONS
from marketdata_pipeline.database.migrate import losses, move_within, revision_in_turn
from marketdata_pipeline.database.rows import tables_at
from marketdata_pipeline.database.snapshot import Snapshot, write_snapshot
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.ranges import from_micros
from marketdata_pipeline.errors import BadInput, HomeError
from marketdata_pipeline.logs import get_logger

BACKUPS = "backups"
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Downgraded:
    """From which revision to which the tables went back, what that lost, and where it is kept."""

    found: str
    target: str
    losses: tuple[str, ...]
    backup: Path


def upgrade_home(connection: Connection, folder: Path) -> None:
    """Create the tables of the home in ``folder``, or keep those that are there and upgrade them.

    All of it in the caller's transaction; nothing happens where the revision is this code's.

    Raises:
        HomeError: the catalog was written by a newer version.
        StoreError: the backup cannot be written; nothing was changed.
    """
    found, newest = revision_in_turn(connection), REVISIONS[-1]
    if found == newest:
        return
    if found is None:
        move_within(connection, newest)
        return
    with _kept(connection, folder, found) as backup:
        move_within(connection, newest)
    _log.info("catalog upgraded", found=found, revision=newest, backup=str(backup))


def downgrade(engine: Engine, folder: Path, target: str) -> Downgraded:
    """Bring the catalog of the home in ``folder`` back to an earlier revision.

    Raises:
        BadInput: there is no such revision, or none that is earlier.
        HomeError: the home has no form at that revision, or was written by a newer version.
        StoreError: the catalog or the backup cannot be written; nothing was changed.
    """
    with writing(engine) as connection:
        found = revision_in_turn(connection)
        if found is None:
            raise HomeError(f"no home at {folder}; run marketdata init or make run")
        earlier = REVISIONS[: REVISIONS.index(found)]
        if target not in earlier:
            known = f"one of {', '.join(earlier)}" if earlier else "none, it is the first"
            raise BadInput(f"the catalog is at {found}; earlier than that is {known}")
        with _kept(connection, folder, found) as backup:
            move_within(connection, target)
            with suppress(OSError):  # the name that it tells is in no catalog from here on
                (folder / BARS / MARKER).unlink()
    return Downgraded(found, target, tuple(losses(found, target)), backup)


@contextmanager
def _kept(connection: Connection, folder: Path, found: str) -> Iterator[Path]:
    """Where the backup is that was taken; it is removed again where the change fails."""
    if is_postgres(connection):
        spell = connection.dialect.identifier_preparer.quote
        names = ", ".join(spell(one.name) for one in tables_at(found).all)
        connection.execute(text(f"LOCK TABLE {names} IN SHARE MODE"))
    now = from_micros(wall_micros(connection, SystemClock()))
    backup = folder / BACKUPS / f"{found}-{now:%Y%m%dT%H%M%S.%f}Z"
    with unfinished(backup, last=MANIFEST) as building:
        snapshot = write_snapshot(connection, building.folder, found)
        files, missing = _linked(snapshot, folder / BARS, building.folder / BARS)
        write_file(building.folder / MANIFEST, snapshot.manifest(files, missing).dumped())
    try:
        yield backup
    except BaseException:
        shutil.rmtree(backup, ignore_errors=True)
        with suppress(OSError):
            backup.parent.rmdir()
        raise


def _linked(snapshot: Snapshot, bars: Path, kept: Path) -> tuple[list[BackedFile], list[str]]:
    """Keep the bar files that the catalog names; a home that lost one can be upgraded too."""
    kept.mkdir()
    files: list[BackedFile] = []
    missing: list[str] = []
    for path in snapshot.bars:
        (kept / path).parent.mkdir(exist_ok=True, parents=True)
        try:
            found = link_file(bars / path, kept / path)
        except FileNotFoundError:
            missing.append(path)
        else:
            files.append(BackedFile(f"{BARS}/{path}", found.size, found.sha256))
    return files, missing
