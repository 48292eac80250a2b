"""The rows of transactions: taking them in, voiding, reading, noting what became of them.

Not here: what follows from them (ingest.events). Other programs insert rows too, on Postgres
through the view ``incoming_transactions``; whatever this module reads was not looked at before.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Update, and_, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from marketdata_pipeline.database.dialect import is_postgres, one_of, one_of_ids, wall_micros
from marketdata_pipeline.database.happening import transactions
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.ranges import from_micros, to_micros
from marketdata_pipeline.domain.transaction import Side, Transaction

_ROW = transactions.c
_FARTHEST = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A transaction and its row."""

    id: int
    transaction: Transaction


def add_all(connection: Connection, clock: Clock, told: Sequence[Transaction]) -> int:
    """Insert transactions; how many of them were new.

    One whose portfolio and id are known changes nothing, unless it is voided and the known one is
    not: then that one is void, and is to be processed again.
    """
    if not told:
        return 0
    now = wall_micros(connection, clock)
    rows = [{**_columns(one), "recorded_at": now} for one in told]
    new = len(connection.execute(_inserted(postgres=is_postgres(connection)), rows).all())
    voided = [
        {"in_portfolio": one.portfolio, "of": one.external_id, "at": to_micros(one.voided_at)}
        for one in told
        if one.voided_at is not None
    ]
    if voided:
        connection.execute(_voided(), voided)
    return new


def void(connection: Connection, clock: Clock, portfolio: str, external_id: str) -> bool:
    """Have a transaction count as never made; False: there is none of that id."""
    given = {"in_portfolio": portfolio, "of": external_id, "at": wall_micros(connection, clock)}
    connection.execute(_voided(), given)
    return get(connection, portfolio, external_id) is not None


def get(connection: Connection, portfolio: str, external_id: str) -> Transaction | None:
    """The transaction of an id, or None."""
    wanted = select(transactions).where(
        _ROW.portfolio == portfolio, _ROW.external_id == external_id
    )
    row = connection.execute(wanted).first()
    return None if row is None else _recorded(row).transaction


def unprocessed(connection: Connection, *, at_most: int) -> list[Recorded]:
    """The oldest rows that nobody has looked at since they came or were voided.

    Nobody changes them until this transaction ends. One that somebody is at just now is left out:
    whoever sends it again may take as long as they like.
    """
    wanted = select(transactions).where(_ROW.processed_at.is_(None))
    wanted = wanted.order_by(_ROW.id).limit(at_most).with_for_update(skip_locked=True)
    return [_recorded(row) for row in connection.execute(wanted)]


def count_unprocessed(connection: Connection) -> int:
    """How many of them there are."""
    wanted = select(func.count()).select_from(transactions).where(_ROW.processed_at.is_(None))
    return int(connection.execute(wanted).scalar_one())


def of_instruments(connection: Connection, spellings: Iterable[str]) -> list[Recorded]:
    """All rows whose instrument is written in one of these ways, but for those rejected."""
    ours = one_of(connection, _ROW.instrument, spellings)
    wanted = select(transactions).where(ours, _ROW.rejected.is_(None)).order_by(_ROW.id)
    return [_recorded(row) for row in connection.execute(wanted)]


def instruments(connection: Connection) -> list[str]:
    """The keys of all instruments of which a transaction was looked at and not rejected."""
    seen = _ROW.processed_at.is_not(None), _ROW.rejected.is_(None)
    wanted = select(_ROW.instrument).distinct().where(*seen).order_by(_ROW.instrument)
    return [_text(one) for one in connection.execute(wanted).scalars()]


def mark_processed(connection: Connection, clock: Clock, ids: Collection[int]) -> None:
    """Note that what follows from these rows is done."""
    if ids:
        done = update(transactions).where(one_of_ids(connection, _ROW.id, ids))
        values = {"processed_at": wall_micros(connection, clock), "rejected": None}
        connection.execute(done.values(values))


def mark_rejected(connection: Connection, clock: Clock, reasons: Mapping[int, str]) -> None:
    """Note why nothing follows from these rows, by id."""
    if reasons:
        now = wall_micros(connection, clock)
        rows = [{"of": one, "now": now, "why": why} for one, why in reasons.items()]
        connection.execute(_rejected(), rows)


def respell(connection: Connection, keys: Mapping[int, str]) -> None:
    """Write the instruments of these rows by their keys, so that they are found by them."""
    if keys:
        rows = [{"of": one, "spelled": key} for one, key in keys.items()]
        connection.execute(_respelled(), rows)


@cache
def _inserted(*, postgres: bool) -> Any:
    statement = (postgresql.insert if postgres else sqlite.insert)(transactions)
    return statement.on_conflict_do_nothing(index_elements=["portfolio", "external_id"]).returning(
        _ROW.id
    )


@cache
def _voided() -> Update:
    ours = and_(_ROW.portfolio == bindparam("in_portfolio"), _ROW.external_id == bindparam("of"))
    known = update(transactions).where(ours, _ROW.voided_at.is_(None))
    return known.values(voided_at=bindparam("at"), processed_at=None)


@cache
def _rejected() -> Update:
    row = update(transactions).where(_ROW.id == bindparam("of"))
    return row.values(processed_at=bindparam("now"), rejected=bindparam("why"))


@cache
def _respelled() -> Update:
    row = update(transactions).where(_ROW.id == bindparam("of"))
    return row.values(instrument=bindparam("spelled"))


def _columns(one: Transaction) -> dict[str, Any]:
    return {
        "external_id": one.external_id,
        "portfolio": one.portfolio,
        "instrument": one.instrument,
        "side": one.side.spelling,
        "quantity": one.quantity,
        "price": one.price,
        "currency": None if one.currency is None else one.currency.upper(),
        "executed_at": to_micros(one.executed_at),
        "voided_at": None if one.voided_at is None else to_micros(one.voided_at),
    }


def _recorded(row: Row[*tuple[Any, ...]]) -> Recorded:
    told = Transaction(
        _text(row.external_id),
        _text(row.portfolio),
        _text(row.instrument),
        _SIDES[row.side],
        row.quantity,
        _instant(row.executed_at),
        row.price,
        None if row.currency is None else _text(row.currency),
        None if row.voided_at is None else _instant(row.voided_at),
    )
    return Recorded(int(row.id), told)


_SIDES = {one.spelling: one for one in Side}


def _text(value: object) -> str:
    """The text of a column; SQLite takes bytes for one, and they are no name of anything."""
    return value if isinstance(value, str) else repr(value)


def _instant(micros: int) -> datetime:
    """The instant of a row; one that no calendar has becomes the farthest that there is."""
    try:
        return from_micros(micros)
    except OverflowError:
        return _FARTHEST[micros < 0]
    except (TypeError, ValueError):  # SQLite takes any text for a number
        return _FARTHEST[0]
