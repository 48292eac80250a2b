"""A case: a reply to a window, and what was stored around it before.

Not here: how it is spoiled (_defects), and what is said of it (_judged). Imports nothing of
marketdata_pipeline.quality.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import pandas as pd

from marketdata_pipeline.domain.actions import Action
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A reply with a defect.

    Attributes:
        kind: the defect's name.
        how: which of its forms.
        bars: the reply's, raw.
        stored: what was stored before, raw, without any defect.
        window: what was asked.
        where: the labels of the defect; None: the whole reply.
        told: the actions that the reply lists; ``known`` are those known before.
        true: the reply's bars without the defect, of the series ``right``.
        currency: as the reply tells it; ``usual`` is that of what is stored.
        other: true bars of another timeframe of the instrument, by its key.
        now: the market instant of the reply.
    """

    kind: str
    how: str
    series: Series
    bars: pd.DataFrame
    stored: pd.DataFrame
    window: TimeRange
    where: TimeRange | None
    now: datetime
    true: pd.DataFrame
    right: Series
    told: tuple[Action, ...] = ()
    known: tuple[Action, ...] = ()
    currency: str = "USD"
    usual: str = "USD"
    other: Mapping[str, pd.DataFrame] | None = None
    origin: str = ""

    @property
    def undamaged(self) -> "Case":
        """The same reply without the defect."""
        return replace(
            self, kind="none", bars=self.true, series=self.right, told=(), currency=self.usual
        )
