"""What should have happened by now: transactions that nobody has processed.

Not here: processing them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from marketdata_pipeline.database.dialect import wall_micros
from marketdata_pipeline.database.happening import transactions as table
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.ranges import MICROSECOND, from_micros


@dataclass(frozen=True, slots=True)
class Overdue:
    """So many transactions, the oldest of which was recorded at the wall instant ``since``."""

    transactions: int
    since: datetime


def transactions(connection: Connection, clock: Clock, after: timedelta) -> Overdue | None:
    """Those that were recorded longer ago than that and are not processed; None: there are none."""
    until = wall_micros(connection, clock) - after // MICROSECOND
    wanted = select(func.count(), func.min(table.c.recorded_at)).where(
        table.c.processed_at.is_(None), table.c.recorded_at < until
    )
    number, since = connection.execute(wanted).one()
    return Overdue(int(number), from_micros(since)) if number else None
