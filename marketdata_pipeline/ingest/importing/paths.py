"""An import of files and folders: each series in turn, as far as it can be told.

Not here: one series (importer), and showing what it came to (the command line).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput, WriteConflict
from marketdata_pipeline.ingest.importing.files import MOST_ROWS, pieces_of, place_of
from marketdata_pipeline.ingest.importing.importer import Importer, Rows
from marketdata_pipeline.ingest.importing.naming import SUFFIXES
from marketdata_pipeline.ingest.importing.outcome import Imported
from marketdata_pipeline.ingest.importing.sources import Source, groups_of, sources_in
from marketdata_pipeline.ingest.importing.tables import Table, joined, tables_of
from marketdata_pipeline.ingest.importing.terms import UNSAID, Terms

_TIMEFRAMES = "|".join(map(str, Timeframe))


class Format(Enum):
    """What files are: ``suffixes`` are those that count; ``yahoo`` is whether yfinance made them.

    ``yahoo`` None: their columns tell.
    """

    AUTO = ("auto", SUFFIXES, None)
    CSV = ("csv", (".csv", ".csv.gz"), False)
    PARQUET = ("parquet", (".parquet", ".pq"), False)
    YFINANCE = ("yfinance", SUFFIXES, True)
    FOLDER = ("folder", SUFFIXES, None)

    def __init__(self, key: str, suffixes: tuple[str, ...], yahoo: bool | None) -> None:  # noqa: FBT001 - members are written as data
        self.key = key
        self.suffixes = suffixes
        self.yahoo = yahoo

    @classmethod
    def parse(cls, text: str) -> "Format":
        """The format of its name.

        Raises:
            BadInput: there is none of that name.
        """
        found = {one.key: one for one in cls}.get(text.strip().lower())
        if found is None:
            known = ", ".join(one.key for one in cls)
            raise BadInput(f"--format is {text[:20]!r}, it must be one of {known}")
        return found


@dataclass(frozen=True, slots=True)
class Asked:
    """What the person says of all files; None: what each of them says."""

    instrument: Instrument | None = None
    timeframe: Timeframe | None = None
    terms: Terms = UNSAID
    format: Format = Format.AUTO


@dataclass(frozen=True, slots=True)
class Read:
    """How far an import is: files of so many, the one being read, and rows of its series so far."""

    files: int
    total: int
    name: str
    rows: int


def import_paths(
    importer: Importer, paths: Sequence[Path], asked: Asked, told: Callable[[Read], None]
) -> Iterator[Imported]:
    """Import files and folders, a series at a time; what is refused is in the outcome.

    ``told`` hears how far the reading is. Closing the iterator stops before the next series.

    Raises:
        BadInput: a path that is not there, names that contradict each other, or nothing that is
            meant.
        StoreError: the catalog or a file refused.
    """
    files = [one for one in paths if not one.is_dir()]
    if asked.format is Format.FOLDER and files:
        raise BadInput(f"{files[0]} is no folder; leave out --format folder")
    sources = [one for one in sources_in(paths, asked.format.suffixes) if _meant(one, asked)]
    refuse_shared_splits(asked.terms, (str(one.instrument) for one in sources if one.instrument))
    if not sources:
        wanted = " ".join(str(one) for one in (asked.instrument, asked.timeframe) if one)
        raise BadInput(f"none of the files is of {wanted}; leave out the option")
    done = 0
    for group in groups_of(sources):
        yield from _import_group(importer, group, asked, _Followed(told, done, len(sources)))
        done += len(group)


def refuse_shared_splits(terms: Terms, instruments: Iterable[str]) -> None:
    """Pass where splits that are stated are those of one instrument.

    Raises:
        BadInput: there are several.
    """
    several = list(dict.fromkeys(instruments))
    if terms.splits and len(several) > 1:
        raise BadInput(
            f"--splits is of one instrument, but there are {', '.join(several[:3])}; add "
            "--instrument"
        )


@dataclass(frozen=True, slots=True)
class _Followed:
    """Tells of files of one group, ``done`` of ``total`` being those before it."""

    told: Callable[[Read], None]
    done: int
    total: int

    def at(self, files: int, name: str, rows: int) -> None:
        self.told(Read(self.done + files, self.total, name, rows))


def _meant(source: Source, asked: Asked) -> bool:
    """Whether a file is of what the person asked for; one that says nothing is."""
    for name in ("instrument", "timeframe"):
        ours, theirs = getattr(asked, name), getattr(source, name)
        if None in (ours, theirs) or ours == theirs:
            continue
        if name == "instrument" and not source.sure:
            continue
        if source.alone:
            raise BadInput(
                f"{source.name} is of {theirs}, as its name or what stands beside it says, not of "
                f"{ours}; leave out --{name} or rename it"
            )
        return False
    return True


def _import_group(
    importer: Importer, group: list[Source], asked: Asked, followed: _Followed
) -> Iterator[Imported]:
    files, first = tuple(one.path for one in group), group[0]
    try:
        tables, said = _tables(group, asked, followed)
        refuse_shared_splits(asked.terms, (one.symbol for one in tables if one.symbol))
    except BadInput as error:
        yield Imported(files, _guessed(first, asked), error=error)
        return
    for table in tables:
        series = None
        try:
            series = series_of(table, said, asked)
            rows = Rows(series, table, asked.terms, said.said, _origin(files), files)
            yield importer.take(rows)
        except (BadInput, WriteConflict) as error:
            yield Imported(files, series, error=error)


def _guessed(source: Source, asked: Asked) -> Series | None:
    """The series of a file that could not be read."""
    instrument = source.instrument or asked.instrument
    timeframe = source.timeframe or asked.timeframe
    return None if instrument is None or timeframe is None else Series(instrument, timeframe)


def _tables(group: list[Source], asked: Asked, followed: _Followed) -> tuple[list[Table], Source]:
    """The rows of a group of files, by what they say that they are of, and the first of the files.

    What a file says of itself within counts after what stands beside it.
    """
    parts: list[Table] = []
    first = group[0]
    rows = 0
    for number, source in enumerate(group):
        place = place_of(source.path, source.name)
        for piece in pieces_of(source.path, place):
            followed.at(number, source.name, rows)
            parts += tables_of(piece.frame, place, piece.first_line)
            first = first.hearing(piece.said) if source is group[0] else first
            rows += len(piece.frame)
            if rows > MOST_ROWS:
                raise BadInput(f"{source.name} and those before it hold too many rows; split them")
    yahoo, tables = asked.format.yahoo, joined(parts)
    if yahoo is not None:
        tables = [replace(one, yahoo=yahoo) for one in tables]
    if not any(map(len, tables)):
        raise BadInput(f"{first.name} has no rows")
    return of_instrument(tables, asked.instrument, first.name), first


def of_instrument(tables: list[Table], asked: Instrument | None, name: str) -> list[Table]:
    """Of tables that name their instruments, those of the one that was asked for; None: all.

    A single name that is no spelling of ours (``AAPL.US``) is the one that was asked for.

    Raises:
        BadInput: there is none of it.
    """
    if asked is None:
        return tables
    named = {one.symbol: _instrument(one.symbol) for one in tables if one.symbol is not None}
    if len(named) == 1 and None in named.values():
        return [replace(one, symbol=None) for one in tables]
    meant = [one for one in tables if one.symbol is None or named[one.symbol] == asked]
    if not meant:
        raise BadInput(f"{name} has no row of {asked}; leave out --instrument")
    return meant


def _instrument(symbol: str) -> Instrument | None:
    with suppress(BadInput):
        return Instrument.parse(symbol)
    return None


def series_of(table: Table, source: Source, asked: Asked) -> Series:
    """The series that rows are of: what they say themselves, their file, or else the person.

    Raises:
        BadInput: nobody says it, or rows and file contradict each other.
    """
    rows = None if table.symbol is None else Instrument.parse(table.symbol)
    if rows is not None and source.sure and source.instrument not in {None, rows}:
        raise BadInput(f"{source.name} has rows of {rows}, but is of {source.instrument}")
    file = source.instrument if source.sure else None
    instrument = rows or file or asked.instrument or source.instrument
    every = {
        one
        for one in (
            None if table.timeframe is None else Timeframe.parse(table.timeframe),
            source.timeframe,
            asked.timeframe,
        )
        if one is not None
    }
    if len(every) > 1:
        both = " and ".join(sorted(map(str, every)))
        raise BadInput(f"{source.name} is said to hold {both}; correct it, or --timeframe")
    if instrument is None or not every:
        lacking = [] if instrument else ["instrument (Yahoo's spelling): --instrument AAPL"]
        lacking += [] if every else [f"timeframe: --timeframe {_TIMEFRAMES}"]
        raise BadInput(f"{source.name} does not say its {' and its '.join(lacking)}")
    return Series(instrument, every.pop())


def _origin(files: Sequence[Path]) -> str:
    first, last = files[0].name, files[-1].name
    return f"import:{first}" if len(files) == 1 else f"import:{first}..{last}"
