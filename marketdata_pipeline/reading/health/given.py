"""Settings and keys as they were given: where they stand, never what they are.

Not here: reading them; only edges do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from marketdata_pipeline.reading.health.finding import Finding, note, well, wrong

_SETTINGS, _KEYS = "settings", "keys"


def judge_settings(given: Mapping[str, Sequence[str]]) -> Finding:
    """The names of the settings that each place gives, the one that counts first."""
    told = [f"{', '.join(names)} from {place}" for place, names in given.items() if names]
    if not told:
        return well(_SETTINGS, "none is given, all are as by default")
    return well(_SETTINGS, f"{'; '.join(told)}; the others as by default")


def refused_settings(why: str) -> Finding:
    """Settings that cannot be used; ``why`` names the keys and shows no secret."""
    return wrong(_SETTINGS, why, "correct it where it stands; docs/configuration.md has all keys")


@dataclass(frozen=True, slots=True)
class Key:
    """A provider's key by its name.

    Attributes:
        provider: whose it is.
        name: of the environment variable.
        given: whether the variable itself is set.
        file: the path that the variable with ``_FILE`` names; empty where it is not set.
        trouble: why that file cannot be used; empty where it can.
    """

    provider: str
    name: str
    given: bool = False
    file: str = ""
    trouble: str = ""


def judge_keys(keys: Sequence[Key]) -> list[Finding]:
    """All keys that providers ask for: one finding on those that are well, one on each other."""
    if not keys:
        return [well(_KEYS, "no provider here needs one")]
    found = [one for one in keys if one.given or (one.file and not one.trouble)]
    said = [
        f"{one.name} of {one.provider} from {'the environment' if one.given else one.file}"
        for one in found
    ]
    findings = [well(_KEYS, "; ".join(said))] if said else []
    return findings + [one for one in map(_complaint, keys) if one is not None]


def _complaint(key: Key) -> Finding | None:
    """What is not well with a key; None where all is."""
    if key.given:
        told = f"{key.name} and {key.name}_FILE are both set"
        return note(_KEYS, told, "keep one of them") if key.file else None
    if key.trouble:
        told = f"{key.name}_FILE is {key.file}: {key.trouble}"
        return wrong(_KEYS, told, "have it name a file that this user may read")
    if key.file:
        return None
    told = f"{key.name} is not set: {key.provider} is not asked"
    return note(_KEYS, told, f"set it, or {key.name}_FILE, to have bars from there too")
