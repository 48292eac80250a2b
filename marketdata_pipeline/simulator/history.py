"""The port for what a simulator serves, and the history that is made of frames in memory.

Not here: where frames come from (recorded, synthetic), and how they are written on the wire.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

import pandas as pd

from marketdata_pipeline.domain.actions import Action
from marketdata_pipeline.domain.instrument import AssetClass, Instrument
from marketdata_pipeline.domain.timeframe import Timeframe


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """All that a history knows of one instrument, from its first day to the end of the data.

    Attributes:
        currency: as Yahoo writes it (``GBp`` is pence).
        bars: raw bars per timeframe, in frames as ``domain.bars`` says; only ``NaN`` may be in
            them beside that, and is served as null. Intraday frames may begin where Yahoo does not
            go back further.
        actions: dividends as paid, split ratios new : old.
        name: the instrument's name in words.
        exchange: Yahoo's short and long name of the exchange; None: by the venue.
        kind: its asset class, where the spelling does not tell it.
        listed: its first day; None: that of the oldest bar.
        sources: what a reply's origin says of a timeframe where that is not the history's name.
    """

    instrument: Instrument
    currency: str
    bars: Mapping[Timeframe, pd.DataFrame]
    actions: tuple[Action, ...] = ()
    name: str = ""
    exchange: tuple[str, str] | None = None
    kind: AssetClass | None = None
    listed: date | None = None
    sources: Mapping[Timeframe, str] = field(default_factory=dict)

    @property
    def first_trade(self) -> date | None:
        """Its first day (the exchange's date, that of the oldest bar in UTC); None without bars."""
        if self.listed is not None:
            return self.listed
        firsts = [frame.index[0] for frame in self.bars.values() if len(frame)]
        return min(firsts).date() if firsts else None


class LazyBars(Mapping[Timeframe, pd.DataFrame]):
    """Frames by timeframe, each made when it is asked for, once."""

    def __init__(
        self, timeframes: Iterable[Timeframe], make: Callable[[Timeframe], pd.DataFrame]
    ) -> None:
        self._timeframes = tuple(timeframes)
        self._make = make
        self._made: dict[Timeframe, pd.DataFrame] = {}

    def __getitem__(self, timeframe: Timeframe) -> pd.DataFrame:
        if timeframe not in self._timeframes:
            raise KeyError(timeframe)
        if timeframe not in self._made:
            self._made[timeframe] = self._make(timeframe)
        return self._made[timeframe]

    def __iter__(self) -> Iterator[Timeframe]:
        return iter(self._timeframes)

    def __len__(self) -> int:
        return len(self._timeframes)


class History(Protocol):
    """What a simulator serves; ``name`` is ``recorded``, ``synthetic`` or ``mixed``."""

    @property
    def name(self) -> str:
        """What a reply's origin says behind ``simulator:``."""
        ...

    def instruments(self) -> tuple[Instrument, ...]:
        """All instruments that are known by name, sorted; there may be any number beside them."""
        ...

    def listing(self, instrument: Instrument, now: datetime) -> Listing | None:
        """What can be served of one instrument at a market instant; None where it is not known.

        Bars after ``now`` may be among it: whoever serves them leaves them out.
        """
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

    def listing(self, instrument: Instrument, now: datetime | None = None) -> Listing | None:
        """What was handed in for the instrument, at any ``now``; None for nothing."""
        del now
        return self.listings.get(instrument)
