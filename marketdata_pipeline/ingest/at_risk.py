"""How much money portfolios have in an instrument: what an alert weighs by.

Not here: what is held (store.holdings), and what is wrong with it (conditions).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import Engine

from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.domain.holding import currency_of, fx_pair
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import StoreError
from marketdata_pipeline.store import holdings, known
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.holdings import Holding

_FINEST_LAST = (Timeframe.D1, Timeframe.H1, Timeframe.M15, Timeframe.M5, Timeframe.M1)
_HUNDREDTHS = frozenset({"GBp", "GBX", "ZAc", "ZAC", "ILA"})
"""Currencies of quotes that are hundredths of one: pence, cents, agorot (Yahoo's spellings)."""


class AtRisk:
    """Money in instruments, at their last stored closes; each close is read once.

    Args:
        engine: of the catalog.
        store: has the closes.
        base: the currency that money is told in; None: that of each instrument.
    """

    def __init__(self, engine: Engine, store: BarStore, base: str | None) -> None:
        self._store = store
        self._base = base
        self._closes: dict[Instrument, float | None] = {}
        with reading(engine) as connection:
            rows = holdings.all_of(connection)
            self._currencies = known.currencies(connection, {one.instrument for one in rows})
        self._by_instrument = _grouped(rows)

    @property
    def unit(self) -> str:
        """The currency to say with an amount; empty where it is that of each instrument."""
        return self._base or ""

    def of(self, instrument: Instrument) -> float:
        """What portfolios hold of it, long or short; of a pair also what is valued by it.

        0 where nobody holds it or no close is stored. An amount whose pair has no stored close
        stays in its own currency: too large rather than forgotten.
        """
        return sum(
            abs(quantity) * self._price(held)
            for held, quantity in self._by_instrument.get(instrument, {}).items()
        )

    def _price(self, instrument: Instrument) -> float:
        close = self._close(instrument)
        if close is None:
            return 0.0
        told = self._currencies.get(instrument)
        if (told or instrument.venue.currency) in _HUNDREDTHS:
            close /= 100
        return close * self._rate(currency_of(instrument, told))

    def _rate(self, currency: str) -> float:
        """What one unit of a currency is in the base currency; 1 where that is not known."""
        pair = None if self._base is None else fx_pair(currency, self._base)
        quoted = None if pair is None else self._close(pair)
        if pair is None or not quoted:
            return 1.0
        return quoted if pair.key.startswith(currency) else 1 / quoted

    def _close(self, instrument: Instrument) -> float | None:
        if instrument not in self._closes:
            self._closes[instrument] = self._read(instrument)
        return self._closes[instrument]

    def _read(self, instrument: Instrument) -> float | None:
        for timeframe in _FINEST_LAST:
            try:
                bars = self._store.tail(Series(instrument, timeframe), 1)
            except StoreError:  # damaged: it has an alert of its own, and this one is sent
                continue
            if len(bars):
                return float(bars["close"].iloc[-1])
        return None


def _grouped(rows: Sequence[Holding]) -> Mapping[Instrument, Mapping[Instrument, float]]:
    """By instrument or pair: what is held of what."""
    found: dict[Instrument, dict[Instrument, float]] = defaultdict(lambda: defaultdict(float))
    for one in rows:
        for key in {one.instrument, one.pair} - {None}:
            if key is not None:
                found[key][one.instrument] += abs(one.quantity)
    return found
