"""Rules that hold a series against another one of the same instrument.

Not here: resampling on the grid (domain.resample). They read all bars of both, so they are asked
in a full check only.
"""

import numpy as np
import pandas as pd

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.resample import derive
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.verdict import Finding, Verdict
from marketdata_pipeline.quality.evidence import MOST_FINDINGS, Evidence

_ALL = list(Timeframe)


def has_finer(series: Series) -> bool:
    """Whether bars of it could be made of finer ones."""
    return series.timeframe is not Timeframe.M1


def agreement(evidence: Evidence) -> Verdict | None:
    """Bars agree with what the finer ones of their instrument make of them (1m or 1h of a day)."""
    if not len(evidence.bars):
        return None
    checked = differ = 0
    found: list[Finding] = []
    for finer in _finer(evidence.series):
        made = _made_of(evidence, finer)
        common = evidence.bars.index.intersection(made.index)
        if not len(common):
            continue
        off = _apart(evidence, evidence.bars.loc[common], made.loc[common])
        checked += len(common)
        differ += int((off > evidence.thresholds.agreement).sum())
        found += _findings(evidence, made.loc[common], off, finer)
    if not checked:
        return None
    score = 1 - differ / checked
    return Verdict(
        passed=score >= evidence.thresholds.agreeing,
        score=score,
        detail=f"{differ} of {checked} bars disagree with finer ones",
        findings=tuple(found[:MOST_FINDINGS]),
    )


def _finer(series: Series) -> list[Timeframe]:
    """What it is derived from; else each finer one that is fetched, the finest last."""
    if series.timeframe.base is not None:
        return [series.timeframe.base]
    at = _ALL.index(series.timeframe)
    return [one for one in reversed(_ALL[:at]) if not one.derived]


def _made_of(evidence: Evidence, finer: Timeframe) -> pd.DataFrame:
    """What finer bars make of the series' bars, where none of the finer ones is absent."""
    series, base = evidence.series, evidence.stored(finer)
    if base.empty:
        return base
    made = derive(base, series, evidence.actions)
    calendar = calendar_of(series.instrument)
    within = evidence.between(0, len(evidence.bars) - 1)
    grid = calendar.grid(finer, within).labels
    wanted, needed = np.unique(calendar.bucket(series.timeframe, grid), return_counts=True)
    got, stored = np.unique(
        calendar.bucket(series.timeframe, contract.labels_of(base)), return_counts=True
    )
    _, ours, theirs = np.intersect1d(wanted, got, return_indices=True)
    whole = wanted[ours][needed[ours] == stored[theirs]]
    return made[np.isin(contract.labels_of(made), whole)]


def _apart(evidence: Evidence, ours: pd.DataFrame, made: pd.DataFrame) -> np.ndarray:
    """By how much the farthest price of each bar is off, as a share of its close.

    A day's open and close come from auctions that no finer bar holds, and its high and low may
    come from a trade outside of them: only a finer price beyond high or low counts in full.
    """
    opened, high, low, close, _ = contract.values_of(ours)
    fine = contract.values_of(made)
    off = np.maximum(np.abs(opened - fine[0]), np.abs(close - fine[3]))
    off = np.maximum(off, np.maximum(fine[1] - high, low - fine[2]))
    if evidence.series.timeframe.derived:
        off = np.maximum(off, np.maximum(np.abs(fine[1] - high), np.abs(fine[2] - low)))
    share: np.ndarray = off / close
    return share


def _findings(
    evidence: Evidence, made: pd.DataFrame, off: np.ndarray, finer: Timeframe
) -> list[Finding]:
    rows = np.searchsorted(evidence.labels, contract.labels_of(made))
    found = []
    for at in np.flatnonzero(off > evidence.thresholds.agreement)[:MOST_FINDINGS].tolist():
        row = int(rows[at])
        text = f"{evidence.dated(row)}: {off[at]:.1%} away from what {finer} bars make of it"
        found.append(Finding("agreement", evidence.between(row, row), text))
    return found
