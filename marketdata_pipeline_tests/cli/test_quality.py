"""`quality`: worst first, as a table, as JSON, as a page; a stored bar gone bad is found."""

import json
import re
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.reply import Basis
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.store.write import Fetch, FetchKind, State, Write
from marketdata_pipeline_tests.cli.conftest import AAPL
from marketdata_pipeline_tests.cli.terminal import Terminal
from marketdata_pipeline_tests.ingest.world import World, day


def spoil(world: World, series: Series, label: str) -> None:
    """A stored bar whose high is below its low, past everything that judges bars."""
    at, now = day(label), world.clock.wall_now() + timedelta(days=30)
    bar = world.store.read(series, TimeRange(at, at + timedelta(days=1)))
    bar = bar.assign(high=bar["low"] - 1)
    fetch = Fetch(
        kind=FetchKind.REPLY,
        provider="truth",
        origin="truth",
        window=TimeRange(at, at + timedelta(days=1)),
        basis=Basis.RAW,
        currency="USD",
        market_at=now,
        fetched_at=now,
    )
    write = Write(series, fetch, bar, state=State.FINAL, reason="a faulty writer")
    world.store.commit(write, expected_version=world.store.versions([series])[series])


def told(marketdata: Terminal, *arguments: object) -> dict[str, dict[str, object]]:
    """The series of the JSON, by name."""
    listed = json.loads(marketdata("quality", *arguments, "--json").out)["series"]
    return {one["series"]: one for one in listed}


def test_the_worst_series_comes_first_with_what_fails(world: World, marketdata: Terminal) -> None:
    spoil(world, AAPL, "2023-11-06")
    marketdata("quality", "--recheck")
    found = marketdata("quality")
    assert (found.code, found.err) == (0, "")
    head, first, second, summary = found.out.splitlines()
    assert head.split() == ["series", "score", "valid", "fails", "why"]
    assert first.split()[:1] == ["AAPL|1d"]
    assert "bars_contract" in first
    assert second.split()[:1] == ["AAPL|1wk"]
    assert summary.startswith("0 of 2 judged series are valid, mean 0.")


def test_a_bar_that_went_bad_in_the_store_is_found_by_a_recheck_only(
    world: World, marketdata: Terminal
) -> None:
    spoil(world, AAPL, "2023-11-06")
    assert told(marketdata)["AAPL|1d"]["verdicts"]["bars_contract"]["passed"]  # type: ignore[index]
    found = told(marketdata, "--recheck")["AAPL|1d"]
    assert not found["is_valid"]
    assert not found["verdicts"]["bars_contract"]["passed"]  # type: ignore[index]
    assert found["report"]["logically_consistent"] is False  # type: ignore[index]
    assert "bars_contract" in found["report"]["errors"]  # type: ignore[index]


@pytest.mark.usefixtures("world")
def test_only_what_was_asked_for_is_listed(marketdata: Terminal) -> None:
    assert list(told(marketdata, "AAPL", "--timeframe", "1wk")) == ["AAPL|1wk"]
    assert list(told(marketdata, "AAPL", "-t", "1wk,1d")) == list(told(marketdata, "AAPL"))
    assert len(told(marketdata, "--worst", 1)) == 1
    assert len(told(marketdata, "--worst", 0)) == 2
    found = marketdata("quality", "MSFT")
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert "not kept here: MSFT" in found.err


def test_the_page_holds_everything_it_shows(
    world: World, marketdata: Terminal, tmp_path: Path
) -> None:
    spoil(world, AAPL, "2023-11-06")
    target = tmp_path / "quality.html"
    found = marketdata("quality", "--recheck", "--html", target)
    assert found.out.endswith(f"wrote {target}\n")
    page = target.read_text("utf-8")
    pictures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    titles = [next(iter(ET.fromstring(one))).text or "" for one in pictures]  # noqa: S314 - ours
    assert titles[0] == "series by score"
    assert any(one.startswith("AAPL|1d, as traded: 90 bars") for one in titles)
    assert "<b>bars_contract</b> 0.000 AAPL|1d: 1 bars break a hard rule" in page
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}, "the name of a namespace"
    assert not re.search(r"<(script|link|img|iframe)\b|url\(", page)


@pytest.mark.usefixtures("world")
def test_a_page_in_no_folder_is_refused_before_anything_is_read(
    marketdata: Terminal, tmp_path: Path
) -> None:
    found = marketdata("quality", "--html", tmp_path / "none" / "quality.html")
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert "make the folder" in found.err


@pytest.mark.usefixtures("home")
def test_an_empty_home_says_what_to_do(marketdata: Terminal) -> None:
    assert "nothing is kept here" in marketdata("quality").out


@pytest.mark.usefixtures("world")
def test_a_rule_that_does_not_exist_is_named_with_those_that_do(
    marketdata: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETDATA_QUALITY_OFF", "spikes,spickes")
    found = marketdata("quality")
    assert (found.code, found.out) == (2, "")
    assert "MARKETDATA_QUALITY_OFF names 'spickes', which is no rule" in found.err
    assert "zero_volume" in found.err


def test_a_rule_that_is_off_neither_shows_nor_counts(
    world: World, marketdata: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(world, AAPL, "2023-11-06")
    marketdata("quality", "--recheck")
    before = told(marketdata)["AAPL|1d"]
    monkeypatch.setenv("MARKETDATA_QUALITY_OFF", "bars_contract,ohlc_relations")
    after = told(marketdata)["AAPL|1d"]
    assert "bars_contract" not in after["verdicts"]  # type: ignore[operator]
    assert after["score"] > before["score"]  # type: ignore[operator]
