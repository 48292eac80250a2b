"""What a written value of a setting is turned into, and which ones are refused.

Not here: the settings themselves (config) and where they are written (places).
"""

import math
import pkgutil
import re
from dataclasses import dataclass
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, SecretStr

from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.venues import BY_SUFFIX, CME, CRYPTO, FX, US
from marketdata_pipeline.errors import BadInput

LEVELS: Final = "one of debug, info, warning, error"
TIMEFRAMES: Final = ", ".join(str(one) for one in Timeframe)
MOST_PORT: Final = 65535
MOST_CONNECTIONS: Final = 30
MOST_WAITS: Final = 10

Level = Literal["debug", "info", "warning", "error"]
Hours = Literal["open", "always"]


def as_timeframes(value: object) -> object:
    """Timeframes out of a list, or out of text with commas, in the order of the grid."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not parts:
        raise ValueError
    try:
        named = {one if isinstance(one, Timeframe) else Timeframe.parse(one) for one in parts}
    except BadInput as error:
        raise ValueError(error) from error
    return tuple(one for one in Timeframe if one in named)


def as_pairs(value: object) -> object:
    """A mapping out of ``name=level`` pairs with commas between."""
    if not isinstance(value, str):
        return value
    parts = [part.partition("=") for part in value.split(",")]
    return {component.strip(): level.strip().lower() for component, _, level in parts}


def known_components(levels: dict[str, Level]) -> dict[str, Level]:
    """The same levels, once every name is a package of ours."""
    package = Path(__file__).parent.parent
    known = sorted(one.name for one in pkgutil.iter_modules([str(package)]))
    for name in levels:
        if name not in known:
            raise ValueError(f"there is no component {name!r}, only {', '.join(known)}")
    return levels


def as_lower(value: object) -> object:
    """Text without blanks around it, in small letters."""
    return value.strip().lower() if isinstance(value, str) else value


def as_environment(value: str) -> str:
    """The same, once a variable's name that ends in it is no other environment's."""
    known = re.fullmatch(r"([a-z]\w*)?", value, re.ASCII)
    if known is None or re.search(r"(^|_)([2-9]|file)$", value):
        raise ValueError
    return value


def as_seconds(value: object) -> object:
    """A number out of text; pydantic takes it as seconds."""
    return float(value) if isinstance(value, str) else value


Seconds = Annotated[timedelta, BeforeValidator(as_seconds)]


def as_waits(value: object) -> object:
    """Numbers of seconds out of a list, or out of text with commas; ``none`` is an empty one."""
    if isinstance(value, str):
        value = [] if value.strip().lower() == "none" else value.split(",")
    if not isinstance(value, list | tuple) or len(value) > MOST_WAITS:
        raise ValueError
    try:
        waits = tuple(float(one) for one in value)
    except (TypeError, ValueError) as error:
        raise ValueError from error
    if not all(math.isfinite(one) and one >= 0 for one in waits):
        raise ValueError
    return waits


def as_days(value: object) -> object:
    """A stretch of time out of a number of days."""
    return value if isinstance(value, timedelta) else timedelta(days=float(str(value)))


Days = Annotated[timedelta, BeforeValidator(as_days)]


_CLOCK: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Weekly:
    """A time of a weekday, Monday being 0; the zone is said elsewhere."""

    weekday: int
    at: time


def as_time(value: object) -> object:
    """A time of the day out of ``08:00``."""
    if isinstance(value, time):  # as TOML has it
        return value
    found = _CLOCK.fullmatch(str(value).strip())
    if found is None:
        raise ValueError
    return time(int(found[1]), int(found[2]))


def as_weekly(value: object) -> object:
    """A time of a weekday out of ``Sun 02:00``."""
    if isinstance(value, Weekly):
        return value
    day, _, clock = str(value).strip().lower().partition(" ")
    at = as_time(clock)
    if day not in _WEEKDAYS or not isinstance(at, time):
        raise ValueError
    return Weekly(_WEEKDAYS.index(day), at)


def as_zone(value: str) -> str:
    """The same name, once there is such a zone."""
    try:
        return ZoneInfo(value).key
    except (KeyError, OSError, ValueError) as error:  # unknown, a folder of them, no name at all
        raise ValueError from error


def as_instruments(value: object) -> object:
    """Instruments out of a list, or of text with commas, each once; ``none`` is an empty list."""
    if isinstance(value, str):
        value = [] if value.strip().lower() == "none" else value.split(",")
    parts = value if isinstance(value, list | tuple) else [value]
    try:
        found = [
            one if isinstance(one, Instrument) else Instrument.parse(str(one)) for one in parts
        ]
    except BadInput as error:
        raise ValueError(error) from error
    return tuple(dict.fromkeys(found))


def as_hours(value: object) -> object:
    """A mapping out of ``CALENDAR=open`` or ``CALENDAR=always`` with commas between."""
    if not isinstance(value, str):
        return value
    parts = [part.partition("=") for part in value.split(",")]
    return {name.strip().upper(): told.strip().lower() for name, _, told in parts}


def known_calendars(hours: dict[str, Hours]) -> dict[str, Hours]:
    """The same, once every name is a calendar of ours."""
    known = sorted({one.calendar for one in (US, CRYPTO, FX, CME, *BY_SUFFIX.values())})
    for name in hours:
        if name not in known:
            raise ValueError(f"there is no calendar {name!r}, only {', '.join(known)}")
    return hours


def as_absolute(path: Path) -> Path:
    """The path from the root, the home folder written out."""
    try:
        return path.expanduser().resolve()
    except (OSError, RuntimeError) as error:  # no such user, a loop of links
        raise ValueError(error) from error


def as_database(url: SecretStr) -> SecretStr:
    """The same URL, once it is one of SQLite or Postgres."""
    if not re.match(r"(sqlite|postgres(ql)?)(\+\w+)?://.", url.get_secret_value()):
        raise ValueError
    return url


def setting(default: object, text: str, allowed: str, **more: Any) -> Any:
    """A field of the settings with what docs and errors say of it."""
    extra = {"allowed": allowed, "default": more.pop("said", None)}
    if callable(default):
        return Field(default_factory=default, description=text, json_schema_extra=extra, **more)
    return Field(default, description=text, json_schema_extra=extra, **more)
