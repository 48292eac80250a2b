"""The log of requests: one row for each that was sent, and how it ended.

Not here: what the rows say of a provider (health), and when one is written (governor).
"""

from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, insert, select

from marketdata_pipeline.database.governing import requests
from marketdata_pipeline.domain.gate import Attempt, Effect, Ending, Turn
from marketdata_pipeline.domain.ranges import MICROSECOND

_ROW = requests.c
_RECORD = insert(requests).inline()  # nobody asks for the id, so Postgres need not return it


def record(connection: Connection, turn: Turn, attempt: Attempt, ended_at: int) -> None:
    """Write down how the request of a turn ended, in the caller's transaction.

    ``ended_at`` is the wall instant in microseconds.
    """
    errand = turn.errand
    row = {
        "key": turn.key,
        "series": None if turn.series is None else str(turn.series),
        "priority": str(errand.priority),
        "attempt": errand.attempt,
        "run_id": errand.run_id,
        "ending": str(attempt.ending),
        "status": attempt.status,
        "ended_at": ended_at,
        "took": max(0, attempt.took // MICROSECOND),
    }
    connection.execute(_RECORD, row)


def failed_of_last(connection: Connection, key: str, most: int) -> tuple[int, int]:
    """How many requests of a key are known, up to ``most``, and how many of these failed."""
    found = connection.execute(_newest_endings(), {"of": key, "most": most}).scalars().all()
    bad = [one for one in found if Ending(one).effect in _BAD]
    return len(found), len(bad)


def newest_ending(connection: Connection, key: str) -> Ending | None:
    """How the newest request of a key ended that was not abandoned; None: there is none."""
    found = connection.execute(_newest_ending(), {"of": key}).scalar()
    return None if found is None else Ending(found)


_BAD = frozenset({Effect.FAILED, Effect.REFUSED, Effect.BLOCKED})


@cache
def _newest_ending() -> Select[Any]:
    known = _ROW.ending != str(Ending.ABANDONED)
    of_key = select(_ROW.ending).where(_ROW.key == bindparam("of"), known)
    return of_key.order_by(_ROW.id.desc()).limit(1)


@cache
def _newest_endings() -> Select[Any]:
    of_key = select(_ROW.ending).where(_ROW.key == bindparam("of"))
    return of_key.order_by(_ROW.id.desc()).limit(bindparam("most"))
