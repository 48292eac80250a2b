"""What a made-up listing is before it has a price: drawn once from the seed and the spelling.

Not here: its days (walk) and minutes (bridge). Levels and ticks are of the size that people know
from such instruments: pence in London, whole tenths of yen in Tokyo, five decimals of FX.
"""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import blake2b

import numpy as np

from marketdata_pipeline.domain.instrument import AssetClass, Instrument

ETFS = frozenset({
    "DIA", "EEM", "EFA", "GLD", "HYG", "IVV", "IWM", "LQD", "QQQ", "SLV", "SPY", "VEA", "VOO",
    "VTI", "VWO", "XLE", "XLF", "XLK",
})  # fmt: skip
"""Spellings that are served as ETFs; the spelling alone tells no ETF from a stock."""
_EARLIEST, _LATEST = date(2002, 1, 2), date(2011, 6, 1)
_DELISTED = 0.02
_SPLITS = (1.5, 2.0, 2.0, 3.0, 4.0)
_PAYS = 0.6
_MONTHS = "FGHJKMNQUVXZ"
_CONTRACT = re.compile(rf"[A-Z0-9]{{1,3}}([{_MONTHS}])(\d\d)\.", re.ASCII)
_QUOTED = timedelta(days=455)
"""Five quarters: how long a contract is quoted here before its last day."""


@dataclass(frozen=True, slots=True)
class Style:
    """What is usual in a class or currency.

    Attributes:
        level: where the price goes back to, as the least and the most.
        digits: decimals that prices are quoted in.
        volatility: standard deviation of a day's return.
        volume: the least and the most traded in a usual day; (0, 0): none is told, as of FX.
    """

    level: tuple[float, float]
    digits: int = 2
    volatility: float = 0.018
    volume: tuple[float, float] = (2e5, 3e7)


_STOCK = Style((8.0, 400.0))
_BY_CURRENCY = {
    "GBp": Style((90.0, 4000.0), digits=1),
    "ZAc": Style((900.0, 40_000.0), digits=0),
    "ILA": Style((900.0, 40_000.0), digits=0),
    "JPY": Style((300.0, 9000.0), digits=1),
    "KRW": Style((5000.0, 90_000.0), digits=0),
    "IDR": Style((500.0, 9000.0), digits=0),
}
_BY_CLASS = {
    AssetClass.INDEX: Style((900.0, 30_000.0), volatility=0.011, volume=(5e8, 5e9)),
    AssetClass.BOND: Style((1.0, 6.0), digits=3, volatility=0.012, volume=(0.0, 0.0)),
    AssetClass.CRYPTO: Style((0.5, 30_000.0), volatility=0.035, volume=(1e6, 3e10)),
    AssetClass.FUTURE: Style((60.0, 5000.0), volatility=0.012, volume=(5e4, 2e6)),
    AssetClass.FX: Style((0.6, 1.6), digits=5, volatility=0.005, volume=(0.0, 0.0)),
}
_YEN_LIKE = Style((70.0, 150.0), digits=3, volatility=0.005, volume=(0.0, 0.0))
_OF_MANY = frozenset({"JPY", "KRW", "INR", "THB", "RUB", "HUF"})
_MONEY = (AssetClass.EQUITY, AssetClass.ETF, AssetClass.FUND)


@dataclass(frozen=True, slots=True)
class Life:
    """One made-up listing.

    Attributes:
        kind: its asset class, as a provider tells it.
        currency: of its quotes, as Yahoo writes it.
        listed, delisted: first day, and the day after the last one (None: still there).
        level, digits, volatility, volume: as of its style, drawn once.
        splits: earliest ex-date and ratio new : old, oldest first.
        pays: months of the year in which a dividend goes ex; none: it pays nothing.
    """

    kind: AssetClass
    currency: str
    listed: date
    delisted: date | None
    level: float
    digits: int
    volatility: float
    volume: float
    splits: tuple[tuple[date, float], ...] = ()
    pays: tuple[int, ...] = ()


def dice(seed: int, instrument: Instrument, purpose: str, day: int = 0) -> np.random.Generator:
    """Random numbers that depend on nothing else than these."""
    told = f"{seed}|{instrument}|{purpose}".encode()
    key = int.from_bytes(blake2b(told, digest_size=8).digest())
    return np.random.Generator(np.random.Philox(key=np.array([key, day], dtype=np.uint64)))


def life_of(instrument: Instrument, seed: int) -> Life:
    """The life that a seed gives an instrument."""
    throw = dice(seed, instrument, "life")
    style = _style(instrument)
    kind = AssetClass.ETF if instrument.key in ETFS else instrument.asset_class
    share = throw.random(8)
    listed = _EARLIEST + timedelta(days=int(share[0] * (_LATEST - _EARLIEST).days))
    ended = listed + timedelta(days=int(2500 + 4000 * share[2]))
    expiry = _expiry(instrument)
    if expiry is not None:
        listed, ended = expiry - _QUOTED, expiry + timedelta(days=1)
    shares = kind in _MONEY and kind is not AssetClass.FUND
    dies = kind is AssetClass.EQUITY and share[1] < _DELISTED
    return Life(
        kind=kind,
        currency=_currency(instrument),
        listed=listed,
        delisted=ended if dies or expiry is not None else None,
        level=_between(style.level, share[3]),
        digits=style.digits,
        volatility=style.volatility * (0.7 + 0.6 * float(share[4])),
        volume=_between(style.volume, share[5]),
        splits=_splits(throw, listed) if shares else (),
        pays=_months(int(share[7] * 3)) if kind in _MONEY and share[6] < _PAYS else (),
    )


def _expiry(instrument: Instrument) -> date | None:
    """A contract's last day: the third Friday of its month, as of CME's stock index futures."""
    found = _CONTRACT.match(instrument.key)
    if instrument.asset_class is not AssetClass.FUTURE or not found:
        return None
    first = date(2000 + int(found[2]), 1 + _MONTHS.index(found[1]), 1)
    return first + timedelta(days=(4 - first.weekday()) % 7 + 14)


def _style(instrument: Instrument) -> Style:
    currency = _currency(instrument)
    if instrument.asset_class is AssetClass.FX:
        return _YEN_LIKE if currency in _OF_MANY else _BY_CLASS[AssetClass.FX]
    usual = _BY_CURRENCY.get(currency, _STOCK)
    if instrument.asset_class is AssetClass.BOND and not instrument.key.startswith("^"):
        return usual
    return _BY_CLASS.get(instrument.asset_class, usual)


def _currency(instrument: Instrument) -> str:
    """The quote currency: behind the hyphen of a crypto pair, the last three letters of FX."""
    match instrument.asset_class:
        case AssetClass.CRYPTO:
            return instrument.key.partition("-")[2]
        case AssetClass.FX:
            return instrument.key.removesuffix("=X")[-3:]
        case _:
            return instrument.venue.currency


def _between(ends: tuple[float, float], share: float) -> float:
    """Log-uniformly between two numbers; 0 between zeros."""
    low, high = ends
    return 0.0 if high == 0 else float(low * (high / low) ** share)


def _splits(throw: np.random.Generator, listed: date) -> tuple[tuple[date, float], ...]:
    """None, one or two of them, years apart."""
    count = int(throw.integers(0, 3))
    after = np.cumsum(throw.integers(700, 3000, size=count))
    ratios = throw.choice(_SPLITS, size=count)
    return tuple(
        (listed + timedelta(days=int(days)), float(ratio))
        for days, ratio in zip(after, ratios, strict=True)
    )


def _months(first: int) -> tuple[int, ...]:
    return tuple(1 + (first + 3 * quarter) % 12 for quarter in range(4))
