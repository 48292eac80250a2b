"""The services of deploy/postgres on a real Postgres: as processes, without containers."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from marketdata_pipeline.database.home import History, Home, Replay, make_home
from marketdata_pipeline_tests.cli.terminal import Said, program
from marketdata_pipeline_tests.deploy.server import Server, own_server
from marketdata_pipeline_tests.deploy.stack import Stack, stack

START = datetime(2013, 2, 15, 21, 30, tzinfo=UTC)
SERIES = ("AAPL|1d", "AAPL|1wk")


@pytest.fixture
def server() -> Iterator[Server]:
    with own_server() as made:
        yield made


@pytest.fixture
def home(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    replay = Replay(History.SYNTHETIC, START, seed=5)
    with make_home(
        tmp_path / "home", database_url=server.database("marketdata"), replay=replay
    ) as made:
        yield made


def _marketdata(running: Stack, *words: object) -> Said:
    """A command on the stack's home."""
    return program(Path(running.environment["MARKETDATA_HOME"]), running.environment, *words)


def _stored(running: Stack, name: str, timeframe: str) -> list[str]:
    """The labels of the last bars, by the command that reads."""
    said = _marketdata(running, "bars", name, timeframe, "--json", "--last", "2")
    assert said.code == 0, said.err
    labels: list[str] = json.loads(said.out)["ts"]
    return labels


@pytest.mark.proof
def test_a_run_of_the_queue_stores_bars_that_are_read(
    server: Server, home: Home, tmp_path: Path
) -> None:
    with stack(home, server.database("dagster"), tmp_path / "logs") as running:
        said = _marketdata(running, "track", "AAPL", "--timeframes", "1d,1wk")
        assert said.code == 0, said.err
        assert running.ended(running.launch(*SERIES)).status == "SUCCESS"
        assert _stored(running, "AAPL", "1d") == ["2013-02-14T00:00:00Z", "2013-02-15T00:00:00Z"]
