"""`calendar`: saying that a day was closed or had other hours, and taking it back."""

import json

import pytest

from marketdata_pipeline.database.home import Home
from marketdata_pipeline.store.closures import read_closures
from marketdata_pipeline_tests.cli.terminal import Terminal
from marketdata_pipeline_tests.ingest.world import World


def test_a_day_is_closed_listed_and_forgotten(home: Home, marketdata: Terminal) -> None:
    assert "nothing was said of any day" in marketdata("calendar", "list").out
    found = marketdata("calendar", "close", "xhkg", "2023-09-08", "--reason", "typhoon Haikui")
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("XHKG 2023-09-08: closed; of the calendar's series 0 lack it")
    (row,) = read_closures(home.engine).rows
    assert (row.calendar, str(row.session), row.hours) == ("XHKG", "2023-09-08", None)
    listed = marketdata("calendar", "list").out
    assert "typhoon Haikui" in listed
    assert "0 lack it" in listed
    (told,) = json.loads(marketdata("calendar", "list", "--json").out)["days"]
    assert (told["session"], told["opens"], told["reason"]) == (
        "2023-09-08", None, "typhoon Haikui",
    )  # fmt: skip
    assert marketdata("calendar", "forget", "XHKG", "2023-09-08").code == 0
    assert read_closures(home.engine).rows == ()


@pytest.mark.parametrize(
    ("words", "hours"),
    [
        (("hours", "XHKG", "2023-09-08", "13:30", "16:00"), "13:30-16:00"),
        (("open", "XHKG", "2023-09-09"), "09:30-16:00"),
        (("hours", "CME", "2024-12-26", "18:00", "12:00"), "the evening before 18:00-12:00"),
    ],
)
@pytest.mark.usefixtures("home")
def test_hours_are_those_of_the_exchanges_clock(
    marketdata: Terminal, words: tuple[str, ...], hours: str
) -> None:
    found = marketdata("calendar", *words, "--reason", "so it was")
    assert found.code == 0, found.err
    assert f": {hours}; " in found.out
    assert hours in marketdata("calendar", "list").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("close", "HKEX", "2023-09-08", "--reason", "x"), "'HKEX' is no calendar"),
        (("close", "XHKG", "8.9.2023", "--reason", "x"), "'8.9.2023' is no date"),
        (("close", "XHKG", "2023-09-09", "--reason", "x"), "no session on 2023-09-09"),
        (("close", "XHKG", "2023-09-08", "--reason", " "), "a reason is wanted"),
        (("close", "XHKG", "2023-09-08"), "--reason"),
        (("hours", "XHKG", "2023-09-08", "noon", "16:00", "--reason", "x"), "no time of the day"),
        (
            ("hours", "XNYS", "2012-07-24", "16:00", "09:30", "--reason", "x"),
            "16:00 is not before 09:30; sessions of XNYS begin and end on one day",
        ),
        (("hours", "FX", "2024-03-13", "18:00", "12:00", "--reason", "x"), "18:00 is not before"),
        (("hours", "XNYS", "2012-07-24", "10:00", "10:00", "--reason", "x"), "10:00 is not before"),
        (("forget", "XHKG", "2023-09-08"), "nothing was said of 2023-09-08"),
    ],
)
@pytest.mark.usefixtures("home")
def test_what_cannot_be_is_said_in_a_sentence(
    marketdata: Terminal, words: tuple[str, ...], said: str
) -> None:
    found = marketdata("calendar", *words)
    assert found.code == 2
    assert said in found.err


def test_a_day_with_trades_needs_force(world: World, marketdata: Terminal) -> None:
    asked = ("calendar", "close", "XNYS", "2024-03-13", "--reason", "by mistake")
    refused = marketdata(*asked)
    assert refused.code == 2
    assert "AAPL|1d have bars with trades on 2024-03-13" in refused.err
    assert "--force" in refused.err
    assert read_closures(world.home.engine).rows == ()
    done = marketdata(*asked, "--force")
    assert "1 have bars with trades" in done.out


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("words", "opens"),
    [
        (("close", "XHKG", "2023-09-08"), None),
        (("open", "XHKG", "2023-09-09"), "2023-09-09T01:30:00+00:00"),
        (("hours", "XHKG", "2023-09-08", "13:30", "16:00"), "2023-09-08T05:30:00+00:00"),
    ],
)
def test_what_is_said_is_told_as_json(
    marketdata: Terminal, words: tuple[str, ...], opens: str | None
) -> None:
    told = json.loads(marketdata("calendar", *words, "--reason", "so it was", "--json").out)
    assert (told["calendar"], told["session"], told["opens"]) == ("XHKG", words[2], opens)
    assert told["evidence"].startswith("of the calendar's series 0 lack it")
