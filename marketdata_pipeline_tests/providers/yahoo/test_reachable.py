"""Whether Yahoo answers is asked with one request, and everything but a chart means no."""

import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from curl_cffi import requests

from marketdata_pipeline.domain.contact import Contact, Outcome
from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.gate import Attempt, Ending, Gate
from marketdata_pipeline.errors import RateLimited
from marketdata_pipeline.providers.yahoo import Yahoo
from marketdata_pipeline.providers.yahoo.endpoint import Endpoint
from marketdata_pipeline.providers.yahoo.reachable import ask
from marketdata_pipeline_tests.fakes import FrozenClock, OpenGate
from marketdata_pipeline_tests.ports import free_port
from marketdata_pipeline_tests.providers.yahoo.canned import Canned, chart_body, serving

CLOCK = FrozenClock(wall=datetime(2024, 3, 15, 21, 0, 30, tzinfo=UTC))
DATE = "Fri, 15 Mar 2024 21:00:00 GMT"
OPENSSL = shutil.which("openssl")
Redirect = Callable[[str], None]


@pytest.fixture
def redirect(monkeypatch: pytest.MonkeyPatch) -> Redirect:
    """Has another server stand in Yahoo's place."""
    send = requests.get

    def redirected_to(target: str) -> None:
        def redirected(url: str, **options: Any) -> requests.Response:
            return send(url.replace("https://query2.finance.yahoo.com", target), **options)

        monkeypatch.setattr(requests, "get", redirected)

    return redirected_to


def asked(redirect: Redirect, reply: Canned, within: float = 2.0) -> Contact:
    """What is found where this server stands in Yahoo's place."""
    with serving(reply) as server:
        redirect(server.url)
        found = ask(Endpoint.live(), CLOCK, within=within)
    assert len(server.seen) == 1
    return found


def test_a_chart_is_an_answer(redirect: Redirect) -> None:
    found = asked(redirect, Canned(chart_body(), marked=False))
    assert (found.outcome, found.said) == (Outcome.ANSWERED, "HTTP 200")
    assert found.until is None


CONSENT = {"Location": "https://guce.yahoo.com/consent?brandType=nonEu"}
CRUMB = b'{"finance":{"result":null,"error":{"code":"Unauthorized","description":"Bad Crumb"}}}'
PORTAL = {"Location": "http://login.hotel.example/"}


@pytest.mark.parametrize(
    ("reply", "outcome", "said"),
    [
        (Canned(b"Too Many Requests", 429, marked=False), Outcome.LIMITED, "HTTP 429"),
        (Canned(b"<html>", 403, marked=False), Outcome.BLOCKED, "HTTP 403"),
        (Canned(b"<html>", 999, marked=False), Outcome.BLOCKED, "HTTP 999"),
        (Canned(CRUMB, 401, marked=False), Outcome.OUTAGE, "HTTP 401"),
        (Canned(b"<html>", marked=False), Outcome.BLOCKED, "HTTP 200, but a page"),
        (Canned(b"", 302, CONSENT, marked=False), Outcome.CONSENT, "a redirect to guce.yahoo.com"),
        (Canned(b"<html>guce", marked=False), Outcome.CONSENT, "HTTP 200, but a page"),
        (Canned(b"", 302, PORTAL, marked=False), Outcome.FOREIGN, "redirect to login.hotel"),
        (Canned(b"", 407, marked=False), Outcome.PROXY, "HTTP 407"),
        (Canned(b"", 503, marked=False), Outcome.OUTAGE, "HTTP 503"),
        (Canned(b"<p>Will be right back", marked=False), Outcome.OUTAGE, "its reply is no chart"),
        (Canned(b'{"chart":{"result":null}}', marked=False), Outcome.OUTAGE, "no chart"),
        (Canned(b"[]", marked=False), Outcome.OUTAGE, "its reply is no chart"),
        (Canned(chart_body(symbol="MSFT"), marked=False), Outcome.OUTAGE, "another symbol"),
        (Canned(chart_body()), Outcome.FOREIGN, "a simulator answered in its place"),
        (Canned(b"<html>", 403), Outcome.FOREIGN, "a simulator answered in its place"),
        (Canned(chart_body(), cut=0), Outcome.BROKEN, "Recv failure: Connection reset by peer"),
    ],
)
def test_anything_else_is_none_and_says_what_it_is(
    redirect: Redirect, reply: Canned, outcome: Outcome, said: str
) -> None:
    found = asked(redirect, reply)
    assert found.outcome is outcome
    assert said in found.said


def test_a_recorded_page_of_consent_is_one(redirect: Redirect, shared: Path) -> None:
    folder = shared / "recordings" / "yahoo"
    page = folder / "crumb-cookie-flow__getCrumb-quote-AAPL-collectConsent.html"
    found = asked(redirect, Canned(page.read_bytes(), marked=False))
    assert found.outcome is Outcome.CONSENT


def test_nobody_waits_longer_than_was_said(redirect: Redirect) -> None:
    found = asked(redirect, Canned(delay=1.0), within=0.2)
    assert (found.outcome, found.said) == (Outcome.TIMEOUT, "0.2 s")


def test_a_name_that_leads_nowhere_is_told_from_a_closed_port(redirect: Redirect) -> None:
    redirect("http://nowhere.invalid")
    assert ask(Endpoint.live(), CLOCK, within=2).outcome is Outcome.UNRESOLVED
    redirect(f"http://127.0.0.1:{free_port()}")
    found = ask(Endpoint.live(), CLOCK, within=2)
    assert found.outcome is Outcome.REFUSED
    assert found.said.startswith("Failed to connect to 127.0.0.1")


def test_a_proxy_in_the_way_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{free_port()}")
    assert ask(Endpoint.live(), CLOCK, within=2).outcome is Outcome.PROXY
    with serving(Canned()) as proxy:  # it knows no CONNECT
        monkeypatch.setenv("https_proxy", proxy.url)
        assert ask(Endpoint.live(), CLOCK, within=2).outcome is Outcome.PROXY


@pytest.mark.skipif(OPENSSL is None, reason="makes a certificate with openssl")
def test_a_certificate_that_nobody_vouches_for_is_told_from_no_connection(
    redirect: Redirect, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([OPENSSL or "", "req", "-x509", *curve, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        redirect(f"https://localhost:{server.server_address[1]}")
        found = ask(Endpoint.live(), CLOCK, within=2)
        server.shutdown()
    assert found.outcome is Outcome.CERTIFICATE
    assert "self signed" in found.said


@pytest.mark.parametrize(
    ("headers", "ahead"),
    [
        ({"Date": DATE}, 29),
        ({"Date": DATE, "Age": "20"}, 8),
        ({"Date": DATE, "Age": "0"}, 29),
        ({"Date": "Fri, 15 Mar 2024 21:01:00 -0000"}, -30),
    ],
)
def test_the_servers_clock_is_read_off_its_reply(
    redirect: Redirect, headers: dict[str, str], ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda _: headers["Date"])
    more = {name: text for name, text in headers.items() if name != "Date"}
    found = asked(redirect, Canned(b"", 503, more, marked=False))
    assert found.clock is not None
    assert found.clock.ahead == timedelta(seconds=ahead)


def test_a_server_that_tells_no_time_has_no_clock(
    redirect: Redirect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda _: "today")
    assert asked(redirect, Canned(b"", 503, marked=False)).clock is None


def yahoo(gate: Gate, url: str) -> Yahoo:
    return Yahoo(gate, CLOCK, Endpoint.simulator(url))


def test_a_simulator_is_asked_the_same_way_and_takes_a_turn() -> None:
    gate = OpenGate()
    with serving(Canned(chart_body())) as server:
        assert yahoo(gate, server.url).contact(within=2).answered
    with serving(Canned(chart_body(), marked=False)) as server:
        found = yahoo(gate, server.url).contact(within=2)
    assert (found.outcome, found.said) == (Outcome.FOREIGN, "what answered is no simulator")
    assert gate.attempts == [Attempt(Ending.ANSWERED, 200), Attempt(Ending.ABANDONED, 200)]
    assert {(turn.errand.priority, turn.series) for turn in gate.given} == {(Priority.URGENT, None)}


def test_a_proxy_of_the_environment_is_not_asked_for_a_simulator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with serving(Canned(chart_body())) as server:
        assert yahoo(OpenGate(), server.url).contact(within=2).answered


def test_without_a_turn_nothing_is_sent() -> None:
    until = CLOCK.wall + timedelta(minutes=1)
    gate = OpenGate(shut=RateLimited("no turn", retry_at=until))
    with serving(Canned()) as server:
        found = yahoo(gate, server.url).contact(within=2)
        assert server.seen == []
    assert gate.reported == []
    assert (found.outcome, found.until) == (Outcome.HELD, until)


@pytest.mark.parametrize(
    ("headers", "wait"), [({"Retry-After": "90"}, timedelta(seconds=90)), ({}, None)]
)
def test_a_429_is_told_to_all(headers: dict[str, str], wait: timedelta | None) -> None:
    gate = OpenGate()
    with serving(Canned(b"", 429, headers)) as server:
        found = yahoo(gate, server.url).contact(within=2)
    assert found.outcome is Outcome.LIMITED
    assert found.until == (None if wait is None else CLOCK.wall + wait)
    assert gate.attempts == [Attempt(Ending.RATE_LIMITED, 429, retry_after=wait)]


@pytest.mark.parametrize(
    ("reply", "attempt"),
    [
        (Canned(b"<html>", 403), Attempt(Ending.BLOCKED, 403)),
        (Canned(b"", 302, CONSENT), Attempt(Ending.BLOCKED, 302)),
        (Canned(b"<html>"), Attempt(Ending.UNAVAILABLE, 200)),
        (Canned(b"", 503), Attempt(Ending.UNAVAILABLE, 503)),
        (Canned(chart_body(), cut=0), Attempt(Ending.UNAVAILABLE)),
        (Canned(delay=1.0), Attempt(Ending.TIMEOUT)),
    ],
)
def test_what_comes_is_reported_as_that_of_a_fetch_would_be(
    reply: Canned, attempt: Attempt
) -> None:
    gate = OpenGate()
    with serving(reply) as server:
        yahoo(gate, server.url).contact(within=0.2)
    assert gate.attempts == [attempt]


def test_an_interrupted_question_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(requests, "get", interrupted)
    gate = OpenGate()
    with pytest.raises(KeyboardInterrupt):
        yahoo(gate, "http://127.0.0.1:9").contact(within=1)
    assert gate.attempts == [Attempt(Ending.ABANDONED)]
