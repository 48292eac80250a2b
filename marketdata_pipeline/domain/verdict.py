"""What a quality rule says of a series.

Not here: the rules.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a rule holds, a score in [0, 1], and one phrase for a person."""

    passed: bool
    score: float
    detail: str
