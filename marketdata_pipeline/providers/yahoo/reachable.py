"""Whether Yahoo answers from here: one request for a chart, and what came in its place.

Not here: fetching bars, and leave to send (the gate); there may be no home yet.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.contact import ClockReading, Contact, Outcome
from marketdata_pipeline.domain.gate import Ending
from marketdata_pipeline.providers.yahoo import pages
from marketdata_pipeline.providers.yahoo.endpoint import MARK, Endpoint
from marketdata_pipeline.providers.yahoo.faults import (
    PROXY_NEEDED,
    TOO_MANY_REQUESTS,
    retry_after,
)
from marketdata_pipeline.providers.yahoo.pages import OK

if TYPE_CHECKING:
    from curl_cffi import requests

_URL = "https://query2.finance.yahoo.com/v8/finance/chart/AAPL?range=1d&interval=1d"
_SECOND = timedelta(seconds=1)
_OUTCOME_OF_CODE = {
    5: Outcome.PROXY,  # its name leads nowhere
    6: Outcome.UNRESOLVED,
    7: Outcome.REFUSED,
    28: Outcome.TIMEOUT,
    51: Outcome.CERTIFICATE,
    60: Outcome.CERTIFICATE,
    77: Outcome.CERTIFICATE,  # our own file of authorities cannot be read
    83: Outcome.CERTIFICATE,
    90: Outcome.CERTIFICATE,
    91: Outcome.CERTIFICATE,
    97: Outcome.PROXY,
}
"""libcurl's codes (https://curl.se/libcurl/c/libcurl-errors.html); any other: it broke."""
_PREFIX = re.compile(r".*curl: \(\d+\) ")
_LONGEST = 160


def ask(endpoint: Endpoint, clock: Clock, *, within: float) -> Contact:
    """Ask for a chart of AAPL once; at most ``within`` seconds in all, connecting included.

    Only status 200 with that chart is an answer: a 429 or a block page is none.
    """
    from curl_cffi import CurlOpt, requests
    from curl_cffi.requests.exceptions import RequestException

    options: dict[CurlOpt, Any] = {}
    if endpoint.simulated:
        options[CurlOpt.RESOLVE] = [f"*:{endpoint.port}:{endpoint.ip}"]
        options[CurlOpt.NOPROXY] = "*"
    sent = clock.wall_now()
    try:
        reply = requests.get(
            endpoint.locate(_URL),
            timeout=within,
            impersonate="chrome",
            allow_redirects=False,
            curl_options=options,
        )
    except RequestException as error:
        outcome, said = _failure(int(error.code), str(error), within)
        return Contact(outcome, said, clock.wall_now() - sent)
    return _contact(reply, endpoint, sent, clock.wall_now())


def _contact(
    reply: "requests.Response", endpoint: Endpoint, sent: datetime, received: datetime
) -> Contact:
    outcome, said = _meaning(reply, endpoint)
    headers = dict(reply.headers)
    until = None
    if outcome is Outcome.LIMITED:
        wait = retry_after(headers, received)
        until = None if wait is None else received + wait
    took, clock = received - sent, _clock(headers, sent, received)
    return Contact(outcome, said, took, clock, until, reply.status_code)


def ending_of(found: Contact) -> Ending:
    """What it tells everybody: as ``faults`` has it for a fetch."""
    if found.outcome is Outcome.BLOCKED and found.status == OK:
        return Ending.UNAVAILABLE  # most likely; a person is told what else it may be
    return _ENDING_OF_OUTCOME.get(found.outcome, Ending.UNAVAILABLE)


_ENDING_OF_OUTCOME = {
    Outcome.ANSWERED: Ending.ANSWERED,
    Outcome.LIMITED: Ending.RATE_LIMITED,
    Outcome.BLOCKED: Ending.BLOCKED,
    Outcome.CONSENT: Ending.BLOCKED,
    Outcome.FOREIGN: Ending.ABANDONED,
    Outcome.TIMEOUT: Ending.TIMEOUT,
}


def _failure(code: int, text: str, within: float) -> tuple[Outcome, str]:
    """What a request that got no reply comes to."""
    outcome = _OUTCOME_OF_CODE.get(code, Outcome.BROKEN)
    if outcome is Outcome.TIMEOUT:
        return outcome, f"{within:g} s"
    if outcome is Outcome.REFUSED and ("over proxy" in text or "CONNECT tunnel" in text):
        outcome = Outcome.PROXY
    why = _PREFIX.sub("", text).partition(". See ")[0]
    return outcome, " ".join(why.split())[:_LONGEST]


def _meaning(reply: "requests.Response", endpoint: Endpoint) -> tuple[Outcome, str]:
    """What a reply comes to, and a phrase for it."""
    status = reply.status_code
    if (MARK in reply.headers) is not endpoint.simulated:
        told = "what answered is no simulator"
        return Outcome.FOREIGN, told if endpoint.simulated else "a simulator answered in its place"
    location = reply.headers.get("Location") or ""
    if host := pages.host_of(location):
        away = Outcome.CONSENT if pages.wants_consent(status, location, b"") else Outcome.FOREIGN
        return away, f"HTTP {status}, a redirect to {host}"
    if status == OK:
        return _meaning_of_body(reply.content)
    if pages.is_block(status, reply.content):
        return Outcome.BLOCKED, f"HTTP {status}"
    known = {TOO_MANY_REQUESTS: Outcome.LIMITED, PROXY_NEEDED: Outcome.PROXY}
    return known.get(status, Outcome.OUTAGE), f"HTTP {status}"


def _meaning_of_body(body: bytes) -> tuple[Outcome, str]:
    """The same of a body that came with status 200."""
    fault = _fault(body)
    if not fault:
        return Outcome.ANSWERED, f"HTTP {OK}"
    if not pages.is_page(body) or pages.is_outage(body):
        return Outcome.OUTAGE, fault
    # Certificates are verified, so it is a page of Yahoo's own.
    consent = pages.wants_consent(OK, "", body)
    return Outcome.CONSENT if consent else Outcome.BLOCKED, f"HTTP {OK}, but a page"


def _fault(body: bytes) -> str:
    """What keeps a body from being the chart that was asked for; empty where nothing does."""
    try:
        symbol = json.loads(body)["chart"]["result"][0]["meta"]["symbol"]
    except (ValueError, KeyError, IndexError, TypeError):
        return "its reply is no chart"
    return "" if symbol == "AAPL" else "it answered for another symbol"


def _clock(
    headers: Mapping[str, str | None], sent: datetime, received: datetime
) -> ClockReading | None:
    """The server's clock by the Date header; a kept reply says by Age how old it is.

    Both are whole seconds (RFC 9110, 6.6.1; RFC 9111, 5.1).
    """
    named = {name.lower(): text or "" for name, text in headers.items()}
    try:
        shown = parsedate_to_datetime(named.get("date", ""))
    except ValueError:
        return None
    if shown.tzinfo is None:  # -0000: UTC, says RFC 5322
        shown = shown.replace(tzinfo=UTC)
    age = named.get("age", "").strip()
    if age.isascii() and age.isdigit() and int(age[:9]):
        return ClockReading(sent, received, shown + int(age[:9]) * _SECOND, 2 * _SECOND)
    return ClockReading(sent, received, shown, _SECOND)
