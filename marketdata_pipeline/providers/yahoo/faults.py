"""What a reply of Yahoo's means: a chart, nothing in that range, or one of our errors.

Not here: reading charts (chart) and what to do about an error (its type says that).
Yahoo's bodies as recorded or quoted: 400 "Data doesn't exist for startDate = ..., endDate = ...",
404 "No data found, symbol may be delisted", 422 "... must be within the last 60 days." and
"Only 8 days worth of 1m granularity data are allowed to be fetched per request."
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from pydantic import ValidationError

from marketdata_pipeline.domain.gate import LONGEST_RETRY_AFTER
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import (
    BadInput,
    Blocked,
    MalformedReply,
    OutOfDepth,
    ProviderError,
    ProviderTimeout,
    Unavailable,
    UnknownSymbol,
)
from marketdata_pipeline.providers.yahoo import pages
from marketdata_pipeline.providers.yahoo.chart import Chart, Complaint, Envelope
from marketdata_pipeline.providers.yahoo.pages import OK

NAME = "yahoo"
TOO_MANY_REQUESTS = 429
SAYING_WHEN = frozenset({TOO_MANY_REQUESTS, 503})
"""The statuses that may say when to come back (RFC 9110, 10.2.3; RFC 6585, 4)."""
PROXY_NEEDED = 407

_WORDED = frozenset({OK, 400, 404, 422})
"""The statuses that Yahoo's chart service says something with; any other is an outage, a block."""
_STATUS_OF_CODE = {"Bad Request": 400, "Not Found": 404, "Unprocessable Entity": 422}
_NO_DATA = "Data doesn't exist for startDate"
_TOO_LONG = "per request"
_TIMED_OUT, _REFUSED, _UNRESOLVED = 28, 7, 6
"""libcurl's codes OPERATION_TIMEDOUT, COULDNT_CONNECT and COULDNT_RESOLVE_HOST."""
_CUT_SHORT = frozenset({18, 61})
"""PARTIAL_FILE and BAD_CONTENT_ENCODING: less came than was announced, or not all of it unpacks."""
_PREFIX = re.compile(r"^.*?curl: \(\d+\) ")


def chart_in(status: int, body: bytes, series: Series, location: str = "") -> Chart | None:
    """The chart in a reply; None where Yahoo says that it has nothing in that range.

    Args:
        status: of HTTP.
        body: unpacked.
        series: what was asked for.
        location: where a redirect leads; empty: it is none.

    Raises:
        ProviderError: the narrowest kind that the reply allows.
    """
    if pages.is_block(status, body) or pages.wants_consent(status, location, body):
        raise _turned_away(status, series, location)
    said = f"Yahoo answered HTTP {status} for {series}"
    if status not in _WORDED:
        raise _error(Unavailable, said, series)
    try:
        chart = Envelope.model_validate_json(body).chart
    except ValidationError as error:
        raise _unreadable(status, body, series, error) from error
    if chart.error is not None:
        meant = _complaint(status, chart.error, series)
        if meant is None:
            return None
        raise meant
    if status != OK:
        raise _error(Unavailable, said, series)
    if not chart.result:
        raise _error(MalformedReply, f"{said} with neither a chart nor a reason", series)
    return _fitting(chart.result[0], series)


def retry_after(headers: Mapping[str, str | None], wall_now: datetime) -> timedelta | None:
    """How long a 429 says to wait (seconds or an HTTP date); None where it does not say."""
    found = (headers[name] for name in headers if name.lower() == "retry-after")
    text = (next(found, None) or "").strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:9])), LONGEST_RETRY_AFTER)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max(until - wall_now, timedelta()), LONGEST_RETRY_AFTER)


def of_transport(code: int, text: str, series: Series, unanswered: str) -> ProviderError:
    """The error for a request that got no whole reply.

    Args:
        code: libcurl's error code; 0 where there is none.
        text: what the library says.
        series: what was asked for.
        unanswered: the sentence for a server that cannot be reached.
    """
    if code == _TIMED_OUT:
        return _error(ProviderTimeout, f"Yahoo did not answer in time for {series}", series)
    if code in {_REFUSED, _UNRESOLVED}:
        return _error(Unavailable, unanswered, series)
    if code in _CUT_SHORT:
        return _error(MalformedReply, f"Yahoo's reply for {series} ended too early", series)
    why = _tidy(_PREFIX.sub("", text).partition(". See ")[0])
    reason = f"the connection to Yahoo broke while asking for {series}: {why}"
    return _error(Unavailable, reason, series)


def of_asker(error: Exception | None, series: Series) -> ProviderError:
    """The error for a request that yfinance did not send; None: it does not say why."""
    why = "" if error is None else f": {type(error).__name__} {_tidy(error)}"
    return _error(Unavailable, f"yfinance does not ask for {series}{why}", series)


def unserved(series: Series, timeframes: Mapping[Timeframe, object]) -> BadInput:
    """The error for a timeframe that is never asked of Yahoo."""
    known = ", ".join(str(one) for one in timeframes)
    return BadInput(f"{series} is never fetched from Yahoo; it is asked for {known}")


def isin(series: Series) -> ProviderError:
    """The error for an instrument that is spelled like an ISIN."""
    text = f"{series.instrument} is an ISIN, which Yahoo does not know; use Yahoo's spelling"
    return _error(UnknownSymbol, text, series)


def _error(kind: type[ProviderError], text: str, series: Series) -> ProviderError:
    return kind(text, provider=NAME, series=str(series))


def _turned_away(status: int, series: Series, location: str) -> ProviderError:
    """The error for an address that gets no charts, with what a person can do about it."""
    if status in pages.REFUSALS:
        text = (
            f"Yahoo turns this address away (a page with HTTP {status} instead of {series}): wait "
            "some hours, ask from another address, or ask less often "
            "(MARKETDATA_YAHOO_REQUESTS_PER_HOUR)"
        )
    else:
        host = f" to {pages.host_of(location)}" if location else ""
        text = (
            f"Yahoo wants a browser's consent from this address (HTTP {status}{host} instead of "
            f"{series}), as it does in some countries: try again later or from another address"
        )
    return _error(Blocked, text, series)


def _unreadable(status: int, body: bytes, series: Series, error: ValidationError) -> ProviderError:
    """Who does not speak Yahoo's JSON is not Yahoo's chart service: most likely an outage."""
    if pages.is_page(body) or status != OK:
        sent = f"instead of a chart for {series} Yahoo sent a page (HTTP {status})"
        return _error(Unavailable, f"{sent}; it may be out of order", series)
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    text = f"Yahoo's reply for {series} is no chart: {where} {first['msg']}"
    return _error(MalformedReply, _tidy(text), series)


def _complaint(status: int, said: Complaint, series: Series) -> ProviderError | None:
    """The error for Yahoo's own words; None where they mean that the range holds no data."""
    if status == OK:
        status = _STATUS_OF_CODE.get(said.code, status)
    reason = _tidy(said.description or said.code)
    match status:
        case 400 if reason.startswith(_NO_DATA):
            return None
        case 404:
            return _error(
                UnknownSymbol, f"Yahoo does not know {series.instrument}: {reason}", series
            )
        case 422 if _TOO_LONG not in reason:
            return _error(OutOfDepth, f"Yahoo does not go back so far: {reason}", series)
        case _:
            return _error(MalformedReply, f"Yahoo refuses {series}: {reason}", series)


def _fitting(chart: Chart, series: Series) -> Chart:
    """The chart, if it is for what was asked."""
    symbol, granularity = chart.meta.symbol, chart.meta.granularity
    if _short(symbol) != _short(series.instrument.key):
        text = f"Yahoo answered for {_tidy(symbol)}, asked was {series.instrument}"
        raise _error(MalformedReply, text, series)
    if granularity and granularity not in {series.timeframe.key, _ALIAS.get(series.timeframe)}:
        text = f"Yahoo answered with bars of {_tidy(granularity)}, asked was {series}"
        raise _error(MalformedReply, text, series)
    return chart


def _short(symbol: str) -> str:
    """USDJPY=X is JPY=X: Yahoo answers one with the other (sstrickx/yahoofinance-api issue 172)."""
    return _OF_USD.sub(r"\1=X", symbol)


_OF_USD = re.compile(r"USD([A-Z]{3})=X")
_ALIAS = {Timeframe.H1: "60m"}


def _tidy(text: object) -> str:
    """Foreign text as part of one line."""
    return " ".join(str(text).split())[:200]
