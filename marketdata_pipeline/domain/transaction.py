"""What a portfolio application tells: that something was bought, sold or moved.

Not here: what follows from it (ingest.events, ingest.track), and the rows (store.transactions).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class Side(Enum):
    """What was done; each with its spelling and with what it does to the quantity held."""

    BUY = ("buy", 1)
    SELL = ("sell", -1)
    TRANSFER_IN = ("transfer_in", 1)
    TRANSFER_OUT = ("transfer_out", -1)

    def __init__(self, spelling: str, sign: int) -> None:
        self.spelling = spelling
        self.sign = sign

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
