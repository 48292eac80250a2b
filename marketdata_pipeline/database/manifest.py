"""What a backup says of itself, and which paths it may name.

Not here: taking a backup and putting it back (store). A backup comes from anywhere, so that
nothing in it is believed before it was looked at.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from marketdata_pipeline.database.durable import open_plain
from marketdata_pipeline.database.folders import BARS, CATALOG
from marketdata_pipeline.database.metadata import REVISIONS
from marketdata_pipeline.database.rows import TableSum
from marketdata_pipeline.errors import BadInput

MANIFEST = "manifest.json"
_FORMAT = 1
# What a percent-encoded name is made of; no more than that is ever written.
_PART = re.compile(r"(?!\.+$)[A-Za-z0-9%._~-]{1,255}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class BackedFile:
    """A file of a backup: its path from the backup's folder, its size in bytes and its SHA-256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A backup in one file.

    Attributes:
        revision: of the catalog's tables.
        tool: the version of the package that took it.
        created_at: wall instant of the state of the catalog that it holds.
        mode, history, seed: of the home, as its row says.
        database: where the catalog was: sqlite or postgresql.
        tables: what each table sums up to.
        files: all files but this one.
        missing: bar files that the catalog names and that were gone when the backup was taken,
            from the folder of bars; only the backup before an upgrade may lack any.
    """

    revision: str
    tool: str
    created_at: datetime
    mode: str
    history: str | None
    seed: int | None
    database: str
    tables: dict[str, TableSum]
    files: tuple[BackedFile, ...]
    missing: tuple[str, ...] = ()
    format: int = _FORMAT

    @classmethod
    def read(cls, backup: Path) -> Self:
        """The manifest of the backup in a folder.

        Raises:
            BadInput: none is there, it is of a newer version, or it says what cannot be.
        """
        where = backup / MANIFEST
        try:
            with open_plain(backup, MANIFEST) as file:
                data = file.read()
        except OSError as error:
            why = error.strerror or error
            raise BadInput(f"{backup} is no backup: {MANIFEST} cannot be read: {why}") from error
        found = cls._parsed(data, where)
        _refuse_impossible(found.files, where)
        return found

    @classmethod
    def _parsed(cls, data: bytes, where: Path) -> Self:
        from pydantic import TypeAdapter, ValidationError

        newer = f"{where} was written by a newer version; update marketdata-pipeline"
        try:
            told = json.loads(data)
        except ValueError as error:
            raise BadInput(f"{where} is damaged: it is no JSON") from error
        if isinstance(told, dict) and _is_later(told.get("format"), told.get("revision")):
            raise BadInput(newer)
        try:
            return TypeAdapter(cls).validate_python(told)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise BadInput(f"{where} is damaged: {place}: {first['msg']}") from error

    def dumped(self) -> bytes:
        """The file's content, a line for each file and table."""
        from pydantic import TypeAdapter

        return TypeAdapter(type(self)).dump_json(self, indent=1) + b"\n"

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(one.rows for one in self.tables.values())

    @property
    def bars(self) -> tuple[BackedFile, ...]:
        """The bar files."""
        return tuple(one for one in self.files if one.path != CATALOG)

    @property
    def size(self) -> int:
        """Bytes of all files but this one."""
        return sum(one.size for one in self.files)


def _refuse_impossible(files: Collection[BackedFile], where: Path) -> None:
    """Refuse paths that lead anywhere else, twice the same, or none of the catalog."""
    paths = [one.path for one in files]
    for path in paths:
        if path != CATALOG:
            refuse_outside(path, within=BARS, named_by=str(where))
    if len(set(paths)) < len(paths) or CATALOG not in paths:
        raise BadInput(f"{where} is damaged: it names a file twice, or no {CATALOG}")
    if any(not _SHA256.fullmatch(one.sha256) or one.size < 0 for one in files):
        raise BadInput(f"{where} is damaged: a file's size or checksum is none")


def refuse_outside(path: str, *, within: str, named_by: str) -> None:
    """Pass a path that lies in the folder ``within`` (empty: wherever it starts from) for sure.

    Raises:
        BadInput: it is absolute, goes up, or holds a character that no path of ours does.
    """
    parts = path.split("/")
    below = parts[1:] if within else parts
    if not below or (within and parts[0] != within) or not all(map(_PART.fullmatch, below)):
        raise BadInput(f"{named_by} names {path!r}, which is no path of a bar file")


def _is_later(version: object, revision: object) -> bool:
    later = isinstance(version, int) and version > _FORMAT
    return later or (isinstance(revision, str) and revision not in REVISIONS)
