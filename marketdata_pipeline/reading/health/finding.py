"""What a judgement says: a mark, what was found and what it means, what to do.

Not here: any judgement.
"""

from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """How good or bad it is."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing; all that this home is asked for works."""
    WRONG = "wrong"
    """Something does not work, or bars or secrets are in danger."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        topic: what was looked at, in a word or two.
        says: what was found, and what that means.
        advice: what to do; empty where nothing is to be done.
    """

    topic: str
    mark: Mark
    says: str
    advice: str = ""


def well(topic: str, says: str) -> Finding:
    """Nothing is to be done."""
    return Finding(topic, Mark.OK, says)


def note(topic: str, says: str, advice: str = "") -> Finding:
    """Worth knowing."""
    return Finding(topic, Mark.NOTE, says, advice)


def wrong(topic: str, says: str, advice: str) -> Finding:
    """Something to mend, and how."""
    return Finding(topic, Mark.WRONG, says, advice)
