"""`bars`: what is stored, as table, chart, CSV and JSON."""

import io
import json

import pandas as pd
import pytest

from marketdata_pipeline_tests.cli.conftest import AAPL
from marketdata_pipeline_tests.cli.terminal import Terminal
from marketdata_pipeline_tests.ingest.world import World


def test_csv_keeps_every_digit(world: World, marketdata: Terminal) -> None:
    found = marketdata("bars", "aapl", "--csv", "--adjust", "none")
    assert (found.code, found.err) == (0, "")
    told = pd.read_csv(io.StringIO(found.out), index_col="ts", parse_dates=True)
    told.index = pd.DatetimeIndex(told.index).as_unit("us")
    pd.testing.assert_frame_equal(told, world.provider.truth[AAPL])
    assert found.out.startswith("ts,open,high,low,close,volume\n2023-03-15T00:00:00Z,")


def test_json_holds_the_columns_and_says_what_they_are(world: World, marketdata: Terminal) -> None:
    told = json.loads(marketdata("bars", "AAPL", "--json", "--last", 2, "--adjust", "none").out)
    truth = world.provider.truth[AAPL].tail(2)
    assert told["ts"] == ["2024-03-14T00:00:00Z", "2024-03-15T00:00:00Z"]
    assert told["close"] == truth["close"].to_list()
    assert (told["series"], told["basis"], told["currency"]) == ("AAPL|1d", "raw", "USD")


@pytest.mark.usefixtures("world")
def test_a_table_shows_the_newest_twenty_bars(marketdata: Terminal) -> None:
    lines = marketdata("bars", "AAPL").out.splitlines()
    assert lines[0] == "AAPL|1d  split-adjusted  USD"
    assert lines[1].split() == ["date", "open", "high", "low", "close", "volume"]
    assert [line.split()[0] for line in lines[2:]][:1] == ["2024-02-16"]
    assert lines[-1].split()[0] == "2024-03-15"
    assert len(lines) == 22


@pytest.mark.usefixtures("world")
def test_a_range_is_shown_whole_in_every_form(marketdata: Terminal) -> None:
    asked = ("bars", "AAPL", "--start", "2023-06-01", "--end", "2023-09-01")
    assert len(marketdata(*asked).out.splitlines()) == 2 + 64
    assert len(marketdata(*asked, "--csv").out.splitlines()) == 1 + 64
    assert len(json.loads(marketdata(*asked, "--json").out)["ts"]) == 64
    assert marketdata(*asked, "--chart").out.splitlines()[-1].split() == [
        "2023-06-01",
        "2023-08-31",
    ]


@pytest.mark.usefixtures("world")
def test_only_as_many_as_asked_for(marketdata: Terminal) -> None:
    asked = ("bars", "AAPL", "--start", "2023-06-01", "--end", "2023-09-01", "--csv")
    assert marketdata(*asked, "--last", 1).out.splitlines()[1].startswith("2023-08-31T")
    assert len(marketdata("bars", "AAPL", "--csv", "--last", 0).out.splitlines()) == 254


@pytest.mark.usefixtures("world")
def test_a_chart_fills_its_width(marketdata: Terminal) -> None:
    lines = marketdata("bars", "AAPL", "--chart").out.splitlines()
    assert lines[0] == "AAPL|1d  split-adjusted  USD"
    assert {len(line) for line in lines[1:-1]} == {96}
    assert set("".join(line[12:] for line in lines[1:-1])) == set(" │░█")


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    ("basis", "title"),
    [
        ("none", "AAPL|1d  as traded  USD"),
        ("splits", "AAPL|1d  split-adjusted  USD"),
        ("all", "AAPL|1d  split- and dividend-adjusted  USD"),
    ],
)
def test_the_title_names_the_basis(marketdata: Terminal, basis: str, title: str) -> None:
    found = marketdata("bars", "AAPL", "--adjust", basis, "--last", 1)
    assert found.out.splitlines()[0] == title


def test_an_adjusted_price_is_divided_by_the_split(world: World, marketdata: Terminal) -> None:
    asked = ("bars", "AAPL", "--start", "2024-01-09", "--end", "2024-01-10", "--json")
    told = json.loads(marketdata(*asked).out)
    raw = world.provider.truth[AAPL].loc["2024-01-09"]
    assert told["close"] == [raw["close"] / 4]
    assert told["volume"] == [raw["volume"] * 4]


@pytest.mark.usefixtures("world")
def test_a_range_without_bars_is_empty_not_wrong(marketdata: Terminal) -> None:
    asked = ("bars", "AAPL", "--start", "2024-03-09", "--end", "2024-03-11")
    assert marketdata(*asked, "--csv").out == "ts,open,high,low,close,volume\n"
    assert json.loads(marketdata(*asked, "--json").out)["ts"] == []
    assert "no bars" in marketdata(*asked, "--chart").out
    assert marketdata(*asked).code == 0
