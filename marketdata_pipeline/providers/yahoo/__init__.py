"""Yahoo Finance through the yfinance library: bars, splits and dividends of all asset classes.

Not here: un-splitting (domain.actions, once all later splits are known), retries, storing.

    endpoint.py   where requests go: Yahoo or a simulator
    session.py    how yfinance gets there
    faults.py     what a reply means
    pages.py      what comes instead of one
    chart.py      a reply as typed values
    rows.py       from rows to bars
    units.py      bars in another unit than the others
    reachable.py  whether Yahoo answers at all
"""

from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Self

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import Action
from marketdata_pipeline.domain.bars import BadRow
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.contact import Contact, Outcome
from marketdata_pipeline.domain.errand import Errand, Priority
from marketdata_pipeline.domain.gate import Gate
from marketdata_pipeline.domain.ranges import TimeRange, span
from marketdata_pipeline.domain.reply import Basis, Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import RateLimited
from marketdata_pipeline.logs import get_logger
from marketdata_pipeline.providers.base import Capability, Provider, Reach
from marketdata_pipeline.providers.http import turn_taken
from marketdata_pipeline.providers.yahoo import faults
from marketdata_pipeline.providers.yahoo.chart import Chart
from marketdata_pipeline.providers.yahoo.endpoint import Endpoint, Timeouts
from marketdata_pipeline.providers.yahoo.reachable import ask, ending_of
from marketdata_pipeline.providers.yahoo.rows import ask_for, bars_of
from marketdata_pipeline.providers.yahoo.units import in_another_unit

if TYPE_CHECKING:
    from marketdata_pipeline.providers.yahoo.session import YahooSession

_LOG = get_logger(__name__)


class Yahoo(Provider):
    """Yahoo's chart service; one request a fetch, no key.

    Lookbacks as its own error texts say (quoted 2024 to 2026): 1m within 30 days and 8 days a
    request, 5m and 15m within 60 days, 1h within 730; a day less of each, since they are counted
    from the moment of the request.
    """

    name = faults.NAME
    timeframes = {
        Timeframe.M1: Capability(longest_window=timedelta(days=7), depth=timedelta(days=29)),
        Timeframe.M5: Capability(depth=timedelta(days=59)),
        Timeframe.M15: Capability(depth=timedelta(days=59)),
        Timeframe.H1: Capability(depth=timedelta(days=729)),
        Timeframe.D1: Capability(),
    }

    def __init__(
        self,
        gate: Gate,
        clock: Clock,
        endpoint: Endpoint,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
        connections: int = 15,
    ) -> None:
        self._gate = gate
        self._clock = clock
        self._endpoint = endpoint
        self._timeouts = timeouts
        self._connections = connections
        self._session: YahooSession | None = None
        self._opening = Lock()

    @classmethod
    def connected(cls, gate: Gate, clock: Clock, reach: Reach) -> Self:
        """Yahoo itself, or the simulator in its place."""
        url = reach.simulator
        endpoint = Endpoint.live() if url is None else Endpoint.simulator(url)
        return cls(gate, clock, endpoint, Timeouts(reach.connect, reach.read), reach.connections)

    def fetch(
        self,
        series: Series,
        window: TimeRange,
        errand: Errand = Errand(),  # noqa: B008 - frozen
    ) -> Reply:
        """Ask once for ``window`` of ``series``; bars are split-adjusted up to that moment.

        Labels of 1d bars are the exchange's dates at 00:00 UTC (FX: London's, crypto: UTC's).
        Payments are divided by the ratio of every later split, as prices are. Bars that Yahoo
        still adds to are left out; those in another unit than the rest are doubted. Empty: Yahoo
        has no rows in the window.

        Raises:
            ProviderError: the narrowest kind.
            HomeError: a simulator answered a live home, or the other way round.
            BadInput: a timeframe that Yahoo is not asked for.
        """
        if series.timeframe not in self.timeframes:
            raise faults.unserved(series, self.timeframes)
        market_at = self._clock.market_now()
        asked = ask_for(series, window, market_at)
        call = self._opened().history(series, asked, errand)
        chart, fetched_at = call.chart, self._clock.wall_now()
        bars, told = contract.empty(), None
        actions: tuple[Action, ...] = ()
        doubted: tuple[BadRow, ...] = ()
        if chart is not None:
            self._warn(chart, series)
            bars = bars_of(chart, series, window, market_at)
            doubted = in_another_unit(bars, chart.meta.before)
            actions = chart.actions()
            told = span(window.start, market_at if asked.to_now else window.end)
        return Reply(
            series=series,
            window=window,
            bars=bars,
            basis=Basis.SPLIT_ADJUSTED,
            actions=actions,
            actions_within=told,
            currency=chart.meta.currency or "" if chart else "",
            market_at=market_at,
            fetched_at=fetched_at,
            provider=self.name,
            origin=call.origin,
            requests=call.requests,
            first_trade=chart.first_trade() if chart else None,
            asset_class=chart.asset_class() if chart else None,
            doubted=doubted,
        )

    def contact(self, *, within: float) -> Contact:
        """Ask for one chart; what comes is reported, as any other request's ending is."""
        urgent = Errand(Priority.URGENT)  # a person waits for it
        try:
            with turn_taken(self._gate, self._clock, urgent) as sent:
                found = ask(self._endpoint, self._clock, within=within)
                sent.status, sent.ending = found.status, ending_of(found)
                if found.until is not None:
                    sent.retry_after = max(found.until - self._clock.wall_now(), timedelta(0))
        except RateLimited as error:
            return Contact(Outcome.HELD, until=error.retry_at)
        return found

    def _warn(self, chart: Chart, series: Series) -> None:
        if foreign := chart.foreign():
            _LOG.warning(
                "payments in another currency left out",
                provider=self.name,
                series=str(series),
                payments=foreign,
            )

    def _opened(self) -> "YahooSession":
        """The one session of all threads; whoever comes first makes it."""
        from marketdata_pipeline.providers.yahoo.session import YahooSession

        with self._opening:
            if self._session is None:
                self._session = YahooSession(
                    self._endpoint, self._gate, self._clock, self._timeouts, self._connections
                )
            return self._session
