"""Rules about each bar by itself: columns, labels, prices and volume as the contract has them.

Not here: hard rules that keep bars out of the store (domain.bars); these look at what is stored.
"""

import numpy as np

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.errors import ContractViolation
from marketdata_pipeline.quality.evidence import Evidence, by_share


def bars_contract(evidence: Evidence) -> Verdict:
    """Stored bars still keep every hard rule."""
    if not _keeps_all(evidence):  # what exactly breaks is asked for then only
        try:
            contract.validate(evidence.bars, evidence.series, evidence.market_now)
        except ContractViolation as error:
            return Verdict(passed=False, score=0.0, detail=str(error))
    return Verdict(passed=True, score=1.0, detail=f"{len(evidence.bars)} bars re-validated")


def _keeps_all(evidence: Evidence) -> bool:
    return evidence.shaped and not any(
        mask.any() for name, mask in evidence.broken.items() if name != contract.CLOSURE
    )


def columns(evidence: Evidence) -> Verdict:
    """No column is missing, each holds 64-bit numbers."""
    missing = missing_columns(evidence)
    if missing:
        said = f"missing: {', '.join(missing)}"
        return Verdict(passed=False, score=1 - len(missing) / len(contract.COLUMNS), detail=said)
    if not dtypes_valid(evidence):
        return Verdict(passed=False, score=0.0, detail="columns are not float64, labels not UTC")
    return Verdict(passed=True, score=1.0, detail=f"{len(contract.COLUMNS)} columns")


def order(evidence: Evidence) -> Verdict:
    """Labels are in UTC, sorted, none twice."""
    if str(evidence.bars.index.dtype) != contract.INDEX_DTYPE:
        said = f"labels are {evidence.bars.index.dtype}, not {contract.INDEX_DTYPE}"
        return Verdict(passed=False, score=0.0, detail=said)
    late = np.zeros(len(evidence.bars), dtype=bool)
    late[1:] = np.diff(evidence.labels) <= 0
    return by_share(evidence, "order", late, "not after the one before")


def timestamps(evidence: Evidence) -> Verdict:
    """Each label is one of its market: a session's date, or on the grid within market hours."""
    broken = evidence.broken["grid"] | evidence.broken["closed"]
    return by_share(evidence, "timestamps", broken, "no bar of a session, or not closed yet")


def ohlc_relations(evidence: Evidence) -> Verdict:
    """No price is below the low or above the high."""
    return by_share(
        evidence, "ohlc_relations", evidence.broken["low_high"], "a price beyond low or high"
    )


def positive_prices(evidence: Evidence) -> Verdict:
    """All prices are numbers above zero."""
    values = contract.values_of(evidence.bars)[:4]
    with np.errstate(invalid="ignore"):
        bad = ~(np.isfinite(values) & (values > 0)).all(axis=0)
    return by_share(evidence, "positive_prices", bad, "a price that is not above zero")


def volume(evidence: Evidence) -> Verdict:
    """Volume is a number, and never negative."""
    traded = contract.values_of(evidence.bars)[4]
    with np.errstate(invalid="ignore"):
        bad = ~(np.isfinite(traded) & (traded >= 0))
    return by_share(evidence, "volume", bad, "a volume that is negative or no number")


def missing_columns(evidence: Evidence) -> list[str]:
    """The columns of the contract that the frame lacks."""
    return [name for name in contract.COLUMNS if name not in evidence.bars.columns]


def dtypes_valid(evidence: Evidence) -> bool:
    """Whether the labels and all columns are of the contract's types."""
    right = str(evidence.bars.index.dtype) == contract.INDEX_DTYPE
    return right and all(one == np.float64 for one in evidence.bars.dtypes)
