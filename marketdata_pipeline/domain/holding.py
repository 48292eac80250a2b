"""What portfolios hold of an instrument by their transactions, and what it takes to value that.

Not here: the rows (store.holdings), and what is tracked for it (ingest.track).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from fractions import Fraction
from math import fsum, prod
from zoneinfo import ZoneInfo

from marketdata_pipeline.domain.actions import Action, splits_of
from marketdata_pipeline.domain.instrument import AssetClass, Instrument
from marketdata_pipeline.domain.transaction import Transaction
from marketdata_pipeline.domain.venues import QUOTE_CURRENCIES
from marketdata_pipeline.errors import BadInput

_DUST = 1e-9
"""Of all that was ever moved: what is left of it is the rounding of floats."""
_BASES = ("EUR", "GBP", "AUD", "NZD", "USD", "CAD", "CHF", "JPY")
"""Which of two currencies is quoted in the other: the one that comes first.

Source: the market convention of currency pairs, e.g. ISDA/EMTA, "FX and Currency Option
Definitions"; those that are not here are quoted per US dollar.
"""
_MINOR = {"GBX": "GBP", "ZAC": "ZAR", "ILA": "ILS"}
_COINS = frozenset({"BTC", "ETH", "USDC", "USDT"})


@dataclass(frozen=True, slots=True)
class Position:
    """What one portfolio has of one instrument.

    Attributes:
        quantity: in today's shares; 0: nothing any more, below 0: more was sold than bought, so
            it was sold short, or a split between is not known yet.
        acquired_at: its first purchase or transfer in; where there is none, its first transaction.
        currency: the one told last; None: none was told.
    """

    portfolio: str
    quantity: float
    acquired_at: datetime
    currency: str | None = None

    @property
    def held(self) -> bool:
        """Whether prices of it are needed."""
        return self.quantity != 0


def positions(
    instrument: Instrument, transactions: Iterable[Transaction], splits: Iterable[Action]
) -> list[Position]:
    """The positions in one instrument, by portfolio, from all its transactions that count.

    Voided ones are left out. What moved before the ex-date of a split is multiplied by its ratio.
    """
    by_portfolio: dict[str, list[Transaction]] = defaultdict(list)
    for one in transactions:
        if one.voided_at is None:
            by_portfolio[one.portfolio].append(one)
    known = splits_of(splits)
    return [
        _position(instrument, sorted(moved, key=_order), known)
        for _, moved in sorted(by_portfolio.items())
    ]


def _order(one: Transaction) -> tuple[datetime, str]:
    return one.executed_at, one.external_id


def _position(
    instrument: Instrument, moved: Sequence[Transaction], splits: Sequence[Action]
) -> Position:
    zone = ZoneInfo(instrument.venue.zone) if splits else None
    shares = [
        one.side.sign * one.quantity * (_ratio(one.executed_at, zone, splits) if zone else 1.0)
        for one in moved
    ]
    total = fsum(shares)
    if abs(total) <= _DUST * fsum(map(abs, shares)):
        total = 0.0
    acquired = next((one for one in moved if one.side.sign > 0), moved[0])
    told = [one.currency.upper() for one in moved if one.currency is not None]
    return Position(moved[0].portfolio, total, acquired.executed_at, told[-1] if told else None)


def _ratio(executed_at: datetime, zone: ZoneInfo, splits: Sequence[Action]) -> float:
    """New shares per share of then."""
    on = _traded_on(executed_at, zone)
    return float(prod((one.value for one in splits if one.ex_date > on), start=Fraction(1)))


def _traded_on(executed_at: datetime, zone: ZoneInfo) -> date:
    """The exchange's date; of a midnight in UTC its own, since that is how a mere date is told."""
    if executed_at.time() == time.min:
        return executed_at.date()
    return executed_at.astimezone(zone).date()


def major(currency: str) -> str:
    """The currency whose hundredths are quoted, e.g. GBP for Yahoo's GBp; else the same."""
    upper = currency.upper()
    return _MINOR.get(upper, upper)


def currency_of(instrument: Instrument, told: str | None) -> str:
    """What an instrument is quoted in; ``told`` by a provider, None: not known yet.

    A coin and a pair of currencies say it themselves.
    """
    if instrument.asset_class is AssetClass.CRYPTO:
        return instrument.key.rpartition("-")[2]
    if instrument.asset_class is AssetClass.FX:
        return instrument.key.removesuffix("=X")[-3:]
    return major(told or instrument.venue.currency)


def fx_pair(one: str, other: str) -> Instrument | None:
    """The instrument that turns one currency into the other, by the market's convention.

    ``fx_pair("USD", "EUR")`` is ``EURUSD=X``, a coin's is ``BTC-EUR``. None: they are the same
    (pence are pounds), or nothing is quoted for the two.
    """
    first, second = sorted((major(one), major(other)), key=_rank)
    if first == second:
        return None
    if first in _COINS:
        return Instrument.parse(f"{first}-{second}") if second in QUOTE_CURRENCIES else None
    try:
        return Instrument.parse(f"{first}{second}=X")
    except BadInput:
        return None


def _rank(currency: str) -> tuple[int, str]:
    if currency in _COINS:
        return -1, currency
    return _BASES.index(currency) if currency in _BASES else len(_BASES), currency
