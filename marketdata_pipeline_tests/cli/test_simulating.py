"""`simulate`, and the simulator beside another command."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from marketdata_pipeline.cli.simulating import (
    listener,
    market_start,
    refuse_quotas,
    serves,
    simulator_beside,
)
from marketdata_pipeline.database.home import History, Home, Replay, make_home, open_home
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.reading.health.outside import Listener
from marketdata_pipeline.simulator.quota import Step
from marketdata_pipeline.simulator.recorded import recorded_history
from marketdata_pipeline.simulator.server import Simulator
from marketdata_pipeline_tests.cli.terminal import PROGRAM, Terminal, listing
from marketdata_pipeline_tests.ports import free_port, mute, stranger
from marketdata_pipeline_tests.providers.yahoo.canned import Canned, serving

pytestmark = pytest.mark.proof

START = datetime(2013, 2, 15, 21, tzinfo=UTC)


@pytest.fixture
def replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    folder = tmp_path / "replay"
    monkeypatch.setenv("MARKETDATA_HOME", str(folder))
    with make_home(folder, replay=Replay(History.RECORDED, START)) as made:
        yield made


@contextmanager
def _simulate(port: int, *more: str) -> Iterator["subprocess.Popen[str]"]:
    env = {**os.environ, "MARKETDATA_SIMULATOR_PORT": str(port), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*PROGRAM, "simulate", *more],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        try:
            yield started
        finally:
            started.kill()


def test_simulate_answers_until_it_is_told_to_end_and_leaves_no_child(replay: Home) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with _simulate(port) as started:
        assert started.stdout is not None
        assert started.stdout.readline().startswith(f"simulator on {url}, market time 2013-02-15")
        assert serves(replay, url)
        reply = requests.get(f"{url}/v8/finance/chart/AAPL?range=5d&interval=1d", timeout=5)
        assert reply.headers["X-Marketdata-Simulator"] == "recorded"
        assert reply.json()["chart"]["result"][0]["meta"]["symbol"] == "AAPL"
        started.send_signal(signal.SIGTERM)
        assert started.wait(10) == 143
        assert started.stderr is not None
        assert started.stderr.read() == ""
    assert not serves(replay, url)
    with Simulator(recorded_history(), replay.clock, port).in_thread():
        pass  # the port is free again: nobody of the family holds it


def test_a_simulator_ends_with_a_command_that_is_killed(replay: Home) -> None:
    port = free_port()
    with _simulate(port) as started:
        assert started.stdout is not None
        assert started.stdout.readline().startswith("simulator on ")
        started.kill()
    for _ in range(50):
        if not serves(replay, f"http://127.0.0.1:{port}"):
            break
        SystemClock().sleep(0.1)
    assert not serves(replay, f"http://127.0.0.1:{port}")


def test_a_second_simulator_of_a_home_is_not_started(
    replay: Home, marketdata: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Simulator(recorded_history(), replay.clock).in_thread() as simulator:
        monkeypatch.setenv("MARKETDATA_SIMULATOR_PORT", str(simulator.port))
        found = marketdata("simulate")
    assert found.sentence().startswith("a simulator of this home runs on ")
    assert found.code == 2


def test_quickstart_on_a_taken_port_makes_nothing(
    marketdata: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stranger() as (port, _):
        monkeypatch.setenv("MARKETDATA_SIMULATOR_PORT", str(port))
        found = marketdata("quickstart")
    assert found.err == (
        f"marketdata: port {port} of 127.0.0.1 is taken; "
        "set MARKETDATA_SIMULATOR_PORT to a free one\n"
    )
    assert found.code == 2
    assert listing(Path.cwd()) == []


def test_simulate_on_a_taken_port_says_so_and_changes_nothing(
    replay: Home, marketdata: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = listing(replay.folder)
    with stranger() as (port, _):
        monkeypatch.setenv("MARKETDATA_SIMULATOR_PORT", str(port))
        found = marketdata("simulate")
    assert found.sentence() == (
        f"port {port} of 127.0.0.1 is taken; set MARKETDATA_SIMULATOR_PORT to a free one"
    )
    assert found.code == 2
    assert listing(replay.folder) == before


def test_the_running_simulator_of_this_home_is_used(replay: Home) -> None:
    with (
        Simulator(recorded_history(), replay.clock).in_thread() as simulator,
        simulator_beside(replay, simulator.port) as url,
    ):
        assert url == simulator.url


def test_a_simulator_of_another_home_is_not_this_ones(replay: Home, tmp_path: Path) -> None:
    with (
        make_home(tmp_path / "other", replay=Replay(History.RECORDED, START)) as other,
        Simulator(recorded_history(), other.clock).in_thread() as simulator,
    ):
        assert serves(other, simulator.url)
        assert not serves(replay, simulator.url)
        with pytest.raises(BadInput, match="is taken"), simulator_beside(replay, simulator.port):
            pass


@pytest.mark.parametrize("body", [b"[]", b"{}", b"hello", b'{"market_start": 3}'])
def test_another_web_server_is_no_simulator(replay: Home, body: bytes) -> None:
    with stranger(body) as (port, seen):
        assert not serves(replay, f"http://127.0.0.1:{port}")
    assert seen == ["/simulator"]


def test_nobody_is_told_from_a_stranger(replay: Home) -> None:
    assert listener(replay, f"http://127.0.0.1:{free_port()}") is Listener.NOBODY
    with serving(Canned(b"{}", 404)) as other:
        assert listener(replay, other.url) is Listener.STRANGER
    with serving(Canned(b"{}", delay=1.2)) as slow:
        assert listener(replay, slow.url) is Listener.STRANGER
    with mute() as port:
        assert listener(replay, f"http://127.0.0.1:{port}") is Listener.STRANGER


def test_a_server_that_speaks_no_http_is_no_simulator(replay: Home) -> None:
    with mute() as port:
        assert not serves(replay, f"http://127.0.0.1:{port}")


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    replay: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with Simulator(recorded_history(), replay.clock).in_thread() as simulator:
        assert serves(replay, simulator.url)


def test_a_demo_starts_two_weeks_before_the_end_of_the_bars() -> None:
    assert market_start(History.RECORDED) == START


def test_a_demo_without_a_name_has_a_folder_of_its_own(marketdata: Terminal) -> None:
    assert marketdata("init", "--demo").out.startswith(
        f"replay home at {Path.cwd() / '.marketdata-demo'}\n"
    )
    assert not (Path.cwd() / ".marketdata").exists()
    assert marketdata("status").out.startswith(
        f"home {Path.cwd() / '.marketdata-demo'} (replay of mixed bars), market time 2013-02-15"
    )


def test_a_dead_simulator_is_one_sentence_of_a_backfill(
    replay: Home, marketdata: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("MARKETDATA_SIMULATOR_PORT", str(port))
    monkeypatch.setenv("MARKETDATA_RETRY_WAITS", "0.1,0.1,0.1,0.1,0.1")
    found = marketdata("backfill", "AAPL", "-t", "1d")
    assert found.err == (
        f"marketdata: 1 of 1 series failed: the simulator at http://127.0.0.1:{port} does not "
        f"answer; start it with: marketdata simulate; its log is {replay.dagster}/last-run.log\n"
    )
    assert found.code == 1
    assert "  1/1  AAPL|1d        failed: the simulator at" in found.out


def test_a_made_up_history_is_chosen_with_its_seed_and_kept(marketdata: Terminal) -> None:
    asked = ("--home", "made", "init", "--demo", "--history", "mixed", "--seed", "7")
    assert marketdata(*asked).code == 0
    again = marketdata("--home", "made", "init", "--demo")
    assert again.code == 0, "it is opened as it is, whatever it replays"
    other = marketdata("--home", "made", "init", "--demo", "--seed", "8")
    assert other.code == 2
    assert other.sentence().endswith(
        "is a replay (mixed, seed 7) home for life; name another folder for a replay (mixed, "
        "seed 8) one"
    )


def test_a_synthetic_replay_starts_now(marketdata: Terminal) -> None:
    before = datetime.now(UTC)
    marketdata("--home", "made", "init", "--demo", "--history", "synthetic")
    with open_home(Path("made")) as made:
        assert (made.history, made.seed) == (History.SYNTHETIC, 1)
        assert before - timedelta(seconds=1) <= made.clock.market_now()
        assert made.clock.market_now() <= datetime.now(UTC) + timedelta(seconds=1)


def test_history_and_seed_want_a_replay_home(marketdata: Terminal) -> None:
    found = marketdata("init", "--history", "mixed")
    assert found.sentence() == "--history and --seed are of a replay home; add --demo"
    assert found.code == 2
    assert listing(Path.cwd()) == []


@pytest.mark.parametrize(
    ("quotas", "said"),
    [
        (["fast"], "'fast' is no quota; write requests/seconds, e.g. 2000/3600"),
        (["10/1,"], "'10/1,' is no quota; write requests/seconds, e.g. 2000/3600"),
        (["30/60@soon"], "'30/60@soon' is no quota; write requests/seconds, e.g. 2000/3600"),
        (
            ["30/60@600", "90/60"],
            "each --quota needs a later @second than the one before it: 30/60@600",
        ),
    ],
)
def test_a_wrong_quota_is_one_sentence(
    marketdata: Terminal, monkeypatch: pytest.MonkeyPatch, quotas: list[str], said: str
) -> None:
    monkeypatch.setenv("MARKETDATA_SIMULATOR_PORT", str(free_port()))
    given = [word for one in quotas for word in ("--quota", one)]
    found = marketdata("--home", "none", "simulate", *given, "--seed", "7")
    assert listing(Path.cwd()) == [], "no home is made for it"
    assert found.sentence() == said
    assert found.code == 2


@pytest.mark.parametrize(
    "text", ["1/1", "10/1,600/60", "2000/3600@0", "9999999/999999@999999", "10/1,5/5@60"]
)
def test_what_the_command_takes_for_a_quota_the_simulator_does_too(text: str) -> None:
    refuse_quotas([text])
    assert Step.parse(text).quotas


def test_simulate_makes_the_home_that_it_is_told_to_serve_within_its_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, port = tmp_path / "made", free_port()
    monkeypatch.setenv("MARKETDATA_HOME", str(folder))
    quotas = ("--quota", "5/1,1/60", "--quota", "90/60@600", "--retry-after", "date")
    asked = ("--history", "synthetic", "--seed", "3", "--latency", "0.001", *quotas)
    with _simulate(port, *asked) as started:
        assert started.stdout is not None
        assert started.stdout.readline().startswith(f"simulator on http://127.0.0.1:{port}")
        url = f"http://127.0.0.1:{port}/v8/finance/chart/SPY?range=5d&interval=1d"
        answers = [requests.get(url, timeout=60) for _ in range(2)]
        assert [one.status_code for one in answers] == [200, 429]
        assert answers[1].headers["Retry-After"].endswith(" GMT")
        limits = requests.get(f"http://127.0.0.1:{port}/simulator/limits", timeout=5).json()
        assert limits["schedule"] == [
            {"after": 0, "quota": "5/1,1/60"},
            {"after": 600, "quota": "90/60"},
        ]
        assert answers[0].headers["X-Marketdata-Simulator"] == "synthetic"
        assert answers[0].json()["chart"]["result"][0]["meta"]["instrumentType"] == "ETF"
    with open_home(folder) as made:
        assert (made.history, made.seed) == (History.SYNTHETIC, 3)
