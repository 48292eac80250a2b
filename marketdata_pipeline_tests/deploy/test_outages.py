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


def _all_completed(queue: Queue, seconds: float) -> None:
    """Wait until each row is; none of them failed by its own fault on the way."""
    try:
        wait_for(lambda: set(_statuses(queue)) == {Status.COMPLETED}, seconds)
    except AssertionError as error:
        told = [(one.id, str(one.status), one.setbacks, one.launch, one.retry_after.time(),
                 one.error_message) for one in queue.rows()]  # fmt: skip
        raise AssertionError(f"at {datetime.now(UTC).time()}: {told}") from error
    assert {one.attempts for one in queue.rows()} == {0}


def _faults(services: Stack, *faults: dict[str, Any]) -> None:
    """Have these and no others."""
    port = services.environment["MARKETDATA_SIMULATOR_PORT"]
    url = f"http://127.0.0.1:{port}/simulator/faults"
    assert requests.delete(url, timeout=5).ok
    assert requests.post(url, json=list(faults), timeout=5).ok


def test_an_outage_amid_backfills_delays_them_and_fails_none(
    server: Server, tmp_path: Path
) -> None:
    with _running(server, tmp_path) as (home, services):
        _faults(services, {"kind": "slow", "seconds": 1})
        queue = _want(home, STOCKS)
        wait_for(lambda: Status.IN_PROGRESS in _statuses(queue))
        _faults(services, {"kind": "status", "status": 503})
        wait_for(lambda: any(one.launch and one.error_category for one in queue.rows()), 30)
        SystemClock().sleep(8)
        assert set(_statuses(queue)) != {Status.COMPLETED}
        assert {one.attempts for one in queue.rows()} == {0}
        assert any(one.setbacks or one.status is Status.RATE_LIMITED for one in queue.rows())
        _faults(services)
        _all_completed(queue, 60)


def test_postgres_away_for_longer_than_a_lease_amid_backfills_fails_none(
    server: Server, tmp_path: Path
) -> None:
    with _running(server, tmp_path, MARKETDATA_QUEUE_LEASE="3") as (home, services):
        _faults(services, {"kind": "slow", "seconds": 2})
        queue = _want(home, STOCKS)
        wait_for(lambda: Status.IN_PROGRESS in _statuses(queue))
        server.stop()
        SystemClock().sleep(8)
        server.start()
        home.engine.dispose()
        services.start()  # what ended with it, as systemd would
        _faults(services)
        _all_completed(queue, 60)


def test_a_quota_of_a_few_a_day_spreads_backfills_over_days_and_fails_none(
    server: Server, tmp_path: Path
) -> None:
    """A day takes 10 s here: five requests in it, for seven stocks.

    A run takes ten seconds to begin, so that it waits for a turn instead of going back.
    """
    patient = {"MARKETDATA_QUEUE_TURN_WAIT": "3"}
    with _running(server, tmp_path, ("--quota", "5/10"), **patient) as (home, _):
        queue = _want(home, STOCKS[:7])
        wait_for(lambda: Status.RATE_LIMITED in _statuses(queue))
        waiting = next(one for one in queue.rows([Status.RATE_LIMITED]))
        assert waiting.error_category in {"rate_limited", "circuit_open"}
        _all_completed(queue, 55)
