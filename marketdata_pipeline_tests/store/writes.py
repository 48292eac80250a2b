"""Bars and writes that the store's tests use, and the loop by which a writer settles.

Not here: any test.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.bars import frame, labels_of
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.reply import Basis
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.write import Committed, Fetch, FetchKind, Stale, Write

START = datetime(2024, 1, 1, tzinfo=UTC)
MINUTE = 60_000_000
COIN = Series.parse("BTC-USD|1m")
STOCK = Series.parse("AAPL|1d")


def minutes(first: int, count: int) -> np.ndarray:
    """``count`` labels, the first so many minutes after START."""
    return to_micros(START) + (first + np.arange(count, dtype=np.int64)) * MINUTE


def bars_at(labels: Sequence[int] | np.ndarray, mark: float = 1.0) -> pd.DataFrame:
    """Bars whose volume is ``mark`` and whose prices depend on it."""
    ts = np.asarray(labels, dtype=np.int64)
    price = 100.0 + np.arange(len(ts)) % 7 / 100 + mark % 13
    return frame(
        ts,
        {
            "open": price,
            "high": price + 0.05,
            "low": price - 0.05,
            "close": price + 0.01,
            "volume": np.full(len(ts), float(mark)),
        },
    )


def range_of(bars: pd.DataFrame) -> TimeRange:
    """From the first label to a minute after the last."""
    labels = labels_of(bars)
    return TimeRange(from_micros(int(labels[0])), from_micros(int(labels[-1]) + MINUTE))


def write_of(
    bars: pd.DataFrame,
    series: Series = COIN,
    fetched_at: datetime = START,
    window: TimeRange | None = None,
) -> Write:
    """A reply that answers its window in full."""
    answered = window or range_of(bars)
    fetch = Fetch(
        kind=FetchKind.REPLY,
        provider="yahoo",
        origin="simulator:recorded",
        window=answered,
        basis=Basis.RAW,
        currency="USD",
        market_at=START + timedelta(days=90),
        fetched_at=fetched_at,
        requests=1,
    )
    return Write(
        series,
        fetch,
        bars,
        coverage=lambda before: before.after(answered, [], fetch.market_at),
    )


def settle(store: BarStore, write: Write) -> Committed:
    """Write what no later fetch holds; judge again whenever another writer came first."""
    labels = labels_of(write.bars)
    while True:
        stored = store.snapshot(write.series, range_of(write.bars))
        there = labels_of(stored.bars)
        later = there[stored.fetched_at > to_micros(write.fetch.fetched_at)]
        bars = write.bars[~np.isin(labels, later)]
        touches = len(bars) > 0 and bool(
            ((there >= labels_of(bars)[0]) & (there <= labels_of(bars)[-1])).any()
        )
        try:
            return store.commit(
                replace(write, bars=bars), expected_version=stored.version if touches else None
            )
        except Stale:
            continue
