"""How the queue stands: what waits for what, how fast it is done, what needs a person.

Not here: its rows (store.backfills) and what is done with them (ingest.queue).
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Engine

from marketdata_pipeline.domain.backfill import Status
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.store.backlog import Backlog, read_backlog

NAMED = 20
"""Failed rows, and unresolved ones, that are told of one by one."""


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """The numbers of the queue.

    Attributes:
        next_at: wall instant from which on a row may be begun, over or not; None: none waits.
        limited_until: the same of those that wait for a provider's turn.
        unresolved: rows whose symbol no provider knows; ``symbols`` are the first of them.
        done: completed in the last hour; ``took``: their mean time in the queue.
    """

    pending: int = 0
    in_progress: int = 0
    rate_limited: int = 0
    completed: int = 0
    failed: int = 0
    next_at: datetime | None = None
    limited_until: datetime | None = None
    unresolved: int = 0
    symbols: tuple[str, ...] = field(default=())
    done: int = 0
    took: timedelta | None = None

    @property
    def at_rest(self) -> bool:
        """Nothing waits, is under way or needs a person."""
        return not (self.pending or self.in_progress or self.rate_limited or self.failed)


def read_queue(engine: Engine, clock: Clock, *, named: int = NAMED) -> Backlog:
    """The queue of a home in a constant number of queries.

    Raises:
        StoreError: the catalog is unreadable.
    """
    return read_backlog(engine, clock, named=named)


def queue_status(backlog: Backlog) -> QueueStatus:
    """The numbers that a queue comes to."""
    rows = {one.status: one.rows for one in backlog.standings}
    waiting = {one.status: one.next_at for one in backlog.standings if one.next_at is not None}
    return QueueStatus(
        **{one.value: rows.get(one, 0) for one in Status},
        next_at=min(waiting.values(), default=None),
        limited_until=waiting.get(Status.RATE_LIMITED),
        unresolved=sum(one.unresolved for one in backlog.standings),
        symbols=tuple(dict.fromkeys(str(one.instrument) for one in backlog.unresolved)),
        done=backlog.done,
        took=backlog.took,
    )
