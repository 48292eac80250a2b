"""What providers allow: one table, each line with its source and the day it was looked up.

Not here: how the limits are kept (gcra, budget), and the settings that change them (edges).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from marketdata_pipeline.domain.gate import Budget, Limits, RateLimit

_SECOND, _MINUTE, _HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
_TEN_MINUTES = timedelta(minutes=10)
_NEW_YORK = "America/New_York"


@dataclass(frozen=True, slots=True)
class Sourced:
    """Limits, where they are from, and when that was read.

    Attributes:
        published: whether the provider itself says so; else it is experience.
    """

    limits: Limits
    source: str
    read_on: date
    published: bool


LIMITS: Mapping[str, Sourced] = {
    "yahoo": Sourced(
        Limits((RateLimit(2000, _HOUR, burst=200),), spacing=timedelta(seconds=0.8)),
        "none is published; reports on yfinance's tracker of 2024 and 2025 put the first 429 at a "
        "few thousand requests an hour; the spacing is that of an older downloader of ours",
        date(2026, 11, 24),
        published=False,
    ),
    "binance": Sourced(
        Limits((RateLimit(6000, _MINUTE, burst=300),)),
        "https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits: weight per "
        "minute and address; klines weigh 2; X-MBX-USED-WEIGHT-1M tells what is used",
        date(2026, 7, 1),
        published=True,
    ),
    "coingecko": Sourced(
        Limits((RateLimit(100, _MINUTE, burst=5),)),
        "https://docs.coingecko.com/reference/common-errors-rate-limit: demo plan",
        date(2026, 7, 1),
        published=True,
    ),
    "alphavantage": Sourced(
        Limits((RateLimit(1, _SECOND, burst=1),), budget=Budget(25, _NEW_YORK)),
        "the replies themselves: 25 requests a day on the free plan, one a second",
        date(2026, 7, 1),
        published=True,
    ),
    "fmp": Sourced(
        Limits((RateLimit(300, _MINUTE, burst=10),), budget=Budget(250, _NEW_YORK)),
        "https://site.financialmodelingprep.com/developer/docs/pricing: 250 a day on the free "
        "plan; 300 a minute is that of the first paid one",
        date(2026, 7, 1),
        published=True,
    ),
    "tiingo": Sourced(
        Limits((RateLimit(50, _HOUR, burst=10),), budget=Budget(1000, _NEW_YORK)),
        "https://www.tiingo.com/about/pricing: free plan",
        date(2026, 7, 1),
        published=True,
    ),
    "massive": Sourced(
        Limits((RateLimit(5, _MINUTE, burst=1),)),
        "https://massive.com/pricing: free plan",
        date(2026, 7, 1),
        published=True,
    ),
    "alpaca": Sourced(
        Limits((RateLimit(200, _MINUTE, burst=20),)),
        "https://docs.alpaca.markets/docs/about-market-data-api: basic plan",
        date(2026, 7, 1),
        published=True,
    ),
    "ibkr": Sourced(
        Limits((RateLimit(60, _TEN_MINUTES, burst=6), RateLimit(6, 2 * _SECOND, burst=3))),
        "https://interactivebrokers.github.io/tws-api/historical_limitations.html: small bars",
        date(2026, 7, 1),
        published=True,
    ),
}
"""By registry name; a provider need not be in the registry yet."""
