"""What passes fails no backfill for good: an outage, Postgres away, a quota of a few a day."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from marketdata_pipeline.database.home import History, Home, Replay, make_home
from marketdata_pipeline.domain.backfill import Status
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.ingest.queue import Queue
from marketdata_pipeline.store.backfills import Wanted
from marketdata_pipeline_tests.deploy.server import Server, own_server
from marketdata_pipeline_tests.deploy.stack import Stack, stack
from marketdata_pipeline_tests.deploy.test_crashes import wait_for

pytestmark = pytest.mark.proof
START = datetime(2013, 2, 15, 21, 30, tzinfo=UTC)
SCALED = {
    "MARKETDATA_QUEUE_LEASE": "5",
    "MARKETDATA_SETBACK_WAIT": "5",
    "MARKETDATA_BREAKER_OPEN": "5",
    "MARKETDATA_RETRY_WAITS": "0.1,0.2",
    "MARKETDATA_COOLDOWN": "1",
    "MARKETDATA_COOLDOWN_LONGEST": "5",
    "MARKETDATA_QUEUE_TURN_WAIT": "1",
}
"""A minute takes a second."""
STOCKS = [Instrument.parse(f"OUT{chr(65 + number)}") for number in range(12)]


@pytest.fixture
def server() -> Iterator[Server]:
    with own_server() as made:
        yield made


@contextmanager
def _running(
    server: Server, folder: Path, simulator: Sequence[str] = (), **settings: str
) -> Iterator[tuple[Home, Stack]]:
    replay = Replay(History.SYNTHETIC, START, seed=5)
    url = server.database("marketdata")
    with (
        make_home(folder / "home", database_url=url, replay=replay) as home,
        stack(
            home,
            server.database("dagster"),
            folder / "logs",
            settings=SCALED | settings,
            simulator=simulator,
        ) as services,
    ):
        yield home, services


def _want(home: Home, stocks: Sequence[Instrument]) -> Queue:
    queue = Queue(home.engine, home.clock)
    days = (Timeframe.D1,)
    queue.enqueue_all([Wanted(one, days, priority=Priority.HELD) for one in stocks])
    return queue


def _statuses(queue: Queue) -> list[Status]:
    return [one.status for one in queue.rows()]


def _faults(services: Stack, *faults: dict[str, Any]) -> None:
    port = services.environment["MARKETDATA_SIMULATOR_PORT"]
    url = f"http://127.0.0.1:{port}/simulator/faults"
    assert requests.post(url, json=list(faults), timeout=5).ok


def test_an_outage_of_half_an_hour_delays_all_and_fails_none(
    server: Server, tmp_path: Path
) -> None:
    with _running(server, tmp_path) as (home, services):
        _faults(services, {"kind": "status", "status": 503})
        queue = _want(home, STOCKS)
        SystemClock().sleep(30)
        assert Status.COMPLETED not in _statuses(queue)
        assert {one.attempts for one in queue.rows()} == {0}
        assert any(one.setbacks or one.status is Status.RATE_LIMITED for one in queue.rows())
        _faults(services)
        wait_for(lambda: set(_statuses(queue)) == {Status.COMPLETED}, 150)
        assert {one.attempts for one in queue.rows()} == {0}


def test_postgres_stopped_and_started_amid_backfills_fails_none(
    server: Server, tmp_path: Path
) -> None:
    with _running(server, tmp_path) as (home, services):
        _faults(services, {"kind": "slow", "seconds": 2})
        queue = _want(home, STOCKS)
        wait_for(lambda: Status.IN_PROGRESS in _statuses(queue))
        server.stop()
        SystemClock().sleep(3)
        server.start()
        home.engine.dispose()
        _faults(services)
        wait_for(lambda: set(_statuses(queue)) == {Status.COMPLETED}, 150)
        assert {one.attempts for one in queue.rows()} == {0}


def test_a_quota_of_a_few_a_day_spreads_backfills_over_days_and_fails_none(
    server: Server, tmp_path: Path
) -> None:
    """A day takes 15 s here: five requests in it, for twelve stocks."""
    with _running(server, tmp_path, ("--quota", "5/15")) as (home, _):
        queue = _want(home, STOCKS)
        wait_for(lambda: Status.RATE_LIMITED in _statuses(queue))
        waiting = next(one for one in queue.rows([Status.RATE_LIMITED]))
        assert waiting.error_category in {"rate_limited", "circuit_open"}
        wait_for(lambda: set(_statuses(queue)) == {Status.COMPLETED}, 200)
        assert {one.attempts for one in queue.rows()} == {0}
