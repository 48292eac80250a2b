"""When closed bars are settled: how many sessions later they are asked again, and then final.

Not here: asking (ingest), and what a final bar is to the store.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.coverage import Span, SpanKind
from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import DAY

_BACK = 90 * DAY
_AHEAD = 30 * DAY


@dataclass(frozen=True, slots=True)
class Settlement:
    """After how many sessions something of a bar does not change any more.

    Attributes:
        prices: until closing auctions, late and cancelled trades are in.
        volume: until the consolidated volume is in; the bar is final then.
    """

    prices: int
    volume: int


_LISTED = Settlement(prices=1, volume=3)
_ROUND_THE_CLOCK = Settlement(prices=1, volume=1)
_BY_CLASS: Mapping[AssetClass, Settlement] = {
    AssetClass.CRYPTO: _ROUND_THE_CLOCK,
    AssetClass.FX: _ROUND_THE_CLOCK,
}
"""Others settle as what exchanges list: Yahoo's daily volume was seen to fall by up to 29 % in the
night after the session, and trades settle in up to three sessions."""


def settlement_of(asset_class: AssetClass) -> Settlement:
    """How an asset class settles, in sessions of its calendar."""
    return _BY_CLASS.get(asset_class, _LISTED)


def unsettled(series: Series, market_at: datetime) -> list[Span]:
    """The label ranges, oldest first, that are provisional when they are answered at an instant.

    Each is a session's; it is due again at the close of the session after which its prices are
    settled, then at the close of the one after which its volume is. What is older is final.
    """
    settlement = settlement_of(series.instrument.asset_class)
    now = to_micros(market_at)
    days = calendar_of(series.instrument).days(now - _BACK, now + _AHEAD)
    starts = days.open if series.timeframe.intraday else days.label
    running = int((days.close <= now).sum())  # the first session that is not closed
    found = []
    for session in range(max(0, running - settlement.volume), min(running + 1, len(starts) - 1)):
        after = settlement.prices if session + settlement.prices >= running else settlement.volume
        recheck = days.close[min(session + after, len(days.close) - 1)]
        within = TimeRange(from_micros(int(starts[session])), from_micros(int(starts[session + 1])))
        found.append(Span(within, SpanKind.PROVISIONAL, from_micros(int(recheck))))
    return found
