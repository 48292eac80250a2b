"""Removing what nothing needs any more: superseded bars past their time, files that nothing names.

Not here: what supersedes bars (compact). A file that the catalog named is kept for a grace after it
was retired, since who read the catalog before may still open it; one that it never named, for the
same grace after it was written, since its writer may still commit (it gives up after half of it).
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import BigInteger, Connection, Engine, bindparam, delete, func, select, update

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.claim import claim
from marketdata_pipeline.database.dialect import wall_micros
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import chunks, retired_files
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.ranges import MICROSECOND
from marketdata_pipeline.errors import StoreError
from marketdata_pipeline.store.chunks import retire
from marketdata_pipeline.store.files import GRACE, BarFiles

SUPERSEDED_KEPT = timedelta(days=7)
_BATCH = 500
_SINCE = bindparam("since", type_=BigInteger)
_FORGET = (
    update(series_table)
    .where(
        series_table.c.id == bindparam("of"),
        func.coalesce(series_table.c.history_from, _SINCE - 1) < _SINCE,
    )
    .values(history_from=_SINCE)
)


@dataclass(frozen=True, slots=True)
class Collected:
    """What was removed: superseded chunks, files that were retired, files that nothing named.

    ``size`` is the files' in bytes.
    """

    superseded: int = 0
    retired: int = 0
    orphans: int = 0
    size: int = 0


class Collector:
    """Removes what is not needed from the catalog behind ``engine`` and the files in ``folder``.

    Args:
        kept: how long superseded bars are kept.
        grace: how long files are.
    """

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        clock: Clock,
        *,
        kept: timedelta = SUPERSEDED_KEPT,
        grace: timedelta = GRACE,
    ) -> None:
        self._engine = engine
        self._files = BarFiles(folder)
        self._clock = clock
        self._kept = kept
        self._grace = grace

    def collect(self) -> Collected:
        """Remove what is past its time; killed half way, the next call does the rest.

        Raises:
            HomeError: the files are another catalog's; nothing was removed.
            StoreError: the catalog is unreachable, or the folder cannot be listed.
        """
        self._claim()
        superseded = 0
        while some := retry.write(self._engine, self._clock, self._forget_some):
            superseded += some
        retired, orphans = (
            self._retired(),
            unnamed(self._engine, self._files, self._clock, self._grace),
        )
        size = 0
        for path in [*retired, *orphans]:
            size += self._unlink(path)
        self._forget_files(retired)
        return Collected(superseded, len(retired), len(orphans), size)

    def _claim(self) -> None:
        folder = self._files.folder
        try:
            with reading(self._engine) as connection:
                claim(connection, folder)
        except OSError as error:
            raise StoreError(
                f"the folder {folder} cannot be used: {error.strerror or error}"
            ) from error

    def _forget_some(self, connection: Connection) -> int:
        """Delete some superseded chunks that are past their time; how many."""
        until = wall_micros(connection, self._clock) - self._kept // MICROSECOND
        old = select(chunks.c.id).where(chunks.c.superseded_at <= until).limit(_BATCH)
        told = chunks.c["path", "series_id", "superseded_at"]
        gone = connection.execute(delete(chunks).where(chunks.c.id.in_(old)).returning(*told)).all()
        retire(connection, (row.path for row in gone), wall_micros(connection, self._clock))
        since: dict[int, int] = {}
        for row in gone:
            since[row.series_id] = max(row.superseded_at, since.get(row.series_id, 0))
        if since:
            rows = [{"of": one, "since": since[one]} for one in sorted(since)]
            connection.execute(_FORGET, rows)
        return len(gone)

    def _retired(self) -> list[str]:
        """The paths of retired files that are past the grace."""
        with reading(self._engine) as connection:
            until = wall_micros(connection, self._clock) - self._grace // MICROSECOND
            named = select(chunks.c.path).where(chunks.c.path == retired_files.c.path)
            wanted = select(retired_files.c.path).where(
                retired_files.c.retired_at <= until, ~named.exists()
            )
            return list(connection.execute(wanted).scalars())

    def _unlink(self, path: str) -> int:
        """Remove a file, if it is there; its size."""
        file = self._files.folder / path
        try:
            size = file.stat().st_size
            file.unlink()
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise StoreError(f"{file} cannot be removed: {error.strerror or error}") from error
        return size

    def _forget_files(self, paths: list[str]) -> None:
        def forget(connection: Connection) -> None:
            for start in range(0, len(paths), _BATCH):
                some = paths[start : start + _BATCH]
                connection.execute(delete(retired_files).where(retired_files.c.path.in_(some)))

        if paths:
            retry.write(self._engine, self._clock, forget)


def unnamed(engine: Engine, files: BarFiles, clock: Clock, grace: timedelta) -> list[str]:
    """The paths of files that nothing names, written longer ago than ``grace``.

    Raises:
        StoreError: the catalog is unreachable, or the folder cannot be listed.
    """
    until = clock.wall_now().timestamp() - grace.total_seconds()
    old = [path for path, written in files.written() if written <= until]
    with reading(engine) as connection:  # after the listing: what was entered since is no orphan
        named = set(connection.execute(select(retired_files.c.path)).scalars())
        filed = select(chunks.c.path).where(chunks.c.path.is_not(None))
        named.update(connection.execute(filed).scalars())
    return [path for path in old if path not in named]
