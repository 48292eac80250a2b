"""Code server, webserver and daemon of deploy/postgres as processes, on a home and its databases.

Not here: what the units say (units), a single process (part), Postgres itself (server). Benchmarks
use it too, by benchmarks/_deployed.py. Each part runs with the command line of its unit, in the
environment of marketdata.env.example with other values, as systemd would start it; nothing starts
one anew.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import requests

from marketdata_pipeline.database.home import Home, Mode
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline_tests.cli.page import Page
from marketdata_pipeline_tests.deploy.part import Member, Part
from marketdata_pipeline_tests.deploy.units import DEPLOY, NAMES, Unit, example, here
from marketdata_pipeline_tests.ports import free_port

SIMULATOR = "simulator"
LOCATION = "marketdata_pipeline.definitions"
_PATIENCE = 120.0
_CLOCK = SystemClock()
_FOREIGN = ("MARKETDATA_", "DAGSTER_")
_HEALTH = """
query {
  assetNodeOrError(assetKey: {path: ["ohlcv"]}) { __typename }
  instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } }
}
"""
_LAUNCH = """
mutation Launch($given: ExecutionParams!) {
  launchRun(executionParams: $given) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""
_RUN = """
query Run($id: ID!) {
  runOrError(runId: $id) { ... on Run { status creationTime startTime endTime } }
}
"""
_OVER = frozenset({"SUCCESS", "FAILURE", "CANCELED"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run that is over; wall instants in seconds, None: it never got there."""

    status: str
    created: float
    started: float | None
    ended: float | None


@dataclass(frozen=True, slots=True)
class Stack:
    """All parts by name, and the page of the webserver.

    ``environment`` is what `marketdata` needs to work on the same home.
    """

    parts: Mapping[str, Part]
    environment: Mapping[str, str]
    page: Page

    def start(self, *names: str) -> None:
        """Start these, or all that do not run, in systemd's order."""
        for name, part in self.parts.items():
            if name in names or (not names and not part.running):
                part.start()

    def stop(self, *names: str) -> None:
        """Stop these, or all, the last first."""
        for name in reversed(names or tuple(self.parts)):
            self.parts[name].stop()

    def kill(self, *names: str) -> None:
        """Kill these, or all, the last first."""
        for name in reversed(names or tuple(self.parts)):
            self.parts[name].kill()

    def ready(self, seconds: float = _PATIENCE) -> float:
        """Wait until the page knows the asset and each part of the daemon has told that it lives.

        Returns:
            The seconds that it took.
        """
        began, told = time.monotonic(), ""
        while time.monotonic() - began < seconds:
            with suppress(requests.RequestException, AssertionError):
                health = self.page.ask(_HEALTH)
                told = json.dumps(health)
                statuses = health["instance"]["daemonHealth"]["allDaemonStatuses"]
                wanted = [one["healthy"] for one in statuses if one["required"]]
                if health["assetNodeOrError"]["__typename"] == "AssetNode" and all(wanted):
                    return time.monotonic() - began
            _CLOCK.sleep(0.2)
        logs = "\n".join(f"== {name}\n{part.said()}" for name, part in self.parts.items())
        raise AssertionError(f"not ready after {seconds} s: {told}\n{logs}")

    def launch(self, *series: Series | str, tags: Mapping[str, str] | None = None) -> str:
        """Put a run of these series by the config door into Dagster's queue; its id."""
        selector = {
            "repositoryLocationName": LOCATION,
            "repositoryName": "__repository__",
            "jobName": "bars_update",
        }
        config = {"series": [str(one) for one in series]}
        marks = [{"key": key, "value": value} for key, value in (tags or {}).items()]
        given = {
            "selector": selector,
            "runConfigData": {"ops": {"ohlcv": {"config": config}}},
            "executionMetadata": {"tags": marks},
        }
        said = self.page.ask(_LAUNCH, given=given)["launchRun"]
        assert said["__typename"] == "LaunchRunSuccess", said
        return str(said["run"]["runId"])

    def status(self, run: str) -> str:
        """Dagster's word for how a run stands."""
        return str(self.page.ask(_RUN, id=run)["runOrError"]["status"])

    def ended(self, run: str, seconds: float = _PATIENCE) -> Outcome:
        """Wait until a run is over."""
        until, told = time.monotonic() + seconds, {}
        while time.monotonic() < until:
            with suppress(requests.RequestException, AssertionError):
                told = self.page.ask(_RUN, id=run)["runOrError"]
                if told["status"] in _OVER:
                    times = (told[f"{one}Time"] for one in ("creation", "start", "end"))
                    return Outcome(told["status"], *times)
            _CLOCK.sleep(0.1)
        raise AssertionError(f"run {run} is not over after {seconds} s: {told}")

    def memory(self) -> dict[str, list[Member]]:
        """The processes of each part."""
        return {name: part.members() for name, part in self.parts.items()}


@contextmanager
def stack(
    home: Home,
    dagster_url: str,
    logs: Path,
    *,
    settings: Mapping[str, str] | None = None,
    without: Sequence[str] = (),
    simulator: Sequence[str] = (),
) -> Iterator[Stack]:
    """All of it on a home, started and ready; all of it ends with the block, whatever happened.

    Args:
        home: a replay home gets its simulator as one more part, ``SIMULATOR``. Its dagster.yaml
            becomes that of deploy/postgres.
        dagster_url: of the database of Dagster's own records, ``postgresql+psycopg2://``.
        logs: a folder, made where it is not there; one file a part, ``code-server.log`` and so on.
        settings: further variables, e.g. ``MARKETDATA_YAHOO_BURST``.
        without: parts that are not started yet; then nothing is waited for.
        simulator: further words of its command line, such as ``--quota 10/1``.
    """
    logs.mkdir(parents=True, exist_ok=True)
    shutil.copy(DEPLOY / "dagster.yaml", home.dagster / "dagster.yaml")
    environment = _environment(home, dagster_url) | dict(settings or {})
    parts = {name: _part(Unit.read(name), environment, home.folder, logs) for name in NAMES}
    if home.mode is Mode.REPLAY:
        parts = {SIMULATOR: _simulator(environment, home.folder, logs, simulator), **parts}
    url = "http://{DAGSTER_WEBSERVER_HOST}:{DAGSTER_WEBSERVER_PORT}".format_map(environment)
    made = Stack(parts, environment, Page(url))
    with ExitStack() as ending:
        ending.callback(made.kill)
        made.start(*(name for name in parts if name not in without))
        if not without:
            made.ready()
        yield made
        made.stop()


def _environment(home: Home, dagster_url: str) -> dict[str, str]:
    """The example's variables with this home's values; of our own only what is neither's."""
    inherited = {key: said for key, said in os.environ.items() if not key.startswith(_FOREIGN)}
    url = home.engine.url
    own = {
        "DAGSTER_PG_URL": dagster_url,
        "MARKETDATA_HOME": str(home.folder),
        "DAGSTER_HOME": str(home.dagster),
        "DAGSTER_CODE_SERVER_PORT": str(free_port()),
        "DAGSTER_WEBSERVER_PORT": str(free_port()),
        "PATH": os.defpath,  # as with systemd: no programs of ours are in it
        "PYTHONUNBUFFERED": "1",
    }
    found = inherited | example() | own
    if url.get_backend_name() == "postgresql":
        found["MARKETDATA_DATABASE_URL"] = url.render_as_string(hide_password=False)
    else:
        del found["MARKETDATA_DATABASE_URL"]
    if home.mode is Mode.REPLAY:
        found["MARKETDATA_SIMULATOR_PORT"] = str(free_port())
    return found


def _part(unit: Unit, environment: Mapping[str, str], folder: Path, logs: Path) -> Part:
    return Part(
        unit.name,
        here(unit.command, environment),
        here(unit.after_start, environment),
        environment,
        folder,
        logs / f"{unit.name}.log",
        alone=unit.settings["Service"].get("KillMode") == "process",
    )


def _simulator(
    environment: Mapping[str, str], folder: Path, logs: Path, words: Sequence[str]
) -> Part:
    return Part(
        SIMULATOR,
        [sys.executable, "-m", "marketdata_pipeline.simulator", *words],
        (),
        environment,
        folder,
        logs / f"{SIMULATOR}.log",
        port=int(environment["MARKETDATA_SIMULATOR_PORT"]),
    )
