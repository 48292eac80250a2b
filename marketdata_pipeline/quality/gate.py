"""The gate before the store: whether a reply can be of the series that is stored, bar by bar.

Not here: hard rules (domain.bars), what becomes of a suspect (ingest), and splits that the prices
contradict as a whole (plausible). Everything here is a pure function of values; both frames are
raw. A finding names by ``within`` the bars that it doubts; the others may be stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.actions import Action
from marketdata_pipeline.domain.bars import frame_on, labels_of, values_of
from marketdata_pipeline.domain.reply import Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.verdict import Finding
from marketdata_pipeline.quality.levels import SPIKE
from marketdata_pipeline.quality.marks import among, between
from marketdata_pipeline.quality.overlap import against_overlap, at_odds, odd_ones, shrunken
from marketdata_pipeline.quality.prices import prices_of
from marketdata_pipeline.quality.runs import repeats_in
from marketdata_pipeline.quality.seams import seams_in
from marketdata_pipeline.quality.terms import currency, impossible_dividends


@dataclass(frozen=True, slots=True, eq=False)
class Around:
    """What is known of a series when a reply for it arrives.

    Attributes:
        stored: raw stored bars in the reply's window and ``neighbourhood`` around it, sorted by
            label; empty where nothing is stored there.
        actions: all known actions of the instrument, the reply's own among them, as paid.
        currency: the quote currency of what is stored, as providers write it; None: not known.
    """

    series: Series
    stored: pd.DataFrame
    actions: Sequence[Action]
    currency: str | None = None


def neighbourhood(timeframe: Timeframe) -> timedelta:
    """How far around a reply's window stored bars are of use: some ninety of daily ones."""
    return timedelta(days=10) if timeframe.intraday else timedelta(days=130)


def suspicions(reply: Reply, raw: pd.DataFrame, around: Around) -> list[Finding]:
    """What is odd about a reply, seen beside what is stored; empty: nothing is.

    ``raw`` holds the reply's bars as traded, without rows that break a hard rule. The rules by
    name: ``currency``, ``shrunken``, ``level_shift``, ``split_like``, ``wrong_symbol``,
    ``at_odds``, ``stale_repeat``, ``impossible_dividend`` (the action of that day is doubted, not
    the bar).
    """
    stored = around.stored
    return [
        *currency(reply, raw, around.currency),
        *shrunken(reply, raw, stored),
        *(against_overlap(raw, stored, around.series) or _in_context(raw, around)),
        *impossible_dividends(reply, raw, stored, around.actions),
    ]


def _in_context(raw: pd.DataFrame, around: Around) -> list[Finding]:
    """What the bars of the reply look like among the stored ones, and beside those they replace."""
    if raw.empty:
        return []
    joined, mine = _joined(raw, around.stored)
    prices = prices_of(joined, around.series, around.actions)
    odd = odd_ones(raw, around.stored, prices)
    suspect = mine.copy()
    suspect[mine] = odd | ~among(labels_of(raw), labels_of(around.stored))
    reply = between(*_ends(raw), around.series)
    found = [*seams_in(prices, around.actions, suspect), *repeats_in(prices)]
    kept = ((one, one.within.intersect(reply)) for one in found if one.rule != SPIKE)
    cut = [replace(one, within=part) for one, part in kept if part is not None]
    return [*cut, *at_odds(raw, odd, around.series)]


def _joined(raw: pd.DataFrame, stored: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """The reply's bars and the stored ones that it lacks, sorted; and which are the reply's."""
    mine, held = labels_of(raw), labels_of(stored)
    others = ~among(held, mine)
    if not others.any():
        return raw, np.ones(len(raw), dtype=bool)
    labels = np.concatenate([held[others], mine])
    order = np.argsort(labels, kind="stable")
    rows = np.hstack([values_of(stored)[:, others], values_of(raw)])[:, order]
    index = pd.DatetimeIndex(labels[order].astype("datetime64[us]"), tz="UTC", name="ts")
    return frame_on(index, rows), order >= int(others.sum())


def _ends(raw: pd.DataFrame) -> tuple[int, int]:
    labels = labels_of(raw)
    return int(labels[0]), int(labels[-1])
