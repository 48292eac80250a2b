"""The keys of providers: which are given, by their names, in the environment and in `.env`.

Not here: settings of ours (config), and what a key may do (governor). Nothing here shows a value.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from marketdata_pipeline.config.places import DOTENV, ENVIRONMENT, read_dotenv
from marketdata_pipeline.domain.credential import Credential
from marketdata_pipeline.errors import SettingsError
from marketdata_pipeline.logs import redact

MOST: Final = 9
"""So many keys of one name: the second ends in _2."""
_FILE: Final = "_FILE"


@dataclass(frozen=True, slots=True)
class Found:
    """A key that is given.

    Attributes:
        name: of the variable, without ``_FILE``.
        place: the path of its file, `.env`, or empty: the environment.
        credential: None: it cannot be used.
        trouble: why not, as one sentence; empty where it can.
    """

    name: str
    place: str
    credential: Credential | None = None
    trouble: str = ""


def variables(name: str, environment: str) -> list[str]:
    """Those that can hold the key that a provider asks for as ``name``.

    Args:
        name: `FMP_API_KEY`.
        environment: that of the settings; with one, plain variables are not among them, so that
            a trial never uses up what production is allowed.
    """
    first = f"{name}_{environment.upper()}" if environment else name
    return [first, *(f"{first}_{number}" for number in range(2, MOST + 1))]


def find_credentials(names: Iterable[str], environment: str) -> list[Found]:
    """Every key that is given for these names, whether it can be used or not.

    Raises:
        SettingsError: `.env` cannot be read.
    """
    places = {ENVIRONMENT: os.environ, DOTENV: read_dotenv()}
    wanted = [variable for name in names for variable in variables(name, environment)]
    given = (_given(variable, places) for variable in wanted)
    found: list[Found] = []
    for one in given:
        if one is not None:
            found.append(_unless_twice(one, found))
    return found


def credentials_for(
    names: Sequence[str], environment: str, *, simulated: bool
) -> tuple[Credential, ...]:
    """The keys that a provider may use; from now on no line of the log shows one.

    Where a simulator is asked these are what stands in for them.

    Raises:
        SettingsError: one of them cannot be used.
    """
    if simulated:
        return stand_ins(names)
    given = load_credentials(names, environment)
    redact(one.secret.get_secret_value() for one in given)
    return given


def load_credentials(names: Iterable[str], environment: str) -> tuple[Credential, ...]:
    """The keys that are given for these names; none: there is none.

    Raises:
        SettingsError: one of them cannot be used.
    """
    found = find_credentials(names, environment)
    troubles = [one.trouble for one in found if one.trouble]
    if troubles:
        raise SettingsError("; ".join(troubles))
    return tuple(one.credential for one in found if one.credential is not None)


def stand_ins(names: Sequence[str]) -> tuple[Credential, ...]:
    """What is shown to a simulator: no real key ever goes there, and it needs none."""
    return tuple(Credential(one, SecretStr("of-a-simulator")) for one in names[:1])


def _given(variable: str, places: Mapping[str, Mapping[str, str | None]]) -> Found | None:
    """What the first place says that has the variable or the one of its file."""
    for place, values in places.items():
        text, path = values.get(variable), values.get(variable + _FILE)
        written = f" in {place}" if place else ""
        if text and path:
            both = f"{variable} and {variable}{_FILE}{written} are both set; keep one"
            return Found(variable, place, trouble=both)
        if text:
            return _usable(variable, place, text, f"{variable}{written}")
        if path:
            return _of_file(variable, path, f"{variable}{_FILE}{written}")
    return None


def _of_file(variable: str, path: str, written: str) -> Found:
    # What was not to be read may be no path at all, but the key itself: it is not shown.
    try:
        text = Path(path).expanduser().read_text("utf-8")
    except OSError as error:
        why = error.strerror or "it cannot be read"
    except UnicodeDecodeError:
        why = "it is no text"
    except (RuntimeError, ValueError):
        why = "it is no path"
    else:
        return _usable(variable, path, text, f"the file that {written} names")
    return Found(variable, "", trouble=f"{written} must name a readable file: {why}")


def _usable(variable: str, place: str, text: str, written: str) -> Found:
    key = text.strip()
    if not key:
        return Found(variable, place, trouble=f"{written} is empty")
    if not (key.isascii() and key.isprintable()) or " " in key:
        # Also since libraries for HTTP quote such a header in their errors.
        return Found(variable, place, trouble=f"{written} holds signs that are in no key")
    return Found(variable, place, Credential(variable, SecretStr(key)))


def _unless_twice(one: Found, others: Iterable[Found]) -> Found:
    """One quota would count twice."""
    for other in others:
        if one.credential and other.credential and one.credential.secret == other.credential.secret:
            twice = f"{other.name} and {one.name} are the same key; keep one"
            return Found(one.name, one.place, trouble=twice)
    return one
