"""The rows of alerts: what is open, what is over, what was told, and what nobody wants to hear.

Not here: what begins or ends and when it is told (alerts.deciding).
A mute is a row too: its key is ``mute:`` and what it keeps silent, ``retry_at`` is when it ends.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, and_, delete, func, insert, or_, select, update

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.dialect import insert_missing, one_of_ids, wall_micros
from marketdata_pipeline.database.doubting import alerts
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.domain.alert import Alert, Condition, Mute, Severity
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.ranges import from_micros, to_micros

KEPT: Final = timedelta(days=90)
"""How long what is over can still be looked at."""
_MUTE: Final = "mute"
_ROW = alerts.c
_IS_ALERT = _ROW.kind != _MUTE


@dataclass(frozen=True, slots=True)
class Ended:
    """An alert that is over: ``became`` says what came of it; ``silent``: nobody is told."""

    id: int
    became: str
    silent: bool


@dataclass(frozen=True, slots=True)
class Worth:
    """An open alert as its condition has it now; ``again``: it is to be told again."""

    id: int
    now: Condition
    again: bool


def unsettled(connection: Connection) -> list[Alert]:
    """Every alert that is open, or over without anybody being told; oldest first."""
    such = or_(_ROW.ended_at.is_(None), _ROW.ended_told_at.is_(None))
    found = select(alerts).where(_IS_ALERT, such).order_by(_ROW.id)
    return [_alert(row) for row in connection.execute(found)]


def latest(connection: Connection, at_most: int) -> list[Alert]:
    """The open alerts, then those that are over, so many in all; the newest first."""
    order = (_ROW.ended_at.is_(None).desc(), _ROW.raised_at.desc(), _ROW.id.desc())
    found = select(alerts).where(_IS_ALERT).order_by(*order).limit(at_most)
    return [_alert(row) for row in connection.execute(found)]


def mutes(connection: Connection, now: datetime) -> list[Mute]:
    """What is kept silent at a wall instant."""
    on = and_(_ROW.kind == _MUTE, _ROW.ended_at.is_(None), _ROW.retry_at > to_micros(now))
    rows = connection.execute(select(alerts).where(on).order_by(_ROW.key))
    return [
        Mute(row.key.removeprefix(f"{_MUTE}:"), from_micros(row.retry_at), row.body) for row in rows
    ]


def begin(connection: Connection, conditions: Sequence[Condition], now: datetime) -> None:
    """Enter what is so since now; what is open already, since somebody else looked, stays."""
    rows = [
        {**_told(one), "key": one.key, "kind": one.kind, "raised_at": to_micros(now), "attempts": 0}
        | {"seen_at": to_micros(now)}
        for one in conditions
    ]
    if rows:
        insert_missing(connection, alerts, *rows)


def change(connection: Connection, changed: Sequence[Worth], now: datetime) -> None:
    """Note how open alerts stand now; one that got worse is told again at once."""
    at = to_micros(now)
    for one in changed:
        again = {"attempts": 0, "retry_at": at} if one.again else {}
        row = update(alerts).where(_ROW.id == one.id, _ROW.ended_at.is_(None))
        connection.execute(row.values(**_told(one.now), kind=one.now.kind, seen_at=at, **again))


def end(connection: Connection, ended: Sequence[Ended], now: datetime) -> None:
    """Note what is over."""
    at = to_micros(now)
    for one in ended:
        values: dict[str, Any] = {"ended_at": at, "attempts": 0, "retry_at": None}
        values |= {"ended_told_at": at} if one.silent else {}
        values |= {"body": one.became} if one.became else {}
        row = update(alerts).where(_ROW.id == one.id, _ROW.ended_at.is_(None))
        connection.execute(row.values(**values))


def claim(connection: Connection, wanted: Sequence[Alert], until: Sequence[datetime]) -> list[int]:
    """Take what is to be sent, so that nobody else sends it before ``until``; the ids of it.

    Whoever dies while sending leaves it to be sent again after that instant.
    """
    ours = []
    for one, later in zip(wanted, until, strict=True):
        same = and_(_ROW.id == one.id, _ROW.attempts == one.attempts, _same_state(one))
        row = update(alerts).where(same)
        done = connection.execute(row.values(attempts=one.attempts + 1, retry_at=to_micros(later)))
        ours += [one.id] if done.rowcount else []
    return ours


def told(connection: Connection, begun: Collection[int], over: Collection[int], at: int) -> None:
    """Note that a receiver took the message of these."""
    for ids, column in ((begun, "told_at"), (over, "ended_told_at")):
        if ids:
            row = update(alerts).where(one_of_ids(connection, _ROW.id, ids))
            connection.execute(row.values({column: at, "attempts": 0, "retry_at": None}))
    if over:  # of what was never told while it was open, its end says all
        never = update(alerts).where(one_of_ids(connection, _ROW.id, over), _ROW.told_at.is_(None))
        connection.execute(never.values(told_at=at))


def prune(connection: Connection, now: datetime) -> None:
    """Remove what is over for longer than it is kept."""
    old = to_micros(now - KEPT)
    connection.execute(delete(alerts).where(_ROW.raised_at < old, _ROW.ended_at < old))


class Alerts:
    """The alerts in the catalog behind ``engine``, for people."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def latest(self, at_most: int = 50) -> list[Alert]:
        """The open alerts, then those that are over; the newest first."""
        with reading(self._engine) as connection:
            return latest(connection, at_most)

    def mutes(self) -> list[Mute]:
        """What is kept silent now."""
        with reading(self._engine) as connection:
            return mutes(connection, from_micros(wall_micros(connection, self._clock)))

    def counts(self) -> dict[Severity, int]:
        """How many alerts of each severity are open; none: the severity is left out."""
        wanted = select(_ROW.severity, func.count()).where(_IS_ALERT, _ROW.ended_at.is_(None))
        with reading(self._engine) as connection:
            rows = connection.execute(wanted.group_by(_ROW.severity)).all()
        return {Severity(name): int(number) for name, number in rows}

    def mute(self, name: str, until: datetime | None, why: str = "") -> None:
        """Tell nobody of a key or a kind before a wall instant; None: tell of it again."""

        def put(connection: Connection) -> None:
            now = wall_micros(connection, self._clock)
            key = f"{_MUTE}:{name}"
            before = update(alerts).where(_ROW.key == key, _ROW.ended_at.is_(None))
            connection.execute(before.values(ended_at=now, ended_told_at=now))
            if until is None:
                return
            row = {"key": key, "kind": _MUTE, "severity": Severity.INFO.value, "title": "muted"}
            row |= {"body": why}
            instants = {"raised_at": now, "seen_at": now, "retry_at": to_micros(until)}
            connection.execute(insert(alerts), [{**row, **instants, "weight": 0.0, "attempts": 0}])

        retry.write(self._engine, self._clock, put)


def _same_state(one: Alert) -> Any:
    """Whether it is still open, or over, as it was read."""
    return _ROW.ended_at.is_(None) if one.ended_at is None else _ROW.ended_told_at.is_(None)


def _told(one: Condition) -> dict[str, Any]:
    return {
        "severity": one.severity.value,
        "title": one.title,
        "body": one.body,
        "weight": float(one.weight),
    }


def _alert(row: Any) -> Alert:
    return Alert(
        id=row.id,
        key=row.key,
        kind=row.kind,
        severity=Severity(row.severity),
        title=row.title,
        body=row.body,
        weight=row.weight,
        raised_at=from_micros(row.raised_at),
        seen_at=from_micros(row.seen_at),
        told_at=_instant(row.told_at),
        ended_at=_instant(row.ended_at),
        ended_told_at=_instant(row.ended_told_at),
        attempts=row.attempts,
        retry_at=_instant(row.retry_at),
    )


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
