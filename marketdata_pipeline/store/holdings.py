"""The rows of holdings: which portfolio holds how much of what, and what turns its currency.

Not here: working them out of transactions (domain.holding, ingest.events).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Delete, bindparam, delete, func, select, union_all

from marketdata_pipeline.database.dialect import one_of, upsert
from marketdata_pipeline.database.happening import holdings
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import from_micros, to_micros

_ROW = holdings.c


@dataclass(frozen=True, slots=True)
class Holding:
    """What one portfolio holds of one instrument.

    Attributes:
        quantity: in today's shares, not 0; below 0: sold short.
        acquired_at: first of all, aware UTC.
        pair: the instrument that turns its currency into the portfolio's; None: none is needed.
    """

    portfolio: str
    instrument: Instrument
    quantity: float
    acquired_at: datetime
    pair: Instrument | None = None


@dataclass(frozen=True, slots=True)
class Need:
    """Who needs an instrument.

    Attributes:
        holders: portfolios that hold it, or something that needs it.
        acquired_at: since when the first of them does; None: nobody ever did.
    """

    holders: int = 0
    acquired_at: datetime | None = None


def all_of(connection: Connection, wanted: Iterable[Instrument] | None = None) -> list[Holding]:
    """The holdings of these instruments, or of all, by portfolio and instrument."""
    found = select(holdings).order_by(_ROW.portfolio, _ROW.instrument)
    if wanted is not None:
        found = found.where(one_of(connection, _ROW.instrument, [one.key for one in wanted]))
    return [
        Holding(
            row.portfolio,
            Instrument(row.instrument),
            row.quantity,
            from_micros(row.acquired_at),
            None if row.pair is None else Instrument(row.pair),
        )
        for row in connection.execute(found)
    ]


def replace_all(
    connection: Connection, before: Sequence[Holding], after: Sequence[Holding]
) -> None:
    """Have the rows say ``after`` where they said ``before``; what is in both is not touched."""
    known = {(one.portfolio, one.instrument): one for one in before}
    kept = {(one.portfolio, one.instrument) for one in after}
    gone = [{"of": name, "held": one.key} for name, one in known if (name, one) not in kept]
    if gone:
        connection.execute(_deleted(), gone)
    changed = [one for one in after if known.get((one.portfolio, one.instrument)) != one]
    upsert(connection, holdings, ("portfolio", "instrument"), [_columns(one) for one in changed])


def needs(
    connection: Connection, wanted: Collection[Instrument] | None = None
) -> dict[Instrument, Need]:
    """Who needs each of these instruments, held or a pair; None: each that anybody needs."""
    held = select(_ROW.instrument.label("key"), _ROW.portfolio, _ROW.acquired_at)
    paired = select(_ROW.pair.label("key"), _ROW.portfolio, _ROW.acquired_at)
    paired = paired.where(_ROW.pair.is_not(None))
    if wanted is not None:
        keys = [one.key for one in wanted]
        held = held.where(one_of(connection, _ROW.instrument, keys))
        paired = paired.where(one_of(connection, _ROW.pair, keys))
    both = union_all(held, paired).subquery()
    counted = select(
        both.c.key,
        func.count(both.c.portfolio.distinct()).label("holders"),
        func.min(both.c.acquired_at).label("acquired_at"),
    ).group_by(both.c.key)
    found = {one: Need() for one in wanted or ()}
    for row in connection.execute(counted):
        found[Instrument(row.key)] = Need(int(row.holders), from_micros(row.acquired_at))
    return found


@cache
def _deleted() -> Delete:
    return delete(holdings).where(
        _ROW.portfolio == bindparam("of"), _ROW.instrument == bindparam("held")
    )


def _columns(one: Holding) -> dict[str, Any]:
    return {
        "portfolio": one.portfolio,
        "instrument": one.instrument.key,
        "quantity": one.quantity,
        "acquired_at": to_micros(one.acquired_at),
        "pair": None if one.pair is None else one.pair.key,
    }
