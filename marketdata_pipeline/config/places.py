"""Where settings are written: the environment, `.env`, `marketdata.toml`; what each place says.

Not here: which settings exist and which values are allowed.
"""

import os
import re
import tomllib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from pydantic_settings import BaseSettings, DotEnvSettingsSource

from marketdata_pipeline.errors import SettingsError

PREFIX: Final = "MARKETDATA_"
TOML: Final = "marketdata.toml"
DOTENV: Final = ".env"
ENVIRONMENT: Final = ""
_FILE: Final = "_file"
# Names that start like ours and are not: what the tests read, and what Docker and Kubernetes put
# into the environment for a service that is called "marketdata".
_FOREIGN: Final = re.compile(
    r"shared|test_\w+|(\w+_)?(service_(host|port(_\w+)?)|port_\d+_(tcp|udp)(_\w+)?)"
)


@dataclass(frozen=True, slots=True)
class Keys:
    """Which keys there are, without prefix, in lower case.

    Attributes:
        known: all settings.
        secret: those that a key ending in `_FILE` may point to.
        renamed: old key -> new key; the old one still works, with a warning.
        aliases: a whole name of an older system, as the environment spells it -> key; it works
            too, with a warning, where no place has the key itself.
    """

    known: tuple[str, ...]
    secret: tuple[str, ...]
    renamed: Mapping[str, str]
    aliases: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Place:
    """What one place says, by setting; `written` spells each key as it stands there."""

    values: dict[str, object] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)


def spelled(key: str, where: str = ENVIRONMENT) -> str:
    """A key as a person writes it in that place: `MARKETDATA_LOG_LEVEL`, `log_level` in toml."""
    return key if where == TOML else PREFIX + key.upper()


def read_places(keys: Keys) -> list[Place]:
    """What the places say, the one that counts first; files are those of the working directory.

    Raises:
        SettingsError: an unknown key, a file that cannot be read.
    """
    lines = read_dotenv()
    places = [
        _place(keys, ENVIRONMENT, _ours(os.environ)),
        _place(keys, DOTENV, _ours(lines)),
        _place(keys, TOML, _toml()),
    ]
    given = {key for place in places for key in place.values}
    for place, where, all_of_it in zip(
        places, (ENVIRONMENT, DOTENV), (os.environ, lines), strict=False
    ):
        given |= _take_aliases(keys, where, all_of_it, given, place)
    return places


def _ours(given: Mapping[str, str | None]) -> dict[str, str | None]:
    return {key: text for key, text in given.items() if key.upper().startswith(PREFIX)}


def read_dotenv() -> Mapping[str, str | None]:
    """All that `.env` of the working directory sets, other programs' too; empty: there is none.

    Raises:
        SettingsError: it cannot be read.
    """
    if not Path(DOTENV).is_file():  # a folder of that name is somebody's virtual environment
        return {}
    try:
        source = DotEnvSettingsSource(BaseSettings, env_file=DOTENV, case_sensitive=True)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{DOTENV} cannot be read: {error}") from error
    return source.env_vars


def _toml() -> Mapping[str, object]:
    path = Path(TOML)
    try:
        return tomllib.loads(path.read_text("utf-8")) if path.is_file() else {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{TOML} cannot be read: {error}") from error


def _place(keys: Keys, where: str, given: Mapping[str, object]) -> Place:
    place = Place()
    unknown: list[str] = []
    for raw, value in given.items():
        key = raw if where == TOML else raw[len(PREFIX) :].lower()
        written = f"{raw} in {where}" if where else raw
        if where == ENVIRONMENT and _is_foreign(key, value):
            continue
        if key in keys.renamed:
            key = _renamed(written, spelled(keys.renamed[key], where), keys.renamed[key])
        name = _setting_of(keys, key)
        if name is None:
            unknown.append(
                f"{written} is not a setting, the nearest is {_nearest(keys, key, where)}"
            )
        elif value is None or value == "":
            continue
        elif name in place.values:
            raise SettingsError(f"{place.written[name]} and {written} say the same; keep one")
        else:
            place.values[name] = value if name == key else _content(written, value)
            place.written[name] = written
    if unknown:
        raise SettingsError("; ".join(unknown))
    return place


def _take_aliases(
    keys: Keys, where: str, found: Mapping[str, str | None], given: set[str], place: Place
) -> set[str]:
    """Add to a place what its old names say of settings that are not given; which those are.

    One that is given is passed over in silence: other programs have a `DATABASE_URL` too.
    """
    named = {key: name for name, key in keys.aliases.items() if found.get(name)}
    taken = set(named) - given
    for key in sorted(taken):
        written = f"{named[key]} in {where}" if where else named[key]
        place.values[_renamed(written, spelled(key), key)] = found[named[key]]
        place.written[key] = written
    return taken


def _is_foreign(key: str, value: object) -> bool:
    return bool(_FOREIGN.fullmatch(key) or (key.endswith("port") and "://" in str(value)))


def _renamed(written: str, now: str, key: str) -> str:
    # FutureWarning: Python shows it to people; a DeprecationWarning it hides from them.
    warnings.warn(f"{written} is now called {now}", FutureWarning, stacklevel=2)
    return key


def _setting_of(keys: Keys, key: str) -> str | None:
    secret = key.removesuffix(_FILE)
    if key in keys.known:
        return key
    return secret if secret in keys.secret else None


def _nearest(keys: Keys, key: str, where: str) -> str:
    known = [*keys.known, *(one + _FILE for one in keys.secret)]
    meant = key.lower().removeprefix(PREFIX.lower())
    return spelled(get_close_matches(meant, known, n=1, cutoff=0)[0], where)


def _content(written: str, value: object) -> str:
    try:
        return Path(str(value)).expanduser().read_text("utf-8").strip()
    except (OSError, RuntimeError, ValueError) as error:
        raise SettingsError(
            f"{written} must be the path of a readable file, which {str(value)!r} is not"
        ) from error
