"""How a whole home stands."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from marketdata_pipeline.domain.gate import Limits, RateLimit
from marketdata_pipeline.domain.instrument import AssetClass, Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.governor.governor import Governor
from marketdata_pipeline.ingest.track import track
from marketdata_pipeline.reading.status import ClassCoverage, read_status, status_of
from marketdata_pipeline.store.totals import StoredGroup, Totals, TrackedGroup
from marketdata_pipeline_tests.ingest.world import World, days, make_world, walk

NOW = datetime(2024, 3, 15, 16, tzinfo=UTC)
EQUITY, CRYPTO = AssetClass.EQUITY, AssetClass.CRYPTO
D1, H1, H4 = Timeframe.D1, Timeframe.H1, Timeframe.H4
AAPL = Instrument("AAPL")


@pytest.fixture
def world(tmp_path: Path, catalog_url: str) -> World:
    """A month of AAPL's days, its hours tracked and not there; BTC-USD tracked."""
    made = make_world(tmp_path, catalog_url)
    made.home = replace(made.home, clock=made.clock)
    daily = Series(AAPL, D1)
    made.provider.truth = {daily: walk(daily, days("2024-02-15", "2024-03-16"))}
    track(
        made.tracking,
        made.clock,
        [AAPL],
        timeframes=[H1, D1],
        since=days("2024-02-15", "2024-03-16").start,
    )
    track(made.tracking, made.clock, [Instrument("BTC-USD")], timeframes=[D1])
    assert made.updater.update(daily).error is None
    return made


def test_tracked_series_count_before_they_were_asked_for_and_others_once_they_have_bars() -> None:
    totals = Totals(
        NOW,
        tracked=(
            TrackedGroup(CRYPTO, Instrument("BTC-USD"), (D1,), 3),
            TrackedGroup(EQUITY, AAPL, (H1, D1), 10),
            TrackedGroup(EQUITY, Instrument("AZN.L"), (D1,), 6),
        ),
        stored=(
            StoredGroup(
                EQUITY, D1, tracked=True, series=8, complete=6, completeness=7.0, failing=1
            ),
            StoredGroup(
                EQUITY, D1, tracked=False, series=4, complete=1, completeness=2.0, failing=2
            ),
            StoredGroup(
                EQUITY, H4, tracked=False, series=5, complete=5, completeness=5.0, failing=0
            ),
        ),
    )
    assert status_of(totals, [], NOW, delay=None).coverage == (
        ClassCoverage(EQUITY, H1, series=10, complete=0, completeness=0.0, failing=0),
        ClassCoverage(EQUITY, H4, series=5, complete=5, completeness=1.0, failing=0),
        ClassCoverage(EQUITY, D1, series=20, complete=7, completeness=9 / 20, failing=3),
        ClassCoverage(CRYPTO, D1, series=3, complete=0, completeness=0.0, failing=0),
    )
    assert status_of(totals, [], NOW, delay=None).series == 38


def test_a_home_says_all_of_itself(world: World) -> None:
    governor = Governor(world.home.engine, world.clock)
    governor.register("truth", Limits((RateLimit(2000, timedelta(hours=1), 200),)))
    found = read_status(world.home, governor.turns(), delay=timedelta(minutes=30))
    assert [
        (one.asset_class, one.timeframe, one.series, one.complete) for one in found.coverage
    ] == [
        (EQUITY, H1, 1, 0),
        (EQUITY, D1, 1, 1),
        (CRYPTO, D1, 1, 0),
    ]
    assert [(one.timeframe, one.series) for one in found.cadences] == [(H1, 1), (D1, 2)]
    assert found.hour.requests == 1
    assert found.hour.bars == len(world.provider.truth[Series(AAPL, D1)])
    assert [one.provider for one in found.turns] == ["truth"]
    assert found.load.wished == pytest.approx(1 + 2 / 24)
    assert found.series == 3


def test_without_a_delay_cadences_are_left_out(world: World) -> None:
    found = read_status(world.home, [])
    assert found.cadences == ()
    assert found.load.allowed is None
    assert found.market_now == world.clock.market
