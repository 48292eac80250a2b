"""Putting a backup back as a new home, on SQLite or Postgres, and proving that it is the same.

Not here: what a backup may say (database.manifest), and Dagster; who restores says how its
partitions are registered.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, select, update

from marketdata_pipeline.database.claim import claim, new_name
from marketdata_pipeline.database.durable import (
    FileSum,
    Unfinished,
    copy_file,
    open_plain,
    sum_file,
    sync,
    unfinished,
)
from marketdata_pipeline.database.engine import open_engine, reading, shown, writing
from marketdata_pipeline.database.folders import BARS, CATALOG, DAGSTER, make_folders
from marketdata_pipeline.database.manifest import BackedFile, Manifest, refuse_outside
from marketdata_pipeline.database.metadata import (
    REVISIONS,
    instruments,
    tracked_instruments,
)
from marketdata_pipeline.database.metadata import home as home_table
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.database.migrate import move_within, revision_in_turn
from marketdata_pipeline.database.rows import (
    Told,
    copy_rows,
    ours_within,
    sum_up,
    tables_at,
    untold,
)
from marketdata_pipeline.database.sealed import open_new_file, open_sealed_file
from marketdata_pipeline.database.snapshot import bars_named
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import HomeError, StoreError
from marketdata_pipeline.store.chunks import merged, overlapping, read_chunk
from marketdata_pipeline.store.files import BarFiles

Register = Callable[[Path, Sequence[Instrument]], object]
"""Is given the folder of Dagster's instance and the instruments that are to have partitions."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a backup became, once all of it was compared.

    Attributes:
        manifest: of the backup, whose tables and files are the same in the home.
        home: its folder.
        series, bars: how many have bars that were read, and how many bars these are.
        unreadable: series that lacked a file already when the backup was taken.
        instruments: those whose partitions were registered.
    """

    manifest: Manifest
    home: Path
    series: int
    bars: int
    unreadable: tuple[Series, ...]
    instruments: int


def restore_backup(
    backup: Path,
    home: Path,
    *,
    database_url: str | None = None,
    register: Register,
    told: Told = untold,
) -> Restored:
    """Make a home of the backup in the folder ``backup``.

    Rows, files and bars are compared before the home appears; Dagster is to be told of all series
    anew. A catalog of an older revision is upgraded once it was found to be the same.

    Args:
        backup: as ``take_backup`` or an upgrade left it.
        home: must not be there, or be empty.
        database_url: of a database without any of our tables; None for SQLite in the home.
        register: as its name says; what it raises ends the restore.
        told: of progress.

    Raises:
        BadInput: no backup, one of a newer version, one that names a path elsewhere; a home or
            tables that are there already.
        StoreError: the backup is damaged, or something cannot be written; nothing is left.
    """
    manifest = Manifest.read(backup)
    with unfinished(home, last=CATALOG) as building:
        make_folders(building.folder, [])
        _copy_files(backup, manifest, building.folder, told)
        restoring = _Restoring(backup, manifest, building, register, told)
        if database_url is None:
            engine = open_new_file(building.folder / CATALOG)
        else:
            engine = open_engine(database_url)
        try:
            with writing(engine) as connection:
                found = restoring.run(connection)
                if database_url is not None:
                    building.finish()  # first, since the commit is what makes a home of it
        finally:
            engine.dispose()
        if database_url is None:
            sync(building.folder / CATALOG)
    return found


def _copy_files(backup: Path, manifest: Manifest, home: Path, told: Told) -> None:
    """Copy the bar files, and look at the catalog's, each compared with what the manifest says."""
    for number, one in enumerate(manifest.files, start=1):
        copy = None if one.path == CATALOG else home / one.path
        if copy is not None:
            copy.parent.mkdir(parents=True, exist_ok=True)
        found = [_taken(backup, one, copy)]
        if copy is not None:
            with copy.open("rb") as file:
                found.append(sum_file(file))
        if any(sum_ != FileSum(one.size, one.sha256) for sum_ in found):
            raise StoreError(
                f"{backup / one.path} is damaged: its checksum differs from the manifest's; "
                "use another backup"
            )
        told("files copied", number, len(manifest.files))


def _taken(backup: Path, one: BackedFile, copy: Path | None) -> FileSum:
    """What a file of the backup sums up to, copied where a copy is wanted."""
    try:
        opened = open_plain(backup, one.path)
    except OSError as error:
        why = error.strerror or error
        raise StoreError(f"{backup / one.path} cannot be read: {why}") from error
    with opened as file:
        return sum_file(file) if copy is None else copy_file(file, copy)


@dataclass(frozen=True, slots=True)
class _Restoring:
    """The one transaction that fills the catalog of a home whose files are there already."""

    backup: Path
    manifest: Manifest
    building: Unfinished
    register: Register
    told: Told

    def run(self, connection: Connection) -> Restored:
        """All of it, on a connection whose caller commits."""
        self._refuse_tables(connection)
        self._copy_rows(connection)
        move_within(connection, REVISIONS[-1])
        unreadable, read, bars = self._read_all(connection)
        connection.execute(update(series_table).values(shown_version=0))
        connection.execute(update(home_table).values(catalog=new_name()))
        claim(connection, self.building.folder / BARS)
        known = _instruments(connection)
        self.register(self.building.folder / DAGSTER, known)
        return Restored(
            manifest=self.manifest,
            home=self.building.target,
            series=read,
            bars=bars,
            unreadable=tuple(unreadable),
            instruments=len(known),
        )

    def _refuse_tables(self, connection: Connection) -> None:
        revision_in_turn(connection)
        taken = ours_within(connection, tables_at(REVISIONS[-1]))
        if taken:
            raise HomeError(
                f"the database {shown(connection.engine)} holds tables of a home already "
                f"({taken[0]}, ...); name an empty one in MARKETDATA_DATABASE_URL"
            )

    def _copy_rows(self, connection: Connection) -> None:
        """The rows of the backup's catalog, compared with the manifest once they are there."""
        tables = tables_at(self.manifest.revision)
        move_within(connection, self.manifest.revision)
        sealed = open_sealed_file(self.backup / CATALOG)
        try:
            with reading(sealed) as source:
                copy_rows(source, connection, tables, self.told)
        finally:
            sealed.dispose()
        there, expected = sum_up(connection, tables, self.told), self.manifest.tables
        differing = [one for one in {**expected, **there} if expected.get(one) != there.get(one)]
        if differing:
            raise StoreError(f"{differing[0]} in {self.backup / CATALOG} is not what it was")
        self._refuse_other_paths(connection)

    def _refuse_other_paths(self, connection: Connection) -> None:
        """Each path in the catalog is that of a file of the backup; one of a lost file, of none."""
        catalog = str(self.backup / CATALOG)
        for table in tables_at(self.manifest.revision).all:
            if "path" in table.c:
                for path in connection.execute(select(table.c.path)).scalars():
                    if path is not None:
                        refuse_outside(path, within="", named_by=catalog)
        there = {one.path.removeprefix(f"{BARS}/") for one in self.manifest.bars}
        named = set(bars_named(connection, self.manifest.revision))
        lost = sorted(named - there - set(self.manifest.missing))
        if lost:
            raise StoreError(f"{catalog} names {lost[0]}, which the backup does not hold")

    def _read_all(self, connection: Connection) -> tuple[list[Series], int, int]:
        """Read each bar of every series, superseded ones too, and compare it with its checksum.

        Which series have lost a file, how many were read, how many of their bars count.
        """
        files = BarFiles(self.building.folder / BARS)
        wanted = select(series_table.c.id, series_table.c.key).order_by(series_table.c.id)
        every = connection.execute(wanted).all()
        unreadable, read, bars = [], 0, 0
        for number, (known, key) in enumerate(every, start=1):
            series = Series.parse(key)
            found = overlapping(connection, known, None, live=False)
            if any(row.path in self.manifest.missing for row in found):
                unreadable.append(series)
            elif found:
                parts = [(row, read_chunk(row, files, series)) for row in found]
                live = merged(rows for row, rows in parts if row.superseded_at is None)
                read, bars = read + 1, bars + len(live.ts)
            self.told("series read", number, len(every))
        return unreadable, read, bars


def _instruments(connection: Connection) -> list[Instrument]:
    """Tracked instruments as they were tracked, then others that have bars."""
    tracked, held = tracked_instruments.c, series_table.c
    order = (
        select(instruments.c.key)
        .join_from(tracked_instruments, instruments)
        .where(tracked.untracked_at.is_(None))
        .order_by(tracked.first_tracked_at, tracked.instrument_id)
    )
    others = (
        select(instruments.c.key)
        .join_from(series_table, instruments)
        .where(held.rows > 0)
        .order_by(instruments.c.id)
    )
    keys = [*connection.execute(order).scalars(), *connection.execute(others).scalars()]
    return [Instrument.parse(key) for key in dict.fromkeys(keys)]
