"""Whether Yahoo answers from here: one request, before there is a home or a governor.

Not here: fetching bars.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marketdata_pipeline.providers.yahoo.endpoint import MARK

if TYPE_CHECKING:
    from curl_cffi import requests

_URL = "https://query2.finance.yahoo.com/v8/finance/chart/AAPL?range=1d&interval=1d"
_GOOD = 200


@dataclass(frozen=True, slots=True)
class Reachable:
    """Whether a parsable AAPL chart came; ``why`` says in a phrase what came instead."""

    yes: bool
    why: str = ""


def yahoo_answers(*, within: float) -> Reachable:
    """Ask Yahoo once for a chart of AAPL; at most ``within`` seconds.

    Only status 200 with that chart is an answer: a 429 or a block page is none.
    """
    from curl_cffi import requests
    from curl_cffi.requests.exceptions import RequestException, Timeout

    try:
        reply = requests.get(_URL, timeout=within, impersonate="chrome")
    except Timeout:
        return Reachable(yes=False, why=f"no answer within {within:g} s")
    except RequestException:
        return Reachable(yes=False, why="no connection")
    fault = _fault(reply)
    return Reachable(yes=not fault, why=fault)


def _fault(reply: "requests.Response") -> str:
    """What keeps a reply from being the chart that was asked for; empty where nothing does."""
    if reply.status_code != _GOOD:
        return f"HTTP {reply.status_code}"
    if MARK in reply.headers:
        return "a simulator answered in its place"
    try:
        symbol = json.loads(reply.content)["chart"]["result"][0]["meta"]["symbol"]
    except (ValueError, KeyError, IndexError, TypeError):
        return "its reply is no chart"
    return "" if symbol == "AAPL" else "it answered for another symbol"
