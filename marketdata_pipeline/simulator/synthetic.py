"""Made-up histories of any symbol, and the mixture of recorded days with made-up ones.

Not here: how a life is drawn (lives), its days (walk), and minutes that add up to them (bridge).
Everything depends on the seed and the spelling alone: the same whenever and in whatever order it is
asked for. Intraday frames begin where Yahoo does not go back further.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache, partial

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.simulator import bridge
from marketdata_pipeline.simulator.history import FrameHistory, LazyBars, Listing
from marketdata_pipeline.simulator.lives import Life, dice, life_of
from marketdata_pipeline.simulator.walk import Days, days_of

HORIZON = date(2032, 1, 1)
"""No day is made from here on."""
_LOOKBACK = {
    Timeframe.M1: timedelta(days=31),
    Timeframe.M5: timedelta(days=61),
    Timeframe.M15: timedelta(days=61),
    Timeframe.H1: timedelta(days=731),
    Timeframe.H4: timedelta(days=731),
}
"""A day more than Yahoo's lookbacks (simulator.ask)."""
_CENTS = 2
_KEPT = 128


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticHistory:
    """Every symbol that Yahoo could spell; ``lives`` are given, all others drawn from the seed."""

    seed: int = 1
    lives: Mapping[Instrument, Life] = field(default_factory=dict)
    name: str = "synthetic"

    def instruments(self) -> tuple[Instrument, ...]:
        """Those whose lives were given, sorted: nobody can list the others."""
        return tuple(sorted(self.lives))

    def listing(self, instrument: Instrument, now: datetime) -> Listing:
        """The life of one instrument at ``now``; of intraday bars what Yahoo goes back to."""
        life = self.lives.get(instrument) or life_of(instrument, self.seed)
        days = _days(instrument, life, self.seed)
        return Listing(
            instrument=instrument,
            currency=life.currency,
            bars=_frames(instrument, days, self.seed, now, life.digits),
            actions=days.actions,
            name=f"{instrument} (made up)",
            kind=life.kind,
            listed=None if days.bars.empty else days.bars.index[0].date(),
        )


@dataclass(frozen=True, slots=True, eq=False)
class MixedHistory:
    """Recorded days where there are any, their minutes made up; all else synthetic."""

    recorded: FrameHistory
    synthetic: SyntheticHistory
    name: str = "mixed"

    def instruments(self) -> tuple[Instrument, ...]:
        """Those that are recorded, sorted."""
        return self.recorded.instruments()

    def listing(self, instrument: Instrument, now: datetime) -> Listing:
        """A recorded listing with minutes that add up to its days, or a made-up one."""
        found = self.recorded.listing(instrument)
        if found is None:
            made = self.synthetic.listing(instrument, now)
            return replace(made, sources=dict.fromkeys(Timeframe, self.synthetic.name))
        days = _as_days(found)
        sources = dict.fromkeys(Timeframe, self.synthetic.name)
        for timeframe in (Timeframe.D1, Timeframe.W1):
            sources[timeframe] = self.recorded.name
        return replace(
            found,
            bars=_frames(instrument, days, self.synthetic.seed, now, _CENTS),
            listed=found.first_trade,
            sources=sources,
        )


@lru_cache(maxsize=_KEPT)
def _as_days(listing: Listing) -> Days:
    """The same object each time: frames are kept by it."""
    return Days(listing.bars[Timeframe.D1], listing.actions)


@lru_cache(maxsize=_KEPT)
def _days(instrument: Instrument, life: Life, seed: int) -> Days:
    return days_of(instrument, life, seed, HORIZON)


def _frames(
    instrument: Instrument, days: Days, seed: int, now: datetime, digits: int
) -> Mapping[Timeframe, pd.DataFrame]:
    until = datetime.combine(now.date(), time.min, tzinfo=UTC) + timedelta(days=3)
    return LazyBars(
        Timeframe, lambda one: _frame(Series(instrument, one), days, seed, until, digits)
    )


@lru_cache(maxsize=_KEPT)
def _frame(series: Series, days: Days, seed: int, until: datetime, digits: int) -> pd.DataFrame:
    """The frame of a timeframe; intraday ones reach back from ``until``."""
    if series.timeframe is Timeframe.D1:
        return days.bars
    if series.timeframe is Timeframe.W1:
        return bridge.weeks(days.bars, series, days.actions)
    within = TimeRange(until - _LOOKBACK[series.timeframe] - timedelta(days=4), until)
    throw = partial(_throw, seed, series.instrument)
    fine = bridge.minutes(days.bars, series, within, throw, digits)
    return fine if series.timeframe is Timeframe.M1 else bridge.added_up(fine, series)


def _throw(seed: int, instrument: Instrument, day: int) -> np.random.Generator:
    return dice(seed, instrument, "minutes", day)
