"""The port for what a simulator serves, and the history that is made of frames in memory.

Not here: where frames come from (recorded), and how they are written on the wire (rows, chart).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

import pandas as pd

from marketdata_pipeline.domain.actions import Action
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """All that a history knows of one instrument, from its first day to the end of the data.

    Attributes:
        currency: as Yahoo writes it (``GBp`` is pence).
        bars: raw bars per timeframe, in frames as ``domain.bars`` says; only ``NaN`` may be in
            them beside that, and is served as null.
        actions: dividends as paid, split ratios new : old.
        name: the instrument's name in words.
        exchange: Yahoo's short and long name of the exchange; None: by the venue.
    """

    instrument: Instrument
    currency: str
    bars: Mapping[Timeframe, pd.DataFrame]
    actions: tuple[Action, ...] = ()
    name: str = ""
    exchange: tuple[str, str] | None = None

    @property
    def first_trade(self) -> date | None:
        """The date (UTC) of the oldest bar of any timeframe; None where there is none."""
        firsts = [frame.index[0] for frame in self.bars.values() if len(frame)]
        return min(firsts).date() if firsts else None


class History(Protocol):
    """What a simulator serves; ``name`` is ``recorded`` or ``synthetic``."""

    @property
    def name(self) -> str:
        """What a reply's origin says behind ``simulator:``."""
        ...

    def instruments(self) -> tuple[Instrument, ...]:
        """All instruments, sorted."""
        ...

    def listing(self, instrument: Instrument) -> Listing | None:
        """What is known of one instrument; None where it is not in this history."""
        ...


@dataclass(frozen=True, slots=True)
class FrameHistory:
    """A history of listings that are handed in."""

    name: str
    listings: Mapping[Instrument, Listing] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, listings: Iterable[Listing]) -> "FrameHistory":
        """The history of these listings."""
        return cls(name, {one.instrument: one for one in listings})

    def instruments(self) -> tuple[Instrument, ...]:
        """All instruments, sorted."""
        return tuple(sorted(self.listings))

    def listing(self, instrument: Instrument) -> Listing | None:
        """What was handed in for the instrument; None for nothing."""
        return self.listings.get(instrument)
