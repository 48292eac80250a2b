"""The services of deploy/postgres on a real Postgres: as processes, without containers."""

import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from marketdata_pipeline.database.home import History, Home, Replay, make_home
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline_tests.cli.terminal import Said, command, program
from marketdata_pipeline_tests.deploy.server import Server, own_server
from marketdata_pipeline_tests.deploy.stack import Stack, stack
from marketdata_pipeline_tests.deploy.units import here

START = datetime(2013, 2, 15, 21, 30, tzinfo=UTC)
LAST = ["2013-02-14T00:00:00Z", "2013-02-15T00:00:00Z"]
NAMES = ("AAPL", "MSFT", "BTC-USD", "META", "SPY")
TAGS = """
query Tags($id: ID!) { runOrError(runId: $id) { ... on Run { tags { key value } } } }
"""
GIVE_UP = """
mutation GiveUp($id: String!) {
  terminateRun(runId: $id, terminatePolicy: MARK_AS_CANCELED_IMMEDIATELY) {
    __typename
    ... on PythonError { message }
  }
}
"""
GROUP = """
query Group($id: ID!) { runGroupOrError(runId: $id) { ... on RunGroup { runs { runId } } } }
"""
HEALTH = ["/opt/marketdata/.venv/bin/dagster-daemon", "liveness-check"]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with own_server() as made:
        yield made


@pytest.fixture(scope="module")
def home(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder, url = tmp_path_factory.mktemp("postgres") / "home", server.database("marketdata")
    with make_home(
        folder, database_url=url, replay=Replay(History.SYNTHETIC, START, seed=5)
    ) as made:
        yield made


@pytest.fixture(scope="module")
def running(server: Server, home: Home) -> Iterator[Stack]:
    """One stack for all tests: starting it takes half a minute."""
    with stack(home, server.database("dagster"), home.folder.parent / "logs") as made:
        said = _marketdata(made, "track", *NAMES, "--timeframes", "1d")
        assert said.code == 0, said.err
        yield made


@pytest.fixture(autouse=True)
def _all_of_it_runs(running: Stack) -> None:
    """Whatever the test before has ended."""
    running.start()
    running.ready()


def _marketdata(running: Stack, *words: object) -> Said:
    """A command on the stack's home."""
    return program(Path(running.environment["MARKETDATA_HOME"]), running.environment, *words)


def _stored(running: Stack, name: str) -> list[str]:
    """The labels of the last daily bars, by the command that reads."""
    said = _marketdata(running, "bars", name, "1d", "--json", "--last", "2")
    labels: list[str] = json.loads(said.out)["ts"] if said.code == 0 else []
    return labels


def _launched_at_last(running: Stack, series: str) -> str:
    """The webserver answers with an error where what it had a connection to has died, then anew.

    Its pools of connections to Postgres are three: of runs, of events and of schedules.
    """
    for _ in range(3):
        with suppress(AssertionError):
            return running.launch(series)
    return running.launch(series)


@pytest.mark.proof
def test_a_run_of_the_queue_stores_bars_that_are_read_and_doctor_has_nothing_against_it(
    running: Stack,
) -> None:
    assert _stored(running, "AAPL") == []
    assert running.ended(running.launch("AAPL|1d")).status == "SUCCESS"
    assert _stored(running, "AAPL") == LAST
    said = _marketdata(running, "doctor", "--json")
    found = {one["topic"]: one for one in json.loads(said.out)}
    assert said.code == 0, said.out
    assert "bars_refresh" in found["daemon"]["says"]
    assert found["daemon"]["mark"] == "ok", found["daemon"]
    health = command(
        Path(running.environment["MARKETDATA_HOME"]),
        running.environment,
        *here(HEALTH, running.environment),
    )
    assert health.code == 0, health.err


@pytest.mark.proof
def test_a_run_that_waits_while_the_daemon_is_dead_starts_once_it_is_back(running: Stack) -> None:
    running.kill("daemon")
    run = running.launch("MSFT|1d")
    assert not running.parts["daemon"].running
    assert running.status(run) == "QUEUED"
    running.start("daemon")
    assert running.ended(run).status == "SUCCESS"
    assert _stored(running, "MSFT") == LAST


@pytest.mark.proof
@pytest.mark.parametrize(("how", "name"), [("stop", "META"), ("crash", "SPY")])
def test_a_run_after_postgres_was_away_works_and_no_service_has_ended(
    running: Stack, server: Server, how: str, name: str
) -> None:
    getattr(server, how)()
    server.start()
    running.ready()
    assert all(part.running for part in running.parts.values())
    assert running.ended(_launched_at_last(running, f"{name}|1d")).status == "SUCCESS"
    assert _stored(running, name) == LAST


def _under_way(running: Stack, series: str, tags: Mapping[str, str] | None = None) -> str:
    """A run that waits ten seconds for its provider."""
    name, _, _ = series.partition("|")
    port = running.environment["MARKETDATA_SIMULATOR_PORT"]
    fault = [{"kind": "slow", "symbol": name, "seconds": 10}]
    url = f"http://127.0.0.1:{port}/simulator/faults"
    assert requests.post(url, json=fault, timeout=5).ok
    run = running.launch(series, tags=tags)
    for _ in range(600):
        if running.status(run) == "STARTED":
            return run
        SystemClock().sleep(0.1)
    raise AssertionError("the run does not start")


@pytest.mark.proof
@pytest.mark.parametrize(
    ("series", "tags", "again"),
    [("QQQ|1d", {}, "true"), ("VTI|1d", {"dagster/max_retries": "0"}, "false")],
)
def test_a_run_that_was_killed_starts_once_more_unless_its_tag_says_otherwise(
    running: Stack, series: str, tags: dict[str, str], again: str
) -> None:
    run = _under_way(running, series, tags)
    workers = [one for one in running.parts["code-server"].members() if "spawn" in one.command]
    assert workers, "nothing to kill"
    for one in workers:
        os.kill(one.pid, signal.SIGKILL)
    assert running.ended(run).status == "FAILURE"
    assert _will_retry(running, run) == again
    if again == "true":
        assert running.ended(_second(running, run)).status == "SUCCESS"


def _will_retry(running: Stack, run: str) -> str:
    """What Dagster says of a failed run's second start, once the daemon has looked at it."""
    for _ in range(300):
        tags = running.page.ask(TAGS, id=run)["runOrError"]["tags"]
        found = {one["key"]: str(one["value"]) for one in tags}
        if "dagster/will_retry" in found:
            return found["dagster/will_retry"]
        SystemClock().sleep(0.2)
    raise AssertionError("the daemon does not look at it")


def _second(running: Stack, run: str) -> str:
    """The run that Dagster makes of a failed one, once it has."""
    for _ in range(300):
        group = running.page.ask(GROUP, id=run)["runGroupOrError"]["runs"]
        others = [str(one["runId"]) for one in group if one["runId"] != run]
        if others:
            return others[0]
        SystemClock().sleep(0.2)
    raise AssertionError("the run is not made anew")


@pytest.mark.proof
@pytest.mark.parametrize(("how", "series"), [("stop", "IWM|1d"), ("kill_main", "VOO|1d")])
def test_a_run_goes_on_to_its_end_while_the_code_server_starts_again(
    running: Stack, how: str, series: str
) -> None:
    run = _under_way(running, series)
    server = running.parts["code-server"]
    getattr(server, how)()
    server.start()
    assert running.ended(run).status == "SUCCESS"
    assert running.ended(_launched_at_last(running, series)).status == "SUCCESS"


@pytest.mark.proof
def test_a_run_that_ended_with_the_code_server_can_be_given_up_by_force(running: Stack) -> None:
    run = _under_way(running, "DIA|1d")
    running.kill("code-server")
    running.start("code-server")
    assert running.status(run) == "STARTED"  # nobody looks after it
    said = running.page.ask(GIVE_UP, id=run)["terminateRun"]
    assert said["__typename"] == "TerminateRunSuccess", said
    assert running.ended(run).status == "CANCELED"


@pytest.mark.proof
def test_a_run_that_was_queued_waits_for_the_code_server_while_that_is_dead(
    running: Stack,
) -> None:
    running.kill("daemon")
    run = running.launch("BTC-USD|1d")
    running.kill("code-server")
    running.start("daemon")
    SystemClock().sleep(1.5)  # so that the queue meets nobody
    running.start("code-server")
    assert running.ended(run).status == "SUCCESS"
    assert _stored(running, "BTC-USD")
    assert running.parts["webserver"].running
