"""Imported bars beside stored ones while somebody else writes."""

import pandas as pd

from marketdata_pipeline.domain.reply import Basis
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.ingest.importing.filling import Load, answered, fill
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.write import Committed, Fetch, FetchKind, Write
from marketdata_pipeline_tests.ingest.world import World, day, days, walk

AAPL = Series.parse("AAPL|1d")
FEBRUARY = days("2024-02-01", "2024-03-01")
BARS = walk(AAPL, FEBRUARY)


class _Overtaken(BarStore):
    """A store whose first commit comes after somebody else's."""

    def __init__(self, world: World, first: Write) -> None:
        super().__init__(world.home.engine, world.home.bars, world.clock)
        self._first = first
        self.commits = 0

    def commit(self, write: Write, *, expected_version: int | None) -> Committed:
        if not self.commits:
            super().commit(self._first, expected_version=None)
        self.commits += 1
        return super().commit(write, expected_version=expected_version)


def _fetch(world: World, provider: str) -> Fetch:
    now = world.clock.market_now()
    return Fetch(FetchKind.REPLY, provider, provider, FEBRUARY, Basis.RAW, "USD", now, now)


def _load(bars: pd.DataFrame = BARS, *, over: bool = False) -> Load:
    return Load(AAPL, bars, (), (), over)


def test_what_a_provider_brings_meanwhile_stays(world: World) -> None:
    better = BARS.iloc[5:8].assign(volume=1.0)
    store = _Overtaken(world, Write(AAPL, _fetch(world, "truth"), better))
    beside, committed = fill(store, _load(), _fetch(world, "import"))
    assert store.commits == 2
    assert committed is not None
    assert committed.rows_new == len(BARS) - 3 == int(beside.new.sum())
    assert int(beside.differing.sum()) == 3
    pd.testing.assert_frame_equal(world.store.read(AAPL).iloc[5:8], better)


def test_all_that_a_file_holds_may_have_come_meanwhile(world: World) -> None:
    store = _Overtaken(world, Write(AAPL, _fetch(world, "truth"), BARS))
    beside, committed = fill(store, _load(), _fetch(world, "import"))
    assert committed is not None
    assert (committed.brought, committed.rows_new, int(beside.new.sum())) == (False, 0, 0)


def test_provisional_bars_that_came_meanwhile_are_replaced_where_it_is_said(world: World) -> None:
    worse = BARS.iloc[5:8].assign(close=lambda one: one["low"])
    store = _Overtaken(world, Write(AAPL, _fetch(world, "truth"), worse))
    beside, _ = fill(store, _load(over=True), _fetch(world, "import"))
    assert int(beside.replaced.sum()) == 3
    pd.testing.assert_frame_equal(world.store.read(AAPL), BARS, check_freq=False)


def test_arithmetic_noise_is_no_difference(world: World) -> None:
    fill(world.store, _load(), _fetch(world, "import"))
    noisy = BARS.assign(close=BARS["close"] * (1 + 1e-12))
    beside, committed = fill(world.store, _load(noisy, over=True), _fetch(world, "import"))
    assert (int(beside.differing.sum()), committed) == (0, None)


def test_neighbouring_bars_are_answered_as_one_range_over_nights_and_weekends() -> None:
    hours = Series.parse("AAPL|1h")
    bars = walk(hours, days("2024-02-01", "2024-02-10"))
    load = Load(hours, bars.drop(index=bars.index[10]), (), (), over=False)
    first, second = answered(load)
    assert (first.start, first.end) == (bars.index[0], bars.index[10])
    assert (second.start, second.end) == (bars.index[11], day("2024-02-09").replace(hour=21))
