"""A server on this machine that answers each request with the next of the replies it was given.

Not here: anything that thinks; the simulator does.
"""

import gzip
import json
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SO_LINGER, SOL_SOCKET
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from marketdata_pipeline.domain.gate import Gate
from marketdata_pipeline.providers.yahoo import Yahoo
from marketdata_pipeline.providers.yahoo.endpoint import MARK, Endpoint, Timeouts
from marketdata_pipeline_tests.fakes import FrozenClock, OpenGate

DAY_1 = 1_710_163_800
"""2024-03-11T13:30Z, a Monday's open in New York, the day after its clocks went forward."""
DAY = 86_400


def chart_body(
    stamps: Sequence[Any] = (DAY_1, DAY_1 + DAY), quote: Any = None, **others: Any
) -> bytes:
    """A chart of AAPL in 1d rows, shaped as recorded ones; ``others`` replace fields of meta.

    ``events`` and ``error`` are those of the reply.
    """
    events, error = others.pop("events", {}), others.pop("error", None)
    size = len(stamps)
    full = {name: [10.0 + at for at in range(size)] for name in ("open", "high", "low", "close")}
    meta = {
        "currency": "USD",
        "symbol": "AAPL",
        "instrumentType": "EQUITY",
        "firstTradeDate": 345_479_400,
        "regularMarketTime": DAY_1 + 4 * DAY,
        "exchangeTimezoneName": "America/New_York",
        "dataGranularity": "1d",
        "validRanges": ["1d", "max"],
        "priceHint": 2,
        **others,
    }
    result = {
        "meta": meta,
        "timestamp": list(stamps),
        "events": events,
        "indicators": {"quote": [{**full, "volume": [100] * size} if quote is None else quote]},
    }
    return json.dumps({"chart": {"result": [result], "error": error}}).encode()


def complaint(code: str, description: str) -> bytes:
    """Yahoo's own words instead of a chart."""
    error = {"code": code, "description": description}
    return json.dumps({"chart": {"result": None, "error": error}}).encode()


class Length(Enum):
    """How a reply says where its body ends."""

    TOLD = "Content-Length"
    CHUNKED = "Transfer-Encoding"
    CLOSED = "nothing: the connection ends with it"


@dataclass(frozen=True)
class Canned:
    """One reply; ``cut`` ends the connection after so many bytes of the body, 0 resets it."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    marked: bool = True
    cut: int | None = None
    delay: float = 0.0
    encoding: str = ""
    length: Length = Length.TOLD

    @property
    def packed(self) -> bytes:
        """The body as it is sent."""
        return gzip.compress(self.body) if self.encoding else self.body


@dataclass
class Served:
    """What the server was asked for: path and parameters, and cookies; oldest first."""

    port: int
    replies: list[Canned]
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    cookies: list[str | None] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def yahoo(
        self, clock: FrozenClock, gate: Gate | None = None, *, timeout: float = 10.0
    ) -> Yahoo:
        """The adapter, asking this server."""
        gate = OpenGate() if gate is None else gate
        return Yahoo(gate, clock, Endpoint.simulator(self.url), Timeouts(timeout, timeout))


@contextmanager
def serving(*replies: Canned) -> Iterator[Served]:
    """A server for these replies; the last one stands for all requests after it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            served.seen.append((parts.path, dict(parse_qsl(parts.query, keep_blank_values=True))))
            served.cookies.append(self.headers["Cookie"])
            reply = served.replies.pop(0) if len(served.replies) > 1 else served.replies[0]
            _send(self, reply)

        def log_message(self, *_: Any) -> None:
            """Tests read what was seen, not a log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Served(server.server_address[1], list(replies))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _send(handler: BaseHTTPRequestHandler, reply: Canned) -> None:
    if reply.delay:
        threading.Event().wait(reply.delay)
    if reply.cut == 0:
        handler.connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()
        return
    handler.send_response(reply.status)
    mark = {MARK: "recorded"} if reply.marked else {}
    for name, value in {**mark, **reply.headers}.items():
        handler.send_header(name, value)
    if reply.encoding:
        handler.send_header("Content-Encoding", reply.encoding)
    if reply.length is Length.TOLD:
        handler.send_header("Content-Length", str(len(reply.packed)))
    if reply.length is Length.CHUNKED:
        handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    sent = reply.packed[: reply.cut]
    if reply.length is Length.CHUNKED:
        end = b"" if reply.cut else b"0\r\n\r\n"
        sent = b"%x\r\n%b\r\n%b" % (len(sent), sent, end)
    with suppress(BrokenPipeError, ConnectionResetError):  # who asked had enough of waiting
        handler.wfile.write(sent)
    handler.close_connection = reply.cut is not None or reply.length is not Length.TOLD
