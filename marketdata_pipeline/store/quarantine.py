"""The quarantine in the catalog: parts of replies with their bars, held, released or dropped.

Not here: what makes a part suspect (quality), and storing what is released (ingest). A part goes
in within the transaction of the reply that it came with, so that coverage and quarantine agree.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import date
from fractions import Fraction
from typing import Any

from sqlalchemy import Connection, Engine, Row, and_, bindparam, func, insert, or_, select, update

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.dialect import wall_micros
from marketdata_pipeline.database.doubting import quarantine
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.bars import empty, frame, labels_of
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.quarantine import (
    ANSWERED_SINCE,
    Decision,
    Kept,
    Quarantined,
    QuarantineStatus,
    Suspect,
)
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import StoreError
from marketdata_pipeline.store.checksums import Damaged, checksum, verify
from marketdata_pipeline.store.codec import rows_of
from marketdata_pipeline.store.packed import Packed, pack
from marketdata_pipeline.store.write import Fetch, Write

_AnyRow = Row[*tuple[Any, ...]]
_ROWS = select(series_table.c.key, quarantine).join_from(quarantine, series_table)
_ROWS = _ROWS.order_by(quarantine.c.id)
_OF_SERIES = _ROWS.where(series_table.c.key == bindparam("key"))
_NEAR = or_(
    quarantine.c.first_ts.is_(None),
    and_(quarantine.c.first_ts < bindparam("end"), quarantine.c.last_ts >= bindparam("start")),
)
_HELD = quarantine.c.status == QuarantineStatus.HELD.value
_KNOWN = select(quarantine.c.id, quarantine.c.decided_why).where(
    quarantine.c.fingerprint == bindparam("print")
)
_INSERT = insert(quarantine)
_AGAIN = (
    update(quarantine)
    .where(quarantine.c.id == bindparam("known"))
    .values(times=quarantine.c.times + 1, seen_at=bindparam("now"))
)
_REOPEN = (
    update(quarantine)
    .where(quarantine.c.id == bindparam("known"))
    .values(status=QuarantineStatus.HELD.value, decided_at=None, decided_why=None)
)


class Quarantine:
    """The quarantine table in the catalog behind ``engine``."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def rows(self, *, decided: bool = False) -> list[Quarantined]:
        """What is held, oldest first; ``decided``: and what was released or dropped."""
        with reading(self._engine) as connection:
            wanted = _ROWS if decided else _ROWS.where(_HELD)
            return [_value(row) for row in connection.execute(wanted)]

    def held(self) -> int:
        """How many parts nobody has judged yet."""
        with reading(self._engine) as connection:
            return held(connection)

    def get(self, number: int) -> Kept | None:
        """One part with its bars; None: there is none of that id.

        Raises:
            StoreError: its bars are damaged.
        """
        with reading(self._engine) as connection:
            row = connection.execute(_ROWS.where(quarantine.c.id == number)).first()
        return None if row is None else _kept(row)

    def decide(self, decision: Decision) -> bool:
        """Note what was decided of a part; False: it was decided meanwhile."""

        def note(connection: Connection) -> bool:
            return _decide(connection, decision, wall_micros(connection, self._clock))

        return retry.write(self._engine, self._clock, note)


def held(connection: Connection) -> int:
    """How many parts nobody has judged yet."""
    wanted = select(func.count()).select_from(quarantine).where(_HELD)
    return int(connection.execute(wanted).scalar_one())


def of_series(
    connection: Connection, series: Series, within: TimeRange | None = None
) -> list[Kept]:
    """What is or was in quarantine of a series, oldest first.

    ``within``: only what has bars with a label in it, or none at all; None: everything.

    Raises:
        StoreError: bars of it are damaged.
    """
    asked, wanted = {"key": str(series)}, _OF_SERIES
    if within is not None:
        bounds = {"start": to_micros(within.start), "end": to_micros(within.end)}
        return [_kept(row) for row in connection.execute(wanted.where(_NEAR), {**asked, **bounds})]
    return [_kept(row) for row in connection.execute(wanted, asked)]


def keep_apart(connection: Connection, write: Write, series_id: int, now: int) -> None:
    """Do to the quarantine what a write says, at ``now`` in wall microseconds.

    The series' row is locked by the caller, so that nobody else enters the same.
    """
    for suspect in write.apart.held:
        _hold(connection, suspect, (write.series, series_id), write.fetch, now)
    for number in write.apart.again:
        connection.execute(_AGAIN, {"known": number, "now": now})
    for decision in write.apart.decided:
        _decide(connection, decision, now)


def faults(connection: Connection, series: Series) -> Iterator[str]:
    """What is wrong with the quarantine of a series: bars that cannot be read, or are others."""
    for row in connection.execute(_OF_SERIES, {"key": str(series)}):
        try:
            kept = _kept(row)
        except StoreError as error:
            yield str(error)
            continue
        ends = [None if one is None else to_micros(one) for one in (kept.row.first, kept.row.last)]
        labels = labels_of(kept.bars).tolist()
        if (len(labels), *ends) != (row.rows, *(labels[:1] or [None]), *(labels[-1:] or [None])):
            yield f"quarantine {row.id} holds other bars than the catalog says"


def _hold(
    connection: Connection, suspect: Suspect, of: tuple[Series, int], fetch: Fetch, now: int
) -> None:
    """Keep a part apart; the same again is the same row, which waits again if nobody judged it."""
    series, series_id = of
    fingerprint = suspect.fingerprint(series)
    known = connection.execute(_KNOWN, {"print": fingerprint}).first()
    if known is None:
        row = _row(suspect, fetch) | {"series_id": series_id, "fingerprint": fingerprint}
        connection.execute(_INSERT, row | {"held_at": now, "seen_at": now})
        return
    connection.execute(_AGAIN, {"known": known.id, "now": now})
    if known.decided_why == ANSWERED_SINCE:
        connection.execute(_REOPEN, {"known": known.id})


def _decide(connection: Connection, decision: Decision, now: int) -> bool:
    """Whether it could be decided: a part is judged once, but what was dropped may be released."""
    mine, row = quarantine.c.id == decision.id, quarantine.c
    still = _HELD
    if decision.status is QuarantineStatus.RELEASED:
        still = or_(_HELD, row.status == QuarantineStatus.DROPPED.value)
    noted = {"decided_at": now, "decided_why": decision.why, "status": decision.status.value}
    return connection.execute(update(quarantine).where(mine, still).values(noted)).rowcount > 0


def _row(suspect: Suspect, fetch: Fetch) -> dict[str, object]:
    labels = labels_of(suspect.bars)
    data = pack(rows_of(suspect.bars, 0, 0)) if len(labels) else None
    return {
        "status": QuarantineStatus.HELD.value,
        "reason": suspect.finding.rule,
        "detail": suspect.finding.detail,
        "evidence": json.dumps(dict(suspect.finding.evidence), sort_keys=True),
        "times": 1,
        "provider": fetch.provider,
        "origin": fetch.origin,
        "window_start": to_micros(fetch.window.start),
        "window_end": to_micros(fetch.window.end),
        "currency": suspect.currency,
        "market_at": to_micros(fetch.market_at),
        "fetched_at": to_micros(fetch.fetched_at),
        "run_id": fetch.run_id,
        "rows": len(labels),
        "first_ts": int(labels[0]) if len(labels) else None,
        "last_ts": int(labels[-1]) if len(labels) else None,
        "data": data,
        "checksum": None if data is None else checksum(data),
        "actions": json.dumps(
            [[str(one.ex_date), one.kind.value, str(one.value)] for one in suspect.actions]
        ),
    }


def _kept(row: _AnyRow) -> Kept:
    from pyarrow import ArrowException

    if row.data is None:
        return Kept(_value(row), empty())
    try:
        verify(row.data, row.checksum)
        rows = Packed(row.data, 0, 0).within(None)
    except Damaged as error:
        raise StoreError(
            f"{row.key}: quarantine {row.id} is damaged: its checksum differs from the "
            "catalog's; docs/recover.md says what to do"
        ) from error
    except (ArrowException, OSError, KeyError, ValueError) as error:
        raise StoreError(f"{row.key}: quarantine {row.id} cannot be read: {error}") from error
    return Kept(_value(row), frame(rows.ts, rows.columns))


def _value(row: _AnyRow) -> Quarantined:
    return Quarantined(
        id=int(row.id),
        series=Series.parse(row.key),
        status=QuarantineStatus(row.status),
        reason=row.reason,
        detail=row.detail,
        evidence=json.loads(row.evidence),
        fingerprint=row.fingerprint,
        times=int(row.times),
        provider=row.provider,
        origin=row.origin,
        window=TimeRange(from_micros(row.window_start), from_micros(row.window_end)),
        currency=row.currency,
        market_at=from_micros(row.market_at),
        fetched_at=from_micros(row.fetched_at),
        run_id=row.run_id,
        rows=int(row.rows),
        first=None if row.first_ts is None else from_micros(row.first_ts),
        last=None if row.last_ts is None else from_micros(row.last_ts),
        actions=_actions(json.loads(row.actions)),
        held_at=from_micros(row.held_at),
        seen_at=from_micros(row.seen_at),
        decided_at=None if row.decided_at is None else from_micros(row.decided_at),
        decided_why=row.decided_why,
    )


def _actions(told: Sequence[Sequence[str]]) -> tuple[Action, ...]:
    return tuple(
        Action(date.fromisoformat(day), ActionKind(kind), Fraction(value))
        for day, kind, value in told
    )
