"""Faults of the reply that is sent, a function each, and their table.

Not here: faults of the data that it is made of (on_listing) and of a chart's rows (on_rows), what a
fault is for (fault), and how a broken answer leaves (sending).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from marketdata_pipeline.simulator import on_rows
from marketdata_pipeline.simulator.fault import Fault, Moment, Page
from marketdata_pipeline.simulator.wire import (
    TOO_MANY_REQUESTS,
    Answer,
    Way,
    retrying,
    too_many_requests,
)

OnAnswer = Callable[[Answer, Fault, Moment], Answer]

_HTML = "text/html"
_FORBIDDEN = 403
_YAHOO_HEADERS = {"Server": "ATS", "Cache-Control": "no-store"}
_YAHOO_PAGE = b"Forbidden"
"""So Yahoo refused clients in 2021: ranaroussi/yfinance issue 770."""
_CLOUDFLARE_HEADERS = {"Server": "cloudflare", "CF-RAY": "7a1b2c3d4e5f6789-FRA"}
_CLOUDFLARE_PAGE = b"""<!DOCTYPE html>
<html lang="en-US">
<head><title>Attention Required! | Cloudflare</title></head>
<body>
<h1>Sorry, you have been blocked</h1>
<h2>You are unable to access yahoo.com</h2>
<p>Cloudflare Ray ID: <strong>7a1b2c3d4e5f6789</strong></p>
</body>
</html>
"""


def status(_: Answer, fault: Fault, moment: Moment) -> Answer:
    """Another HTTP status, which may say when to come back."""
    answer = Answer(fault.status, b"<html>error</html>", _HTML)
    if fault.status == TOO_MANY_REQUESTS:
        answer = too_many_requests()
    if fault.retry_after is None:
        return answer
    return retrying(answer, fault.retry_after, fault.retry_as, moment.wall)


def block(_: Answer, fault: Fault, __: Moment) -> Answer:
    """403 with a page for people, as who guards a site sends it to those whom he shuts out."""
    if fault.page is Page.CLOUDFLARE:
        return Answer(_FORBIDDEN, _CLOUDFLARE_PAGE, _HTML, _CLOUDFLARE_HEADERS)
    return Answer(_FORBIDDEN, _YAHOO_PAGE, _HTML, _YAHOO_HEADERS)


def truncated(answer: Answer, _: Fault, __: Moment) -> Answer:
    """Half of the body, then the end."""
    return replace(answer, way=Way.HALF)


def reset_midway(answer: Answer, _: Fault, __: Moment) -> Answer:
    """Half of the body, then a reset."""
    return replace(answer, way=Way.HALF_RESET)


def reset(answer: Answer, _: Fault, __: Moment) -> Answer:
    """A reset before the first byte."""
    return replace(answer, way=Way.RESET)


def refused(answer: Answer, fault: Fault, __: Moment) -> Answer:
    """A reset, and for a while nobody can connect, to any route."""
    return replace(answer, way=Way.REFUSED, seconds=fault.seconds)


def hang(answer: Answer, _: Fault, __: Moment) -> Answer:
    """Not a byte for as long as the client waits."""
    return replace(answer, way=Way.SILENT)


def slow(answer: Answer, fault: Fault, _: Moment) -> Answer:
    """Whole, after a while."""
    return replace(answer, delay=fault.seconds)


def drip(answer: Answer, fault: Fault, _: Moment) -> Answer:
    """Headers at once, the body in small pieces."""
    return replace(answer, way=Way.DRIP, seconds=fault.seconds)


def invalid_json(answer: Answer, _: Fault, __: Moment) -> Answer:
    """A body whose last brackets are wrong."""
    return replace(answer, body=answer.body[:-2] + b",]")


def html(_: Answer, __: Fault, ___: Moment) -> Answer:
    """A page for people, with 200."""
    return Answer(200, b"<html><body>Sorry</body></html>", _HTML)


def empty(answer: Answer, _: Fault, __: Moment) -> Answer:
    """200 and not a byte of body."""
    return replace(answer, body=b"")


ON_ANSWER: Mapping[str, OnAnswer] = {
    "status": status,
    "block": block,
    "truncated": truncated,
    "reset_midway": reset_midway,
    "reset": reset,
    "refused": refused,
    "hang": hang,
    "slow": slow,
    "drip": drip,
    "invalid_json": invalid_json,
    "html": html,
    "empty": empty,
    **{kind: on_rows.spoiling(change) for kind, change in on_rows.ON_ROWS.items()},
}
