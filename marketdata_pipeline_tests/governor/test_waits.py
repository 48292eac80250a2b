"""The tally of waits, and that a gate feeds it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from marketdata_pipeline.database.engine import open_engine
from marketdata_pipeline.database.migrate import upgrade
from marketdata_pipeline.domain.errand import Errand, Priority
from marketdata_pipeline.domain.gate import Limits, RateLimit
from marketdata_pipeline.errors import RateLimited
from marketdata_pipeline.governor.governor import Governor
from marketdata_pipeline.governor.waits import Waits
from marketdata_pipeline_tests.fakes import FrozenClock

URGENT = Errand(Priority.URGENT)


def a_minute(requests: int) -> Limits:
    return Limits((RateLimit(requests, timedelta(minutes=1), burst=requests),))


@pytest.fixture
def governor(tmp_path: Path) -> Iterator[Governor]:
    engine = open_engine(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    upgrade(engine)
    yield Governor(engine, FrozenClock())
    engine.dispose()


def test_a_gate_tells_the_tally_how_long_its_requests_waited(governor: Governor) -> None:
    governor.register("yahoo", a_minute(2))
    waits = Waits()
    gate = governor.gate("yahoo", max_wait=timedelta(hours=1), waiting=waits.add)
    for _ in range(2):
        gate.turn(URGENT)
    assert (waits.count, waits.seconds) == (0, 0.0)
    gate.turn(URGENT)
    assert waits.count == 1
    assert waits.seconds == pytest.approx(60, abs=0.1)


def test_a_turn_that_is_too_far_away_is_no_wait(governor: Governor) -> None:
    governor.register("yahoo", a_minute(1))
    waits = Waits()
    gate = governor.gate("yahoo", max_wait=timedelta(0), waiting=waits.add)
    gate.turn(URGENT)
    with pytest.raises(RateLimited):
        gate.turn(URGENT)
    assert waits.count == 0


def test_threads_that_wait_at_once_are_all_counted() -> None:
    waits = Waits()
    with ThreadPoolExecutor(4) as pool:
        for _ in range(4000):
            pool.submit(waits.add, 0.5)
    assert (waits.count, waits.seconds) == (4000, 2000.0)
