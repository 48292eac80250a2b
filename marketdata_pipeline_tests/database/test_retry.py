from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.engine import Busy, open_engine, writing
from marketdata_pipeline_tests.fakes import FrozenClock


@dataclass
class Interrupting(FrozenClock):
    """Does something while the caller sleeps."""

    on_sleep: Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.on_sleep()


def one(connection: Connection) -> int:
    return int(connection.execute(text("SELECT 1")).scalar_one())


def test_a_busy_catalog_is_tried_six_times_with_growing_waits(tmp_path: Path) -> None:
    url, clock = f"sqlite:///{tmp_path}/catalog.sqlite?timeout=0.01", FrozenClock()
    holder, engine = open_engine(url), open_engine(url)
    with writing(holder), pytest.raises(Busy):
        retry.write(engine, clock, one)
    assert len(clock.slept) == retry.ATTEMPTS - 1
    for turn, slept in enumerate(clock.slept):
        assert 0.01 * 2**turn <= slept <= 0.03 * 2**turn
    holder.dispose()
    engine.dispose()


def test_once_the_lock_is_free_the_whole_transaction_is_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/catalog.sqlite?timeout=0.01"
    holder, engine = open_engine(url), open_engine(url)
    held = holder.connect().execution_options(catalog_writes=True)
    transaction = held.begin()

    def release() -> None:
        transaction.close()
        held.close()

    clock = Interrupting(on_sleep=release)
    assert retry.write(engine, clock, one) == 1
    assert len(clock.slept) == 1
    holder.dispose()
    engine.dispose()


def test_an_error_of_the_work_itself_is_not_tried_again(tmp_path: Path) -> None:
    engine, clock = open_engine(f"sqlite:///{tmp_path}/catalog.sqlite"), FrozenClock()
    calls: list[int] = []

    def work(_connection: Connection) -> None:
        calls.append(1)
        raise KeyError

    with pytest.raises(KeyError):
        retry.write(engine, clock, work)
    assert (calls, clock.slept) == ([1], [])
    engine.dispose()


def test_a_deadlock_on_postgres_costs_the_loser_one_more_attempt(postgres_url: str) -> None:
    engine, clock = open_engine(postgres_url), FrozenClock()
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE pair (id integer PRIMARY KEY, hits integer)"))
        connection.execute(text("INSERT INTO pair VALUES (1, 0), (2, 0)"))
    tries: list[int] = []

    def raise_busy_once(connection: Connection) -> None:
        tries.append(1)
        connection.execute(text("UPDATE pair SET hits = hits + 1 WHERE id = 1"))
        if len(tries) == 1:
            connection.execute(text("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$"))

    retry.write(engine, clock, raise_busy_once)
    with writing(engine) as connection:
        assert connection.execute(text("SELECT hits FROM pair WHERE id = 1")).scalar_one() == 1
    assert (len(tries), len(clock.slept)) == (2, 1)
    engine.dispose()
