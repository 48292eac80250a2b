"""What providers allow: one table, each line with its source and the day it was looked up.

Not here: how the limits are kept (gcra, budget), and the settings that change them (edges).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from marketdata_pipeline.domain.gate import Budget, Limits, RateLimit

_SECOND, _MINUTE, _HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
_TEN_MINUTES = timedelta(minutes=10)
_NEW_YORK = "America/New_York"
"""Where the providers of American shares are; none of them says whose midnight ends a day."""
_READ = date(2026, 11, 24)


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
        "experience: refused after 950 requests at full speed, while five a second went on "
        "(https://github.com/ranaroussi/yfinance/issues/2128 and 2125, November 2024); the spacing "
        "is that of an older downloader of ours",
        _READ,
        published=False,
    ),
    "binance": Sourced(
        Limits((RateLimit(6000, _MINUTE, burst=300),)),
        "https://developers.binance.com/docs/binance-spot-api-docs/websocket-api/rate-limits: "
        "weight in a minute by the clock, of an address whatever its keys; X-MBX-USED-WEIGHT-1M "
        "tells what is used; klines weigh 2 (read 2026-07-01)",
        _READ,
        published=True,
    ),
    "coingecko": Sourced(
        Limits((RateLimit(100, _MINUTE, burst=5),), budget=Budget(322)),
        "https://docs.coingecko.com/docs/errors-and-rate-limits: 100 a minute with a demo key; its "
        "10,000 a month, which that page does not name, are kept as a 31st of them a day",
        _READ,
        published=True,
    ),
    "alphavantage": Sourced(
        Limits((RateLimit(1, _SECOND, burst=1),), budget=Budget(25, _NEW_YORK)),
        "its own replies to a free key: 25 requests a day, one a second, the latter since December "
        "2025 (https://github.com/finance-quote/finance-quote/issues/546)",
        _READ,
        published=True,
    ),
    "fmp": Sourced(
        Limits((RateLimit(300, _MINUTE, burst=10),), budget=Budget(250, _NEW_YORK)),
        "https://site.financialmodelingprep.com/pricing.md as copied on 2026-07-22 to "
        "https://github.com/api-evangelist/financial-modeling-prep: 250 a day for a free key; 300 "
        "a minute is that of the first paid plan, none is said of the free one",
        _READ,
        published=True,
    ),
    "tiingo": Sourced(
        Limits((RateLimit(50, _HOUR, burst=10),), budget=Budget(1000, _NEW_YORK)),
        "https://api.tiingo.com/about/pricing as quoted in https://github.com/smartcontractkit/"
        "external-adapters-js/blob/main/packages/sources/tiingo/README.md: free (starter) plan; "
        "its 500 symbols a month are not counted here",
        _READ,
        published=True,
    ),
    "massive": Sourced(
        Limits((RateLimit(5, _MINUTE, burst=1),)),
        "https://massive.com/knowledge-base/article/what-is-the-request-limit-for-polygons-restful-"
        "apis: free plan",
        _READ,
        published=True,
    ),
    "alpaca": Sourced(
        Limits((RateLimit(200, _MINUTE, burst=20),)),
        "https://docs.alpaca.markets/docs/about-market-data-api: historical calls of the free plan",
        _READ,
        published=True,
    ),
    "ibkr": Sourced(
        Limits((RateLimit(60, _TEN_MINUTES, burst=5), RateLimit(5, 2 * _SECOND, burst=3))),
        "https://interactivebrokers.github.io/tws-api/historical_limitations.html: bars of 30 s "
        "and less, where the sixth for one contract within two seconds is too many; kept for all, "
        "and BID_ASK weighs 2",
        _READ,
        published=True,
    ),
}
"""By registry name; a provider need not be in the registry yet. For each key, where it has keys."""


def joined(limits: Limits, keys: int) -> Limits:
    """What so many keys allow a provider together, when each has these limits of its own.

    The day's credits stay with each key: those of one that is taken away go with it. The spacing
    is a courtesy to the provider, however many keys there are.
    """
    rates = (
        replace(one, requests=keys * one.requests, burst=keys * one.burst) for one in limits.rates
    )
    return Limits(tuple(rates), limits.spacing)
