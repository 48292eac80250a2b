"""`export`: what is chosen, what is told, and that nothing of anybody else's is touched."""

import json
from pathlib import Path

import pytest

from marketdata_pipeline.cli.exporting import among, kept_in, named
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.reading.export.manifest import Layout, Manifest
from marketdata_pipeline_tests.cli.terminal import Terminal, listing
from marketdata_pipeline_tests.ingest.world import World

D1, H1, W1 = Timeframe.D1, Timeframe.H1, Timeframe.W1
AAPL, IBM = Instrument("AAPL"), Instrument("IBM")
KEPT = {AAPL: (H1, D1, W1), IBM: (D1,)}


def keys(found: list[Series]) -> list[str]:
    return [str(one) for one in found]


def test_an_instrument_means_all_that_is_kept_of_it_a_series_itself() -> None:
    assert keys(named([AAPL], KEPT, [])) == ["AAPL|1h", "AAPL|1d", "AAPL|1wk"]
    assert keys(named([IBM, Series(AAPL, W1), IBM], KEPT, [])) == ["IBM|1d", "AAPL|1wk"]
    assert keys(named([AAPL], KEPT, [D1, W1])) == ["AAPL|1d", "AAPL|1wk"]


def test_of_all_only_what_is_kept_at_a_timeframe() -> None:
    assert keys(among([AAPL, IBM], KEPT, [H1])) == ["AAPL|1h"]
    assert keys(among([AAPL, IBM], KEPT, [])) == ["AAPL|1h", "AAPL|1d", "AAPL|1wk", "IBM|1d"]
    with pytest.raises(BadInput, match="nothing of that is kept at 1m, 5m"):
        among([AAPL, IBM], KEPT, [Timeframe.M1, Timeframe.M5])


def test_what_is_named_has_to_be_kept() -> None:
    with pytest.raises(BadInput, match="not kept here: MSFT; run: marketdata track MSFT"):
        named([Instrument("MSFT")], KEPT, [])
    with pytest.raises(BadInput, match=r"IBM\|1h is not kept here; run: marketdata track IBM"):
        named([IBM], KEPT, [H1])
    with pytest.raises(BadInput, match=r"'AAPL\|1d' names its timeframe; leave --timeframes away"):
        named([Series(AAPL, D1)], KEPT, [D1])


def test_tracked_series_are_kept_before_they_have_bars_and_stored_ones_without(
    world: World, marketdata: Terminal
) -> None:
    assert kept_in(world.home) == {AAPL: (D1, W1)}
    assert marketdata("track", "IBM", "-t", "1h,1d").code == 0
    assert kept_in(world.home) == {IBM: (H1, D1), AAPL: (D1, W1)}


def test_all_is_exported_and_summed_up(world: World, marketdata: Terminal) -> None:
    found = marketdata("export", "out", "--all")
    rows = sum(len(world.store.read(Series(AAPL, frame))) for frame in (D1, W1))
    assert (found.code, found.err) == (0, "")
    assert found.out == f"{rows} bars of 2 series (splits) in out\n"
    written = Manifest.read(Path("out"))
    assert written is not None
    assert (written.rows, written.layout) == (rows, Layout.PARQUET)
    assert marketdata("sql", "SELECT count(*) AS n FROM bars", "--from", "out", "--json").out == (
        f'[{{"n": {rows}}}\n]\n'
    )


@pytest.mark.usefixtures("world")
def test_options_come_through(marketdata: Terminal) -> None:
    options = ("--format", "csv", "--adjust", "none", "--adj-close", "--json")
    found = marketdata("export", "out", "AAPL|1d", "--start", "2024-03-11", *options)
    told = json.loads(found.out)
    assert told.pop("bytes") > 0
    assert told == {
        "folder": "out",
        "format": "csv",
        "basis": "raw",
        "series": 1,
        "empty": [],
        "bars": 5,
        "files": 6,
    }
    written = Manifest.read(Path("out"))
    assert written is not None
    assert (written.adj_close, written.start) == (True, "2024-03-11T00:00:00Z")


@pytest.mark.usefixtures("world")
def test_series_without_a_bar_are_named(marketdata: Terminal) -> None:
    found = marketdata("export", "out", "AAPL", "--start", "2025-01-01")
    assert found.out.splitlines() == [
        "0 bars of 2 series (splits) in out",
        "without a bar there: AAPL|1d, AAPL|1wk",
    ]


@pytest.mark.usefixtures("world")
def test_an_export_is_replaced_when_that_is_said(marketdata: Terminal) -> None:
    assert marketdata("export", "out", "AAPL").code == 0
    found = marketdata("export", "out", "AAPL|1wk")
    assert "is not empty; name another folder, or give --overwrite" in found.sentence()
    assert found.code == 2
    assert marketdata("export", "out", "AAPL|1wk", "--overwrite").code == 0
    assert [one for one in listing(Path("out")) if one.endswith("bars.parquet")] == [
        "bars/timeframe=1wk/instrument=AAPL/bars.parquet"
    ]


def test_a_home_is_no_target(world: World, marketdata: Terminal) -> None:
    before = listing(world.home.folder)
    for own, said in (("", "is no export"), ("cache", "is the home's own folder")):
        found = marketdata("export", world.home.folder / own, "--all", "--overwrite")
        assert said in found.sentence()
        assert found.code == 2
    assert listing(world.home.folder) == before
