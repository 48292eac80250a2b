"""`status`: what is kept, as a list, as JSON, in brief and watched."""

import json
import os
import pty
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from marketdata_pipeline.cli import status as command
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.gate import Limits, RateLimit
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.governor.governor import Governor
from marketdata_pipeline.ingest.track import track
from marketdata_pipeline_tests.cli.conftest import AAPL
from marketdata_pipeline_tests.cli.terminal import PROGRAM, Terminal
from marketdata_pipeline_tests.ingest.world import World


@pytest.fixture
def quota(world: World) -> None:
    """A provider was asked, at 2,000 an hour."""
    governor = Governor(world.home.engine, world.home.clock)
    governor.register("yahoo", Limits((RateLimit(2000, timedelta(hours=1), 200),)))


def test_status_lists_tracked_and_stored_series(world: World, marketdata: Terminal) -> None:
    track(world.tracking, world.clock, [Instrument("MSFT")], timeframes=[Timeframe.D1])
    found = marketdata("status")
    assert (found.code, found.err) == (0, "")
    lines = [line.split() for line in found.out.splitlines()]
    assert lines[0][:3] == ["home", str(world.home.folder), "(live),"]
    assert ["MSFT|1d", "0", "-", "-", "-", "-", "0"] in lines
    assert ["AAPL|1d", "253", "2023-03-15", "2024-03-15", "100.00", "%", "truth", "1"] in lines
    assert ["AAPL|1wk", "53", "2023-03-13", "2024-03-11", "100.00", "%", "derived", "0"] in lines
    assert lines[-1] == ["source:", "simulator:recorded"]


def test_status_tells_why_a_series_is_not_up_to_date(world: World, marketdata: Terminal) -> None:
    world.catalog.record_error(AAPL, "unavailable", "the provider [x] is down")
    assert marketdata("status").out.splitlines()[-1] == "AAPL|1d: the provider [x] is down"


def test_status_as_json_says_the_same(world: World, marketdata: Terminal) -> None:
    told = json.loads(marketdata("status", "--json").out)
    assert told["home"] == world.home.folder.name
    assert told["mode"] == "live"
    assert told["series"][0] == {
        "series": "AAPL|1d",
        "asset_class": "equity",
        "bars": 253,
        "first": "2023-03-15",
        "last": "2024-03-15",
        "completeness": 1.0,
        "provider": "truth",
        "origin": "simulator:recorded",
        "requests": 1,
        "error": None,
    }


@pytest.mark.usefixtures("home")
def test_an_empty_home_says_what_to_do_first(marketdata: Terminal) -> None:
    assert marketdata("status").out.endswith("nothing is tracked yet; run: marketdata track AAPL\n")
    assert json.loads(marketdata("status", "--json").out)["series"] == []


@pytest.mark.usefixtures("world")
def test_a_narrow_pipe_cuts_nothing_off(
    marketdata: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert "…" not in marketdata("status").out
    assert os.environ["COLUMNS"] == "40"


@pytest.mark.usefixtures("quota")
def test_status_says_in_brief_what_the_quota_carries(world: World, marketdata: Terminal) -> None:
    track(world.tracking, world.clock, [Instrument("AAPL")], timeframes=[Timeframe.M1])
    lines = marketdata("status").out.splitlines()
    assert lines[1:6] == [
        "yahoo: 200 of 200 turns free; 2,000 an hour, one every 2 s",
        "last minute: 0 requests answered, 0 bars written",
        "last hour: 0 requests answered, 0 bars written",
        "other: 1 series, wished every 5 min, real every 5 min",
        "12 requests an hour wished, 1,801 allowed: the quota carries it",
    ]


@pytest.mark.usefixtures("quota")
def test_instruments_that_settings_name_are_of_the_first_tier(
    world: World, marketdata: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETDATA_PRIORITY_INSTRUMENTS", "ES=F,AAPL")
    instruments = [Instrument("AAPL"), Instrument("MSFT")]
    track(world.tracking, world.clock, instruments, timeframes=[Timeframe.M1, Timeframe.D1])
    lines = marketdata("status").out.splitlines()
    assert lines[4:6] == [
        "priority: 2 series, wished every 2 min, real every 2 min",
        "other: 2 series, wished every 5 min, real every 5 min",
    ]
    told = json.loads(marketdata("status", "--watch", "--json").out)
    assert [(one["tier"], one["series"]) for one in told["paces"]] == [
        ("priority", 2),
        ("other", 2),
    ]


@pytest.mark.usefixtures("quota")
def test_status_as_json_holds_what_the_list_is_summed_up_to(
    world: World, marketdata: Terminal
) -> None:
    track(world.tracking, world.clock, [Instrument("AAPL")], timeframes=[Timeframe.D1])
    told = json.loads(marketdata("status", "--json").out)
    assert told["coverage"][0] == {
        "asset_class": "equity",
        "timeframe": "1d",
        "series": 1,
        "complete": 1,
        "completeness": 1.0,
        "failing": 0,
    }
    assert (
        told["load"]["says"] == "<0.1 requests an hour wished, 1,801 allowed: the quota carries it"
    )
    assert told["turns"][0]["free"] == 200
    assert told["hour"] == {"requests": 0, "bars": 0}


@pytest.mark.usefixtures("world")
def test_single_instruments_are_listed_alone(marketdata: Terminal) -> None:
    found = marketdata("status", "aapl")
    assert [line.split()[0] for line in found.out.splitlines()[1:]] == [
        "series",
        "AAPL|1d",
        "AAPL|1wk",
        "source:",
    ]
    told = json.loads(marketdata("status", "AAPL", "--json").out)
    assert [one["series"] for one in told["series"]] == ["AAPL|1d", "AAPL|1wk"]


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("IBM AAPL", "not kept here: IBM; run: marketdata track IBM"),
        ("A|B", "'A|B' is not an instrument"),
        ("AAPL --watch", "--watch shows the whole home; leave out the instruments or --watch"),
        ("--watch --every 0", "Invalid value for '--every'"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_line(
    marketdata: Terminal, arguments: str, said: str
) -> None:
    found = marketdata("status", *arguments.split())
    assert found.sentence().startswith(said)
    assert found.code == 2


def test_many_series_are_summed_up_by_class_and_timeframe(
    world: World, marketdata: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "MOST_SERIES", 2)
    coins = [Instrument.parse(f"C{number}-USD") for number in range(3)]
    track(world.tracking, world.clock, coins, timeframes=[Timeframe.H1, Timeframe.D1])
    world.catalog.record_error(AAPL, "unavailable", "the provider is down")
    lines = [line.split() for line in marketdata("status").out.splitlines()]
    assert lines[5:-1] == [
        ["1h", "1d", "1wk"],
        ["equity", "100.00", "%", "100.00", "%"],
        ["1/1", "1/1"],
        ["1", "failing"],
        ["crypto", "0.00", "%", "0.00", "%"],
        ["0/3", "0/3"],
        ["all", "0.00", "%", "25.00", "%", "100.00", "%"],
        ["0/3", "1/4", "1/1"],
        ["1", "failing"],
    ]
    assert " ".join(lines[-1]).startswith("8 series; single ones: marketdata status AAPL; ")


@pytest.mark.usefixtures("quota")
def test_watching_without_a_terminal_shows_everything_once(
    world: World, marketdata: Terminal
) -> None:
    track(world.tracking, world.clock, [Instrument("AAPL")], timeframes=[Timeframe.D1])
    found = marketdata("status", "--watch")
    assert (found.code, found.err) == (0, "")
    for title in ("runs", "turns and rates", "cadence", "coverage"):
        assert f"─ {title} " in found.out
    assert "none yet" in found.out
    assert "200 of 200 turns free" in found.out
    assert "\x1b" not in found.out


@pytest.mark.usefixtures("quota")
def test_watching_as_json_is_one_object(world: World, marketdata: Terminal) -> None:
    track(world.tracking, world.clock, [Instrument("AAPL")], timeframes=[Timeframe.D1])
    told = json.loads(marketdata("status", "--watch", "--json").out)
    assert told["runs"] == {"shown": [], "under_way": 0, "waiting": 0, "trouble": None}
    assert (told["cadences"][0]["timeframe"], told["cadences"][0]["wished"]) == ("1d", 86_400.0)
    assert told["home"] == world.home.folder.name
    assert "series" not in told


def test_a_dagster_that_cannot_be_used_is_no_reason_to_show_nothing(
    world: World, marketdata: Terminal
) -> None:
    (world.home.dagster / "dagster.yaml").write_text("storage: 1\n")
    found = marketdata("status", "--watch")
    assert found.code == 0
    assert "Dagster's instance in " in found.out
    assert "─ coverage " in found.out


@pytest.mark.usefixtures("home")
def test_an_empty_home_can_be_watched(marketdata: Terminal) -> None:
    found = marketdata("status", "--watch")
    assert (found.code, found.err) == (0, "")
    assert "no provider was asked yet" in found.out


@contextmanager
def on_a_terminal(home: Home, *arguments: str) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """The command on a terminal of its own, and what reads and types there."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "MARKETDATA_HOME": str(home.folder), "TERM": "xterm-256color"}
    env |= {"COLUMNS": "100", "LINES": "40"}
    with subprocess.Popen(
        [*PROGRAM, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=env
    ) as child:
        os.close(theirs)
        yield child, ours
        child.kill()
    os.close(ours)


def read_until(terminal: int, words: bytes, times: int = 1) -> bytes:
    """What appears on the terminal until the words have stood there so often."""
    shown = b""
    while shown.count(words) < times:
        ready, _, _ = select.select([terminal], [], [], 60)
        assert ready, shown
        shown += os.read(terminal, 65536)
    return shown


@pytest.mark.proof
def test_on_a_terminal_it_is_drawn_in_place_until_it_is_interrupted(world: World) -> None:
    with on_a_terminal(world.home, "status", "--watch", "--every", "0.1") as (child, terminal):
        shown = read_until(terminal, b"coverage", times=2)
        child.send_signal(signal.SIGINT)
        shown += read_until(terminal, b"\x1b[?1049l")
        assert child.wait(30) == 0
    assert shown.startswith(b"\x1b[?1049h"), "a screen of its own, so that nothing scrolls away"
    assert b"Ctrl-C ends this" in shown
