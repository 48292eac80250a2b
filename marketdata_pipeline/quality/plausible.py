"""Whether a reply's prices agree with known splits and with the bars stored around them.

Not here: hard rules, and what is done with a reply that disagrees.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.actions import Action, adjust_for_splits, splits_of
from marketdata_pipeline.domain.series import Series

_SMALLEST = np.log(1.2)
"""Splits below 6:5 cannot be told from a day's move."""


def contradicted_split(
    reply: pd.DataFrame, stored: pd.DataFrame, series: Series, actions: Sequence[Action]
) -> Action | None:
    """The known split that the raw bars of a reply disagree with, or None.

    With every known split taken out, prices go on where they were: a jump between a reply's bar
    and the stored one beside it (or the same bar), or across an ex-date inside the reply, that is
    nearer to a split's ratio than to none says that the reply was not divided as it should be.
    Bars that both have decide instead of those beside: a bad day may look like a split.
    ``stored`` holds bars in and around the reply's window. Both frames are raw.
    """
    if reply.empty:
        return None
    first = reply.index[0].date()
    splits = [one for one in splits_of(actions) if abs(_log(one)) >= _SMALLEST]
    later = [one for one in splits if one.ex_date > first]
    if not later:
        return None
    ours = adjust_for_splits(reply, series, splits)
    theirs = adjust_for_splits(stored, series, splits)
    around = _overlap_jump(ours, theirs) or _seam_jumps(ours, theirs)
    for split in later:
        if any(_looks_like(jump, split) for jump in (*around, *_jumps_at(ours, split))):
            return split
    return None


def emptier(reply: pd.DataFrame, stored: pd.DataFrame) -> np.ndarray:
    """A mask of the reply's bars that say nothing was traded where the stored bar says something.

    Providers answer a bar without its volume at times; both frames are sorted by label.
    """
    traded = stored.index[stored["volume"].to_numpy() > 0]
    idle: np.ndarray = reply["volume"].to_numpy() == 0
    return idle & np.asarray(reply.index.isin(traded))


def _log(split: Action) -> float:
    return float(np.log(float(split.value)))


def _looks_like(jump: float, split: Action) -> bool:
    """Whether a jump is the split's ratio, up or down, within a quarter of it."""
    return abs(abs(jump) - abs(_log(split))) < abs(_log(split)) / 4


def _overlap_jump(ours: pd.DataFrame, theirs: pd.DataFrame) -> list[float]:
    """The median log ratio of closes that both have."""
    common = ours.index.intersection(theirs.index)
    if not len(common):
        return []
    ratio = ours.loc[common, "close"].to_numpy() / theirs.loc[common, "close"].to_numpy()
    return [float(np.median(np.log(ratio)))]


def _seam_jumps(ours: pd.DataFrame, theirs: pd.DataFrame) -> list[float]:
    """Log jumps from the last stored bar before the reply, and to the first one after it."""
    found = []
    before = theirs[theirs.index < ours.index[0]]
    after = theirs[theirs.index > ours.index[-1]]
    if len(before):
        found.append(np.log(ours["open"].iloc[0] / before["close"].iloc[-1]))
    if len(after):
        found.append(np.log(after["open"].iloc[0] / ours["close"].iloc[-1]))
    return [float(one) for one in found]


def _jumps_at(ours: pd.DataFrame, split: Action) -> list[float]:
    """The log jump of split-adjusted prices across the ex-date, where the reply spans it."""
    at = int(ours.index.searchsorted(pd.Timestamp(split.ex_date, tz="UTC")))
    if not 0 < at < len(ours):
        return []
    return [float(np.log(ours["open"].iloc[at] / ours["close"].iloc[at - 1]))]
