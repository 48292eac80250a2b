"""Frames in memory: yfinance's, this project's own, and any other."""

from datetime import date

import pandas as pd
import pytest

from marketdata_pipeline.domain.actions import Adjust
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing.frames import import_frame
from marketdata_pipeline.ingest.importing.terms import Prices, Side, Terms
from marketdata_pipeline.reading.opened import data_of
from marketdata_pipeline_tests.ingest.importing.conftest import Make
from marketdata_pipeline_tests.ingest.importing.rows import naive, titled, yahoo_daily
from marketdata_pipeline_tests.ingest.world import World, days, walk

AAPL, HOURS = Series.parse("AAPL|1d"), Series.parse("AAPL|1h")
BARS = walk(AAPL, days("2023-03-15", "2024-03-15"))
UNTIL = Terms(adjusted_to=date(2024, 3, 14))
RAW = Terms(side=Side.OPEN, zone="America/New_York", basis=Prices.RAW)


@pytest.mark.parametrize("zone", ["America/New_York", None])
def test_a_frame_of_ticker_history_is_imported_as_it_is(
    zone: str | None, world: World, importing: Make
) -> None:
    frame = yahoo_daily(BARS).tz_localize(None).tz_localize(zone)
    before = frame.copy()
    (found,) = import_frame(importing(), frame, "1d", "AAPL", UNTIL)
    assert (found.counts and found.counts.new, found.files) == (252, ())
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(world.store.read(AAPL), BARS, check_freq=False)
    assert world.catalog.summaries([AAPL])[0].origin == "import:frame"


@pytest.mark.parametrize("first", ["Ticker", "Price"])
def test_a_frame_of_download_is_imported_ticker_by_ticker(
    first: str, world: World, importing: Make
) -> None:
    london = Series.parse("AZN.L|1d")
    other = walk(london, days("2023-03-15", "2024-03-15"))
    parts = {"AAPL": yahoo_daily(BARS), "AZN.L": yahoo_daily(other, "Europe/London")}
    both = pd.concat(
        {name: one.tz_localize(None) for name, one in parts.items()},
        axis=1,
        names=["Ticker", "Price"],
        sort=True,
    )
    both = both if first == "Ticker" else both.swaplevel(axis=1).sort_index(axis=1)
    found = import_frame(importing(), both, "1d", terms=UNTIL)
    assert [(str(one.series), one.counts and one.counts.empty) for one in found] == [
        ("AAPL|1d", len(both) - len(BARS)),
        ("AZN.L|1d", len(both) - len(other)),
    ]
    pd.testing.assert_frame_equal(world.store.read(AAPL), BARS, check_freq=False)
    pd.testing.assert_frame_equal(world.store.read(london), other, check_freq=False)


def test_one_ticker_of_several_may_be_meant(importing: Make) -> None:
    both = pd.concat({"AAPL": yahoo_daily(BARS), "MSFT": yahoo_daily(BARS)}, axis=1)
    found = import_frame(importing(), both, "1d", "MSFT", UNTIL)
    assert [str(one.series) for one in found] == ["MSFT|1d"]
    with pytest.raises(BadInput, match="the frame has no row of IBM"):
        import_frame(importing(), both, "1d", "IBM", UNTIL)


def test_intraday_frames_of_yfinance_bear_their_zone(world: World, importing: Make) -> None:
    hours = walk(HOURS, days("2024-03-04", "2024-03-15"))
    frame = titled(hours, Adj_Close=hours["close"], Stock_Splits=0.0, Dividends=0.0)
    import_frame(importing(), frame.tz_convert("America/New_York"), "60m", "AAPL", UNTIL)
    pd.testing.assert_frame_equal(world.store.read(HOURS), hours, check_freq=False)
    without = frame.tz_convert("America/New_York").tz_localize(None)
    with pytest.raises(BadInput, match="the frame does not say its zone; add --zone"):
        import_frame(importing(), without, "1h", "MSFT", UNTIL)


@pytest.mark.parametrize("adjust", [Adjust.NONE, Adjust.SPLITS])
def test_a_frame_that_was_read_here_says_all_of_itself(
    adjust: Adjust, world: World, importing: Make
) -> None:
    import_frame(importing(), yahoo_daily(BARS), "1d", "AAPL", UNTIL)
    read = data_of(world.home).bars(AAPL, adjust=adjust)
    read.attrs["market_now"] = world.clock.market_now().isoformat()
    (found,) = import_frame(importing(), read, terms=Terms(splits=()))
    assert (str(found.series), found.stored) == ("AAPL|1d", False)
    assert found.counts is not None
    assert (found.counts.known, found.counts.differing) == (252, 0)


def test_a_frame_that_says_nothing_is_refused(importing: Make) -> None:
    frame = naive(BARS, "UTC")
    with pytest.raises(BadInput, match="the frame does not say its instrument"):
        import_frame(importing(), frame, "1d", terms=RAW)
    with pytest.raises(BadInput, match="the frame does not say its timeframe"):
        import_frame(importing(), frame, instrument="AAPL", terms=RAW)
    bad = frame.astype({"close": object})
    bad.loc[5, "close"] = "x"
    with pytest.raises(BadInput, match="row 6: close is 'x'; write plain numbers"):
        import_frame(importing(), bad, "1d", "AAPL", RAW)
