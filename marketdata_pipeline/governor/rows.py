"""The rows of a provider: reading them under a lock, writing back what changed, setting limits.

Not here: what a state means (state) and the log of requests (log). On Postgres all instants are the
database's own clock, read after any wait for the lock, so that all hosts agree.
"""

from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    Update,
    and_,
    bindparam,
    delete,
    null,
    select,
    update,
)

from marketdata_pipeline.database.dialect import (
    insert_missing,
    is_postgres,
    server_clock,
    wall_micros,
)
from marketdata_pipeline.database.governing import budgets, governor, meters
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.gate import Budget, Limits
from marketdata_pipeline.domain.ranges import to_micros
from marketdata_pipeline.domain.tuning import micros
from marketdata_pipeline.errors import StoreError
from marketdata_pipeline.governor.budget import Day
from marketdata_pipeline.governor.gcra import Meter, Pace, pace_of
from marketdata_pipeline.governor.state import State

_PLAIN = tuple(one.name for one in fields(State) if one.name not in {"key", "meters", "day"})
"""The numbers of a state, each a column of its own."""


def enter(connection: Connection, key: str, limits: Limits) -> None:
    """Make the rows of a key, or give those that are there other limits; what was taken stays."""
    state = dict.fromkeys(_PLAIN, 0) | {"key": key}
    insert_missing(connection, governor, state)
    spaced = update(governor).where(governor.c.key == key)
    connection.execute(spaced.values(spacing=micros(limits.spacing)))
    windows = {micros(one.window): pace_of(one) for one in limits.rates}
    for window, pace in windows.items():
        rate = {"interval": pace.interval, "tau": pace.tau}
        insert_missing(connection, meters, {"key": key, "window": window, "tat": 0, **rate})
        same = and_(meters.c.key == key, meters.c.window == window)
        connection.execute(update(meters).where(same).values(rate))
    gone = and_(meters.c.key == key, meters.c.window.not_in(list(windows)))
    connection.execute(delete(meters).where(gone))
    if limits.budget is None:
        connection.execute(delete(budgets).where(budgets.c.key == key))
        return
    day = {"zone": limits.budget.zone, "credits": limits.budget.credits}
    insert_missing(connection, budgets, {"key": key, "used": 0, "until": 0, **day})
    connection.execute(update(budgets).where(budgets.c.key == key).values(day))


def entered(connection: Connection, key: str, limits: Limits) -> bool:
    """Whether the rows of a key are there with these limits."""
    found = connection.execute(_state(postgres=False), {"of": key}).mappings().all()
    if not found:
        return False
    state = _state_of([dict(one) for one in found])
    paces = {micros(one.window): pace_of(one) for one in limits.rates}
    same = state.spacing == micros(limits.spacing) and paces == {
        one.window: one.pace for one in state.meters
    }
    return same and limits.budget == (None if state.day is None else state.day.budget)


def locked(connection: Connection, clock: Clock, keys: Sequence[str]) -> tuple[int, list[State]]:
    """Now, and the states of these keys in this order, which nobody else changes meanwhile.

    Raises:
        StoreError: one of them is not registered.
    """
    if is_postgres(connection):  # SQLite's transaction locked all of the catalog when it began
        for key in sorted(set(keys)):
            connection.execute(_lock(), {"of": key})
    return looked_at(connection, clock, keys)


def looked_at(connection: Connection, clock: Clock, keys: Sequence[str]) -> tuple[int, list[State]]:
    """The same without a lock: what is true at this moment."""
    postgres = is_postgres(connection)
    now = 0 if postgres else to_micros(clock.wall_now())
    states = []
    for key in keys:
        rows = connection.execute(_state(postgres=postgres), {"of": key}).mappings().all()
        if not rows:
            raise StoreError(f"the governor does not know {key}; register its limits first")
        now = max(now, int(rows[0]["wall"] or 0))
        states.append(_state_of([dict(one) for one in rows]))
    return now or wall_micros(connection, clock), states


def known(connection: Connection) -> list[str]:
    """Every key that was ever registered."""
    return list(connection.execute(select(governor.c.key).order_by(governor.c.key)).scalars())


def epoch(connection: Connection, keys: Sequence[str]) -> int:
    """The sum of the keys' epochs: it is another one as soon as any of them is."""
    found = (connection.execute(_epoch(), {"of": key}).scalar() for key in keys)
    return sum(int(one or 0) for one in found)


def save(connection: Connection, before: State, after: State) -> None:
    """Write what changed; in one statement where there is a server."""
    values: dict[str, Any] = {
        name: getattr(after, name)
        for name in _PLAIN
        if getattr(after, name) != getattr(before, name)
    }
    columns = tuple(values)
    moved = [
        new.window
        for old, new in zip(before.meters, after.meters, strict=True)
        if new.tat != old.tat
    ]
    tats = {one.window: one.tat for one in after.meters}
    values |= {f"tat_{window}": tats[window] for window in moved}
    spent = after.day is not None and after.day != before.day
    if after.day is not None:
        values |= {"spent": after.day.used, "end": after.day.until}
    if not (columns or moved or spent):
        return
    values["of"] = after.key
    parts = _parts(columns, tuple(moved), spent=spent)
    for one in [_joined(parts)] if is_postgres(connection) else parts:
        connection.execute(one, values)


def _state_of(rows: list[dict[str, Any]]) -> State:
    first = rows[0]
    day = None
    if first["credits"] is not None:
        day = Day(Budget(first["credits"], first["zone"]), first["used"], first["until"])
    return State(
        key=first["key"],
        meters=tuple(
            Meter(one["window"], Pace(one["interval"], one["tau"]), one["meter_tat"])
            for one in rows
        ),
        day=day,
        **{name: first[name] for name in _PLAIN},
    )


@cache
def _lock() -> Select[Any]:
    return select(governor.c.key).where(governor.c.key == bindparam("of")).with_for_update()


@cache
def _state(*, postgres: bool) -> Select[Any]:
    """All rows of a key in one answer; statements are made once, since making one is slow."""
    joined = governor.join(meters, meters.c.key == governor.c.key)
    joined = joined.outerjoin(budgets, budgets.c.key == governor.c.key)
    wall = server_clock() if postgres else null()
    return (
        select(
            governor,
            meters.c.window,
            meters.c.interval,
            meters.c.tau,
            meters.c.tat.label("meter_tat"),
            budgets.c.zone,
            budgets.c.credits,
            budgets.c.used,
            budgets.c.until,
            wall.label("wall"),
        )
        .select_from(joined)
        .where(governor.c.key == bindparam("of"))
        .order_by(meters.c.window)
    )


@cache
def _epoch() -> Select[Any]:
    return select(governor.c.epoch).where(governor.c.key == bindparam("of"))


@cache
def _parts(
    columns: tuple[str, ...], windows: tuple[int, ...], *, spent: bool
) -> tuple[Update, ...]:
    """The statements that write these columns, these meters, and the day; the state's last."""
    of: Any = bindparam("of")
    parts = [
        update(meters)
        .where(meters.c.key == of, meters.c.window == window)
        .values(tat=bindparam(f"tat_{window}"))
        for window in windows
    ]
    if spent:
        day: dict[str, Any] = {"used": bindparam("spent"), "until": bindparam("end")}
        parts.append(update(budgets).where(budgets.c.key == of).values(day))
    if columns:
        plain: dict[str, Any] = {name: bindparam(name) for name in columns}
        parts.append(update(governor).where(governor.c.key == of).values(plain))
    return tuple(parts)


@cache
def _joined(parts: tuple[Update, ...]) -> Update:
    """All of them as one statement: a server answers each with a message of its own."""
    last = parts[-1]
    for number, one in enumerate(parts[:-1]):
        last = last.add_cte(one.returning(one.table.c.key).cte(f"part_{number}"))
    return last
