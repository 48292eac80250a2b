"""A reply's bars beside the stored ones: which are known, which restate a final bar.

Not here: whether the reply can be believed at all (quality), and writing (settle).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.bars import PRICES, labels_inside, labels_of, values_of
from marketdata_pipeline.domain.quarantine import Suspect, label_ranges
from marketdata_pipeline.domain.ranges import MICROSECOND, TimeRange, from_micros
from marketdata_pipeline.domain.reply import Reply
from marketdata_pipeline.domain.sessions import Micros
from marketdata_pipeline.domain.verdict import Finding
from marketdata_pipeline.quality.plausible import emptier
from marketdata_pipeline.store.write import Snapshot, State

_PRICE_NOISE: Final = 1e-5
"""Prices that come divided by a later split's ratio are exact to a sixth decimal of a quotient."""
_VOLUME_NOISE: Final = 5e-3
"""Volume that comes multiplied by a reverse split's ratio is exact to half the ratio only."""
AT_ODDS: Final = "at_odds"
_FEW: Final = 2
_FEW_PERCENT: Final = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Masks over a reply's bars.

    Attributes:
        known: stored with the same values, and not to become final by this reply.
        restated: final in the store, from the same provider, with other values by now.
        at_odds: final bars of which so many would be restated that it is the reply that is
            doubted: they stay as they are.
    """

    known: np.ndarray
    restated: np.ndarray
    at_odds: np.ndarray


def compare(
    bars: pd.DataFrame, stored: Snapshot, teller: tuple[str, int], final: np.ndarray
) -> Compared:
    """Compare a reply's raw bars with what is stored.

    ``teller``: its provider, and when it was fetched in wall microseconds; one that is older than
    what is stored restates nothing. ``final``: those that become final.
    """
    provider, fetched_at = teller
    ours, theirs = _common(bars, stored)
    nothing = np.zeros(len(bars), dtype=bool)
    known, restated = nothing.copy(), nothing.copy()
    fresh, old = values_of(bars)[:, ours], values_of(stored.bars)[:, theirs]
    is_final = stored.state[theirs] == State.FINAL
    known[ours] = (fresh == old).all(axis=0) & (is_final | ~final[ours])
    theirs_too = is_final & (stored.provider[theirs] == provider)
    theirs_too &= stored.fetched_at[theirs] < fetched_at
    differs = theirs_too & _differ(fresh, old)
    restated[ours] = differs
    most = max(_FEW, _FEW_PERCENT * int(theirs_too.sum()))
    if int(differs.sum()) > most:
        return Compared(known, nothing, restated)
    return Compared(known, restated, nothing)


def unconfirmed(
    reply: Reply, bars: pd.DataFrame, before: Snapshot, final: Sequence[TimeRange]
) -> list[TimeRange]:
    """Stored bars past their settlement, within ``final``, that a reply does not tell.

    It lacks them, or their volume: they stay provisional, and are asked for again.
    """
    labels = labels_of(before.bars)
    waiting = before.state == State.PROVISIONAL
    waiting &= labels_inside(labels, final)
    told = labels_of(bars)[~emptier(bars, before.bars)]
    silent = labels[waiting & ~np.isin(labels, told)]
    return label_ranges(silent, reply.series.timeframe.length)


def at_odds(reply: Reply, bars: pd.DataFrame) -> tuple[Suspect, ...]:
    """What is kept apart of a reply that would restate too much: the bars that it would."""
    if bars.empty:
        return ()
    labels = labels_of(bars)
    within = TimeRange(from_micros(int(labels[0])), from_micros(int(labels[-1])) + MICROSECOND)
    count = len(bars)
    detail = f"{count} final bars would be others by what {reply.provider} tells now"
    return (Suspect(Finding(AT_ODDS, within, detail, {"bars": count}), bars, (), reply.currency),)


def _common(bars: pd.DataFrame, stored: Snapshot) -> tuple[Micros, Micros]:
    """The positions of the labels that both have."""
    _, ours, theirs = np.intersect1d(
        labels_of(bars), labels_of(stored.bars), assume_unique=True, return_indices=True
    )
    return ours, theirs


def _differ(fresh: np.ndarray, old: np.ndarray) -> np.ndarray:
    """By more than rounding; a volume that is gone is no news."""
    prices, volume = slice(0, len(PRICES)), len(PRICES)
    moved: np.ndarray = (np.abs(fresh[prices] / old[prices] - 1) > _PRICE_NOISE).any(axis=0)
    traded = np.maximum(old[volume], 1.0)
    more = np.abs(fresh[volume] - old[volume]) / traded > _VOLUME_NOISE
    news: np.ndarray = ((moved | more) & (fresh[volume] > 0)) | (moved & (old[volume] == 0))
    return news
