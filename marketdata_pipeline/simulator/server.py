"""The server: routes to pure functions, the requests it saw, and its own page at ``/simulator``.

Not here: what is answered (yahoo) and what goes wrong (faults). It listens on 127.0.0.1 only.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from marketdata_pipeline.domain.clock import Clock, ReplayClock
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.simulator import yahoo
from marketdata_pipeline.simulator.faults import Faults, Target, parse_faults
from marketdata_pipeline.simulator.history import History
from marketdata_pipeline.simulator.limits import Limits
from marketdata_pipeline.simulator.wire import Answer

HOST = "127.0.0.1"
HEADER = "X-Marketdata-Simulator"
"""Each reply says by this header, with the history's name, that it is none of a live provider."""
_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A provider request that was answered: host as the client spelled it, status 0 for a reset."""

    host: str
    path: str
    params: dict[str, str]
    status: int


@dataclass
class Simulator:
    """One history served at one clock; ``port`` 0 takes a free one, ``port`` then says which.

    Attributes:
        requests: those of providers' routes since the start, oldest first.
        faults: what goes wrong at the moment; may be changed while it runs.
        limits: quota and latency; may be changed as well.
    """

    history: History
    clock: Clock
    port: int = 0
    requests: list[Seen] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)
    limits: Limits = field(default_factory=Limits)

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://{HOST}:{self.port}"

    def charts(self) -> list[Seen]:
        """The chart requests among those seen."""
        return [seen for seen in self.requests if seen.path.startswith("/v8/finance/chart/")]

    def serve(self) -> None:
        """Serve until the process is interrupted or told to end.

        Raises:
            BadInput: the port is taken.
        """
        listener = self._listen()
        with listener:
            self._server().run(sockets=[listener])

    @contextmanager
    def in_thread(self) -> Iterator[Self]:
        """Serve from a thread of this process until the block ends.

        Raises:
            BadInput: the port is taken.
        """
        ready = threading.Event()
        with self._listen() as listener:
            server = self._server(ready.set)
            thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
            thread.start()
            try:
                if not ready.wait(_PATIENCE):
                    raise BadInput(f"the simulator did not start on {self.url}")
                yield self
            finally:
                server.should_exit = True
                thread.join(_PATIENCE)

    def app(self, started: Callable[[], None] = lambda: None) -> Starlette:
        """The application; ``started`` is called once it is ready."""

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            started()
            yield

        return Starlette(
            lifespan=lifespan,
            routes=[
                Route("/simulator", self._about),
                Route("/simulator/faults", self._faults, methods=["GET", "POST", "DELETE"]),
                Route("/simulator/limits", self._limits, methods=["GET", "POST"]),
                Route("/v8/finance/chart/{symbol}", self._chart),
                Route("/v1/test/getcrumb", self._crumb),
                Route("/", self._cookie),
                Route("/{path:path}", self._elsewhere, methods=["GET", "POST"]),
            ],
        )

    def _listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, self.port))
            listener.listen(128)
        except OSError as error:
            listener.close()
            raise BadInput(
                f"port {self.port} of {HOST} is taken; set MARKETDATA_SIMULATOR_PORT to a free one"
            ) from error
        self.port = listener.getsockname()[1]
        return listener

    def _server(self, started: Callable[[], None] = lambda: None) -> uvicorn.Server:
        return uvicorn.Server(
            uvicorn.Config(
                self.app(started),
                loop="asyncio",
                http=BreakableProtocol,
                ws="none",
                log_config=None,
                log_level="critical",
                access_log=False,
                timeout_graceful_shutdown=1,
            )
        )

    async def _about(self, _: Request) -> Response:
        replay = self.clock if isinstance(self.clock, ReplayClock) else None
        return self._own(
            {
                "history": self.history.name,
                "market_now": self.clock.market_now().isoformat(),
                "wall_now": self.clock.wall_now().isoformat(),
                "market_start": replay.market_start.isoformat() if replay else None,
                "wall_start": replay.wall_start.isoformat() if replay else None,
                "requests": len(self.requests),
                "charts": len(self.charts()),
                "instruments": [str(one) for one in self.history.instruments()],
            }
        )

    async def _faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.faults.clear()
        if request.method == "POST":
            try:
                self.faults.add(*parse_faults(await request.body()))
            except BadInput as error:
                return self._own({"error": str(error)}, 400)
        return self._own({"faults": [fault.written() for fault in self.faults.active()]})

    async def _limits(self, request: Request) -> Response:
        if request.method == "POST":
            try:
                self.limits.change(await request.body())
            except BadInput as error:
                return self._own({"error": str(error)}, 400)
        return self._own(self.limits.written())

    def _own(self, content: dict[str, Any], status: int = 200) -> Response:
        return JSONResponse(content, status, headers={HEADER: self.history.name})

    async def _chart(self, request: Request) -> Response:
        symbol = request.path_params["symbol"].upper()
        faults = self.faults.take(Target.CHART, symbol)
        if refusal := self.limits.refusal(self.clock.wall_now()):
            return self._reply(request, refusal)
        now = self.clock.market_now()
        listing = yahoo.listing_of(self.history, symbol, now)
        if listing is not None:
            listing = faults.on_listing(listing)
        answer = yahoo.chart(listing, dict(request.query_params), now)
        answer = replace(answer, delay=self.limits.delay())
        return self._reply(request, faults.on_answer(answer))

    async def _crumb(self, request: Request) -> Response:
        faults = self.faults.take(Target.CRUMB)
        return self._reply(request, faults.on_answer(yahoo.crumb(request.cookies)))

    async def _cookie(self, request: Request) -> Response:
        faults = self.faults.take(Target.COOKIE)
        return self._reply(request, faults.on_answer(yahoo.cookie()))

    async def _elsewhere(self, request: Request) -> Response:
        return self._reply(request, yahoo.elsewhere())

    def _reply(self, request: Request, answer: Answer) -> Response:
        host = request.headers.get("host", "").partition(":")[0]
        status = 0 if answer.reset else answer.status
        self.requests.append(Seen(host, request.url.path, dict(request.query_params), status))
        return AnswerResponse(answer, answer.source or self.history.name)


class AnswerResponse(Response):
    """Sends an answer: late, cut short, or not at all."""

    def __init__(self, answer: Answer, history: str) -> None:
        headers = {**answer.headers, "Content-Type": answer.content_type, HEADER: history}
        super().__init__(answer.body, answer.status, headers)
        self._answer = answer

    async def __call__(  # noqa: D102 - as Starlette's
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if self._answer.delay:
            await asyncio.sleep(self._answer.delay)
        if self._answer.reset:
            _reset(scope["state"]["transport"])
            await _gone(receive)
        elif self._answer.sent is None:
            await super().__call__(scope, receive, send)
        else:
            start = {"type": "http.response.start", "status": self.status_code}
            await send({**start, "headers": self.raw_headers})
            body = self.body[: self._answer.sent]
            await send({"type": "http.response.body", "body": body, "more_body": True})
            scope["state"]["transport"].close()
            await _gone(receive)


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


@contextmanager
def running(history: History, clock: Clock, port: int = 0) -> Iterator[Simulator]:
    """A simulator that serves from a thread of this process until the block ends.

    Raises:
        BadInput: the port is taken.
    """
    with Simulator(history, clock, port).in_thread() as simulator:
        yield simulator
