"""A series' report out of its evidence and the verdicts on it.

Not here: the value itself (domain.report), and which reports are kept (store).
"""

from collections.abc import Mapping

import numpy as np

from marketdata_pipeline.domain.report import Report
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.quality.evidence import Evidence
from marketdata_pipeline.quality.rules import score_of
from marketdata_pipeline.quality.shape import dtypes_valid, missing_columns

_MOST_GAPS = 100
_LOGIC = ("finite", "positive_prices", "low_high", "volume")


def report_of(evidence: Evidence, verdicts: Mapping[str, Verdict], *, looked: bool) -> Report:
    """What the verdicts come to; ``looked``: whether the evidence's bars were looked at."""
    gaps = sorted(evidence.gaps, key=lambda one: -one[1])
    missing = missing_columns(evidence)
    logical = not evidence.shaped or not any(bool(evidence.broken[name].any()) for name in _LOGIC)
    return Report(
        market_at=evidence.market_now,
        is_valid=all(one.passed for one in verdicts.values()),
        score=score_of(verdicts, evidence.thresholds),
        scores={name: one.score for name, one in sorted(verdicts.items())},
        errors={name: one.detail for name, one in sorted(verdicts.items()) if not one.passed},
        gaps=tuple(sorted(one for one, _ in gaps[:_MOST_GAPS])),
        gap_count=len(gaps),
        longest_gap=gaps[0][1] if gaps else 0,
        duplicates=len(evidence.labels) - len(np.unique(evidence.labels)),
        missing_columns=tuple(missing),
        dtypes_valid=dtypes_valid(evidence),
        logically_consistent=logical and not missing,
        findings=tuple(one for name in sorted(verdicts) for one in verdicts[name].findings),
        looked=looked,
    )
