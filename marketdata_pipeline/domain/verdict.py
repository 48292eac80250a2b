"""What is said of bars: a rule's verdict on a series, and what exactly is odd.

Not here: the rules (quality), and what follows (ingest, alerts).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from marketdata_pipeline.domain.ranges import TimeRange


@dataclass(frozen=True, slots=True)
class Finding:
    """Something odd about a range of bars.

    Attributes:
        rule: the name of the rule or detector that says so.
        within: the labels that are concerned.
        detail: one sentence for a person, with the numbers.
        evidence: the numbers by name, as JSON can hold them.
    """

    rule: str
    within: TimeRange
    detail: str
    evidence: Mapping[str, float | int | str | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a rule holds, a score in [0, 1], and one phrase for a person.

    ``findings`` are what was odd, a few where there are many; a verdict that was kept has none.
    """

    passed: bool
    score: float
    detail: str
    findings: tuple[Finding, ...] = ()
