"""Rules about how bars follow each other: spikes, levels, prices that stand still, silence.

Not here: the detectors that find such (levels, spikes, runs), single bars (shape), futures'
rollovers (futures). Known splits and payments are taken out before.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.verdict import Finding, Verdict
from marketdata_pipeline.quality.evidence import MOST_FINDINGS, Evidence, by_findings
from marketdata_pipeline.quality.levels import LEVEL_SHIFT, SPIKE, SPLIT_LIKE, shifts_in
from marketdata_pipeline.quality.prices import Prices
from marketdata_pipeline.quality.runs import flat_in, idle_in, repeats_in
from marketdata_pipeline.quality.spikes import spikes_in

_WITH_VOLUME = {AssetClass.EQUITY, AssetClass.ETF, AssetClass.CRYPTO, AssetClass.FUTURE}


def has_volume(series: Series) -> bool:
    """Whether silence is odd: providers tell no volume of indices, rates and currencies.

    Where they leave it out of most bars, the detector takes that for usual.
    """
    return series.instrument.asset_class in _WITH_VOLUME


def spikes(evidence: Evidence) -> Verdict | None:
    """No close moves too far in a day, no price leaps out of those around it and comes back."""
    prices = evidence.prices
    if prices is None:
        return None
    least = evidence.thresholds.spike_z
    told = [one for one in spikes_in(prices) if _number(one, "sigmas") >= least]
    told += _shifts(evidence, prices, SPIKE)
    known = {one.within.start for one in told}
    told += [one for one in _far_moves(evidence, prices) if one.within.start not in known]
    return _verdict(evidence, "spikes", told)


def level_shifts(evidence: Evidence) -> Verdict | None:
    """No bars are at another level than those before and after, as in a wrong unit."""
    prices = evidence.prices
    if prices is None:
        return None
    return _verdict(evidence, "level_shifts", _shifts(evidence, prices, LEVEL_SHIFT))


def split_jumps(evidence: Evidence) -> Verdict | None:
    """No jump looks like a split that no action tells of, or that was taken out in part only."""
    prices = evidence.prices
    if prices is None:
        return None
    return _verdict(evidence, "split_jumps", _shifts(evidence, prices, SPLIT_LIKE))


def stale_repeats(evidence: Evidence) -> Verdict | None:
    """No bar repeats an earlier one exactly, volume included."""
    return _runs(evidence, "stale_repeats", repeats_in, 1)


def flat_runs(evidence: Evidence) -> Verdict | None:
    """Prices do not stand still for many bars in a row, longer than is usual in the series."""
    return _runs(evidence, "flat_runs", flat_in, evidence.thresholds.flat_bars)


def zero_volume(evidence: Evidence) -> Verdict | None:
    """Volume is not zero for many bars in a row, longer than is usual in the series."""
    return _runs(evidence, "zero_volume", idle_in, evidence.thresholds.zero_volume_bars)


def _shifts(evidence: Evidence, prices: Prices, kind: str) -> list[Finding]:
    return [one for one in shifts_in(prices, evidence.actions) if one.rule == kind]


def _far_moves(evidence: Evidence, prices: Prices) -> list[Finding]:
    """Closes too far from the one before, as a share of it; twice as far in a week."""
    limit = evidence.thresholds.spike * (2 if evidence.series.timeframe is Timeframe.W1 else 1)
    move = np.expm1(prices.change)
    return [
        Finding(
            SPIKE,
            evidence.between(row, row),
            f"its close moves {move[row]:+.0%}",
            {"move": float(move[row])},
        )
        for row in np.flatnonzero(np.abs(move) > limit).tolist()
    ]


def _runs(
    evidence: Evidence, rule: str, detector: Callable[[Prices], list[Finding]], least: int
) -> Verdict | None:
    """Holds where no run is so long; the score is the share of bars that are in none."""
    prices = evidence.prices
    if prices is None:
        return None
    found = [one for one in detector(prices) if _number(one, "bars") >= least]
    verdict = _verdict(evidence, rule, found)
    odd = min(sum(_number(one, "bars") for one in found), len(prices))
    return replace(verdict, score=1 - odd / len(prices)) if found else verdict


def _number(finding: Finding, name: str) -> float:
    return float(finding.evidence.get(name, 0))


def _verdict(evidence: Evidence, rule: str, found: Sequence[Finding]) -> Verdict:
    """Under the rule's own name, each finding beginning with its first bar."""
    told = [
        replace(one, rule=rule, detail=f"{evidence.spelled(one.within.start)}: {one.detail}")
        for one in sorted(found, key=lambda one: one.within)
    ]
    verdict = by_findings(told, len(evidence.bars))
    return replace(verdict, findings=tuple(told[:MOST_FINDINGS]))
