"""What a troubled provider serves, and all that goes wrong with it.

Not here: the batch that asks for it (_faulty). Stocks, each with a split in the range that is asked
for, and FX pairs, by turns; each at a price of its own, so that no bar passes for another's.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import numpy as np
import pandas as pd

from marketdata_pipeline.domain import bars
from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.instrument import AssetClass, Instrument
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.simulator.fault import Fault, Target
from marketdata_pipeline.simulator.faults import KINDS, Faults, Taken
from marketdata_pipeline.simulator.history import FrameHistory, Listing

NOW = datetime(2025, 11, 17, 15, 31, tzinfo=UTC)
"""An hour into a Monday's session in New York; FX trades."""
ASKED = TimeRange(datetime(2025, 10, 20, tzinfo=UTC), datetime(2025, 11, 18, tzinfo=UTC))
FRAMES = (Timeframe.D1, Timeframe.H1)
SHARE = 0.1
"""Of the requests, befallen by one fault or another."""
_SPLIT = date(2025, 11, 5)
_DAYS = (date(2025, 11, 6), date(2025, 11, 11), date(2025, 11, 12))


@dataclass
class NotedFaults(Faults):
    """Faults, and which kinds befell a request so far."""

    befell: set[str] = field(default_factory=set)

    def take(self, target: Target, symbol: str = "") -> Taken:
        """The same; it is noted."""
        taken = super().take(target, symbol)
        self.befell |= {one.kind for one in taken.faults}
        return taken


def history(instruments: int) -> FrameHistory:
    """Of so many of them."""
    return FrameHistory.of("synthetic", _listings(instruments))


def all_faults(times: float) -> list[Fault]:
    """Every kind; one with several forms has them in equal parts."""
    long, short = times * 60, times * 10
    forms: dict[str, list[Fault]] = {
        "status": [
            Fault("status", status=429, retry_after=1),
            *(Fault("status", status=one) for one in (429, 500, 502, 503, 504)),
        ],
        "slow": [Fault("slow", seconds=long)],
        "drip": [Fault("drip", seconds=long)],
        "refused": [Fault("refused", seconds=short)],
        **{
            kind: [Fault(kind), Fault(kind, dates=_DAYS), Fault(kind, dates=_DAYS[:1])]
            for kind in ("drop", "null", "bad_ohlc", "nan", "x100")
        },
    }
    each = SHARE / len(KINDS)
    found = [forms.get(kind, [Fault(kind)]) for kind in KINDS]
    return [replace(one, share=each / len(some)) for some in found for one in some]


def _listings(count: int) -> Iterator[Listing]:
    """Stocks, each with a split in the range that is asked for, and FX pairs, by turns."""
    for number in range(count):
        pair = f"{chr(65 + number // 26)}{chr(65 + number % 26)}XUSD=X"
        instrument = Instrument.parse(pair if number % 2 else f"BM{number:03}")
        ratio = 1 if number % 2 else 2 + number % 3
        split = Action(_SPLIT, ActionKind.SPLIT, Fraction(ratio))
        frames = {one: _frame(Series(instrument, one), number, ratio) for one in FRAMES}
        yield Listing(instrument, "USD", frames, () if ratio == 1 else (split,))


def _frame(series: Series, number: int, ratio: int) -> pd.DataFrame:
    """A wave with some noise, each instrument at a level of its own; as traded."""
    stock = series.instrument.asset_class is AssetClass.EQUITY
    within = TimeRange(ASKED.start - timedelta(days=60), ASKED.end + timedelta(days=5))
    labels = calendar_of(series.instrument).grid(series.timeframe, within).labels
    dice = np.random.default_rng((number, len(series.timeframe.key)))
    level, digits = (50.0 + number, 2) if stock else (1.0 + number / 100, 5)
    wave = level * (1 + 0.05 * np.sin(labels / 4e11))
    dates = pd.to_datetime(labels, unit="us", utc=True).date
    old = np.where(dates < _SPLIT, ratio, 1)
    close, opened = (
        np.round(wave * (1 + dice.normal(0, 0.002, len(labels))), digits) * old for _ in range(2)
    )
    columns = {
        "open": opened,
        "high": np.maximum(opened, close) + np.round(0.001 * level, digits) * old,
        "low": np.minimum(opened, close) - np.round(0.001 * level, digits) * old,
        "close": close,
        "volume": dice.integers(1_000, 9_000_000, len(labels)) * (12.0 if stock else 0.0),
    }
    return bars.frame(labels, {name: np.round(one, digits) for name, one in columns.items()})
