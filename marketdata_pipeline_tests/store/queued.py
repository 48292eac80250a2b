"""What tests of the queue share: wishes, and time that passes on both databases.

Not here: any test.
"""

from datetime import datetime, timedelta

from sqlalchemy import Engine, select, update

from marketdata_pipeline.database.dialect import wall_micros
from marketdata_pipeline.database.engine import reading, writing
from marketdata_pipeline.database.happening import backfill_queue
from marketdata_pipeline.domain.backfill import Backfill
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import MICROSECOND, from_micros
from marketdata_pipeline.store.backfills import Wanted, backfill_of
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.store.writes import START

_ROW = backfill_queue.c
_INSTANTS = ("retry_after", "asked_at", "lease_until", "created_at", "updated_at", "completed_at")


def pass_time(engine: Engine, clock: FrozenClock, by: timedelta) -> None:
    """Let wall time pass; where it is the database's, its rows grow older instead."""
    if engine.dialect.name == "sqlite":
        clock.advance(by)
        return
    with writing(engine) as connection:
        older = {name: _ROW[name] - by // MICROSECOND for name in _INSTANTS}
        connection.execute(update(backfill_queue).values(**older))


def now_of(engine: Engine, clock: FrozenClock) -> datetime:
    """The wall instant that the rows are told by."""
    with reading(engine) as connection:
        return from_micros(wall_micros(connection, clock))


def all_rows(engine: Engine) -> list[Backfill]:
    """Every row of the queue, in the order in which they came."""
    with reading(engine) as connection:
        found = connection.execute(select(backfill_queue).order_by(_ROW.id))
        return [backfill_of(row) for row in found]


def day(number: int) -> datetime:
    """So many days after the first bar of the tests' instruments."""
    return START + timedelta(days=number)


def many(count: int, wish: Wanted) -> list[Wanted]:
    """The same wish for so many instruments."""
    return [
        Wanted(Instrument(f"I{number}"), wish.timeframes, wish.start, wish.end, wish.priority)
        for number in range(count)
    ]
