"""What is traded: its id is Yahoo's spelling, upper case; class and venue follow from syntax.

Not here: what providers call it, and what only a provider can tell (a listing's first day, that a
stock's spelling is an ETF's) but for the rule of which of it to believe.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Self

from marketdata_pipeline.domain import venues
from marketdata_pipeline.domain.venues import Venue
from marketdata_pipeline.errors import BadInput

LONGEST = 32
_INDEX = re.compile(r"\^[A-Z0-9]+([.-][A-Z0-9]+)*", re.ASCII)
_FX = re.compile(r"([A-Z]{3}){1,2}=X", re.ASCII)
_FUTURE = re.compile(r"[A-Z0-9]{1,4}=F", re.ASCII)
_CONTRACT = re.compile(r"[A-Z0-9]{1,3}[FGHJKMNQUVXZ][0-9]{2}\.([A-Z]{3})", re.ASCII)
_CRYPTO = re.compile(r"[A-Z0-9]{1,12}-([A-Z]{3,4})", re.ASCII)
_STOCK = re.compile(r"([A-Z0-9]+(?:[-&][A-Z0-9]+)*)(?:\.([A-Z]{1,4}))?", re.ASCII)
_FUND = re.compile(r"0P[0-9A-Z]{8}(\.[A-Z]{1,4})?|[A-Z]{4}X", re.ASCII)


class AssetClass(Enum):
    """What kind of thing an instrument is."""

    EQUITY = "equity"
    ETF = "etf"
    INDEX = "index"
    FUND = "fund"
    CRYPTO = "crypto"
    FX = "fx"
    FUTURE = "future"
    BOND = "bond"

    @property
    def round_the_clock(self) -> bool:
        """Whether it trades from one midnight to the next: nothing comes before or after hours."""
        return self in {AssetClass.CRYPTO, AssetClass.FX, AssetClass.FUTURE}

    @property
    def has_actions(self) -> bool:
        """Whether it may be split, or pay."""
        return not self.round_the_clock and self is not AssetClass.INDEX

    def __str__(self) -> str:
        return self.value


_ON_EXCHANGES = frozenset({
    AssetClass.EQUITY, AssetClass.ETF, AssetClass.INDEX, AssetClass.FUND, AssetClass.BOND,
})  # fmt: skip
"""They share the calendars of exchanges, so that one may turn out to be another."""


@dataclass(frozen=True, slots=True, order=True)
class Instrument:
    """An instrument by its id; make one with ``parse``."""

    key: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The instrument of Yahoo's spelling; case is folded, spaces around it ignored.

        Raises:
            BadInput: anything that is not in the grammar: ``AAPL``, ``BRK-B``, ``AZN.L``,
                ``^GSPC``, ``BTC-USD``, ``EURUSD=X``, ``ES=F``, ``ESZ26.CME``.
        """
        key = _ascii(text).strip(" ").upper()
        if len(key) > LONGEST:
            raise BadInput(
                f"{_shown(key)} is longer than {LONGEST} characters; use Yahoo's spelling"
            )
        _classify(key)
        return cls(key)

    @property
    def asset_class(self) -> AssetClass:
        """What kind of thing it is, as far as the spelling tells."""
        return _classify(self.key)[0]

    def believed(self, told: AssetClass | None) -> AssetClass | None:
        """The class that a provider told, where it refines the spelling's; None: keep that one.

        An equity may turn out to be an ETF or a fund, but nothing changes its calendar: not into
        crypto, fx or future, nor out of them. A bond, which is known by name, stays one.
        """
        spelled = self.asset_class
        if spelled is AssetClass.BOND or not {spelled, told} <= _ON_EXCHANGES:
            return None
        return told

    @property
    def venue(self) -> Venue:
        """Where it trades, as far as the spelling tells."""
        return _classify(self.key)[1]

    def __str__(self) -> str:
        return self.key


def _ascii(text: object) -> str:
    """The text itself: None would become the stock NONE, and a sharp s folds into SS."""
    if isinstance(text, str) and text.isascii():
        return text
    raise BadInput(f"{_shown(text)} is not an instrument; use Yahoo's spelling, in ASCII")


def _shown(text: object) -> str:
    """As it may stand in a message: short, one line."""
    return repr(text if len(str(text)) <= LONGEST else str(text)[:LONGEST] + "...")


def _classify(key: str) -> tuple[AssetClass, Venue]:
    if _INDEX.fullmatch(key):
        kind = AssetClass.BOND if key in venues.YIELDS else AssetClass.INDEX
        return kind, venues.BY_INDEX.get(key, venues.US)
    if _FX.fullmatch(key):
        return AssetClass.FX, venues.FX
    contract = _CONTRACT.fullmatch(key)
    if _FUTURE.fullmatch(key) or (contract and contract[1] in venues.FUTURES_SUFFIXES):
        return AssetClass.FUTURE, venues.CME
    crypto = _CRYPTO.fullmatch(key)
    if crypto and crypto[1] in venues.QUOTE_CURRENCIES:
        return AssetClass.CRYPTO, venues.CRYPTO
    return _stock(key)


def _stock(key: str) -> tuple[AssetClass, Venue]:
    found = _STOCK.fullmatch(key)
    if not found:
        raise BadInput(
            f"{key!r} is not an instrument; use Yahoo's spelling, e.g. AAPL, BRK-B, AZN.L, "
            "^GSPC, BTC-USD, EURUSD=X, ES=F"
        )
    stem, suffix = found[1], found[2]
    if suffix is None:
        venue = venues.US
    elif suffix in venues.BY_SUFFIX:
        venue = venues.BY_SUFFIX[suffix]
    elif len(suffix) == 1:
        raise BadInput(
            f"'.{suffix}' in {key!r} is no venue; Yahoo spells share classes with a hyphen: "
            f"{stem}-{suffix}"
        )
    else:
        raise BadInput(f"the venue '.{suffix}' of {key!r} is not known; see docs/instruments.md")
    if _FUND.fullmatch(key):
        return AssetClass.FUND, venue
    if key in venues.TREASURY_ETFS:
        return AssetClass.BOND, venue
    return AssetClass.EQUITY, venue
