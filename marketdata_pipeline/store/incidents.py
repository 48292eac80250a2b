"""The rows of incidents: reading, opening, changing them.

Not here: what makes an incident and how it goes on (domain.incident, ingest.incidents).
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from marketdata_pipeline.database.dialect import is_postgres, one_of_ids
from marketdata_pipeline.database.doubting import closures, incidents
from marketdata_pipeline.domain.incident import (
    Ending,
    Incident,
    IncidentKind,
    IncidentStatus,
)
from marketdata_pipeline.domain.ranges import from_micros, to_micros
from marketdata_pipeline.domain.timeframe import Timeframe

_ROW = incidents.c
_DOOR = 0x69_6E_63_69
"""The number of Postgres' advisory lock that whoever looks at incidents holds."""
_INSTANTS = ("opened_at", "probed_at", "probe_at", "changed_at", "closed_at")


def close_door(connection: Connection) -> None:
    """Be the only one that looks until the transaction ends; on SQLite a writer is alone anyway."""
    if is_postgres(connection):
        connection.execute(select(func.pg_advisory_xact_lock(_DOOR)))


def open_ones(connection: Connection) -> list[Incident]:
    """Those that are not closed, oldest first."""
    wanted = select(incidents).where(_ROW.closed_at.is_(None)).order_by(_ROW.id)
    return [_incident(row) for row in connection.execute(wanted)]


def newest(connection: Connection, at_most: int) -> list[Incident]:
    """The newest ones, open or closed, newest first."""
    wanted = select(incidents).order_by(_ROW.id.desc()).limit(at_most)
    return [_incident(row) for row in connection.execute(wanted)]


def of_ids(connection: Connection, ids: Iterable[int]) -> list[Incident]:
    """Those with these ids, open or closed."""
    wanted = select(incidents).where(one_of_ids(connection, _ROW.id, ids)).order_by(_ROW.id)
    return [_incident(row) for row in connection.execute(wanted)]


def left_alone(connection: Connection) -> dict[str, set[date]]:
    """By calendar the sessions of closed incidents that did not heal: they make no new one."""
    wanted = select(_ROW.calendar, _ROW.sessions)
    wanted = wanted.where(_ROW.closed_at.is_not(None), _ROW.outcome != Ending.HEALED.value)
    found: dict[str, set[date]] = defaultdict(set)
    for calendar, sessions in connection.execute(wanted):
        found[calendar].update(_dates(sessions))
    return found


def closed_days(
    connection: Connection, calendars: Iterable[str] | None = None
) -> dict[str, set[date]]:
    """By calendar the days that a person calls closed all day; None: of all calendars."""
    wanted = select(closures.c.calendar, closures.c.session).where(closures.c.opens.is_(None))
    if calendars is not None:
        wanted = wanted.where(closures.c.calendar.in_(list(calendars)))
    found: dict[str, set[date]] = defaultdict(set)
    for calendar, session in connection.execute(wanted):
        found[calendar].add(date.fromisoformat(session))
    return found


def put(connection: Connection, incident: Incident) -> Incident:
    """Write an incident, whose row is made where it has none; the incident with its id."""
    if incident.id:
        connection.execute(
            update(incidents).where(_ROW.id == incident.id).values(_columns(incident))
        )
        return incident
    made = insert(incidents).values(_columns(incident)).returning(_ROW.id)
    return replace(incident, id=int(connection.execute(made).scalar_one()))


def _columns(one: Incident) -> dict[str, Any]:
    instants = {name: getattr(one, name) for name in _INSTANTS}
    return {
        "kind": one.kind.value,
        "status": one.status.value,
        "calendar": one.calendar,
        "sessions": ",".join(map(str, sorted(one.sessions))),
        "timeframes": ",".join(map(str, one.timeframes)),
        "affected": one.affected,
        "lacking": one.lacking,
        "expected": one.expected,
        "detail": one.detail,
        "outcome": None if one.outcome is None else one.outcome.value,
        **{name: None if at is None else to_micros(at) for name, at in instants.items()},
    }


def _incident(row: Row[*tuple[Any, ...]]) -> Incident:
    return Incident(
        id=int(row.id),
        kind=IncidentKind(row.kind),
        status=IncidentStatus(row.status),
        calendar=row.calendar,
        sessions=_dates(row.sessions),
        timeframes=tuple(Timeframe.parse(one) for one in row.timeframes.split(",")),
        affected=int(row.affected),
        lacking=int(row.lacking),
        expected=int(row.expected),
        detail=row.detail,
        outcome=None if row.outcome is None else Ending(row.outcome),
        opened_at=from_micros(row.opened_at),
        changed_at=from_micros(row.changed_at),
        probed_at=_instant(row.probed_at),
        probe_at=_instant(row.probe_at),
        closed_at=_instant(row.closed_at),
    )


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _dates(text: str) -> tuple[date, ...]:
    return tuple(date.fromisoformat(one) for one in text.split(","))
