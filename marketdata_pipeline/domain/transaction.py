"""What a portfolio application tells: that something was bought, sold or moved.

Not here: what follows from it (ingest.events, ingest.track), and the rows (store.transactions).
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.errors import BadInput

LONGEST_NAME = 200
"""Characters of an external id, of a portfolio's and of an instrument's name."""
_MOST = 1e18
_AHEAD = timedelta(days=1)
"""Clocks differ, and a day begins in Auckland while it is yesterday elsewhere."""
_EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
_SMALLEST_INSTANT = timedelta(seconds=10_000_000)
"""The table takes a number of microseconds below it for one of seconds or milliseconds."""
_CURRENCY = re.compile(r"[A-Za-z]{3}", re.ASCII)


class Side(Enum):
    """What was done; each with its spelling and with what it does to the quantity held."""

    BUY = ("buy", 1)
    SELL = ("sell", -1)
    TRANSFER_IN = ("transfer_in", 1)
    TRANSFER_OUT = ("transfer_out", -1)

    def __init__(self, spelling: str, sign: int) -> None:
        self.spelling = spelling
        self.sign = sign

    @classmethod
    def parse(cls, text: str) -> "Side":
        """The side of a spelling; case is folded.

        Raises:
            BadInput: it is none.
        """
        for one in cls:
            if one.spelling == str(text).strip().lower():
                return one
        known = ", ".join(map(str, cls))
        raise BadInput(f"{str(text)[:40]!r} is no side of a transaction; use one of {known}")

    def __str__(self) -> str:
        return self.spelling


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction; the same ``external_id`` in a portfolio twice is one.

    Attributes:
        instrument: as it was written; ``Instrument.parse`` says whether it is one.
        quantity: shares or units as traded then, above 0.
        price: of one of them, in ``currency``; None: not told.
        currency: ISO 4217; None: not told.
        executed_at: aware UTC.
        voided_at: since when it counts as never made; None: it counts.
    """

    external_id: str
    portfolio: str
    instrument: str
    side: Side
    quantity: float
    executed_at: datetime
    price: float | None = None
    currency: str | None = None
    voided_at: datetime | None = None


def refuse_unstorable(one: Transaction) -> None:
    """What no row can say; whoever inserts rows is refused the same by the table's checks.

    Raises:
        BadInput: a name that is empty or too long, a quantity or a price that is no such number,
            an instant without a zone or of early 1970, a currency that is not three characters.
    """
    names = {"id": one.external_id, "portfolio": one.portfolio, "instrument": one.instrument}
    for name, text in names.items():
        if not 1 <= len(text) <= LONGEST_NAME or "\0" in text:
            raise _wrong(one, f"its {name} must have 1 to {LONGEST_NAME} characters")
    if not 0 < one.quantity < _MOST:
        raise _wrong(one, f"its quantity is {one.quantity:g}, it must be above 0 and below 1e18")
    if one.price is not None and not 0 <= one.price < _MOST:
        raise _wrong(one, f"its price is {one.price:g}, it must be 0 or more and below 1e18")
    if one.currency is not None and len(one.currency) != len("EUR"):
        raise _wrong(one, "its currency must have three letters, e.g. EUR")
    _refuse_instants(one)


def _refuse_instants(one: Transaction) -> None:
    for instant in (one.executed_at, one.voided_at):
        if instant is not None and instant.utcoffset() is None:
            raise _wrong(one, "its instants need a time zone, e.g. 2024-01-02T00:00Z")
    if abs(one.executed_at - datetime(1970, 1, 1, tzinfo=UTC)) <= _SMALLEST_INSTANT:
        raise _wrong(one, "it was executed about 1970-01-01, which is how a lost instant reads")


def _wrong(one: Transaction, why: str) -> BadInput:
    named = one.external_id[:40] or "without an id"
    return BadInput(f"transaction {named}: {why}")


def refusal(one: Transaction, market_now: datetime) -> str | None:
    """Why nothing can follow from a transaction that a row holds; None: something can."""
    try:
        Instrument.parse(one.instrument)
    except BadInput as error:
        return str(error)
    if one.executed_at > market_now + _AHEAD:
        return (
            f"it was executed in the future: {_shown(one.executed_at)}, while market time is "
            f"{_shown(market_now)}; send it again with another id"
        )
    if one.executed_at < _EARLIEST:
        return f"it was executed before 1900: {_shown(one.executed_at)}"
    if one.currency is not None and not _CURRENCY.fullmatch(one.currency):
        return f"{one.currency!r} is no currency; write three letters, e.g. EUR"
    return None


def _shown(instant: datetime) -> str:
    return f"{instant.isoformat(sep=' ', timespec='minutes')[:16]} UTC"
