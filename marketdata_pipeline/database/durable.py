"""Files and folders that are whole and on disk, or not there.

Not here: what is in them.
"""

import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from marketdata_pipeline.errors import BadInput, StoreError

_PRIVATE = 0o700
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class FileSum:
    """The size of a file in bytes, and its SHA-256 in hexadecimal digits."""

    size: int
    sha256: str


def write_file(path: Path, data: bytes) -> FileSum:
    """Write a new file that survives a power cut once its folder is synced too."""
    with path.open("xb") as file:
        file.write(data)
        _settle(file)
    return FileSum(len(data), hashlib.sha256(data).hexdigest())


def copy_file(source: BinaryIO, path: Path) -> FileSum:
    """The same with what is left of an open file."""
    size, digest = 0, hashlib.sha256()
    with path.open("xb") as file:
        while block := source.read(_BLOCK):
            file.write(block)
            digest.update(block)
            size += len(block)
        _settle(file)
    return FileSum(size, digest.hexdigest())


def link_file(source: Path, path: Path) -> FileSum:
    """A second name of a file that never changes, a copy where that cannot be.

    Raises:
        FileNotFoundError: there is no such file.
    """
    try:
        path.hardlink_to(source)
    except FileNotFoundError:
        raise
    except OSError:  # another disk, or one without such links
        with source.open("rb") as opened:
            return copy_file(opened, path)
    with path.open("rb") as opened:
        return sum_file(opened)


def open_plain(folder: Path, path: str) -> BinaryIO:
    """Open a file below a folder that somebody else filled: no link leads there, no device is it.

    Raises:
        BadInput: it is something else than a file in folders.
        OSError: it is missing or unreadable.
    """
    where = folder
    for part in path.split("/"):
        where /= part
        mode = where.lstat().st_mode
        if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            raise BadInput(f"{where} is a link or no file; only plain files are taken")
    return os.fdopen(os.open(where, os.O_RDONLY | os.O_NOFOLLOW), "rb")


def sum_file(file: BinaryIO) -> FileSum:
    """Size and SHA-256 of what is left of an open file."""
    size, digest = 0, hashlib.sha256()
    while block := file.read(_BLOCK):
        size += len(block)
        digest.update(block)
    return FileSum(size, digest.hexdigest())


def sync(path: Path) -> None:
    """Make a file that somebody else wrote durable, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_below(folder: Path) -> None:
    """Make the names in a folder and in all folders below it durable."""
    for one in (folder, *folder.rglob("*")):
        if one.is_dir():
            sync(one)


@dataclass(slots=True)
class Unfinished:
    """A folder that is being filled: ``folder``, until ``finish`` gives it its name."""

    folder: Path
    target: Path
    last: str
    finished: bool = False

    def finish(self) -> None:
        """Make all of it durable, then let it appear under its name."""
        sync_below(self.folder)
        if self.folder.parent == self.target:
            found = sorted(self.folder.iterdir(), key=lambda one: one.name == self.last)
            for one in found:
                one.rename(self.target / one.name)
            self.folder.rmdir()
            sync(self.target)
        else:
            self.folder.rename(self.target)
            sync(self.target.parent)
        self.finished = True


@contextmanager
def unfinished(target: Path, *, last: str) -> Iterator[Unfinished]:
    """A folder for its owner alone, to be filled; at the end it is ``target``, in one step.

    It lies beside the target. Where that is there and empty, perhaps a disk of its own, it lies
    inside, and what is in it is renamed piece by piece, the file ``last`` at the end: that one
    makes the folder what it is. On a failure nothing is left; a process that is killed leaves a
    folder whose name begins with a dot and holds the word unfinished.

    Raises:
        BadInput: the target is no folder, is not empty, or cannot be made.
        StoreError: something cannot be written; the reason is the system's.
    """
    made: list[Path] = []
    try:
        building = _begin(target, last, made)
    except OSError as error:
        _remove(made)
        raise BadInput(f"{target} cannot be made: {error.strerror or error}") from error
    try:
        yield building
        if not building.finished:
            building.finish()
    except BaseException as error:
        if not building.finished:
            _abandon(building, made)
        if isinstance(error, OSError):
            raise StoreError(f"{target} cannot be written: {error.strerror or error}") from error
        raise


def _begin(target: Path, last: str, made: list[Path]) -> Unfinished:
    there = target.is_dir()
    if not there and (target.exists() or target.is_symlink()):
        raise BadInput(f"{target} is no folder; name another")
    if there and any(target.iterdir()):
        raise BadInput(f"{target} is not empty; name a folder that is not there yet")
    for one in reversed([one for one in target.parents if not one.exists()]):
        one.mkdir()
        made.append(one)
    name = f".{target.name}.unfinished-{uuid.uuid4().hex[:8]}"
    folder = (target if there else target.parent) / name
    folder.mkdir(mode=_PRIVATE)
    if there:
        target.chmod(_PRIVATE)
    return Unfinished(folder, target, last)


def _abandon(building: Unfinished, made: list[Path]) -> None:
    shutil.rmtree(building.folder, ignore_errors=True)
    if building.folder.parent == building.target:
        for one in building.target.iterdir():  # it was empty: this was renamed a moment ago
            if one.is_dir():
                shutil.rmtree(one, ignore_errors=True)
            else:
                one.unlink(missing_ok=True)
    _remove(made)


def _remove(folders: list[Path]) -> None:
    for one in reversed(folders):
        with suppress(OSError):
            one.rmdir()


def _settle(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
