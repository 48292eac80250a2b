"""Yahoo's routes as pure functions of a history, a request and a market instant.

Not here: HTTP, faults, and the details of a chart reply (chart).
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.simulator.ask import Ask, parse
from marketdata_pipeline.simulator.chart import chart_result
from marketdata_pipeline.simulator.history import History, Listing
from marketdata_pipeline.simulator.meta import first_trade_stamp
from marketdata_pipeline.simulator.wire import (
    Answer,
    bad_request,
    json_answer,
    not_found,
    unprocessable,
)

CRUMB = "5rPcrUmB.aB"
COOKIE = "A3=d=AQABBSimulated&S=AQAAASimulated; Max-Age=31536000; Domain=.yahoo.com; Path=/"
"""Without ``Secure``, or a client that speaks plain http to loopback would never send it back."""


def listing_of(history: History, symbol: str, now: datetime) -> Listing | None:
    """What the history has of a symbol at ``now``; None for one that Yahoo would not know."""
    try:
        instrument = Instrument.parse(symbol)
    except BadInput:
        return None
    return history.listing(instrument, now)


def chart(listing: Listing | None, params: Mapping[str, str], now: datetime) -> Answer:
    """``GET /v8/finance/chart/{symbol}``."""
    if listing is None:
        return not_found()
    ask = parse(params, now, calendar_of(listing.instrument).zone)
    if isinstance(ask, Answer):
        return ask
    first = first_trade_stamp(listing)
    if first is None or _before(ask, first):
        return bad_request(f"Data doesn't exist for startDate = {ask.start}, endDate = {ask.end}")
    if ask.timeframe is not None and ask.timeframe not in listing.bars:
        return _not_in_history(listing, ask)
    result = chart_result(listing, ask, now)
    answer = json_answer(200, {"chart": {"result": [result], "error": None}})
    source = "" if ask.timeframe is None else listing.sources.get(ask.timeframe, "")
    return replace(answer, source=source)


def _not_in_history(listing: Listing, ask: Ask) -> Answer:
    """As Yahoo refuses what is too long ago: the reason is shown, and it is not asked again."""
    held = ", ".join(one.key for one in listing.bars)
    return unprocessable(
        f"{ask.interval} data not available for startTime={ask.start} and endTime={ask.end}. "
        f"This simulator's history of {listing.instrument} holds {held} bars only."
    )


def _before(ask: Ask, first_trade: int) -> bool:
    return not ask.sessions and ask.end < first_trade


def cookie() -> Answer:
    """``GET https://fc.yahoo.com/``: a 404 whose cookie is all that clients want of it."""
    return Answer(404, b"", "text/html", {"Set-Cookie": COOKIE})


def crumb(cookies: Mapping[str, str]) -> Answer:
    """``GET /v1/test/getcrumb``: refused without the cookie."""
    if "A3" not in cookies:
        error = {"code": "Unauthorized", "description": "Invalid Cookie"}
        return json_answer(401, {"finance": {"result": None, "error": error}})
    return Answer(200, CRUMB.encode(), "text/plain;charset=utf-8")


def elsewhere() -> Answer:
    """Any other page."""
    return Answer(404, b"<html><body>Not Found</body></html>", "text/html")
