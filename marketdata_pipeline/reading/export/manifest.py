"""What an export says of itself: the manifest, which also marks a folder as an export of ours.

Not here: writing files (folder), and what is said of instruments (facts).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any, Self

from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput, StoreError

NAME = "manifest.json"
_FORMAT = "marketdata-export"
_VERSION = 1


class Layout(StrEnum):
    """How an export's bars lie in its folder."""

    PARQUET = "parquet"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class FileLine:
    """A file of the export; ``path`` is relative to its folder, with slashes."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SeriesLine:
    """A series of the export.

    Attributes:
        version: of what was read; the series had it while it was read.
        rows, first, last: of what was exported; labels as ISO 8601, None where there is no bar.
        currency: as the provider writes it; None: not told.
        providers, origins: of the bars; sorted.
        files: that hold its bars; none where it has none.
    """

    series: Series
    version: int
    rows: int
    first: str | None
    last: str | None
    currency: str | None
    providers: tuple[str, ...]
    origins: tuple[str, ...]
    files: tuple[FileLine, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """An export.

    Attributes:
        created, market_now: wall and market instant, ISO 8601.
        basis: ``raw``, ``splits`` or ``all``.
        start, end: the half-open label range that was asked for; None: no bound.
        facts: the files that say what the instruments, providers and scores are.
    """

    layout: Layout
    created: str
    market_now: str
    basis: str
    adj_close: bool
    start: str | None
    end: str | None
    series: tuple[SeriesLine, ...]
    facts: tuple[FileLine, ...]

    @property
    def rows(self) -> int:
        """How many bars it holds."""
        return sum(one.rows for one in self.series)

    def files(self) -> Iterator[FileLine]:
        """Every file but the manifest."""
        for one in self.series:
            yield from one.files
        yield from self.facts

    def to_json(self) -> str:
        """The manifest as it is written."""
        told = {
            "format": _FORMAT,
            "version": _VERSION,
            "layout": self.layout.value,
            "created": self.created,
            "market_now": self.market_now,
            "basis": self.basis,
            "adj_close": self.adj_close,
            "start": self.start,
            "end": self.end,
            "rows": self.rows,
            "facts": [one.path for one in self.facts],
        }
        series = [json.dumps(_series_to(one)) for one in self.series]
        files = [f"{json.dumps(one.path)}: {json.dumps(_file_to(one))}" for one in self.files()]
        head = json.dumps(told, indent=1).removesuffix("\n}")
        return f'{head},\n "series": [{_lines(series)}],\n "files": {{{_lines(files)}}}\n}}\n'

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The manifest of the export in ``folder``; None where it holds none of ours.

        Raises:
            BadInput: one of a newer version.
            StoreError: it cannot be read, or says what no manifest says.
        """
        file = folder / NAME
        try:
            told = json.loads(file.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{file} cannot be read: {error.strerror or error}") from error
        except ValueError:  # no JSON: somebody else's
            return None
        if not isinstance(told, dict) or told.get("format") != _FORMAT:
            return None
        if told.get("version") != _VERSION:
            raise BadInput(f"{file} was written by another version; update the package")
        try:
            return cls._parsed(told)
        except (AttributeError, KeyError, TypeError, ValueError, BadInput) as error:
            raise StoreError(f"{file} is damaged: {error!r}; export again elsewhere") from error

    @classmethod
    def _parsed(cls, told: dict[str, Any]) -> Self:
        files = {path: _file_of(path, told["files"][path]) for path in told["files"]}
        return cls(
            layout=Layout(told["layout"]),
            created=told["created"],
            market_now=told["market_now"],
            basis=told["basis"],
            adj_close=bool(told["adj_close"]),
            start=told["start"],
            end=told["end"],
            series=tuple(_series_of(one, files) for one in told["series"]),
            facts=tuple(files[path] for path in told["facts"]),
        )


def _lines(items: list[str]) -> str:
    """Each on a line of its own: an export can have a hundred thousand files."""
    return "\n  " + ",\n  ".join(items) + "\n " if items else ""


def _file_to(one: FileLine) -> dict[str, Any]:
    return {"bytes": one.bytes, "sha256": one.sha256}


def _series_to(one: SeriesLine) -> dict[str, Any]:
    return {
        "series": str(one.series),
        "instrument": str(one.series.instrument),
        "timeframe": str(one.series.timeframe),
        "version": one.version,
        "rows": one.rows,
        "first": one.first,
        "last": one.last,
        "currency": one.currency,
        "providers": list(one.providers),
        "origins": list(one.origins),
        "files": [file.path for file in one.files],
    }


def _series_of(told: dict[str, Any], files: dict[str, FileLine]) -> SeriesLine:
    return SeriesLine(
        series=Series.parse(told["series"]),
        version=int(told["version"]),
        rows=int(told["rows"]),
        first=told["first"],
        last=told["last"],
        currency=told["currency"],
        providers=tuple(told["providers"]),
        origins=tuple(told["origins"]),
        files=tuple(files[path] for path in told["files"]),
    )


def _file_of(path: str, told: dict[str, Any]) -> FileLine:
    """A file that lies in the folder: whoever replaces the export removes what it names."""
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or str(parts) != path or path in {"", "."}:
        raise ValueError(f"{path!r} is no path in the folder")
    return FileLine(path, int(told["bytes"]), str(told["sha256"]))
