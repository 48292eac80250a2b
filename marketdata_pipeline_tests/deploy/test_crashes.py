"""A purchase ends in exactly one completed backfill, wherever the daemon or a run is killed."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import requests

from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.home import History, Home, Replay, make_home
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.transaction import Side, Transaction
from marketdata_pipeline.ingest.events import Events
from marketdata_pipeline.ingest.queue import Queue
from marketdata_pipeline.ingest.track import Keeping
from marketdata_pipeline_tests.deploy import crashing
from marketdata_pipeline_tests.deploy.server import Server, own_server
from marketdata_pipeline_tests.deploy.stack import Stack, stack

pytestmark = pytest.mark.proof
START = datetime(2013, 2, 15, 21, 30, tzinfo=UTC)
BOUGHT = datetime(2012, 2, 1, 15, tzinfo=UTC)
SOON = {"MARKETDATA_QUEUE_LEASE": "5", "MARKETDATA_TIMEFRAMES": "1d,1wk"}
_NUMBERS = count()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with own_server() as made:
        yield made


@pytest.fixture(scope="module")
def home(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder, url = tmp_path_factory.mktemp("crashes") / "home", server.database("marketdata")
    replay = Replay(History.SYNTHETIC, START, seed=5)
    with make_home(folder, database_url=url, replay=replay) as made:
        yield made


@pytest.fixture(scope="module")
def running(server: Server, home: Home) -> Iterator[Stack]:
    """One stack for all tests: starting it takes half a minute."""
    logs = home.folder.parent / "logs"
    with stack(home, server.database("dagster"), logs, settings=SOON) as made:
        yield made


@pytest.fixture
def bought(home: Home) -> Callable[[], Instrument]:
    """Buys an instrument that nobody knows yet, by its row alone."""
    events = Events(home.engine, home.clock, Keeping())

    def buy() -> Instrument:
        number = next(_NUMBERS)
        one = Instrument.parse(f"CR{chr(65 + number)}SH")
        assert events.record([Transaction(f"c{number}", "main", one.key, Side.BUY, 1, BOUGHT)])
        return one

    return buy


def wait_for(done: Callable[[], Any], seconds: float = 90.0) -> Any:
    """What ``done`` says, once that is true."""
    clock = SystemClock()
    until = clock.wall_now() + timedelta(seconds=seconds)
    while clock.wall_now() < until:
        said = done()
        if said:
            return said
        clock.sleep(0.1)
    raise AssertionError(f"not within {seconds} s")


def _rows(home: Home, one: Instrument) -> list[Mapping[str, Any]]:
    with reading(home.engine) as connection:
        said = "SELECT * FROM backfill_queue WHERE instrument = %(one)s ORDER BY id"
        return [dict(row) for row in connection.exec_driver_sql(said, {"one": one.key}).mappings()]


def _stored(home: Home, one: Instrument) -> int:
    with reading(home.engine) as connection:
        said = "SELECT coalesce(sum(rows), 0) FROM series WHERE key LIKE %(one)s"
        return int(connection.exec_driver_sql(said, {"one": f"{one}|%"}).scalar_one())


def _requests(home: Home, one: Instrument) -> int:
    with reading(home.engine) as connection:
        said = "SELECT count(*) FROM requests WHERE series LIKE %(one)s AND ending = 'answered'"
        return int(connection.exec_driver_sql(said, {"one": f"{one}|%"}).scalar_one())


def _completed_once(home: Home, one: Instrument) -> Mapping[str, Any]:
    """The only row of an instrument, completed; its days and weeks are stored."""
    wait_for(lambda: [row["status"] for row in _rows(home, one)] == ["completed"])
    (row,) = _rows(home, one)
    assert row["attempts"] == 0
    assert _stored(home, one) > 500
    return row


def _kill_runs(running: Stack) -> None:
    workers = [one for one in running.parts["code-server"].members() if "spawn" in one.command]
    assert workers
    for one in workers:
        os.kill(one.pid, signal.SIGKILL)


@pytest.mark.parametrize("point", crashing.POINTS)
def test_the_daemon_dies_in_a_tick_and_the_next_one_goes_on(
    running: Stack, home: Home, bought: Callable[[], Instrument], tmp_path: Path, point: str
) -> None:
    daemon, armed = running.parts["daemon"], tmp_path / "armed"
    whole = daemon.command
    daemon.stop()
    daemon.command = [sys.executable, crashing.__file__, point, str(armed), *whole[1:]]
    try:
        daemon.start()
        armed.touch()
        one = bought()
        wait_for(lambda: not daemon.running)
        assert not armed.exists()
    finally:
        daemon.command = whole
        daemon.kill()
        daemon.start()
    _completed_once(home, one)


def test_a_run_that_is_killed_in_the_middle_of_a_request_is_begun_again(
    running: Stack, home: Home, bought: Callable[[], Instrument]
) -> None:
    port = running.environment["MARKETDATA_SIMULATOR_PORT"]
    url = f"http://127.0.0.1:{port}/simulator/faults"
    assert requests.post(url, json=[{"kind": "slow", "seconds": 8}], timeout=5).ok
    one = bought()
    wait_for(lambda: _rows(home, one) and _rows(home, one)[0]["status"] == "in_progress")
    SystemClock().sleep(1.0)
    assert _stored(home, one) == 0
    _kill_runs(running)
    assert requests.delete(url, timeout=5).ok
    assert _completed_once(home, one)["launch"] >= 1


def test_a_run_that_is_killed_between_storing_and_saying_so_is_done_without_another_request(
    running: Stack, home: Home, bought: Callable[[], Instrument]
) -> None:
    url = home.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with closing(psycopg2.connect(url)) as other, other.cursor() as held:
        one = bought()
        wait_for(lambda: _rows(home, one) and _rows(home, one)[0]["status"] == "in_progress")
        held.execute("SELECT id FROM backfill_queue WHERE instrument = %s FOR UPDATE", [one.key])
        wait_for(lambda: _stored(home, one) > 500)
        SystemClock().sleep(1.0)
        asked = _requests(home, one)
        _kill_runs(running)
    assert _completed_once(home, one)["launch"] >= 1
    assert _requests(home, one) == asked


def test_all_services_are_killed_at_once_in_the_middle_of_several_backfills(
    running: Stack, home: Home, bought: Callable[[], Instrument]
) -> None:
    some = [bought() for _ in range(4)]
    wait_for(lambda: any(_rows(home, one) for one in some))
    SystemClock().sleep(4.0)
    running.kill("daemon", "code-server", "webserver")
    running.start("code-server", "webserver", "daemon")
    for one in some:
        _completed_once(home, one)


@pytest.mark.usefixtures("running")
def test_postgres_crashes_in_the_middle_of_backfills_and_all_of_them_are_completed(
    server: Server, home: Home, bought: Callable[[], Instrument]
) -> None:
    some = [bought() for _ in range(4)]
    wait_for(lambda: any(_rows(home, one) for one in some))
    SystemClock().sleep(3.0)
    server.crash()
    SystemClock().sleep(1.0)
    server.start()
    home.engine.dispose()
    for one in some:
        _completed_once(home, one)
    assert Queue(home.engine, home.clock).rows(at_most=1)
