"""Immutable files of bars: written once under a name of their own, never changed.

Not here: which of them count; the catalog's chunks say.
"""

import os
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import StoreError


@dataclass(frozen=True, slots=True)
class BarFiles:
    """The files below ``folder``, each in the folder of its series."""

    folder: Path

    def put(self, series: Series, data: bytes) -> str:
        """Write a file that survives a power cut from here on; its path relative to the folder.

        Raises:
            StoreError: disk full, folder not writable; nothing is left of the file.
        """
        folder = self.folder / series.slug
        name = f"{uuid.uuid4().hex}.parquet"
        unfinished = folder / f".{name}.tmp"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with unfinished.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(folder / name)
            _sync(folder)
            _sync(self.folder)
        except OSError as error:
            for left in (unfinished, folder / name):
                with suppress(OSError):
                    left.unlink()
            raise StoreError(
                f"{series}: bars cannot be written to {folder}: {error.strerror or error}"
            ) from error
        return f"{series.slug}/{name}"

    def get(self, series: Series, path: str) -> bytes:
        """The bytes of a file.

        Raises:
            StoreError: it is missing or unreadable; the text names series and file.
        """
        try:
            return (self.folder / path).read_bytes()
        except OSError as error:
            raise StoreError(
                f"{series}: the bar file {self.folder / path} cannot be read: "
                f"{error.strerror or error}"
            ) from error

    def discard(self, paths: Iterable[str]) -> None:
        """Remove files that no committed chunk names."""
        for path in paths:
            with suppress(OSError):
                (self.folder / path).unlink()


def _sync(folder: Path) -> None:
    """Make the names in a folder as durable as the files."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
