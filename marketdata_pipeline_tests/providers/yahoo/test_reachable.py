"""Whether Yahoo answers is asked with one request, and everything but a chart means no."""

from typing import Any

import pytest
from curl_cffi import requests

from marketdata_pipeline.providers.yahoo.reachable import Reachable, yahoo_answers
from marketdata_pipeline_tests.providers.yahoo.canned import Canned, chart_body, serving


def ask(monkeypatch: pytest.MonkeyPatch, reply: Canned, within: float = 2.0) -> Reachable:
    """What is found where this server stands in Yahoo's place."""
    send = requests.get
    with serving(reply) as server:

        def redirected(url: str, **options: Any) -> requests.Response:
            return send(url.replace("https://query2.finance.yahoo.com", server.url), **options)

        monkeypatch.setattr(requests, "get", redirected)
        found = yahoo_answers(within=within)
    assert len(server.seen) == 1
    return found


def test_a_chart_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(monkeypatch, Canned(chart_body(), marked=False)) == Reachable(yes=True)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Canned(b"Too Many Requests", 429, marked=False), "HTTP 429"),
        (Canned(b"<html>", 403, marked=False), "HTTP 403"),
        (Canned(b"<html>", marked=False), "its reply is no chart"),
        (Canned(b'{"chart":{"result":null}}', marked=False), "its reply is no chart"),
        (Canned(b"[]", marked=False), "its reply is no chart"),
        (Canned(chart_body(symbol="MSFT"), marked=False), "it answered for another symbol"),
        (Canned(chart_body()), "a simulator answered in its place"),
        (Canned(chart_body(), cut=0), "no connection"),
    ],
)
def test_anything_else_is_none_and_says_why(
    monkeypatch: pytest.MonkeyPatch, reply: Canned, why: str
) -> None:
    assert ask(monkeypatch, reply) == Reachable(yes=False, why=why)


def test_nobody_waits_longer_than_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ask(monkeypatch, Canned(delay=1.0), within=0.2)
    assert found == Reachable(yes=False, why="no answer within 0.2 s")
