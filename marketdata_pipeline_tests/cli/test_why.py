"""`why`: a date, an instant or a range; one answer a line, its evidence below, or JSON."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from marketdata_pipeline_tests.cli.terminal import Terminal
from marketdata_pipeline_tests.ingest.world import World


@pytest.mark.usefixtures("world")
def test_a_stored_bar_says_from_whom(marketdata: Terminal) -> None:
    found = marketdata("why", "aapl", "1d", "2024-03-13")
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("AAPL|1d 2024-03-13  stored: stored, provisional; from truth on")
    assert "origin" in found.out
    assert "simulator:recorded" in found.out


@pytest.mark.usefixtures("world")
def test_json_holds_reason_and_evidence(marketdata: Terminal) -> None:
    told = json.loads(marketdata("why", "AAPL", "1d", "2024-02-19", "--json").out)
    (answer,) = told["answers"]
    assert (told["series"], answer["reason"], answer["bars"]) == ("AAPL|1d", "no_session", 1)
    assert answer["evidence"]["session_after"] == "2024-02-20"
    assert answer["first"] == "2024-02-19T00:00:00+00:00"


@pytest.mark.usefixtures("world")
def test_a_range_is_told_in_stretches(marketdata: Terminal) -> None:
    for words in (("2023-03-13..2023-03-21",), ("2023-03-13", "2023-03-21")):
        lines = marketdata("why", "AAPL", "1d", *words).out.splitlines()
        told = [one for one in lines if not one.startswith(" ")]
        assert told[0].startswith("AAPL|1d 2023-03-13 to 2023-03-14 (2 bars)  not_listed: AAPL was")
        assert told[1].startswith("AAPL|1d 2023-03-15 to 2023-03-20 (4 bars)  stored: ")


@pytest.mark.usefixtures("world")
def test_a_date_of_hours_is_its_session_and_offsets_are_heeded(marketdata: Terminal) -> None:
    out = marketdata("why", "AAPL", "1h", "2024-03-13").out
    assert out.startswith("AAPL|1h 2024-03-13T13:30Z to 2024-03-13T19:30Z (7 bars)  not_tracked: ")
    out = marketdata("why", "AAPL", "1h", "2024-03-13T10:00-04:00").out
    assert "2024-03-13T14:00Z  off_grid: no bar of 1h begins then" in out
    out = marketdata("why", "AAPL", "1h", "2024-03-16").out
    assert "no_session: Saturday 2024-03-16 is a weekend of XNYS" in out
    assert "1wk 2024-03-11  stored" in marketdata("why", "AAPL", "1wk", "2024-03-13").out


@pytest.mark.usefixtures("home")
def test_a_day_to_come_is_not_closed_yet(marketdata: Terminal) -> None:
    ahead = datetime.now(UTC).date() + timedelta(days=40)
    assert "not_closed_yet: it has not begun" in marketdata("why", "BTC-USD", "1d", str(ahead)).out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("AAPL", "1d", "yesterday"), "'yesterday' is no date or instant"),
        (("AAPL", "2d", "2024-03-13"), "'2d' is no timeframe"),
        (("AAPL", "1d", "2024-03-13", "2024-03-12"), "give an end after the start"),
    ],
)
@pytest.mark.usefixtures("home")
def test_what_cannot_be_is_said_in_a_sentence(
    marketdata: Terminal, words: tuple[str, ...], said: str
) -> None:
    found = marketdata("why", *words)
    assert found.code == 2
    assert said in found.err


def test_it_writes_nothing(world: World, marketdata: Terminal) -> None:
    before = (world.home.folder / "catalog.sqlite").read_bytes()
    marketdata("why", "MSFT", "1d", "2024-03-13")
    assert (world.home.folder / "catalog.sqlite").read_bytes() == before
