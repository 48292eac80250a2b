"""Immutable files of bars: written once under a name of their own, never changed.

Not here: which of them count; the catalog's chunks say.
"""

import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from marketdata_pipeline.database.durable import sync
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import StoreError
from marketdata_pipeline.store.checksums import open_checked

GRACE = timedelta(hours=1)
"""How long a file stays that nothing names: who found it in the catalog may still read it."""


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
            sync(folder)
            sync(self.folder)
        except OSError as error:
            for left in (unfinished, folder / name):
                with suppress(OSError):
                    left.unlink()
            raise StoreError(
                f"{series}: bars cannot be written to {folder}: {error.strerror or error}"
            ) from error
        return f"{series.slug}/{name}"

    def open(self, path: str, checksum: str) -> BinaryIO:
        """A file to read from; each block of it is verified when it is read.

        Raises:
            Damaged: here or on reading, the bytes are not those of the checksum.
            OSError: it is missing or unreadable.
        """
        return open_checked(self.folder / path, checksum)

    def written(self) -> Iterator[tuple[str, float]]:
        """The path of each file, finished or not, and when it was last written in wall seconds.

        Raises:
            StoreError: the folder cannot be listed.
        """
        try:
            for path in self.folder.glob("*/*.parquet*"):
                with suppress(FileNotFoundError):  # a writer renamed or removed it
                    yield str(path.relative_to(self.folder)), path.stat().st_mtime
        except OSError as error:
            raise StoreError(
                f"the folder {self.folder} cannot be listed: {error.strerror or error}"
            ) from error

    def discard(self, paths: Iterable[str]) -> None:
        """Remove files that no committed chunk names."""
        for path in paths:
            with suppress(OSError):
                (self.folder / path).unlink()
