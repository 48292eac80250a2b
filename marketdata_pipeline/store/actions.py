"""Actions as the catalog keeps them: those that a write tells, and a journal of what changed.

Not here: what a change is (domain.action_change), and reading all that is known (catalog).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from sqlalchemy import BindParameter, Connection, Engine, Row, bindparam, delete, insert, select

from marketdata_pipeline.database.dialect import upsert
from marketdata_pipeline.database.doubting import action_changes
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import action_coverage, actions, fetches, instruments
from marketdata_pipeline.domain.action_change import (
    ActionChange,
    ChangeReason,
    Listed,
    changes,
    same,
)
from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, merge, to_micros
from marketdata_pipeline.store.write import Fetch, Write

_OF: BindParameter[int] = bindparam("of")
_KNOWN = (
    select(actions, fetches.c.provider)
    .join_from(actions, fetches)
    .where(actions.c.instrument_id == _OF)
    .order_by(actions.c.ex_date, actions.c.kind)
)
_COVERAGE = select(action_coverage).where(action_coverage.c.instrument_id == _OF)
_COVER = insert(action_coverage)
_UNCOVER = delete(action_coverage).where(action_coverage.c.instrument_id == _OF)
_FORGET = delete(actions).where(
    actions.c.instrument_id == _OF,
    actions.c.ex_date == bindparam("day"),
    actions.c.kind == bindparam("what"),
)
_RECORD = insert(action_changes)
_CHANGED = (
    select(action_changes)
    .join_from(action_changes, instruments)
    .where(instruments.c.key == bindparam("key"))
    .order_by(action_changes.c.id)
)


@dataclass(frozen=True, slots=True)
class RecordedChange:
    """A change as the journal has it: who told it, in words, and the wall instant."""

    change: ActionChange
    provider: str
    origin: str
    detail: str
    recorded_at: datetime


def add_actions(
    connection: Connection, write: Write, instrument_id: int, fetch_id: int, now: int
) -> None:
    """Enter the write's actions and the range that it lists all of, journalling what changes.

    The instrument is locked, ``now`` is in wall microseconds. What is known already stays with the
    fetch that told it first. Whoever comes last restates, but withdraws only what it told itself.
    """
    if not write.actions and write.actions_within is None and not write.disowned:
        return
    rows = connection.execute(_KNOWN, {"of": instrument_id}).all()
    known = [action_of(row) for row in rows]
    ours = {action_of(row) for row in rows if row.provider == write.fetch.provider}
    before = ranges_of(connection.execute(_COVERAGE, {"of": instrument_id}).all())
    told = Listed(write.actions, write.actions_within)
    found = [
        *(one for one in changes(known, before, told) if one.new is not None or one.old in ours),
        *_disowned(write, known),
    ]
    gone = [one.old for one in found if one.old is not None]
    if gone:
        day_and_kind = [{"day": one.ex_date.isoformat(), "what": one.kind.value} for one in gone]
        connection.execute(_FORGET, [{"of": instrument_id, **one} for one in day_and_kind])
    if found:
        connection.execute(_RECORD, [_row(one, write.fetch, instrument_id, now) for one in found])
    known = [one for one in known if one not in gone]
    fresh = [one for one in write.actions if not any(same(old, one) for old in known)]
    _enter(connection, fresh, instrument_id, fetch_id)
    if write.actions_within is not None:
        _extend(connection, before, write.actions_within, instrument_id)


def _disowned(write: Write, known: Iterable[Action]) -> list[ActionChange]:
    there = set(known)
    return [
        ActionChange(ChangeReason.CONTRADICTED, one, None) for one in write.disowned if one in there
    ]


def _enter(
    connection: Connection, fresh: Sequence[Action], instrument_id: int, fetch_id: int
) -> None:
    rows = [
        {
            "instrument_id": instrument_id,
            "ex_date": one.ex_date.isoformat(),
            "kind": one.kind.value,
            "numerator": str(one.value.numerator),
            "denominator": str(one.value.denominator),
            "fetch_id": fetch_id,
        }
        for one in fresh
    ]
    if rows:
        upsert(connection, actions, ("instrument_id", "ex_date", "kind"), rows)


def _extend(
    connection: Connection, before: Sequence[TimeRange], within: TimeRange, instrument_id: int
) -> None:
    after = merge([*before, within])
    if after == merge(before):
        return
    connection.execute(_UNCOVER, {"of": instrument_id})
    rows = [
        {"instrument_id": instrument_id, "start": to_micros(one.start), "end": to_micros(one.end)}
        for one in after
    ]
    connection.execute(_COVER, rows)


def ranges_of(rows: Sequence[Row[*tuple[Any, ...]]]) -> list[TimeRange]:
    """The ranges of rows with a start and an end."""
    return [TimeRange(from_micros(row.start), from_micros(row.end)) for row in rows]


def action_of(row: Row[*tuple[Any, ...]]) -> Action:
    """The action that a row of the table says."""
    value = Fraction(int(row.numerator), int(row.denominator))
    return Action(date.fromisoformat(row.ex_date), ActionKind(row.kind), value)


def _row(change: ActionChange, fetch: Fetch, instrument_id: int, now: int) -> dict[str, object]:
    either = change.new or change.old
    return {
        "instrument_id": instrument_id,
        "kind": None if either is None else either.kind.value,
        "reason": change.reason.value,
        **_columns("old", change.old),
        **_columns("new", change.new),
        "provider": fetch.provider,
        "origin": fetch.origin,
        "detail": _said(change),
        "recorded_at": now,
    }


def _columns(when: str, one: Action | None) -> dict[str, object]:
    return {
        f"{when}_ex_date": None if one is None else one.ex_date.isoformat(),
        f"{when}_numerator": None if one is None else str(one.value.numerator),
        f"{when}_denominator": None if one is None else str(one.value.denominator),
    }


def _said(change: ActionChange) -> str:
    match change.reason:
        case ChangeReason.LATE:
            return f"{_named(change.new)} was told only after its day had been listed without it"
        case ChangeReason.RESTATED:
            return f"{_named(change.old)} is {_named(change.new)} by now"
        case ChangeReason.WITHDRAWN:
            return f"{_named(change.old)} is listed no more, others of the time are"
        case ChangeReason.CONTRADICTED:
            return f"{_named(change.old)} is listed no more, and prices disagree with it"


def _named(one: Action | None) -> str:
    if one is None:
        return "nothing"
    value = f"{one.value}:1" if one.kind is ActionKind.SPLIT else f"of {float(one.value):g}"
    return f"the {one.kind.value.replace('_', ' ')} {value} on {one.ex_date}"


class ActionJournal:
    """The journal of changed actions in the catalog behind ``engine``."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of(self, instrument: Instrument) -> list[RecordedChange]:
        """The changes of an instrument's actions, oldest first; empty: there were none."""
        with reading(self._engine) as connection:
            rows = connection.execute(_CHANGED, {"key": instrument.key}).all()
        return [
            RecordedChange(
                ActionChange(ChangeReason(row.reason), _told(row, "old"), _told(row, "new")),
                row.provider,
                row.origin,
                row.detail,
                from_micros(row.recorded_at),
            )
            for row in rows
        ]


def _told(row: Row[*tuple[Any, ...]], when: str) -> Action | None:
    day = getattr(row, f"{when}_ex_date")
    if day is None:
        return None
    numerator, denominator = (
        int(getattr(row, f"{when}_{part}")) for part in ("numerator", "denominator")
    )
    return Action(date.fromisoformat(day), ActionKind(row.kind), Fraction(numerator, denominator))
