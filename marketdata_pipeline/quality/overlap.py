"""A reply beside the same stored bars: other levels, another series, most of them absent.

Not here: bars that nobody has stored yet (levels, spikes), and what the reply says beside its bars
(terms).
"""

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.bars import labels_of
from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.domain.ranges import to_micros
from marketdata_pipeline.domain.reply import Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.verdict import Finding
from marketdata_pipeline.quality.marks import among, range_of
from marketdata_pipeline.quality.prices import MAD_TO_SIGMA

_SHIFT = 0.02
_USUAL_MOVES = 1.5
_CENTS = 0.002
_FEWEST_STORED = 5
_MOST = 0.5
_FEWEST_COMMON = 3


def shrunken(reply: Reply, raw: pd.DataFrame, stored: pd.DataFrame) -> list[Finding]:
    """The reply lacks more than half of the bars that are stored in its window."""
    held = labels_of(stored)
    held = held[(held >= to_micros(reply.window.start)) & (held < to_micros(reply.window.end))]
    if len(held) < _FEWEST_STORED:
        return []
    lacking = int((~among(held, labels_of(raw))).sum())
    if lacking <= _MOST * len(held):
        return []
    detail = f"the reply lacks {lacking} of the {len(held)} bars that are stored in its window"
    return [Finding("shrunken", reply.window, detail, {"lacking": lacking, "stored": len(held)})]


def against_overlap(raw: pd.DataFrame, stored: pd.DataFrame, series: Series) -> list[Finding]:
    """The closes that both have differ by one factor (level_shift) or by many (wrong_symbol).

    Every bar of the reply is doubted then. Providers differ by cents, and by less than a bar moves;
    crypto's, which are of different markets, by more. A smaller factor is for settlement, which
    restates little at once.
    """
    mine, held = labels_of(raw), labels_of(stored)
    here, there = among(mine, held), among(held, mine)
    common = int(here.sum())
    if not common:
        return []
    closes = stored["close"].to_numpy()[there]
    ratio = np.log(raw["close"].to_numpy()[here] / closes)
    middle = float(np.median(ratio))
    spread = MAD_TO_SIGMA * float(np.median(np.abs(ratio - middle)))
    evidence = {"factor": float(np.exp(middle)), "spread": spread, "common": common}
    within = range_of(raw, 0, len(raw) - 1, series)
    crypto = series.instrument.asset_class is AssetClass.CRYPTO
    tolerated = _SHIFT if crypto else _tolerated(np.log(closes))
    if common >= _FEWEST_COMMON and spread > tolerated:
        detail = f"its closes are not those of the {common} bars that are stored"
        return [Finding("wrong_symbol", within, detail, evidence)]
    if abs(middle) <= tolerated:
        return []
    detail = f"its prices are {np.exp(middle):.4g} times those of the same stored bars"
    return [Finding("level_shift", within, detail, evidence)]


def _tolerated(closes: np.ndarray) -> float:
    """How far a log close may be from the stored one: 1.5 usual moves of a bar, 2 % at most."""
    if len(closes) < _FEWEST_STORED:
        return _SHIFT
    usual = MAD_TO_SIGMA * float(np.median(np.abs(np.diff(closes))))
    return min(max(_USUAL_MOVES * usual, _CENTS), _SHIFT)
