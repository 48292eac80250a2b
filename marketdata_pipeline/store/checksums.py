"""Checksums of chunks: of blocks, so that a part of a file is verified without reading the rest.

Not here: what the bytes mean (codec). A checksum is ``s8:`` and of each 64 KiB the first 8 bytes of
its SHA-256, in hexadecimal digits; chunks of earlier versions have the SHA-256 of the whole.
"""

import io
import os
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final, cast

_BLOCK: Final = 65_536
_DIGEST: Final = 8
_MARK: Final = "s8:"


class Damaged(Exception):
    """The bytes are not those that the checksum was made of."""


def checksum(data: bytes) -> str:
    """The checksum of a chunk's bytes."""
    return _MARK + "".join(
        _digest(data[start : start + _BLOCK]) for start in range(0, len(data), _BLOCK)
    )


def verify(data: bytes, told: str) -> None:
    """Pass where ``told`` is the checksum of ``data``.

    Raises:
        Damaged: it is not.
    """
    if told != (checksum(data) if told.startswith(_MARK) else sha256(data).hexdigest()):
        raise Damaged


def _digest(block: bytes) -> str:
    return sha256(block).digest()[:_DIGEST].hex()


def open_checked(path: Path, told: str) -> BinaryIO:
    """The file, each block of it verified when it is read.

    Raises:
        Damaged: here or on reading, the bytes are not those of the checksum.
        OSError: the file is missing or unreadable.
    """
    if not told.startswith(_MARK):
        data = path.read_bytes()
        verify(data, told)
        return io.BytesIO(data)
    return cast("BinaryIO", _Checked(path, told))


class _Checked(io.RawIOBase):
    """A file that reads whole blocks only, each once, and hands out nothing of a damaged one."""

    def __init__(self, path: Path, told: str) -> None:
        digits = told.removeprefix(_MARK)
        width = 2 * _DIGEST
        self._digests = [digits[at : at + width] for at in range(0, len(digits), width)]
        self._at = 0
        self._verified: dict[int, bytes] = {}
        self._handle = path.open("rb", buffering=0)
        self._size = os.fstat(self._handle.fileno()).st_size
        if -(-self._size // _BLOCK) != len(self._digests):
            self.close()
            raise Damaged

    def close(self) -> None:
        self._handle.close()
        super().close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._size, self._at + size)
        if end <= self._at:
            return b""
        first, after = self._at // _BLOCK, -(-end // _BLOCK)
        data = b"".join(map(self._block, range(first, after)))
        start, self._at = self._at, end
        return data[start - first * _BLOCK : end - first * _BLOCK]

    def _block(self, number: int) -> bytes:
        if number not in self._verified:
            block = os.pread(self._handle.fileno(), _BLOCK, number * _BLOCK)
            if _digest(block) != self._digests[number]:
                raise Damaged
            self._verified[number] = block
        return self._verified[number]
