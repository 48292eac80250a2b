"""Reading csv, csv.gz and Parquet files of strangers: in pieces, bounded, failures in one sentence.

Not here: what is in them (tables). What a file is, its first bytes say, not its name.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing.columns import word_of
from marketdata_pipeline.ingest.importing.exports import said_in_parquet
from marketdata_pipeline.ingest.importing.place import Place
from marketdata_pipeline.ingest.importing.said import UNHEARD, Said

MOST_ROWS = 10_000_000
"""Of one series: nineteen years of a market that trades every minute of the day; each row takes
half a kB while it is imported."""
_MOST_BYTES = 2 * 2**30
"""Unpacked: MOST_ROWS lines of 200 bytes; a file of some MB can hold more."""
_LONGEST_LINE = 2**20
_PIECE = 250_000
"""Rows that are read at once."""
_HEAD = 2**16
_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_SEPARATORS = ",;\t|"
_EMPTY = ["", "nan", "NaN", "null", "NULL", "None"]
"""Cells without a value; not NA, which is a stock of Nasdaq."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of a file as they are written, the line of the first one, what the file says of them."""

    frame: pd.DataFrame
    first_line: int
    said: Said = UNHEARD


def place_of(path: Path, name: str) -> Place:
    """What messages call a file and its rows.

    Raises:
        BadInput: it cannot be read.
    """
    with _failing_clearly(Place(name)):
        return Place(name, "row" if _begins(path) == _PARQUET else "line")


def pieces_of(path: Path, place: Place) -> Iterator[Piece]:
    """The rows of a file, in order.

    Raises:
        BadInput: it cannot be read, is none of the three kinds, damaged, or larger than any series
            is.
    """
    with _failing_clearly(place):
        first = _begins(path)
        if first == _PARQUET:
            yield _parquet(path, place)
            return
        rows = 0
        for piece in _csv(path, place, packed=first.startswith(_GZIP)):
            rows += len(piece.frame)
            if rows > MOST_ROWS:
                raise BadInput(_too_large(place))
            yield piece


@contextmanager
def _failing_clearly(place: Place) -> Iterator[None]:
    """Every failure of a library or of the system becomes one sentence."""
    from pyarrow import ArrowException

    try:
        yield
    except UnicodeDecodeError as error:
        raise BadInput(f"{place} is no text in UTF-8; save it so") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BadInput(f"{place} is damaged: {_said(error)}; get it again") from error
    except OSError as error:
        raise BadInput(f"{place} cannot be read: {error.strerror or _said(error)}") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
        told = _said(error).removeprefix("Error tokenizing data. C error: ")
        raise BadInput(f"{place} is no table of comma-separated values: {told}") from error
    except (ArrowException, ValueError) as error:
        raise BadInput(f"{place} cannot be read: {_said(error)}") from error


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]


def _too_large(place: Place) -> str:
    return f"{place} holds more than {MOST_ROWS:,} rows, or lines longer than any; split it"


def _begins(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(_PARQUET))


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Bounded(io.RawIOBase):
    """A file that fails rather than hand out more, or a longer line, than any series needs."""

    def __init__(self, inner: _Readable, place: Place) -> None:
        super().__init__()
        self._inner = inner
        self._place = place
        self._read = 0
        self._since_line = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._inner.read(min(len(buffer), _HEAD))
        self._read += len(data)
        at = data.rfind(b"\n")
        self._since_line = len(data) - at - 1 if at >= 0 else self._since_line + len(data)
        if self._read > _MOST_BYTES or self._since_line > _LONGEST_LINE:
            raise BadInput(_too_large(self._place))
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def _unpacked(path: Path, place: Place, *, packed: bool) -> Iterator[io.BufferedReader]:
    with gzip.open(path, "rb") if packed else path.open("rb") as inner:
        yield io.BufferedReader(_Bounded(inner, place), _HEAD)


def _csv(path: Path, place: Place, *, packed: bool) -> Iterator[Piece]:
    with _unpacked(path, place, packed=packed) as file:
        head = file.read(_HEAD).decode("utf-8-sig", errors="ignore")
    first = head.partition("\n")[0]
    separator = max(_SEPARATORS, key=first.count)
    levels, lines = _header(head, separator)
    with (
        _unpacked(path, place, packed=packed) as file,
        pd.read_csv(
            file,
            sep=separator,
            header=list(range(levels)) if levels > 1 else 0,
            index_col=0 if levels > 1 else None,
            chunksize=_PIECE,
            encoding="utf-8-sig",
            float_precision="round_trip",
            keep_default_na=False,
            na_values=_EMPTY,
            skip_blank_lines=False,
            low_memory=False,
        ) as pieces,
    ):
        line = lines + 1
        for frame in pieces:
            if levels == 1 and not isinstance(frame.index, pd.RangeIndex):
                raise BadInput(f"{place}: its rows have more cells than its first line has names")
            yield Piece(frame, line)
            line += len(frame)


def _header(head: str, separator: str) -> tuple[int, int]:
    """How many levels the names of columns have, and how many lines they take.

    A frame of several tickers is saved with a line of prices and one of tickers, in either order,
    and mostly a third one with the name of the index.
    """
    rows = [*csv.reader(head.splitlines()[:3], delimiter=separator), [], [], []]
    first, second, third = (row[1:] for row in rows[:3])
    if not first or not second:
        return 1, 1
    tickers_below = all(map(word_of, first)) and rows[1][0] in {"Ticker", "Price", ""}
    if not (all(map(word_of, second)) or (tickers_below and not _numeric(second))):
        return 1, 1
    return 2, 3 if third and not any(third) else 2


def _numeric(cells: list[str]) -> bool:
    """Whether any cell is a number, or empty: a row of values."""
    try:
        return any(cell == "" or float(cell) is not None for cell in cells)
    except ValueError:
        return False


def _parquet(path: Path, place: Place) -> Piece:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        meta = file.metadata
        size = sum(meta.row_group(group).total_byte_size for group in range(meta.num_row_groups))
        if meta.num_rows > MOST_ROWS or size > _MOST_BYTES:
            raise BadInput(_too_large(place))
        said = said_in_parquet(meta.metadata or {})
        return Piece(file.read().to_pandas(date_as_object=False), 1, said)
