"""A series' report: everything that its rules say at one time, as one value that JSON can hold.

Not here: making one (quality.reporting), and which of them are kept (store.reports).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from marketdata_pipeline.domain.ranges import TimeRange, parse_instant
from marketdata_pipeline.domain.verdict import Finding

_DIGITS = 3
"""Of a score that tell two reports apart: completeness moves with every session."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the rules say of a series.

    Attributes:
        market_at: the market instant at which it was judged.
        is_valid: whether every rule that applies holds.
        score: the weighted mean of their scores, 0 to 1.
        scores: by rule.
        errors: of each rule that fails what it says.
        gaps: label ranges of expected bars that are absent, the first ones where there are many.
        gap_count, longest_gap: of all of them; the longest in bars.
        duplicates: labels that are there more than once.
        missing_columns: of those that the contract wants.
        dtypes_valid: whether labels and numbers have the contract's types.
        logically_consistent: whether no price is beyond low or high, none is below zero, no volume
            is negative.
        findings: what exactly is odd, a few of each rule.
        looked: whether bars were looked at; else what is said of them is from the time before.
    """

    market_at: datetime
    is_valid: bool
    score: float
    scores: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    gaps: tuple[TimeRange, ...] = ()
    gap_count: int = 0
    longest_gap: int = 0
    duplicates: int = 0
    missing_columns: tuple[str, ...] = ()
    dtypes_valid: bool = True
    logically_consistent: bool = True
    findings: tuple[Finding, ...] = ()
    looked: bool = True

    def after(self, before: "Report | None") -> "Report":
        """The same with what an earlier one says of bars, where this one did not look at any."""
        if self.looked or before is None:
            return self
        known = {one.rule for one in self.findings}
        kept = [one for one in before.findings if one.rule in self.errors and one.rule not in known]
        return replace(
            self,
            duplicates=before.duplicates,
            missing_columns=before.missing_columns,
            dtypes_valid=before.dtypes_valid,
            logically_consistent=before.logically_consistent,
            findings=(*self.findings, *kept),
        )

    def says_the_same_as(self, other: "Report") -> bool:
        """Whether nothing of substance differs: neither time nor words nor a hair's breadth do."""
        return self.substance == other.substance

    @property
    def substance(self) -> tuple[object, ...]:
        """What tells two reports apart."""
        return (
            round(self.score, _DIGITS),
            sorted(self.errors),
            self.gaps,
            self.gap_count,
            self.duplicates,
            self.missing_columns,
            self.dtypes_valid,
            self.logically_consistent,
            sorted((one.rule, one.within) for one in self.findings),
        )

    def as_json(self) -> dict[str, Any]:
        """What JSON can hold; ``of_json`` reads it."""
        return {
            "market_at": self.market_at.isoformat(),
            "is_valid": self.is_valid,
            "score": round(self.score, 6),
            "scores": {name: round(one, 6) for name, one in self.scores.items()},
            "errors": dict(self.errors),
            "gaps": [_spelled(one) for one in self.gaps],
            "gap_count": self.gap_count,
            "longest_gap": self.longest_gap,
            "duplicates": self.duplicates,
            "missing_columns": list(self.missing_columns),
            "dtypes_valid": self.dtypes_valid,
            "logically_consistent": self.logically_consistent,
            "findings": [
                {
                    "rule": one.rule,
                    "within": _spelled(one.within),
                    "detail": one.detail,
                    "evidence": dict(one.evidence),
                }
                for one in self.findings
            ],
        }

    @classmethod
    def of_json(cls, told: Mapping[str, Any]) -> Self:
        """The report that ``as_json`` made this of."""
        listed = dict(told)
        listed["market_at"] = parse_instant(listed["market_at"])
        listed["gaps"] = tuple(_parsed(one) for one in listed["gaps"])
        listed["missing_columns"] = tuple(listed["missing_columns"])
        listed["findings"] = tuple(
            Finding(one["rule"], _parsed(one["within"]), one["detail"], one["evidence"])
            for one in listed["findings"]
        )
        return cls(**listed)


def _spelled(one: TimeRange) -> list[str]:
    return [one.start.isoformat(), one.end.isoformat()]


def _parsed(told: list[str]) -> TimeRange:
    return TimeRange(parse_instant(told[0]), parse_instant(told[1]))
