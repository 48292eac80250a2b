"""`providers`: how each stands, as a table, as JSON and watched; the newest requests."""

import json
from datetime import timedelta

import pytest

from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.gate import Attempt, Ending, Gate, Limits, RateLimit
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.governor.governor import Governor
from marketdata_pipeline_tests.cli.terminal import Terminal
from marketdata_pipeline_tests.cli.test_status import on_a_terminal, read_until

AAPL = Series.parse("AAPL|1d")
SECOND = timedelta(seconds=1)


@pytest.fixture
def gate(home: Home) -> Gate:
    """Yahoo's gate, one turn a minute after 140 at once; two requests were answered."""
    governor = Governor(home.engine, home.clock)
    governor.register("yahoo", Limits((RateLimit(200, timedelta(hours=1), 140),)))
    made = governor.gate("yahoo", max_wait=timedelta(0))
    for _ in range(2):
        made.report(made.turn(Errand(), AAPL), Attempt(Ending.ANSWERED, 200, SECOND))
    return made


@pytest.mark.usefixtures("home")
def test_a_provider_that_was_never_asked_is_named(marketdata: Terminal) -> None:
    found = marketdata("providers")
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    assert lines[1].split()[:3] == ["yahoo", "unknown", "-"]
    assert lines[3].startswith("yahoo is unknown: it was never asked -> ")
    (told,) = json.loads(marketdata("providers", "--json").out)["providers"]
    assert (told["provider"], told["condition"], told["turns"]) == ("yahoo", "unknown", None)
    assert marketdata("providers", "--requests", 5).out.splitlines()[0].startswith(" ended (UTC)")


@pytest.mark.usefixtures("gate")
def test_a_healthy_provider_is_one_line(marketdata: Terminal) -> None:
    found = marketdata("providers")
    assert (found.code, found.err) == (0, "")
    (line,) = found.out.splitlines()[1:]
    words = " ".join(line.split())
    assert words.startswith("yahoo healthy 1.0 - closed 100.0 % 1.00 s 1.00 s 138 - ")
    assert words.endswith(" s ago")


def test_one_that_blocks_this_address_is_down_and_the_command_succeeds(
    gate: Gate, marketdata: Terminal
) -> None:
    gate.report(gate.turn(Errand(), AAPL), Attempt(Ending.BLOCKED, 403, SECOND))
    found = marketdata("providers")
    assert found.code == 0
    _, line, _, told = found.out.splitlines()
    assert line.split()[:2] == ["yahoo", "down"]
    assert told.startswith("yahoo is down: it failed too often (blocked); no turn until ")
    assert "(it failed too often); 200 an hour" in marketdata("status", "--watch").out


def test_as_json_everything_that_is_known_is_told(
    home: Home, gate: Gate, marketdata: Terminal
) -> None:
    gate.report(gate.turn(Errand(), AAPL), Attempt(Ending.TIMEOUT, 0, 25 * SECOND))
    told = json.loads(marketdata("providers", "--json").out)
    assert told.keys() == {"home", "mode", "market_now", "wall_now", "providers"}
    assert told["home"] == home.folder.name
    (yahoo,) = told["providers"]
    assert yahoo["provider"] == "yahoo"
    assert (yahoo["condition"], yahoo["why"]) == ("healthy", "it answers")
    assert yahoo["latency"] == {"p50": 1.0, "p95": 1.0, "p99": 1.0, "requests": 2}
    assert yahoo["success"] == pytest.approx(2 / 3)
    assert yahoo["failures"] == {"timeout": pytest.approx(1 / 3)}
    assert yahoo["hour"] == yahoo["day"] == {"requests": 3, "served": 2}
    assert yahoo["streak"] == 1
    assert yahoo["served_at"].endswith("+00:00")
    assert yahoo["per_minute"] == pytest.approx(1.0, abs=0.1)
    assert yahoo["turns"]["free"] == 137
    assert (yahoo["turns"]["circuit"], yahoo["turns"]["eased"]) == ("closed", 1.0)
    assert yahoo["turns"]["budget_left"] is None


def test_the_newest_requests_are_listed(gate: Gate, marketdata: Terminal) -> None:
    gate.report(gate.turn(Errand(attempt=3), AAPL), Attempt(Ending.TIMEOUT, 0, 25 * SECOND))
    lines = marketdata("providers", "--requests", 2).out.splitlines()
    assert [one.split()[2:] for one in lines[1:]] == [
        ["yahoo", "AAPL|1d", "3", "timeout", "-", "25,000"],
        ["yahoo", "AAPL|1d", "1", "answered", "200", "1,000"],
    ]
    told = json.loads(marketdata("providers", "--json", "--requests", 1).out)
    assert len(told["requests"]) == 1
    assert told["requests"][0].items() >= {"ending": "timeout", "took": 25.0, "attempt": 3}.items()
    assert told["providers"][0]["provider"] == "yahoo"


@pytest.mark.usefixtures("gate")
def test_watching_without_a_terminal_shows_it_once(home: Home, marketdata: Terminal) -> None:
    found = marketdata("providers", "--watch")
    assert found.code == 0
    assert found.out.startswith(f"home {home.folder} (live), market time ")
    assert "yahoo" in found.out.splitlines()[2]
    assert "\x1b" not in found.out


@pytest.mark.proof
@pytest.mark.usefixtures("gate")
def test_on_a_terminal_it_is_drawn_in_place(home: Home) -> None:
    with on_a_terminal(home, "providers", "--watch", "--every", "0.1") as (child, terminal):
        shown = read_until(terminal, b"yahoo", times=2)
        child.terminate()
        shown += read_until(terminal, b"\x1b[?1049l")
        assert child.wait(30) == 143
    assert b"Ctrl-C ends this" in shown
    assert b"cooldown" not in shown, "a hundred columns are too few for it"


@pytest.mark.usefixtures("gate")
def test_looking_takes_no_turn(home: Home, marketdata: Terminal) -> None:
    governor = Governor(home.engine, home.clock)
    before = governor.turns()[0].free
    for options in ((), ("--json",), ("--requests", "5")):
        assert marketdata("providers", *options).code == 0
    assert governor.turns()[0].free == before


@pytest.mark.parametrize("wrong", [("--requests", "-1"), ("--every", "0", "--watch")])
def test_what_cannot_be_is_refused_in_one_line(
    marketdata: Terminal, wrong: tuple[str, ...]
) -> None:
    found = marketdata("providers", *wrong)
    assert (found.code, wrong[0] in found.sentence()) == (2, True)
