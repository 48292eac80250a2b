"""What should have happened by now, and what the queue gave up."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine, insert, update

from marketdata_pipeline.database.dialect import wall_micros
from marketdata_pipeline.database.engine import reading, writing
from marketdata_pipeline.database.happening import backfill_queue, transactions
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import MICROSECOND, from_micros
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.store import backfills, overdue
from marketdata_pipeline.store.backfills import Wanted
from marketdata_pipeline.store.overdue import Overdue
from marketdata_pipeline_tests.fakes import FrozenClock

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def record(engine: Engine, clock: FrozenClock, *ages: timedelta, processed: bool = False) -> int:
    """Transactions recorded so long ago; the instant of now."""
    with writing(engine) as connection:
        now = wall_micros(connection, clock)
        at = [now - age // MICROSECOND for age in ages]
        rows = [
            {
                "external_id": f"{one} {processed}", "portfolio": "p", "instrument": "AAPL",
                "side": "buy", "quantity": 1.0, "executed_at": one, "recorded_at": one,
                "processed_at": now if processed else None,
            }
            for one in at
        ]  # fmt: skip
        connection.execute(insert(transactions), rows)
    return now


def test_transactions_that_wait_for_too_long_are_overdue(
    engine: Engine, clock: FrozenClock
) -> None:
    record(engine, clock, DAY, processed=True)
    record(engine, clock, 4 * MINUTE)
    with reading(engine) as connection:
        assert overdue.transactions(connection, clock, 5 * MINUTE) is None
    now = record(engine, clock, 7 * MINUTE, 9 * MINUTE)
    with reading(engine) as connection:
        found = overdue.transactions(connection, clock, 5 * MINUTE)
    assert found == Overdue(2, from_micros(now) - 9 * MINUTE)


@pytest.mark.parametrize(
    ("status", "age", "given_up"),
    [("failed", 23, True), ("failed", 25, False), ("pending", 1, False)],
)
def test_what_was_given_up_lately(
    engine: Engine, clock: FrozenClock, status: str, age: int, *, given_up: bool
) -> None:
    instrument = Instrument("AAPL")
    with writing(engine) as connection:
        backfills.add_all(connection, clock, [Wanted(instrument, (Timeframe.D1,))])
        at = wall_micros(connection, clock) - timedelta(hours=age) // MICROSECOND
        connection.execute(update(backfill_queue).values(status=status, updated_at=at))
    with reading(engine) as connection:
        assert backfills.given_up(connection, clock, ["AAPL", "IBM"], DAY) == (
            {"AAPL"} if given_up else set()
        )
        assert backfills.given_up(connection, clock, ["IBM"], DAY) == set()
