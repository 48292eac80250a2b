"""What JSON files beside bars say of them, above all the metadata of an older system.

Not here: what an export of ours says (exports), and bars. What is not understood says nothing; the
person is asked for it then.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing.exports import (
    ACTIONS,
    MANIFEST,
    is_export,
    said_in_manifest,
    said_of_year,
)
from marketdata_pipeline.ingest.importing.naming import SUFFIXES
from marketdata_pipeline.ingest.importing.said import Said
from marketdata_pipeline.ingest.importing.terms import (
    Prices,
    Side,
    Terms,
    parse_provider,
    parse_zone,
)

METADATA = "_metadata"
_DEEPEST = 4
"""Folders from a file of an export up to its manifest: instrument, timeframe, bars, the export."""
_LARGEST = 64 * 2**20
_T = TypeVar("_T")
_SIDES = {
    "open": Side.OPEN, "start": Side.OPEN, "left": Side.OPEN,
    "close": Side.CLOSE, "end": Side.CLOSE, "right": Side.CLOSE,
}  # fmt: skip
_BASES = {
    "raw": Prices.RAW, "none": Prices.RAW, "unadjusted": Prices.RAW, "false": Prices.RAW,
    "split": Prices.SPLITS, "splits": Prices.SPLITS, "splitadjusted": Prices.SPLITS,
    "all": Prices.ALL, "splitsdividends": Prices.ALL, "splitsanddividends": Prices.ALL,
}  # fmt: skip
_KEYS = {
    "instrument": "symbol ticker instrument",
    "timeframe": "timeframe interval resolution frequency",
    "side": "labels label labelside barlabel",
    "zone": "timezone zone tz",
    "basis": "basis adjustment adjusted",
    "currency": "currency",
    "provider": "provider source",
}
_MEANT = {text: name for name, spelled in _KEYS.items() for text in spelled.split()}


def said_in(content: object) -> Said:
    """What a JSON object says, whatever the case and punctuation of its keys."""
    if not isinstance(content, Mapping):
        return Said()
    ours = said_of_year(content)
    if ours.instrument is not None:
        return ours
    told: dict[str, Any] = {}
    for key, value in content.items():
        name = _MEANT.get(_plain(key))
        if name is not None and isinstance(value, str | bool):
            told.setdefault(name, str(value).strip())
    terms = Terms(
        side=_SIDES.get(_plain(told.get("side", ""))),
        zone=_understood(parse_zone, told.get("zone")),
        basis=_BASES.get(_plain(told.get("basis", ""))),
        currency=told.get("currency") or None,
        provider=_understood(parse_provider, (told.get("provider") or "").replace(" ", "-")),
    )
    return Said(
        _understood(Instrument.parse, told.get("instrument")),
        _understood(Timeframe.parse, told.get("timeframe")),
        terms,
    )


def _plain(text: str) -> str:
    return "".join(one for one in text.casefold() if one.isalnum())


def _understood(parse: Callable[[str], _T], text: str | None) -> _T | None:
    with suppress(BadInput):
        return parse(text) if text else None
    return None


class Sidecars:
    """The JSON files of a folder that is imported, or of that of a single file; each read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._contents: dict[Path, object] = {}
        self._exports: dict[Path, dict[str, Said] | None] = {}
        self._symbols: dict[Instrument, Said] | None = None

    def of(self, path: Path, instrument: Instrument | None) -> Said:
        """What is said of a file: by an export of ours, else by what stands beside it.

        An older system's ``_metadata/symbols.json`` counts last; ``instrument`` is the one that
        names say.

        Raises:
            BadInput: one of them is unreadable, damaged, or no JSON.
        """
        for folder in list(path.parents)[:_DEEPEST]:
            export = self._export(folder)
            if export is not None:
                return export.get(path.relative_to(folder).as_posix(), Said())
        stem = path.name
        for suffix in SUFFIXES:
            stem = stem.removesuffix(suffix)
        said = Said()
        for name in (f"{path.name}.json", f"{stem}.json", f"{stem}_metadata.json", "metadata.json"):
            said = said.or_else(said_in(self._content(path.parent / name)))
        named = said.instrument or instrument
        return said if named is None else said.or_else(self._of_symbol(named))

    def _export(self, folder: Path) -> dict[str, Said] | None:
        if folder not in self._exports:
            told = self._content(folder / MANIFEST)
            self._exports[folder] = None
            if isinstance(told, Mapping) and is_export(told):
                actions = self._content(folder / ACTIONS)
                self._exports[folder] = said_in_manifest(told, actions)
        return self._exports[folder]

    def _of_symbol(self, instrument: Instrument) -> Said:
        if self._symbols is None:
            found = map(said_in, _entries(self._content(self.root / METADATA / "symbols.json")))
            self._symbols = {one.instrument: one for one in found if one.instrument is not None}
        return replace(self._symbols.get(instrument, Said()), timeframe=None)

    def _content(self, path: Path) -> object:
        """What a JSON file holds; None where it is not there."""
        if path not in self._contents:
            self._contents[path] = _json(path) if path.is_file() else None
        return self._contents[path]


def _entries(content: object) -> list[object]:
    """An object for each symbol, from a list of them or from one by symbol."""
    if isinstance(content, Mapping) and isinstance(content.get("symbols"), Mapping | list):
        content = content["symbols"]
    if isinstance(content, list):
        return content
    if not isinstance(content, Mapping):
        return []
    return [
        {"symbol": key, **value} for key, value in content.items() if isinstance(value, Mapping)
    ]


def _json(path: Path) -> object:
    try:
        if path.stat().st_size > _LARGEST:
            raise BadInput(f"{path.name} is too large to say something of bars; move it away")
        content: object = json.loads(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path.name} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path.name} is no JSON; correct it or move it away") from error
    return content
