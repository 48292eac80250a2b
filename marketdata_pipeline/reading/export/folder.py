"""The folder of an export: it appears whole or not at all, and only one of ours is replaced.

Not here: what is written into it.

Files go into a hidden folder beside the target, which gets the target's name once all is on disk.
The writer holds a lock on it, so that the next one knows what a killed one left, and removes that.
"""

import fcntl
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from marketdata_pipeline.errors import BadInput, MarketDataError, StoreError
from marketdata_pipeline.reading.export import manifest
from marketdata_pipeline.reading.export.manifest import FileLine, Manifest

_STALE = 60
"""Seconds after which an unlocked folder is no other writer's that is about to lock it."""
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A hidden folder that becomes the target."""

    folder: Path

    def put(self, path: str, data: bytes) -> FileLine:
        """Write a file; its line in the manifest.

        Raises:
            StoreError: the disk is full, the folder cannot be written.
        """
        file = self.folder / PurePosixPath(path)
        with _writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        return FileLine(path, len(data), hashlib.sha256(data).hexdigest())

    @contextmanager
    def listing(self, path: str) -> Iterator["Listing"]:
        """A JSON array that is written as its elements come, each on a line of its own.

        Raises:
            StoreError: as ``put``.
        """
        file = self.folder / PurePosixPath(path)
        with _writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            opened = file.open("wb")
        with opened:
            yield Listing(path, opened)


class Listing:
    """A JSON array under way."""

    def __init__(self, path: str, file: IO[bytes]) -> None:
        self._path = path
        self._file = file
        self._hash = hashlib.sha256()
        self._bytes = 0
        self._before = b"["

    def add(self, rows: Iterable[Mapping[str, object]]) -> None:
        """Write some elements."""
        for row in rows:
            self._write(self._before + b"\n" + json.dumps(row).encode())
            self._before = b","

    def end(self) -> FileLine:
        """Close the array; the file's line in the manifest."""
        self._write(b"[]\n" if self._before == b"[" else b"\n]\n")
        with _writing(self._path):
            self._file.flush()
        return FileLine(self._path, self._bytes, self._hash.hexdigest())

    def _write(self, data: bytes) -> None:
        with _writing(self._path):
            self._file.write(data)
        self._hash.update(data)
        self._bytes += len(data)


def refuse(target: Path, *, overwrite: bool) -> Path:
    """The target's true path, once it is known that an export may go there.

    An export that a killed writer had put aside gets its name back first.

    Raises:
        BadInput: no parent folder, a file, a folder that is not empty, or, with ``overwrite``, one
            that holds anything that an export of ours has not written.
    """
    target = target.expanduser().resolve()
    if not target.parent.is_dir():
        raise BadInput(f"{target.parent} is no folder; make it, or name another one")
    with _writing(target):
        _mend(target)
        if not target.exists():
            return target
        if not target.is_dir():
            raise BadInput(f"{target} is a file; name a folder")
        if any(target.iterdir()):
            _refuse_strangers(target, overwrite=overwrite)
        return target


@contextmanager
def replacing(target: Path, *, overwrite: bool) -> Iterator[Unfinished]:
    """A folder to write into; at the end it is the target, on any exception nothing is left of it.

    Raises:
        BadInput: as ``refuse`` does; also where somebody put something there meanwhile.
        StoreError: the disk is full, a folder cannot be written.
    """
    target = refuse(target, overwrite=overwrite)
    unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    with _writing(unfinished):
        unfinished.mkdir()
        lock = os.open(unfinished, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Unfinished(unfinished)
        os.sync()  # once, instead of once for each of thousands of files
        with _writing(target):
            _give_name(unfinished, refuse(target, overwrite=overwrite))
    finally:
        os.close(lock)
        shutil.rmtree(unfinished, ignore_errors=True)


def _give_name(unfinished: Path, target: Path) -> None:
    """The folder gets the target's name; an older export is put aside until it has it."""
    aside = target.with_name(f".{target.name}.{uuid.uuid4().hex}.old")
    try:
        if target.exists() and any(target.iterdir()):
            target.rename(aside)
        unfinished.rename(target)
    except BaseException:
        if aside.exists() and not target.exists():
            aside.rename(target)
        raise
    _sync(target.parent)
    _remove(aside)


def _mend(target: Path) -> None:
    """Undo what a killed writer left beside the target."""
    for aside in sorted(target.parent.glob(f".{_plain(target.name)}.*.old")):
        if not target.exists():
            aside.rename(target)
        else:
            _remove(aside)
    for left in target.parent.glob(f".{_plain(target.name)}.*.tmp"):
        if _abandoned(left):
            shutil.rmtree(left, ignore_errors=True)


def _plain(name: str) -> str:
    """The name as a pattern of itself."""
    return "".join(f"[{one}]" if one in "*?[" else one for one in name)


def _abandoned(folder: Path) -> bool:
    """Whether no process writes into it any more."""
    try:
        lock = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return time.time() - os.fstat(lock).st_mtime > _STALE
    except BlockingIOError:
        return False
    finally:
        os.close(lock)


def _refuse_strangers(target: Path, *, overwrite: bool) -> None:
    if not overwrite:
        raise BadInput(
            f"{target} is not empty; name another folder, or give --overwrite where it is an export"
        )
    known = Manifest.read(target)
    if known is None:
        raise BadInput(f"{target} is no export: it holds no {manifest.NAME} of ours; left as it is")
    strange = sorted(str(one.relative_to(target)) for one in _strangers(target, known))
    if strange:
        more = f" and {len(strange) - _SHOWN} others" if len(strange) > _SHOWN else ""
        raise BadInput(
            f"{target} also holds what no export wrote: {', '.join(strange[:_SHOWN])}{more}; "
            "move that away first"
        )


def _strangers(folder: Path, known: Manifest) -> list[Path]:
    """What lies in the folder and is neither a file of the export nor on the way to one."""
    files = {folder / one.path for one in known.files()} | {folder / manifest.NAME}
    ways = {way for file in files for way in file.parents}
    return [one for one in folder.rglob("*") if one not in (ways if _is_way(one) else files)]


def _is_way(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _remove(export: Path) -> None:
    """Remove an export's files, then the folders that are empty; what else is there stays.

    What cannot be removed is left to the next writer.
    """
    with suppress(OSError, MarketDataError):
        known = Manifest.read(export)
        if known is None:
            return
        files = [export / one.path for one in known.files()]
        ways = {way for file in files for way in file.parents if export in way.parents}
        for file in files:
            file.unlink(missing_ok=True)
        for way in sorted(ways, key=lambda one: len(one.parts), reverse=True):
            way.rmdir()
        (export / manifest.NAME).unlink()  # last: by it the next writer knows what to remove
        export.rmdir()


@contextmanager
def _writing(target: Path | str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or target
        raise StoreError(f"{where} cannot be written: {error.strerror or error}") from error


def _sync(folder: Path) -> None:
    """Make the names in a folder as durable as the files."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
