"""`ui`: Dagster's web page and daemon as children that end with it."""

import os
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from marketdata_pipeline.database.home import History, Home, Replay, make_home
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline_tests.cli.terminal import PROGRAM
from marketdata_pipeline_tests.ports import free_port

START = datetime(2013, 2, 15, 21, tzinfo=UTC)
MARK = "MARKETDATA_SIMULATOR_PORT"


@pytest.fixture
def replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("MARKETDATA_HOME", str(tmp_path / "replay"))
    with make_home(tmp_path / "replay", replay=Replay(History.RECORDED, START)) as made:
        yield made


def _family(mark: str) -> list[str]:
    """The command lines of all processes that have this line in their environment."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and mark.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # it ended meanwhile
    return found


def _answers(url: str, seconds: int) -> bool:
    for _ in range(seconds):
        try:
            return requests.get(url, timeout=1).ok
        except requests.RequestException:
            SystemClock().sleep(1)
    return False


@pytest.mark.proof
@pytest.mark.usefixtures("replay")
@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_page_answers_and_every_child_ends_with_it(tmp_path: Path, told: int) -> None:
    port, simulator = free_port(), free_port()
    env = {**os.environ, MARK: str(simulator)}
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            [*PROGRAM, "ui", "--port", str(port)], env=env, stdout=log, stderr=log
        ) as started,
    ):
        try:
            assert _answers(f"http://127.0.0.1:{port}/server_info", 90), "no page"
            assert _answers(f"http://127.0.0.1:{simulator}/simulator", 5), "no simulator"
            started.send_signal(told)
            started.wait(60)
        finally:
            started.kill()
    for _ in range(20):
        if not _family(f"{MARK}={simulator}"):
            break
        SystemClock().sleep(0.5)
    assert _family(f"{MARK}={simulator}") == []
