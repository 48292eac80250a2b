"""Taking a backup of a home: its catalog as of one moment, and the bar files that it names.

Not here: putting it back (restore), and the copy of the catalog (database.snapshot). Writers go on
meanwhile: what they commit after the moment is in the next backup. The folder is laid out as a home
is, so that the version that took it can open a copy of it as one.
"""

from pathlib import Path

from marketdata_pipeline.database.durable import unfinished, write_file
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.folders import BARS, CATALOG
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.database.manifest import (
    MANIFEST,
    BackedFile,
    Manifest,
    refuse_outside,
)
from marketdata_pipeline.database.metadata import REVISIONS
from marketdata_pipeline.database.migrate import check_schema_within
from marketdata_pipeline.database.rows import Told, untold
from marketdata_pipeline.database.snapshot import Snapshot, write_snapshot
from marketdata_pipeline.database.upgrade import BACKUPS
from marketdata_pipeline.errors import BadInput, StoreError
from marketdata_pipeline.store.checksums import Damaged, verify

_LOOKS = 3


class _Gone(Exception):
    """A bar file is not there; ``path`` is its own from the folder of bars."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def take_backup(home: Home, target: Path, told: Told = untold) -> Manifest:
    """Take a backup of an opened home into the folder ``target``; what it says of itself.

    Compaction can take a file away that the copied catalog still names: then the catalog is copied
    anew, and what was copied of the files is kept.

    Raises:
        BadInput: the target is not empty, lies inside the home, or cannot be made.
        StoreError: the catalog or a bar file is unreadable, damaged or lost, or the backup cannot
            be written; nothing is left of it.
    """
    _refuse_inside(home, target)
    with unfinished(target, last=MANIFEST) as building:
        taking = _Taking(home, building.folder, told)
        manifest = taking.run()
        write_file(building.folder / MANIFEST, manifest.dumped())
    return manifest


def _refuse_inside(home: Home, target: Path) -> None:
    """What lies among a home's files is taken for some of them."""
    around, folder = set(target.resolve().parents), home.folder.resolve()
    if folder in around and folder / BACKUPS not in around:
        raise BadInput(f"{target} is inside the home; name a folder elsewhere")


class _Taking:
    """One backup while it is taken."""

    def __init__(self, home: Home, folder: Path, told: Told) -> None:
        self._home = home
        self._folder = folder
        self._told = told
        self._copied: dict[str, BackedFile] = {}

    def run(self) -> Manifest:
        """Copy all of it; the manifest, which is not written yet."""
        (self._folder / BARS).mkdir()
        lost: set[str] = set()
        for _ in range(_LOOKS):
            snapshot = self._snapshot()
            again = sorted(lost & set(snapshot.bars))
            if again:
                raise StoreError(
                    f"the bar file {self._home.bars / again[0]} is missing, though the catalog "
                    "names it; put it back from an earlier backup"
                )
            self._drop_all_but(snapshot)
            try:
                self._copy_files(snapshot)
            except _Gone as gone:
                lost.add(gone.path)
                continue
            return snapshot.manifest([self._copied[one] for one in snapshot.bars], [])
        raise StoreError(
            f"files in {self._home.bars} went away while they were copied, {_LOOKS} times; "
            "run the same again while nothing is compacted"
        )

    def _snapshot(self) -> Snapshot:
        (self._folder / CATALOG).unlink(missing_ok=True)
        with reading(self._home.engine) as connection:
            check_schema_within(connection)
            return write_snapshot(connection, self._folder, REVISIONS[-1], self._told)

    def _drop_all_but(self, snapshot: Snapshot) -> None:
        for path in set(self._copied) - set(snapshot.bars):
            (self._folder / BARS / path).unlink()
            del self._copied[path]

    def _copy_files(self, snapshot: Snapshot) -> None:
        for number, (path, checksum) in enumerate(snapshot.bars.items(), start=1):
            if path not in self._copied:
                refuse_outside(path, within="", named_by="the catalog")
                self._copied[path] = self._copy(path, checksum)
            self._told("files copied", number, len(snapshot.bars))

    def _copy(self, path: str, checksum: str) -> BackedFile:
        source, copy = self._home.bars / path, self._folder / BARS / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        try:
            data = source.read_bytes()
        except FileNotFoundError as error:
            raise _Gone(path) from error
        except OSError as error:
            why = error.strerror or error
            raise StoreError(f"the bar file {source} cannot be read: {why}") from error
        try:
            verify(data, checksum)
        except Damaged as error:
            raise StoreError(
                f"the bar file {source} is damaged: its checksum differs from the catalog's; "
                "docs/recover.md says what to do"
            ) from error
        found = write_file(copy, data)
        return BackedFile(f"{BARS}/{path}", found.size, found.sha256)
