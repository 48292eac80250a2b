"""What has to be known of a file before its bars mean anything: label side, zone, basis, and more.

Not here: finding it out from files (folders, tables); a person states the rest.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import date
from enum import Enum
from fractions import Fraction
from typing import Self, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.ranges import parse_instant
from marketdata_pipeline.errors import BadInput

_ZONES = "America/New_York, UTC, ..."
_LONGEST = 32
_Member = TypeVar("_Member", bound=Enum)


class Side(Enum):
    """Which end of a bar its label is."""

    OPEN = "open"
    CLOSE = "close"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The side of ``open`` or ``close``.

        Raises:
            BadInput: anything else.
        """
        return _member(cls, text, "labels")

    def __str__(self) -> str:
        return self.value


class Prices(Enum):
    """What a file's prices were divided by: nothing, later splits, or dividends as well."""

    RAW = "raw"
    SPLITS = "splits"
    ALL = "all"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The basis of ``raw``, ``splits`` or ``all``.

        Raises:
            BadInput: anything else.
        """
        return _member(cls, text, "basis")

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Terms:
    """What is known of a file; None: not known.

    Attributes:
        side: which end of a bar its label is.
        zone: IANA zone of times that name none themselves.
        basis: what the prices were divided by.
        adjusted_to: the day up to which splits were taken out of prices, itself included.
        splits: all splits from the first bar to that day or today; empty: there was none.
        currency: of the prices, as Yahoo writes it (``GBp`` is pence).
        provider: who made the bars.
        extended: bars before and after regular hours are among them, and are to be left out.
        exact: prices were divided by exactly ``splits``, and not rounded.
    """

    side: Side | None = None
    zone: str | None = None
    basis: Prices | None = None
    adjusted_to: date | None = None
    splits: tuple[Action, ...] | None = None
    currency: str | None = None
    provider: str | None = None
    extended: bool | None = None
    exact: bool | None = None

    def agreeing(self, other: "Terms", who: str) -> "Terms":
        """These, and what ``who`` says beside them.

        Raises:
            BadInput: they contradict each other.
        """
        for one in fields(self):
            ours, theirs = getattr(self, one.name), getattr(other, one.name)
            if ours is not None and theirs is not None and ours != theirs:
                raise BadInput(
                    f"{who} says that its {_WORDS[one.name]} is {_spelled(theirs)}, not "
                    f"{_spelled(ours)}; leave out {_OPTIONS[one.name]} or correct the file"
                )
        return self.or_else(other)

    def or_else(self, other: "Terms") -> "Terms":
        """These, what is unknown among them as in ``other``."""
        unknown = [one.name for one in fields(self) if getattr(self, one.name) is None]
        return replace(self, **{name: getattr(other, name) for name in unknown})

    def unknown(self, where: str) -> str:
        """One sentence that names each unknown one of side, zone and basis, and its option."""
        lacking = [name for name in _VALUES if getattr(self, name) is None]
        words = _listed(_WORDS[name] for name in lacking)
        options = _listed(f"{_OPTIONS[name]} {_VALUES[name]}" for name in lacking)
        return f"{where} does not say its {words}; add {options}"


UNSAID = Terms()
"""Nothing is known."""
_WORDS = {
    "side": "label side",
    "zone": "zone",
    "basis": "basis",
    "adjusted_to": "day of adjustment",
    "splits": "splits",
    "currency": "currency",
    "provider": "provider",
    "extended": "extended hours",
    "exact": "arithmetic",
}
_OPTIONS = {
    "side": "--labels",
    "zone": "--zone",
    "basis": "--basis",
    "adjusted_to": "--adjusted-to",
    "splits": "--splits",
    "currency": "--currency",
    "provider": "--provider",
    "extended": "--extended-hours",
    "exact": "all",
}
_VALUES = {"side": "open|close", "zone": f"({_ZONES})", "basis": "raw|splits"}


def parse_zone(text: str) -> str:
    """The IANA zone of a name.

    Raises:
        BadInput: there is none of that name.
    """
    try:
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadInput(f"{text[:40]!r} is no time zone; use one of IANA's: {_ZONES}") from error


def parse_splits(text: str) -> tuple[Action, ...]:
    """The splits of ``2024-06-10=10:1,2021-07-20=4:1``; none of ``none``.

    Raises:
        BadInput: anything else, or two of one day.
    """
    if text.strip().lower() == "none":
        return ()
    found = [_split(one.strip()) for one in text.split(",")]
    if len({one.ex_date for one in found}) < len(found):
        raise BadInput(f"--splits has two splits of one day: {text[:80]}")
    return tuple(sorted(found))


def parse_day(text: str, option: str) -> date:
    """The date of an ISO date.

    Raises:
        BadInput: anything else, a time of day too.
    """
    instant = parse_instant(text)
    if instant.time() != instant.time().min:
        raise BadInput(f"{option} takes a date, e.g. 2024-01-31, not {text[:40]!r}")
    return instant.date()


def parse_provider(text: str) -> str:
    """A provider's name: letters, digits, ``-``, ``_``; 32 at most.

    Raises:
        BadInput: anything else.
    """
    name = text.strip().lower()
    plain = name.replace("-", "").replace("_", "")
    if not (plain.isascii() and plain.isalnum() and len(name) <= _LONGEST):
        raise BadInput(f"{text[:40]!r} is no provider's name; use letters, digits, - and _")
    return name


def _split(text: str) -> Action:
    day, _, ratio = text.partition("=")
    new, _, old = ratio.partition(":")
    try:
        value = Fraction(new) / Fraction(old or "1")
    except (ValueError, ZeroDivisionError) as error:
        raise BadInput(_no_split(text)) from error
    if value <= 0 or value == 1:
        raise BadInput(_no_split(text))
    return Action(parse_day(day, "--splits"), ActionKind.SPLIT, value)


def _no_split(text: str) -> str:
    return f"{text[:40]!r} is no split; write it as 2024-06-10=10:1 (new : old), or none"


def _spelled(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(f"{one.ex_date}={one.value}:1" for one in value) or "none"
    return str(value)


def _member(kind: type[_Member], text: str, option: str) -> _Member:
    try:
        return kind(text.strip().lower())
    except ValueError as error:
        known = ", ".join(str(one.value) for one in kind)
        raise BadInput(f"--{option} is {text[:20]!r}, it must be one of {known}") from error


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
