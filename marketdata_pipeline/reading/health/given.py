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
    """A provider's key that is given, by its name.

    Attributes:
        provider: whose it is.
        name: of the environment variable.
        place: where it stands: the environment, `.env` or the path of a file.
        trouble: why it cannot be used, as one sentence; empty where it can.
    """

    provider: str
    name: str
    place: str = ""
    trouble: str = ""


def judge_keys(
    asked: Mapping[str, Sequence[str]], keys: Sequence[Key], environment: str = ""
) -> list[Finding]:
    """All keys: one finding on those that are well, one on each other and on each that is missed.

    Args:
        asked: the variables that can hold the first key, by the name of each provider that needs
            one.
        keys: those that are given.
        environment: whose they are; empty: there is only one.
    """
    if not asked:
        return [well(_KEYS, "no provider here needs one")]
    of = f"of the environment {environment}: " if environment else ""
    said = [f"{one.name} of {one.provider} from {one.place}" for one in keys if not one.trouble]
    findings = [well(_KEYS, of + "; ".join(said))] if said else []
    findings += [
        wrong(_KEYS, one.trouble, "correct it where it stands; docs/configuration.md has the rules")
        for one in keys
        if one.trouble
    ]
    given = {one.provider for one in keys}
    return findings + [
        _missed(provider, names, of) for provider, names in asked.items() if provider not in given
    ]


def _missed(provider: str, names: Sequence[str], of: str) -> Finding:
    told = f"{of}{' or '.join(names)} is not set: {provider} is not asked by a live home"
    return note(_KEYS, told, f"set it, or {names[0]}_FILE, to have bars from there too")
