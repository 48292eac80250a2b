"""`quarantine`: what is held, one part beside what is stored, releasing and dropping; `status`."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from marketdata_pipeline.domain.bars import PRICES
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.reply import Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.ingest.settle import Listing, settle
from marketdata_pipeline_tests.cli.conftest import AAPL
from marketdata_pipeline_tests.cli.terminal import Terminal
from marketdata_pipeline_tests.ingest.world import USUAL, World, days

MARCH = days("2024-03-04", "2024-03-16")


def in_pence(reply: Reply) -> Reply:
    prices = {name: (reply.bars[name] * 100).round(2) for name in PRICES}
    return replace(reply, bars=reply.bars.assign(**prices))


@pytest.fixture
def before(world: World) -> pd.DataFrame:
    """What was stored before two weeks came in pence, which are in quarantine."""
    stored = world.store.read(AAPL)
    reply = in_pence(fetched(world, AAPL, MARCH))
    with pytest.raises(Exception, match="100 times those of the same stored bars"):
        settle(world.store, reply, [MARCH], world.provider.actions, Listing())
    return stored


def fetched(world: World, series: Series, window: TimeRange, errand: Errand = USUAL) -> Reply:
    return world.provider.fetch(series, window, errand)


@pytest.mark.usefixtures("home")
def test_an_empty_quarantine_says_so(marketdata: Terminal) -> None:
    assert marketdata("quarantine", "list").out == "nothing is in quarantine\n"
    assert json.loads(marketdata("quarantine", "list", "--json").out)["quarantine"] == []


@pytest.mark.usefixtures("before")
def test_what_is_held_is_listed_and_told_of_in_status_and_info(marketdata: Terminal) -> None:
    found = marketdata("quarantine", "list")
    assert (found.code, found.err) == (0, "")
    _, row, hint = found.out.splitlines()
    assert row.split() == [
        "1", "AAPL|1d", "10", "2024-03-04", "2024-03-15", "level_shift", "1", "truth", "held",
    ]  # fmt: skip
    assert hint == "why, beside what is stored: marketdata quarantine show ID"
    (told,) = json.loads(marketdata("quarantine", "list", "--json").out)["quarantine"]
    assert (told["id"], told["series"], told["reason"]) == (1, "AAPL|1d", "level_shift")
    assert told["window"]["start"] == "2024-03-04T00:00:00+00:00"
    line = "quarantine: 1 held; see marketdata quarantine list"
    assert line in marketdata("status").out.splitlines()
    assert line in marketdata("info").out.splitlines()
    assert json.loads(marketdata("status", "--json").out)["quarantined"] == 1
    assert json.loads(marketdata("info", "--json").out)["quarantined"] == 1


def test_one_part_is_shown_beside_what_is_stored(
    marketdata: Terminal, before: pd.DataFrame
) -> None:
    found = marketdata("quarantine", "show", 1)
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    assert lines[0] == "AAPL|1d from truth: 10 bars, level_shift"
    assert lines[1] == "its prices are 100 times those of the same stored bars"
    assert lines[3] == "evidence: common 10, factor 100, spread 0"
    (row,) = [one.split() for one in lines if one.startswith("2024-03-15 ")]
    stored = before.loc["2024-03-15"]
    assert [one.replace(",", "") for one in row[1:3]] == [
        f"{stored['close'] * 100:.10g}",
        f"{stored['close']:.10g}",
    ]
    assert "stored there" in lines
    told = json.loads(marketdata("quarantine", "show", "1", "--json").out)
    assert (len(told["bars"]), len(told["stored"])) == (10, 10)
    assert told["stored"][-1]["close"] == stored["close"]


@pytest.mark.usefixtures("before")
def test_a_released_part_is_stored_once_with_the_words_of_whoever_judged(
    marketdata: Terminal, world: World
) -> None:
    found = marketdata("quarantine", "release", 1, "--why", "units changed")
    assert (found.code, found.out) == (0, "1 released: 10 bars stored in AAPL|1d\n")
    stored = world.store.read(AAPL).loc["2024-03-04":]
    held = json.loads(marketdata("quarantine", "show", "1", "--json").out)
    assert [one["close"] for one in held["bars"]] == stored["close"].tolist()
    assert (held["status"], held["decided_why"]) == ("released", "units changed")
    again = marketdata("quarantine", "release", 1, "--why", "again")
    assert (again.code, again.sentence()) == (2, "1 is released already: units changed")
    gone = marketdata("quarantine", "drop", 1)
    assert gone.code == 2
    assert gone.sentence() == "1 is not held any more; see marketdata quarantine list --all"
    assert marketdata("quarantine", "list").out == "nothing is in quarantine\n"
    assert "released" in marketdata("quarantine", "list", "--all").out
    assert "quarantine" not in marketdata("status").out


def test_a_dropped_part_changes_nothing_and_may_still_be_released(
    marketdata: Terminal, world: World, before: pd.DataFrame
) -> None:
    found = marketdata("quarantine", "drop", 1, "--why", "pence")
    assert (found.code, found.out) == (0, "1 dropped: 10 bars of AAPL|1d stay out\n")
    pd.testing.assert_frame_equal(world.store.read(AAPL), before)
    assert "dropped" in marketdata("quarantine", "show", 1).out
    unsaid = marketdata("quarantine", "release", 1)
    assert unsaid.code == 2
    assert unsaid.sentence() == "a reason is wanted, the journal keeps it; say it with --why"
    assert marketdata("quarantine", "release", 1, "--why", "pounds since").code == 0
    assert world.store.read(AAPL)["close"].iloc[-1] == before["close"].iloc[-1] * 100


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("command", ["show", "release", "drop"])
def test_an_id_that_nothing_has_is_refused_in_one_line(marketdata: Terminal, command: str) -> None:
    why = () if command == "show" else ("--why", "x")
    found = marketdata("quarantine", command, 7, *why)
    assert found.code == 2
    assert found.sentence() == (
        "nothing in quarantine has the id 7; see marketdata quarantine list"
    )
    assert marketdata("quarantine", command, "seven").code == 2
