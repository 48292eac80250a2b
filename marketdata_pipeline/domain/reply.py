"""One answered request of a provider, parsed: what every adapter hands up.

Not here: how it was asked for, and whether it may be stored.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum

import pandas as pd

from marketdata_pipeline.domain.actions import Action
from marketdata_pipeline.domain.bars import BadRow
from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series


class Basis(Enum):
    """How a reply's prices relate to traded ones: as traded, or divided by later splits."""

    RAW = "raw"
    SPLIT_ADJUSTED = "split_adjusted"


@dataclass(frozen=True, slots=True, eq=False)
class Reply:
    """One answer for ``window`` of ``series``.

    Attributes:
        window: what was asked, in label space (UTC); ``bars`` has no label outside it.
        bars: a frame shaped as ``domain.bars`` says, in ``basis``, sorted, unique, closed bars
            only; rows without any price are left out. Empty: the provider has no bars there.
        actions: those that the reply lists.
        actions_within: the range whose actions it lists completely, up to ``market_at`` at most;
            None where the provider tells none.
        currency: as the provider writes it (``GBp`` is pence).
        market_at: the market instant at which it was asked.
        fetched_at: the wall instant at which it arrived.
        provider: registry name; ``origin`` is the same for a live reply, ``simulator:recorded``
            or ``simulator:synthetic`` otherwise.
        requests: HTTP requests that were sent for it.
        first_trade: the listing's first day, where the provider tells it.
        doubted: those of the bars that the reply itself contradicts; they count as rows that break
            a hard rule.
        asset_class: what kind of thing the provider says the instrument is; None: not said, or by
            a word that nobody knows.
    """

    series: Series
    window: TimeRange
    bars: pd.DataFrame
    basis: Basis
    actions: tuple[Action, ...]
    actions_within: TimeRange | None
    currency: str
    market_at: datetime
    fetched_at: datetime
    provider: str
    origin: str
    requests: int
    first_trade: date | None = None
    asset_class: AssetClass | None = None
    doubted: tuple[BadRow, ...] = ()
