"""A reply beside the same stored bars: other levels, another series, most of them absent.

Not here: bars that nobody has stored yet (levels, spikes), and what the reply says beside its bars
(terms).
"""

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.bars import labels_inside, labels_of, values_of
from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.domain.reply import Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.verdict import Finding
from marketdata_pipeline.quality.marks import among, between, range_of
from marketdata_pipeline.quality.prices import MAD_TO_SIGMA, Prices

_SHIFT = 0.02
_USUAL_MOVES = 1.5
_CENTS = 0.002
_FEWEST_STORED = 5
_MOST = 0.5
_FEWEST_COMMON = 3
AT_ODDS = "at_odds"
_ODD_SIGMAS = 6.0
_ODD_VOLUME = float(np.log(10))


def shrunken(reply: Reply, raw: pd.DataFrame, stored: pd.DataFrame) -> list[Finding]:
    """The reply lacks more than half of the bars that are stored in its window."""
    held = labels_of(stored)
    held = held[labels_inside(held, [reply.window])]
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
    middle = _middle(ratio)
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


def _middle(ratio: np.ndarray) -> float:
    """The median; of two the one nearer to none, as one of two bars is not most of them."""
    if len(ratio) == 2:  # noqa: PLR2004 - one and another
        return float(ratio[np.argmin(np.abs(ratio))])
    return float(np.median(ratio))


def odd_ones(raw: pd.DataFrame, stored: pd.DataFrame, prices: Prices) -> np.ndarray:
    """A mask of the reply's bars that are at odds with the stored ones of the same labels.

    A price is further from the stored one than 2 % and six usual moves, or volume is off by more
    than ten times and further from the usual. Not so where the reply's bar is closer than the
    stored one to the bars on both sides: it is the stored one that is odd then.

    ``prices``: stored bars and the reply's, which count where both have one.
    """
    mine, held = labels_of(raw), labels_of(stored)
    here, there = among(mine, held), among(held, mine)
    odd = np.zeros(len(raw), dtype=bool)
    if not here.any():
        return odd
    ours, theirs = values_of(raw)[:, here], values_of(stored)[:, there]
    at = np.flatnonzero(among(prices.labels, mine[here]))
    away = np.log(theirs[:4] / ours[:4])
    least = np.maximum(_SHIFT, _ODD_SIGMAS * prices.noise[at])
    of_price = (np.abs(away) > least).any(axis=0)
    of_price[of_price] = ~_closer(prices, at[of_price], away[:, of_price])
    odd[here] = of_price | _odd_volume(ours[4], theirs[4], prices.volume)
    return odd


def at_odds(raw: pd.DataFrame, odd: np.ndarray, series: Series) -> list[Finding]:
    """A finding for each bar of the reply that is at odds with the stored one."""
    detail = "it is far from the bar that is stored for it"
    labels = labels_of(raw)[odd].tolist()
    return [Finding(AT_ODDS, between(one, one, series), detail) for one in labels]


def _closer(prices: Prices, at: np.ndarray, away: np.ndarray) -> np.ndarray:
    """Where the prices of bars are closer to the closes on both sides than the stored ones are.

    ``away``: how far the stored ones are from them, a row a price.
    """
    closer = np.zeros(len(at), dtype=bool)
    others = np.setdiff1d(np.arange(len(prices)), at)
    for place, (one, off) in enumerate(zip(at.tolist(), away.T, strict=True)):
        after = int(np.searchsorted(others, one))
        if 0 < after < len(others):
            beside = prices.logs[3, others[after - 1 : after + 1]][:, None]
            ours = prices.logs[:, one] - beside
            nearest = np.abs(ours).max(axis=1) < np.abs(ours + off).max(axis=1)
            closer[place] = bool(nearest.all())
    return closer


def _odd_volume(ours: np.ndarray, theirs: np.ndarray, all_of_them: np.ndarray) -> np.ndarray:
    traded = (ours > 0) & (theirs > 0)
    odd = np.zeros(len(ours), dtype=bool)
    if not traded.any():
        return odd
    usual = float(np.log(np.median(all_of_them[all_of_them > 0])))
    mine, other = np.log(ours[traded]), np.log(theirs[traded])
    further = np.abs(mine - usual) > np.abs(other - usual)
    odd[traded] = (np.abs(mine - other) > _ODD_VOLUME) & further
    return odd


def _tolerated(closes: np.ndarray) -> float:
    """How far a log close may be from the stored one: 1.5 usual moves of a bar, 2 % at most."""
    if len(closes) < _FEWEST_STORED:
        return _SHIFT
    usual = MAD_TO_SIGMA * float(np.median(np.abs(np.diff(closes))))
    return min(max(_USUAL_MOVES * usual, _CENTS), _SHIFT)
