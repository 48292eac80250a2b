"""A catalog as it is at one moment, in one file: for a backup, and before an upgrade.

Not here: the bar files that it names (store), and the rows themselves (rows).
"""

from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from marketdata_pipeline.database.dialect import wall_micros
from marketdata_pipeline.database.durable import sum_file, sync
from marketdata_pipeline.database.engine import writing
from marketdata_pipeline.database.folders import CATALOG
from marketdata_pipeline.database.manifest import BackedFile, Manifest
from marketdata_pipeline.database.migrate import move_within
from marketdata_pipeline.database.rows import TableSum, Told, copy_rows, tables_at, untold
from marketdata_pipeline.database.sealed import open_new_file
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.ranges import from_micros

_DISTRIBUTION = "marketdata-pipeline"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was copied of a catalog.

    Attributes:
        at: wall instant, the database's own on Postgres.
        home: the home's row, by column.
        tables: what each table sums up to.
        bars: the checksum of each bar file that a chunk names, by its path from the folder of bars.
        file: the copy.
    """

    revision: str
    at: datetime
    database: str
    home: dict[str, Any]
    tables: dict[str, TableSum]
    bars: dict[str, str]
    file: BackedFile

    def manifest(self, files: list[BackedFile], missing: list[str]) -> Manifest:
        """The manifest of a backup that holds this and these bar files."""
        return Manifest(
            revision=self.revision,
            tool=version(_DISTRIBUTION),
            created_at=self.at,
            mode=self.home.get("mode", ""),
            history=self.home.get("history"),
            seed=self.home.get("seed"),
            database=self.database,
            tables=self.tables,
            files=(self.file, *files),
            missing=tuple(missing),
        )


def write_snapshot(
    source: Connection, folder: Path, revision: str, told: Told = untold
) -> Snapshot:
    """Copy a catalog into ``folder/catalog.sqlite``, whichever database it is in.

    The file is a catalog of the same revision, and durable. ``source`` is in a transaction in
    which nothing changes.

    Raises:
        StoreError: the catalog is unreadable, or the file cannot be written.
    """
    tables, path = tables_at(revision), folder / CATALOG
    at = from_micros(wall_micros(source, SystemClock()))
    engine = open_new_file(path)
    try:
        with writing(engine) as target:
            move_within(target, revision)
            sums = copy_rows(source, target, tables, told)
            homes = target.execute(select(tables["home"])).mappings().first()
            bars = bars_named(target, revision)
    finally:
        engine.dispose()
    sync(path)
    with path.open("rb") as file:
        found = sum_file(file)
    return Snapshot(
        revision=revision,
        at=at,
        database=source.dialect.name,
        home=dict(homes or {}),
        tables=sums,
        bars=bars,
        file=BackedFile(CATALOG, found.size, found.sha256),
    )


def bars_named(connection: Connection, revision: str) -> dict[str, str]:
    """The checksum of each bar file that a chunk names, by its path from the folder of bars."""
    chunks = tables_at(revision)["chunks"]
    wanted = select(chunks.c.path, chunks.c.checksum).where(chunks.c.path.is_not(None))
    return {row.path: row.checksum for row in connection.execute(wanted.order_by(chunks.c.path))}
