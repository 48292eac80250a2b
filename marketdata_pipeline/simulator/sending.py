"""How an answer leaves: whole, late, in drops, cut short, or not at all.

Not here: which answer, and what breaks it (on_answer).
"""

import asyncio
import gzip
import socket
import struct
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from marketdata_pipeline.simulator.wire import Answer, Way

HEADER = "X-Marketdata-Simulator"
"""Each reply says by this header, with the history's name, that it is none of a live provider."""
_DROPS = 20
_TO_ARRIVE = 0.05
"""Seconds for bytes to reach the client before a reset, which may overtake them."""


def packs(answer: Answer, accepted: str) -> bool:
    """Whether the body is gzipped, as Yahoo does for whoever names gzip in Accept-Encoding."""
    offered = (one.replace(" ", "").lower() for one in accepted.split(","))
    return bool(answer.body) and "gzip" in offered


class AnswerResponse(Response):
    """Sends an answer as it says that it leaves; ``refuse`` lets nobody connect for a while.

    What breaks on the way are the bytes that are sent: if it is ``packed``, those of the gzip.
    """

    def __init__(
        self, answer: Answer, history: str, refuse: Callable[[float], None], *, packed: bool = False
    ) -> None:
        headers = {**answer.headers, "Content-Type": answer.content_type, HEADER: history}
        body = answer.body
        if packed:
            body = gzip.compress(body, compresslevel=1, mtime=0)
            headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        super().__init__(body, answer.status, headers)
        STATUS_PHRASES.setdefault(answer.status, b"")  # else uvicorn sends nothing above 599
        self._answer = answer
        self._refuse = refuse

    async def __call__(  # noqa: D102 - as Starlette's
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if self._answer.delay:
            await asyncio.sleep(self._answer.delay)
        if self._answer.way is Way.WHOLE:
            await super().__call__(scope, receive, send)
        elif self._answer.way is Way.DRIP:
            await self._drip(send)
        else:
            await self._break(scope["state"]["transport"], send)
            await _gone(receive)

    async def _drip(self, send: Send) -> None:
        await self._start(send)
        size = max(1, -(-len(self.body) // _DROPS))
        for at in range(0, len(self.body), size):
            await asyncio.sleep(self._answer.seconds / _DROPS)
            await _piece(send, bytes(self.body[at : at + size]))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _break(self, transport: asyncio.Transport, send: Send) -> None:
        way = self._answer.way
        if way.answered:
            await self._start(send)
            await _piece(send, bytes(self.body[: len(self.body) // 2]))
        if way is Way.HALF:
            transport.close()
        if way is Way.HALF_RESET:
            await asyncio.sleep(_TO_ARRIVE)
        if way is Way.REFUSED:
            self._refuse(self._answer.seconds)
        if way in {Way.HALF_RESET, Way.RESET, Way.REFUSED}:
            _reset(transport)

    async def _start(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})


async def _piece(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


def _reset(transport: asyncio.Transport) -> None:
    """Close at once, so that the client's system says "connection reset by peer"."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _gone(receive: Receive) -> None:
    """Wait until the connection is closed, or uvicorn would answer in our place."""
    while (await receive())["type"] != "http.disconnect":
        pass


class BreakableProtocol(H11Protocol):
    """Hands the connection to the application, which ASGI gives no way to break."""

    def connection_made(  # type: ignore[override] # noqa: D102 - asyncio's, its type narrowed
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}
