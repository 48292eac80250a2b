"""Making a whole write transaction again when the catalog was busy.

Not here: judging again after a stale version; only the caller can do that.
"""

import random
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine

from marketdata_pipeline.database.engine import Busy, writing
from marketdata_pipeline.domain.clock import Clock

ATTEMPTS = 6
_FIRST_WAIT = 0.02
_T = TypeVar("_T")


def write(engine: Engine, clock: Clock, work: Callable[[Connection], _T]) -> _T:
    """What ``work`` returns, done in one transaction that is made again while it finds Busy.

    At most six attempts; the waits between them double from 20 ms and are jittered, so that
    writers that collided once do not meet again.

    Raises:
        Busy: each attempt was in somebody's way; nothing was written.
        StoreError: the catalog is unreachable or refuses the write.
    """
    for attempt in range(ATTEMPTS - 1):
        try:
            with writing(engine) as connection:
                return work(connection)
        except Busy:
            clock.sleep(_FIRST_WAIT * 2**attempt * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
    with writing(engine) as connection:
        return work(connection)
