"""Which series a file is of, by the names of its folders and its own; as pure functions of names.

Not here: what stands in files (tables) or beside them (sidecars).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import unquote

from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput

SUFFIXES = (".csv.gz", ".csv", ".parquet", ".pq")
_PERIOD = re.compile(r"(18|19|20)\d{2}(-?\d{2})?(-?\d{2})?")
"""A year, a month or a day: a part of a series, not an instrument."""
_HIVE = re.compile(r"(?P<key>[A-Za-z_]+)=(?P<value>.+)")
_T = TypeVar("_T")
_INSTRUMENT, _TIMEFRAME = {"instrument", "symbol", "ticker"}, {"timeframe", "interval"}


@dataclass(frozen=True, slots=True)
class Named:
    """What is said of a file; None: nothing. ``sure``: not by the mere name of the file."""

    instrument: Instrument | None = None
    timeframe: Timeframe | None = None
    sure: bool = True


def named_by(parts: Sequence[str]) -> Named:
    """What the names of folders (outermost first) and of the file, the last one, say.

    ``AAPL%7C1d/2024.csv.gz``, ``timeframe=1d/instrument=AAPL/x.parquet``, ``AAPL/1d/2024.csv.gz``
    and ``AAPL_1d.csv`` name a series, ``AAPL.csv`` an instrument. Only what is spelled as this
    project spells it counts: ``prices.csv`` and ``aapl.csv`` name nothing.

    Raises:
        BadInput: they name two instruments, or two timeframes.
    """
    said = [*map(_named, parts[:-1]), _named(_stem(parts[-1]))]
    instruments = [one.instrument for one in said if one.instrument is not None]
    timeframes = [one.timeframe for one in said if one.timeframe is not None]
    last = said[-1]
    alone = last.instrument is not None and last.timeframe is None and len(instruments) == 1
    return Named(
        _one(instruments, parts, "instruments"),
        _one(timeframes, parts, "timeframes"),
        sure=not alone,
    )


def named_above(named: Named, file: str, folders: Sequence[str]) -> Named:
    """The same, what it lacks as folders above say that were not imported, the nearest first.

    A folder names an instrument where a nearer one names a timeframe, or the file is a year:
    ``AAPL/1d/x.csv`` and ``AAPL/2024.csv.gz`` are of AAPL, ``ME/prices.csv`` is not of ME.
    """
    period = _PERIOD.fullmatch(_stem(file)) is not None
    for folder in folders:
        found = _named(folder)
        timeframe = named.timeframe or found.timeframe
        told = found.timeframe is not None or named.timeframe is not None or period
        instrument = named.instrument or (found.instrument if told else None)
        named = Named(instrument, timeframe, sure=named.sure)
    return named


def _stem(name: str) -> str:
    suffix = next((one for one in SUFFIXES if name.lower().endswith(one)), "")
    return name[: len(name) - len(suffix)]


def _one(said: Iterable[_T], parts: Sequence[str], what: str) -> _T | None:
    different = dict.fromkeys(said)
    if len(different) > 1:
        both = " and ".join(str(one) for one in list(different)[:2])
        raise BadInput(f"{'/'.join(parts)} names two {what}, {both}; rename it")
    return next(iter(different), None)


def _named(part: str) -> Named:
    """What one name says."""
    text = unquote(part)
    if _PERIOD.fullmatch(text):
        return Named()
    hive = _HIVE.fullmatch(text)
    if hive is not None and hive["key"].lower() in _INSTRUMENT:
        return Named(Instrument.parse(hive["value"]))
    if hive is not None and hive["key"].lower() in _TIMEFRAME:
        return Named(None, Timeframe.parse(hive["value"]))
    return _plain(text)


def _plain(text: str) -> Named:
    """What a name says that is no ``key=value``."""
    if "|" in text:
        series = Series.parse(text)
        return Named(series.instrument, series.timeframe)
    if (timeframe := _timeframe(text)) is not None:
        return Named(None, timeframe)
    symbol, _, rest = text.partition("_")
    timeframe = _timeframe(rest.partition("_")[0])
    return Named() if rest and timeframe is None else Named(_instrument(symbol), timeframe)


def _timeframe(text: str) -> Timeframe | None:
    """A timeframe that begins with its number: D alone is a stock."""
    if not text[:1].isdigit():
        return None
    try:
        return Timeframe.parse(text)
    except BadInput:
        return None


def _instrument(text: str) -> Instrument | None:
    try:
        found = Instrument.parse(text)
    except BadInput:
        return None
    return found if found.key == text else None
