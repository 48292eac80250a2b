"""Where instruments trade, by the suffix of Yahoo's spelling: data only.

Not here: sessions (calendars) and the grammar of a spelling (instrument).
Suffixes as in Yahoo's "Exchanges and data providers" help page (SLN2310); calendars are
exchange_calendars' names, ISO 10383 market codes.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Venue:
    """A venue: its calendar's name, IANA zone, and usual quote currency as Yahoo writes it."""

    calendar: str
    zone: str
    currency: str


US = Venue("XNYS", "America/New_York", "USD")
CRYPTO = Venue("CRYPTO", "UTC", "USD")
FX = Venue("FX", "Europe/London", "USD")
CME = Venue("CME", "America/New_York", "USD")

BY_SUFFIX = {
    "AS": Venue("XAMS", "Europe/Amsterdam", "EUR"),
    "AT": Venue("ASEX", "Europe/Athens", "EUR"),
    "AX": Venue("XASX", "Australia/Sydney", "AUD"),
    "BA": Venue("XBUE", "America/Argentina/Buenos_Aires", "ARS"),
    "BD": Venue("XBUD", "Europe/Budapest", "HUF"),
    "BK": Venue("XBKK", "Asia/Bangkok", "THB"),
    "BO": Venue("XBOM", "Asia/Kolkata", "INR"),
    "BR": Venue("XBRU", "Europe/Brussels", "EUR"),
    "CO": Venue("XCSE", "Europe/Copenhagen", "DKK"),
    "DE": Venue("XETR", "Europe/Berlin", "EUR"),
    "F": Venue("XFRA", "Europe/Berlin", "EUR"),
    "HE": Venue("XHEL", "Europe/Helsinki", "EUR"),
    "HK": Venue("XHKG", "Asia/Hong_Kong", "HKD"),
    "IC": Venue("XICE", "Atlantic/Reykjavik", "ISK"),
    "IR": Venue("XDUB", "Europe/Dublin", "EUR"),
    "IS": Venue("XIST", "Europe/Istanbul", "TRY"),
    "JK": Venue("XIDX", "Asia/Jakarta", "IDR"),
    "JO": Venue("XJSE", "Africa/Johannesburg", "ZAc"),
    "KL": Venue("XKLS", "Asia/Kuala_Lumpur", "MYR"),
    "KS": Venue("XKRX", "Asia/Seoul", "KRW"),
    "KQ": Venue("XKRX", "Asia/Seoul", "KRW"),
    "L": Venue("XLON", "Europe/London", "GBp"),
    "LS": Venue("XLIS", "Europe/Lisbon", "EUR"),
    "MC": Venue("XMAD", "Europe/Madrid", "EUR"),
    "MI": Venue("XMIL", "Europe/Rome", "EUR"),
    "MX": Venue("XMEX", "America/Mexico_City", "MXN"),
    "NS": Venue("XBOM", "Asia/Kolkata", "INR"),
    "NZ": Venue("XNZE", "Pacific/Auckland", "NZD"),
    "OL": Venue("XOSL", "Europe/Oslo", "NOK"),
    "PA": Venue("XPAR", "Europe/Paris", "EUR"),
    "PR": Venue("XPRA", "Europe/Prague", "CZK"),
    "PS": Venue("XPHS", "Asia/Manila", "PHP"),
    "SA": Venue("BVMF", "America/Sao_Paulo", "BRL"),
    "SI": Venue("XSES", "Asia/Singapore", "SGD"),
    "SN": Venue("XSGO", "America/Santiago", "CLP"),
    "SS": Venue("XSHG", "Asia/Shanghai", "CNY"),
    "ST": Venue("XSTO", "Europe/Stockholm", "SEK"),
    "SW": Venue("XSWX", "Europe/Zurich", "CHF"),
    "SZ": Venue("XSHG", "Asia/Shanghai", "CNY"),
    "T": Venue("XTKS", "Asia/Tokyo", "JPY"),
    "TA": Venue("XTAE", "Asia/Jerusalem", "ILA"),
    "TO": Venue("XTSE", "America/Toronto", "CAD"),
    "TW": Venue("XTAI", "Asia/Taipei", "TWD"),
    "TWO": Venue("XTAI", "Asia/Taipei", "TWD"),
    "V": Venue("XTSE", "America/Toronto", "CAD"),
    "VI": Venue("XWBO", "Europe/Vienna", "EUR"),
    "WA": Venue("XWAR", "Europe/Warsaw", "PLN"),
}

BY_INDEX = {
    "^AXJO": BY_SUFFIX["AX"],
    "^BSESN": BY_SUFFIX["BO"],
    "^BVSP": BY_SUFFIX["SA"],
    "^FCHI": BY_SUFFIX["PA"],
    "^FTSE": BY_SUFFIX["L"],
    "^GDAXI": BY_SUFFIX["DE"],
    "^GSPTSE": BY_SUFFIX["TO"],
    "^HSI": BY_SUFFIX["HK"],
    "^KS11": BY_SUFFIX["KS"],
    "^N225": BY_SUFFIX["T"],
    "^NSEI": BY_SUFFIX["NS"],
    "^STI": BY_SUFFIX["SI"],
    "^STOXX50E": BY_SUFFIX["DE"],
    "^TWII": BY_SUFFIX["TW"],
}
"""Indices that do not follow the New York calendar."""

FUTURES_SUFFIXES = frozenset({"CBT", "CME", "CMX", "NYB", "NYM"})
YIELDS = frozenset({"^IRX", "^FVX", "^TNX", "^TYX"})
TREASURY_ETFS = frozenset({"BIL", "GOVT", "IEF", "IEI", "SHV", "SHY", "TIP", "TLH", "TLT"})
QUOTE_CURRENCIES = frozenset({
    "AUD", "BTC", "CAD", "CHF", "CNY", "ETH", "EUR", "GBP", "HKD", "INR", "JPY", "KRW",
    "USD", "USDC", "USDT",
})  # fmt: skip

BY_CALENDAR = {one.calendar: one for one in (*BY_SUFFIX.values(), US, CRYPTO, FX, CME)}
"""A venue of each calendar; those that share a calendar share its zone."""
