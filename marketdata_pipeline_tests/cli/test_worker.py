"""`worker` and `daemon`: the queue and the refresh without Dagster, shared, killed, told to end."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from marketdata_pipeline.assembly import assemble
from marketdata_pipeline.config import load_settings
from marketdata_pipeline.database.home import History, Home, Replay, make_home, open_home
from marketdata_pipeline.domain.backfill import Backfill, Status
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.ingest.queue import Queue
from marketdata_pipeline.ingest.worker import Worker
from marketdata_pipeline.simulator.limits import Latency, Limits
from marketdata_pipeline.simulator.server import Simulator
from marketdata_pipeline.simulator.synthetic import SyntheticHistory
from marketdata_pipeline_tests.children import PROCESSES
from marketdata_pipeline_tests.cli.terminal import PROGRAM, Terminal, command, environment
from marketdata_pipeline_tests.ingest.world import day

START = day("2024-12-02")
"""A Monday's first minute: no market opens while the test runs, so nothing new closes."""
STOCKS = [Instrument(name) for name in ("AAPL", "MSFT", "IBM", "KO", "PEP", "GE", "F", "T")]


@dataclass(frozen=True, slots=True)
class Shop:
    """A replay home, its queue, and the simulator that serves it."""

    home: Home
    simulator: Simulator
    port: int

    @property
    def queue(self) -> Queue:
        return Queue(self.home.engine, self.home.clock)

    @property
    def settings(self) -> dict[str, str]:
        return environment(MARKETDATA_HOME=self.home.folder, MARKETDATA_SIMULATOR_PORT=self.port)

    def want(self, *stocks: Instrument) -> None:
        for one in stocks:
            self.queue.enqueue(one, [Timeframe.D1])

    def rows(self) -> list[Backfill]:
        return self.queue.rows(at_most=99)

    def asked_for(self) -> list[str]:
        """The path of each request for bars, as often as it was sent."""
        return [f"{one.path}?{sorted(one.params.items())}" for one in self.simulator.charts()]


@contextmanager
def _shop(folder: Path, latency: float = 0.0) -> Iterator[Shop]:
    replay = Replay(History.SYNTHETIC, START, seed=9)
    with (
        make_home(folder / "shop", replay=replay) as home,
        Simulator(
            SyntheticHistory(9), home.clock, limits=Limits(latency=Latency(latency))
        ).in_thread() as running,
    ):
        yield Shop(home, running, running.port)


def test_a_worker_does_what_is_due_and_ends(
    tmp_path: Path, marketdata: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _shop(tmp_path) as shop:
        for key, value in shop.settings.items():
            monkeypatch.setenv(key, value)
        shop.want(*STOCKS[:2])
        found = marketdata("worker", "--once")
        lines = found.out.splitlines()
        assert found.code == 0
        assert lines[0].endswith("; doing what is due")
        assert sorted(line.split()[1] for line in lines[1:3]) == ["AAPL|1d", "MSFT|1d"]
        assert lines[3].endswith(" new bars of 2 series, 2 requests")
        assert {one.status for one in shop.rows()} == {Status.COMPLETED}
        assert marketdata("worker", "--once").out.splitlines()[-1] == (
            "0 new bars of 0 series, 0 requests"
        )


def test_a_daemon_also_refreshes_what_is_tracked(
    tmp_path: Path, marketdata: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _shop(tmp_path) as shop:
        for key, value in shop.settings.items():
            monkeypatch.setenv(key, value)
        marketdata("track", "IBM", "-t", "1d")
        assert "IBM|1d" not in marketdata("worker", "--once").out
        assert "IBM|1d" in marketdata("daemon", "--once", "--interval", "1").out
        assert "IBM|1d" not in marketdata("daemon", "--once").out


def test_neither_imports_dagster(home: Home, tmp_path: Path) -> None:
    program = (
        "import sys; from marketdata_pipeline.cli.app import run; "
        "code = run(['worker', '--once']) or run(['daemon', '--once']); "
        "sys.exit(code or ('dagster' in sys.modules) * 7)"
    )
    env = environment(MARKETDATA_HOME=home.folder)
    found = command(tmp_path, env, PROGRAM[0], "-c", program)
    assert found.code == 0, found


@contextmanager
def _started(shop: Shop, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [*PROGRAM, *arguments],
        env=shop.settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as started:
        yield started
        started.kill()


@pytest.mark.proof
@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_it_finishes_what_is_under_way_and_gives_the_rest_back(
    tmp_path: Path, told: signal.Signals
) -> None:
    with _shop(tmp_path, latency=0.3) as shop:
        shop.want(*STOCKS)
        with _started(shop, "worker") as started:
            assert started.stdout is not None
            while "new bars" not in (line := started.stdout.readline()):
                assert line, "it ended"
            started.send_signal(told)
            assert started.wait(30) in {128 + told, 130}
        statuses = [one.status for one in shop.rows()]
        done = statuses.count(Status.COMPLETED)
        assert 1 <= done < len(STOCKS)
        assert statuses.count(Status.PENDING) == len(STOCKS) - done, "none waits for a lease"
        assert {one.attempts for one in shop.rows()} == {0}


def _work(folder: Path, port: int, lease: float) -> None:
    """A worker whose leases are short; it ends when every row has."""
    os.environ["MARKETDATA_SIMULATOR_PORT"] = str(port)
    settings = load_settings(home=folder)
    with open_home(settings.home) as home:
        opened = assemble(settings, home)
        queue = replace(opened.queue, lease=timedelta(seconds=lease))
        worker = Worker(opened.events, queue, opened.updater, opened.waits, lambda _: None)
        ended = [Status.COMPLETED, Status.FAILED]
        while any(one.status not in ended for one in queue.rows(at_most=999)):
            if worker.step() is None:
                worker.wait()


@pytest.mark.proof
def test_two_workers_share_the_work_and_one_finishes_it_when_the_other_is_killed(
    tmp_path: Path,
) -> None:
    stocks = [Instrument(f"S{number}") for number in range(60)]
    with _shop(tmp_path, latency=0.3) as shop:
        shop.want(*stocks)
        workers = [
            PROCESSES.Process(target=_work, args=(shop.home.folder, shop.port, 3.0))
            for _ in range(2)
        ]
        for one in workers:
            one.start()
        begun: set[str | None] = set()
        deadline = time.monotonic() + 60
        while len(begun) < 2 and time.monotonic() < deadline:
            begun = {one.run_id for one in shop.rows() if one.status is Status.COMPLETED}
        assert len(begun) == 2, "both are at work"
        workers[0].kill()
        for one in workers:
            one.join(120)
        assert [one.exitcode for one in workers] == [-signal.SIGKILL, 0]
        rows = shop.rows()
        assert [one.status for one in rows] == [Status.COMPLETED] * len(stocks)
        killed = [one for one in rows if one.launch]
        assert killed, "it had some"
        assert {(one.launch, one.attempts) for one in rows} <= {(0, 0), (1, 0)}
        twice = len(shop.asked_for()) - len(set(shop.asked_for()))
        assert twice <= 3, "at most what the killed one was at"
