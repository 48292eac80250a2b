"""The rules that score a stored series: one function each, one line each in RULES.

Not here: hard rules that keep bars out of the store, and where verdicts are kept.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.thresholds import Thresholds
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.errors import SettingsError
from marketdata_pipeline.quality import agreement, course, extent, futures, shape
from marketdata_pipeline.quality.evidence import Evidence


class Look(Enum):
    """What a rule looks at, and so when it is asked.

    Ledger: coverage and facts, after every update. Frame: bars of any shape; bars: those that have
    the contract's shape; both of what was written, with some bars around it, or of all. Whole: all
    bars of the series and of others, in a full check only.
    """

    LEDGER = "ledger"
    FRAME = "frame"
    BARS = "bars"
    WHOLE = "whole"


def _always(_: Series) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: the function that judges, what it looks at, and the series that it applies to."""

    judge: Callable[[Evidence], Verdict | None]
    look: Look
    applies: Callable[[Series], bool] = _always

    def __call__(self, evidence: Evidence) -> Verdict | None:
        """The verdict; None where the rule does not apply, which leaves the score alone."""
        if not self.applies(evidence.series):
            return None
        if self.look in {Look.BARS, Look.WHOLE} and not evidence.shaped:
            return None
        return self.judge(evidence)

    @property
    def says(self) -> str:
        """What holds where it passes: the first line of the function's docstring."""
        return (self.judge.__doc__ or "").strip().partition("\n")[0]


RULES: Mapping[str, Rule] = {
    "bars_contract": Rule(shape.bars_contract, Look.FRAME),
    "columns": Rule(shape.columns, Look.FRAME),
    "order": Rule(shape.order, Look.FRAME),
    "timestamps": Rule(shape.timestamps, Look.BARS),
    "ohlc_relations": Rule(shape.ohlc_relations, Look.BARS),
    "positive_prices": Rule(shape.positive_prices, Look.BARS),
    "volume": Rule(shape.volume, Look.BARS),
    "completeness": Rule(extent.completeness, Look.LEDGER),
    "gaps": Rule(extent.gaps, Look.LEDGER),
    "freshness": Rule(extent.freshness, Look.LEDGER),
    "coverage_holds": Rule(extent.coverage_holds, Look.WHOLE),
    "spikes": Rule(course.spikes, Look.BARS),
    "zero_volume": Rule(course.zero_volume, Look.BARS, course.has_volume),
    "flat_runs": Rule(course.flat_runs, Look.BARS),
    "stale_repeats": Rule(course.stale_repeats, Look.BARS),
    "level_shifts": Rule(course.level_shifts, Look.BARS),
    "split_jumps": Rule(course.split_jumps, Look.BARS),
    "agreement": Rule(agreement.agreement, Look.WHOLE, agreement.has_finer),
    "contract_month": Rule(futures.contract_month, Look.LEDGER, futures.dated),
    "expiry": Rule(futures.expiry, Look.LEDGER, futures.dated),
    "rollover": Rule(futures.rollover, Look.BARS, futures.continuous),
    "contract_volume": Rule(futures.contract_volume, Look.BARS, futures.continuous),
}


def score_of(verdicts: Mapping[str, Verdict], thresholds: Thresholds) -> float:
    """The weighted mean of the verdicts' scores, in [0, 1]; 1 where nothing has any weight."""
    weights = {name: thresholds.weight(name) for name in verdicts}
    total = sum(weights.values())
    if not total:
        return 1.0
    return sum(weights[name] * one.score for name, one in verdicts.items()) / total


def refuse_unknown(thresholds: Thresholds) -> Thresholds:
    """The same thresholds, once every rule that they name is one.

    Raises:
        SettingsError: one is not.
    """
    for key, names in (("quality_off", thresholds.off), ("quality_weights", thresholds.weights)):
        strange = sorted(set(names) - set(RULES))
        if strange:
            raise SettingsError(
                f"MARKETDATA_{key.upper()} names {strange[0]!r}, which is no rule; "
                f"the rules are {', '.join(RULES)}"
            )
    return thresholds
