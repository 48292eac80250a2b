"""How yfinance reaches Yahoo: a session of our own behind its public ``session=`` parameter.

Not here: what replies mean (faults, chart) and what becomes of rows (rows). Importing this module
imports yfinance and curl_cffi, so it is imported where a request is about to be sent.

yfinance 1.7 by itself sends up to four requests for a chart, repeats refused ones at once, keeps
refusals in a cache and drops status and headers (measured). Here a chart costs one request: the
chart service asks for neither cookie nor crumb, so those calls are answered on the spot, as is the
look-up of a time zone, which only dates without a zone would need. A refusal leaves as one of our
errors; yfinance neither repeats nor keeps those. Nor does it get to see a chart: the frame that it
would make of one takes longer than all else that becomes of it here, and nobody would look at it.

Requests go through libcurl's handles, each of which keeps its connection open. A handle that is
given a connection which Yahoo closed meanwhile opens another one and asks again by itself, where
not a byte of a reply had come (RFC 9112, section 9.3.1): it is one request here.
"""

import json
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

import yfinance as yf
from curl_cffi import Curl, CurlError, CurlOpt
from curl_cffi.requests import Response, Session
from yfinance.exceptions import YFException

from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.gate import Gate
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import ProviderError, RateLimited, Unavailable
from marketdata_pipeline.providers.http import Connections, Sent, turn_taken
from marketdata_pipeline.providers.yahoo import faults
from marketdata_pipeline.providers.yahoo.chart import Chart
from marketdata_pipeline.providers.yahoo.endpoint import Endpoint, Timeouts
from marketdata_pipeline.providers.yahoo.faults import NAME
from marketdata_pipeline.providers.yahoo.rows import Asked

UNSAID_WAIT = timedelta(seconds=30)
"""When to come back after a 429 that does not say, as far as a single request can tell."""

_CHART = re.compile(r"https://query[12]\.finance\.yahoo\.com/v8/finance/chart/.+")
_COOKIE_OR_CRUMB = ("https://fc.yahoo.com", "/v1/test/getcrumb")
_THREAD = threading.local()


class _Answered(Exception):
    """An answer is there, a chart or that Yahoo has nothing in the range: yfinance stops here."""


@dataclass(slots=True, eq=False)
class Call:
    """One call of yfinance by one thread: what was sent for it and what came.

    Attributes:
        origin: who answered, as ``Endpoint.origin`` says.
        chart: None as long as none came, and where Yahoo has nothing in the range.
        handle: what its request goes through.
    """

    session: "YahooSession"
    series: Series
    errand: Errand = Errand()  # noqa: RUF009 - frozen
    requests: int = 0
    origin: str = ""
    chart: Chart | None = None
    handle: Curl | None = None

    def told(self, error: ProviderError) -> ProviderError:
        """The error with what was sent for it, and who answered."""
        error.requests, error.origin = self.requests, self.origin
        return error


class YahooSession(Session[Response]):
    """Sends charts' requests only: each takes a turn, none is repeated, none lasts too long.

    Thread-safe. yfinance keeps one session a process and swaps it whenever another one is given;
    so a request goes through the session of its own thread's call, whichever yfinance uses.

    Args:
        endpoint: where requests go.
        gate: whose turns they take.
        clock: for the time that they take.
        timeouts: of a first attempt.
        connections: how many requests may be under way at once, each over a connection of its own.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        gate: Gate,
        clock: Clock,
        timeouts: Timeouts,
        connections: int,
    ) -> None:
        options: dict[CurlOpt, Any] = {}
        if endpoint.simulated:
            options[CurlOpt.RESOLVE] = [f"*:{endpoint.port}:{endpoint.ip}"]
            options[CurlOpt.NOPROXY] = "*"
        super().__init__(impersonate="chrome", discard_cookies=True, curl_options=options)
        self._endpoint = endpoint
        self._gate = gate
        self._clock = clock
        self._timeouts = timeouts
        self._connections = Connections(Curl, connections)

    @property
    def curl(self) -> Curl:
        """The handle of this thread's request, in place of one a thread, which ends with it."""
        handle: Curl | None = _THREAD.call.handle
        if handle is None:
            raise RuntimeError("a handle is there while a request is sent, and only then")
        return handle

    def history(self, series: Series, asked: Asked, errand: Errand) -> Call:
        """Have yfinance ask once; the call with what came.

        Raises:
            ProviderError: the narrowest kind.
            HomeError: the reply came from the other world.
        """
        _tame_yfinance()
        if yf.utils.is_isin(series.instrument.key):  # it would look the ISIN up, in vain
            raise faults.isin(series)
        with calling(Call(self, series, errand)) as call:
            try:
                yf.Ticker(series.instrument.key, session=self).history(
                    start=asked.start,
                    end=asked.end,
                    interval=series.timeframe.key,
                    prepost=False,
                )
            except _Answered:
                return call
            except ProviderError as error:
                raise call.told(error) from error.__cause__
            except _STUMBLES as error:
                raise call.told(faults.of_asker(error, series)) from error
            raise call.told(faults.of_asker(None, series))

    def request(self, *_args: Any, **kwargs: Any) -> Response:
        """What yfinance's requests all go through; it names each argument.

        Raises:
            ProviderError: no chart came.
            HomeError: the reply came from the other world.
        """
        url, params = str(kwargs["url"]), dict(kwargs.get("params") or {})
        call: Call | None = getattr(_THREAD, "call", None)
        if call is None:
            raise Unavailable(f"yfinance asks for {url[:80]} outside of any fetch", provider=NAME)
        if any(part in url for part in _COOKIE_OR_CRUMB):
            return _answer(url, "none")
        if not _CHART.fullmatch(url):
            raise Unavailable(
                f"yfinance wants {url[:80]} for {call.series}; only charts are asked for",
                provider=NAME,
                series=str(call.series),
            )
        if "period1" not in params:
            zone = {"meta": {"exchangeTimezoneName": call.series.instrument.venue.zone}}
            return _answer(url, json.dumps({"chart": {"result": [zone], "error": None}}))
        params.pop("crumb", None)
        call.session.send(call, url, params)
        raise _Answered

    def send(self, call: Call, url: str, params: dict[str, Any]) -> None:
        """Send one request and keep the chart that comes, and what it says about itself.

        The connection comes before the turn: a turn that then waited for one would be stale.
        """
        with (
            self._connections.one() as call.handle,
            turn_taken(self._gate, self._clock, call.errand, call.series) as sent,
        ):
            call.requests += 1
            response = self._sent(call, url, params, sent)
            self._read(call, response, sent)

    def _sent(self, call: Call, url: str, params: dict[str, Any], sent: Sent) -> Response:
        limits = self._timeouts.escalated(call.errand.attempt)
        try:
            response = super().request(
                "GET",
                self._endpoint.locate(url),
                params=params,
                timeout=(limits.connect, limits.read),  # of curl: the sum of both in all
                allow_redirects=False,
            )
        except (CurlError, ValueError) as error:
            begun = getattr(error, "response", None)
            sent.status = getattr(begun, "status_code", 0)
            code, unanswered = int(getattr(error, "code", 0)), self._endpoint.unanswered()
            raise faults.of_transport(code, str(error), call.series, unanswered) from error
        sent.status = response.status_code
        return response

    def _read(self, call: Call, response: Response, sent: Sent) -> None:
        headers = dict(response.headers)
        call.origin = self._endpoint.origin(headers)
        if response.status_code in faults.SAYING_WHEN:
            sent.retry_after = faults.retry_after(headers, self._clock.wall_now())
        if response.status_code == faults.TOO_MANY_REQUESTS:
            raise self._refused(call.series, sent.retry_after)
        location = str(response.headers.get("Location") or "")
        call.chart = faults.chart_in(response.status_code, response.content, call.series, location)

    def _refused(self, series: Series, wait: timedelta | None) -> RateLimited:
        """A 429 is a state of the provider: everybody waits, not this request alone."""
        retry_at = self._clock.wall_now() + (UNSAID_WAIT if wait is None else wait)
        return RateLimited(
            f"Yahoo wants no more requests until {retry_at:%H:%M:%S} UTC",
            retry_at=retry_at,
            provider=NAME,
            series=str(series),
        )


_STUMBLES = (
    YFException,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What yfinance raises where it cannot ask."""


@contextmanager
def calling(call: Call) -> Iterator[Call]:
    """What yfinance sends in this thread until the block ends belongs to ``call``."""
    _THREAD.call = call
    try:
        yield call
    finally:
        _THREAD.call = None


def _tame_yfinance() -> None:
    """Errors are raised, not logged, whatever somebody else in this process has set."""
    _quiet_yfinance()
    yf.config.debug.hide_exceptions = False


@cache
def _quiet_yfinance() -> None:
    """No SQLite files of zones and cookies, which are not needed here, and no warnings.

    A folder that cannot be made switches the files off. The warnings are for yfinance's authors:
    it calls what pandas 4 drops.
    """
    yf.set_tz_cache_location(os.devnull)
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="yfinance")


def _answer(url: str, text: str) -> Response:
    """An answer that nobody was asked for."""
    response = Response()
    response.url = url
    response.content = text.encode()
    return response
