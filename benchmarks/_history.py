"""The history that benchmarks serve: plain bars on true calendars, and its simulator as a process.

Not here: what is measured. Half of the instruments are stocks (XNYS, with a split and dividends),
half are FX pairs (round the clock from Sunday to Friday). The market instant is a Saturday, when
neither trades: no bar comes to be while a benchmark runs, so every round does the same work.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache
from subprocess import DEVNULL, Popen

import numpy as np
import pandas as pd
import requests

from marketdata_pipeline.domain import bars
from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.clock import ReplayClock, SystemClock
from marketdata_pipeline.domain.instrument import AssetClass, Instrument
from marketdata_pipeline.domain.ranges import TimeRange, depth_edge
from marketdata_pipeline.domain.schedules import EARLIEST
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.simulator.history import FrameHistory, Listing
from marketdata_pipeline.simulator.server import Simulator

MARKET_START = datetime(2025, 11, 15, 6, tzinfo=UTC)
"""A Saturday; clocks went back on 2025-11-02 in New York, a week before in London."""
FETCHED = tuple(one for one in Timeframe if not one.derived)
_QUARTER = 63
_PATIENCE = 120.0
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class World:
    """A history to serve.

    Attributes:
        instruments: how many; every second one is an FX pair.
        rows: of each fetched series, or as many as the lookback of its timeframe holds.
        wall_start: the wall instant at which it is ``MARKET_START``, in seconds since 1970.
        port: of its simulator.
    """

    instruments: int
    rows: int
    wall_start: float
    port: int

    @property
    def url(self) -> str:
        """Where its simulator listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def clock(self) -> ReplayClock:
        """Its time."""
        return ReplayClock(MARKET_START, datetime.fromtimestamp(self.wall_start, UTC))

    def names(self) -> list[Instrument]:
        """The instruments, stocks and pairs by turns."""
        return [Instrument.parse(_spelled(at)) for at in range(self.instruments)]

    def frame(self, series: Series) -> pd.DataFrame:
        """The raw bars of a fetched series."""
        return _frame(series.instrument.asset_class, series.timeframe, self.rows)

    def first(self, series: Series) -> datetime:
        """The label of the first of them."""
        first: datetime = self.frame(series).index[0].to_pydatetime()
        return first

    def counts(self) -> dict[Timeframe, int]:
        """How many bars there are of all instruments together, by fetched timeframe."""
        names = self.names()
        return {one: sum(len(self.frame(Series(each, one))) for each in names) for one in FETCHED}

    def told(self) -> dict[str, str]:
        """How many bars each timeframe has: of a stock, and of a pair."""
        kinds = zip(("stock", "pair"), self.names(), strict=False)
        return {
            f"{self.rows} rows, {kind}": " ".join(
                f"{one}:{len(self.frame(Series(name, one)))}" for one in FETCHED
            )
            for kind, name in kinds
        }

    def history(self) -> FrameHistory:
        """All of it."""
        return FrameHistory.of("synthetic", (self._listing(one) for one in self.names()))

    def _listing(self, instrument: Instrument) -> Listing:
        frames = {one: self.frame(Series(instrument, one)) for one in FETCHED}
        stock = instrument.asset_class is AssetClass.EQUITY
        actions = _actions(frames[Timeframe.D1]) if stock else ()
        return Listing(instrument, "USD", frames, actions)


def _spelled(at: int) -> str:
    if at % 2:
        return f"{_LETTERS[at // 26 % 26]}{_LETTERS[at % 26]}XUSD=X"
    return f"BM{at:03}"


@cache
def _frame(kind: AssetClass, timeframe: Timeframe, rows: int) -> pd.DataFrame:
    """The newest closed bars of a class: a wave with some noise, in cents or in points."""
    stock = kind is AssetClass.EQUITY
    instrument = Instrument.parse(_spelled(0 if stock else 1))
    depth = timeframe.depth
    oldest = EARLIEST if depth is None else depth_edge(MARKET_START, depth)
    grid = calendar_of(instrument).grid(timeframe, TimeRange(oldest, MARKET_START))
    labels = grid.labels[-rows:]
    dice = np.random.default_rng(len(timeframe.key))
    level, digits = (100.0, 2) if stock else (1.2, 5)
    wave = 1 + 0.1 * np.sin(np.arange(len(labels)) / 40)
    close = np.round(level * wave * (1 + dice.normal(0, 0.002, len(labels))), digits)
    opened = np.round(level * wave * (1 + dice.normal(0, 0.002, len(labels))), digits)
    high = np.round(np.maximum(opened, close) * 1.001, digits)
    low = np.round(np.minimum(opened, close) * 0.999, digits)
    volume = dice.integers(1_000, 9_000_000, len(labels)) * (2.0 if stock else 0.0)
    columns = {"open": opened, "high": high, "low": low, "close": close, "volume": volume}
    frame = bars.frame(labels, columns)
    return _before_split(frame) if stock and timeframe is Timeframe.D1 else frame


def _before_split(daily: pd.DataFrame) -> pd.DataFrame:
    """The days before the split at twice the price and half the volume."""
    raw = daily.copy()
    old = np.arange(len(raw)) < len(raw) // 2
    for name in bars.PRICES:
        raw[name] = np.where(old, raw[name] * 2, raw[name])
    raw["volume"] = np.where(old, raw["volume"] / 2, raw["volume"])
    return raw


def _actions(daily: pd.DataFrame) -> tuple[Action, ...]:
    """A 2:1 split half way, a dividend each quarter."""
    split = Action(daily.index[len(daily) // 2].date(), ActionKind.SPLIT, Fraction(2))
    paid = [
        Action(label.date(), ActionKind.DIVIDEND, Fraction(1, 4))
        for label in daily.index[_QUARTER::_QUARTER]
    ]
    return split, *paid


@contextmanager
def served(world: World) -> Iterator[None]:
    """A simulator of the world in a process of its own, until the block ends.

    Raises:
        RuntimeError: it does not start.
    """
    command = [sys.executable, __file__, json.dumps(asdict(world))]
    with Popen(command, stdin=DEVNULL, stdout=DEVNULL) as child:  # noqa: S603 - this very file
        try:
            _wait_for(world, child)
            yield
        finally:
            child.terminate()


def _wait_for(world: World, child: "Popen[bytes]") -> None:
    clock = SystemClock()
    until = clock.wall_now().timestamp() + _PATIENCE
    while child.poll() is None and clock.wall_now().timestamp() < until:
        try:
            requests.get(f"{world.url}/simulator", timeout=5).raise_for_status()
        except requests.ConnectionError:
            clock.sleep(0.1)
        else:
            return
    raise RuntimeError(f"the simulator at {world.url} did not start")


def charts(world: World) -> int:
    """How many charts its simulator was asked for so far."""
    return int(requests.get(f"{world.url}/simulator", timeout=30).json()["charts"])


if __name__ == "__main__":
    served_world = World(**json.loads(sys.argv[1]))
    Simulator(served_world.history(), served_world.clock, served_world.port).serve()
