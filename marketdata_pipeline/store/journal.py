"""The restatement journal: what a final bar was before it was changed, by which fetch, and why.

Not here: deciding that a final bar is to be changed (the writer).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, Select, bindparam, insert, select

from marketdata_pipeline.database.metadata import restatements
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.bars import COLUMNS
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import ContractViolation
from marketdata_pipeline.store.codec import Rows
from marketdata_pipeline.store.write import State

_INSERT = insert(restatements)
_OF_SERIES = (
    select(restatements)
    .join_from(restatements, series_table)
    .where(series_table.c.key == bindparam("key"))
    .order_by(restatements.c.id)
)
_IN_RANGE = (restatements.c.ts >= bindparam("start"), restatements.c.ts < bindparam("end"))


@dataclass(frozen=True, slots=True)
class Restatement:
    """A final bar that was changed.

    Attributes:
        ts: its label.
        old, new: open, high, low, close and volume, before and after.
        old_fetch, new_fetch: the ids of the fetches that they came from.
        reason: why, in the writer's words.
        recorded_at: wall instant of the transaction that changed it.
    """

    ts: datetime
    old: tuple[float, ...]
    new: tuple[float, ...]
    old_fetch: int
    new_fetch: int
    reason: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """Final bars that a write changes, before and after, label by label."""

    old: Rows
    new: Rows
    reason: str


def against_finals(
    series: Series, stored: Rows, fresh: Rows, reason: str | None
) -> tuple[Rows, Change | None]:
    """What is left of ``fresh`` to be written, and what it changes of the final bars stored.

    A final bar that is given again as it is stays with its fetch: it is left out.

    Raises:
        ContractViolation: final bars change, but no reason is given; or one would become
            provisional.
    """
    _, ours, theirs = np.intersect1d(stored.ts, fresh.ts, return_indices=True)
    final = stored.state[ours] == State.FINAL
    if not final.any():
        return fresh, None
    old, new = stored.where(ours[final]), fresh.where(theirs[final])
    if (new.state != State.FINAL).any():
        raise ContractViolation(f"{series}: a final bar never becomes provisional; leave it out")
    differs = np.zeros(len(old.ts), dtype=bool)
    for name in COLUMNS:
        differs |= old.columns[name] != new.columns[name]
    left = fresh.where(~np.isin(fresh.ts, old.ts[~differs]))
    if not differs.any():
        return left, None
    if not reason:
        raise ContractViolation(
            f"{series}: {np.count_nonzero(differs)} final bars would change, the first at "
            f"{from_micros(int(old.ts[differs][0]))}; a restatement needs a reason"
        )
    return left, Change(old.where(differs), new.where(differs), reason)


def record(connection: Connection, change: Change, series_id: int, fetch_id: int, now: int) -> None:
    """Enter each bar of a change, which ``fetch_id`` made at ``now`` in wall microseconds."""
    rows = [
        {
            "series_id": series_id,
            "ts": int(change.old.ts[row]),
            "old_fetch_id": int(change.old.fetch_id[row]),
            "new_fetch_id": fetch_id,
            **{f"old_{name}": float(change.old.columns[name][row]) for name in COLUMNS},
            **{f"new_{name}": float(change.new.columns[name][row]) for name in COLUMNS},
            "reason": change.reason,
            "recorded_at": now,
        }
        for row in range(len(change.old.ts))
    ]
    connection.execute(_INSERT, rows)


def restatements_of(
    connection: Connection, series: Series, within: TimeRange | None
) -> list[Restatement]:
    """The changes of a series' final bars with a label in ``within`` (None: all), oldest first."""
    return [_value(row) for row in connection.execute(*_asked(series, within))]


def replaced_finals(connection: Connection, series: Series, within: TimeRange | None) -> Rows:
    """What final bars were before they were changed, one row for each change, oldest first."""
    found = connection.execute(*_asked(series, within)).all()
    return Rows(
        np.array([row.ts for row in found], dtype=np.int64),
        {name: np.array([getattr(row, f"old_{name}") for row in found]) for name in COLUMNS},
        np.array([row.old_fetch_id for row in found], dtype=np.int32),
        np.full(len(found), State.FINAL, dtype=np.int8),
    )


def _asked(
    series: Series, within: TimeRange | None
) -> tuple[Select[*tuple[Any, ...]], dict[str, object]]:
    if within is None:
        return _OF_SERIES, {"key": str(series)}
    bounds = {"start": to_micros(within.start), "end": to_micros(within.end)}
    return _OF_SERIES.where(*_IN_RANGE), {"key": str(series), **bounds}


def _value(row: Row[*tuple[Any, ...]]) -> Restatement:
    return Restatement(
        ts=from_micros(row.ts),
        old=tuple(getattr(row, f"old_{name}") for name in COLUMNS),
        new=tuple(getattr(row, f"new_{name}") for name in COLUMNS),
        old_fetch=row.old_fetch_id,
        new_fetch=row.new_fetch_id,
        reason=row.reason,
        recorded_at=from_micros(row.recorded_at),
    )
