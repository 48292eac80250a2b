"""Whether Yahoo answers from here: one request, before there is a home or a governor.

Not here: fetching bars.
"""

from dataclasses import dataclass

from marketdata_pipeline.providers.yahoo.endpoint import MARK

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
    if reply.status_code != _GOOD:
        return Reachable(yes=False, why=f"HTTP {reply.status_code}")
    if MARK in reply.headers:
        return Reachable(yes=False, why="a simulator answered in its place")
    try:
        symbol = reply.json()["chart"]["result"][0]["meta"]["symbol"]
    except (ValueError, KeyError, IndexError, TypeError):
        return Reachable(yes=False, why="its reply is no chart")
    return Reachable(yes=symbol == "AAPL", why="it answered for another symbol")
