"""What an export of this project says of its files: its manifest, and the actions beside it.

Not here: JSON files of others (sidecars). The code that writes exports is not needed to read them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from fractions import Fraction
from typing import Any

from marketdata_pipeline.domain.actions import Action, ActionKind, splits_of
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import parse_instant
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing.said import Said
from marketdata_pipeline.ingest.importing.terms import Prices, Side, Terms

MANIFEST, ACTIONS = "manifest.json", "_metadata/actions.json"
_FORMAT, _VERSION = "marketdata-export", 1
_SIMULATED = "simulator:"
_KEYS = b"marketdata."
"""What the keys in a Parquet file's metadata begin with."""
_YEAR = {"series", "basis", "origins", "sha256"}
"""Keys of the JSON file beside a year of CSV."""
_Damaged = (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError, BadInput)


def is_export(manifest: Mapping[str, Any]) -> bool:
    """Whether a JSON file is the manifest of an export of ours."""
    return bool(manifest.get("format") == _FORMAT)


def said_in_manifest(manifest: Mapping[str, Any], actions: object) -> dict[str, Said]:
    """What a manifest and the export's actions say of each file, by its path in the export.

    Prices were divided by exactly the splits that the export lists.

    Raises:
        BadInput: another version's, or damaged.
    """
    if manifest.get("version") != _VERSION:
        raise BadInput(
            f"{MANIFEST} was written by another version of the export; update the package"
        )
    try:
        known = _actions(actions)
        until = parse_instant(manifest["market_now"]).date()
        basis = Prices(manifest["basis"])
        return {
            str(path): _of_series(line, known, basis, until)
            for line in manifest["series"]
            for path in line["files"]
        }
    except _Damaged as error:
        raise BadInput(f"{MANIFEST} or {ACTIONS} is damaged; export again") from error


def said_of_year(content: Mapping[str, Any]) -> Said:
    """What the JSON file beside a year of CSV says; nothing where it is not of an export."""
    if not set(content) >= _YEAR:
        return Said()
    try:
        series = Series.parse(content["series"])
        terms = Terms(
            side=Side.OPEN,
            basis=Prices(content["basis"]),
            currency=content["currency"] or None,
            provider=_only(content["providers"]),
        )
        simulated = _simulated(content["origins"])
    except _Damaged:
        return Said()
    return Said(series.instrument, series.timeframe, terms, simulated=simulated)


def said_in_parquet(metadata: Mapping[bytes, bytes]) -> Said:
    """What a Parquet file of an export says in its own metadata; nothing of any other file."""
    told = {
        key.removeprefix(_KEYS): value.decode("utf-8", errors="replace")
        for key, value in metadata.items()
        if key.startswith(_KEYS)
    }
    try:
        series = Series.parse(told[b"series"])
        basis, currency = Prices(told[b"basis"]), told[b"currency"] or None
    except _Damaged:
        return Said()
    terms = Terms(side=Side.OPEN, basis=basis, currency=currency)
    return Said(series.instrument, series.timeframe, terms)


def _of_series(
    line: Mapping[str, Any],
    actions: Mapping[Instrument, list[Action]],
    basis: Prices,
    until: date,
) -> Said:
    series = Series.parse(line["series"])
    known = actions.get(series.instrument, [])
    terms = Terms(
        side=Side.OPEN,
        basis=basis,
        adjusted_to=until,
        splits=tuple(splits_of(known)),
        currency=line["currency"] or None,
        provider=_only(line["providers"]),
        exact=True,
    )
    return Said(
        series.instrument,
        series.timeframe,
        terms,
        tuple(one for one in known if one.kind is not ActionKind.SPLIT),
        _simulated(line["origins"]),
    )


def _actions(content: object) -> dict[Instrument, list[Action]]:
    """The actions of each instrument; a split's ratio is exact, a payment the shortest decimal."""
    found: dict[Instrument, list[Action]] = defaultdict(list)
    for row in content if isinstance(content, list) else []:
        kind = ActionKind(row["kind"])
        if kind is ActionKind.SPLIT:
            new, _, old = str(row["ratio"]).partition(":")
            value = Fraction(int(new), int(old))
        else:
            value = Fraction(repr(float(row["value"])))
        found[Instrument.parse(row["instrument"])].append(
            Action(date.fromisoformat(row["ex_date"]), kind, value)
        )
    return found


def _only(names: Iterable[str]) -> str | None:
    """The name of a list that has one."""
    known = list(names)
    return str(known[0]) if len(known) == 1 else None


def _simulated(origins: Iterable[str]) -> bool:
    return any(str(one).startswith(_SIMULATED) for one in origins)
