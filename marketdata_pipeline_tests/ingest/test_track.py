"""From when on an instrument's series are kept."""

from datetime import timedelta

import pytest

from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import DEFAULT_TIMEFRAMES, Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.track import series_of, track
from marketdata_pipeline_tests.ingest.world import World, day

AAPL, BTC = Instrument.parse("AAPL"), Instrument.parse("BTC-USD")


def test_an_instrument_is_kept_at_the_default_timeframes(world: World) -> None:
    (kept,) = track(world.tracking, world.clock, [AAPL])
    assert (kept.instrument, kept.timeframes, kept.since) == (AAPL, DEFAULT_TIMEFRAMES, None)


def test_tracking_again_adds_timeframes_and_only_reaches_further_back(world: World) -> None:
    daily = [Timeframe.D1]
    track(world.tracking, world.clock, [AAPL], timeframes=daily, since=day("2024-01-10"))
    track(world.tracking, world.clock, [AAPL], timeframes=[Timeframe.M5], since=day("2024-02-01"))
    (kept,) = track(world.tracking, world.clock, [AAPL], timeframes=daily, since=day("2023-12-01"))
    assert (kept.timeframes, kept.since) == ((Timeframe.M5, Timeframe.D1), day("2023-12-01"))


def test_series_come_in_the_order_of_tracking_and_of_the_grid(world: World) -> None:
    frames = [Timeframe.W1, Timeframe.D1]
    kept = track(world.tracking, world.clock, [BTC, AAPL], timeframes=frames)
    spelled = [str(one) for one in series_of(kept)]
    assert spelled == ["BTC-USD|1d", "BTC-USD|1wk", "AAPL|1d", "AAPL|1wk"]


def test_a_start_in_the_future_is_refused_and_nothing_is_kept(world: World) -> None:
    tomorrow = world.clock.market_now() + timedelta(days=1)
    with pytest.raises(BadInput, match="is in the future"):
        track(world.tracking, world.clock, [AAPL], since=tomorrow)
    assert world.tracking.all() == []


def test_nothing_to_track_is_refused(world: World) -> None:
    with pytest.raises(BadInput, match="at least one"):
        track(world.tracking, world.clock, [])
    with pytest.raises(BadInput, match="at least one"):
        track(world.tracking, world.clock, [AAPL], timeframes=[])
