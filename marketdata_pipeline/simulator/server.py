"""The server: providers' routes to pure functions, and the requests that it saw.

Not here: what is answered (yahoo), what goes wrong (faults), how answers leave (sending), its own
pages (pages). It listens on 127.0.0.1 only.
"""

import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.simulator import yahoo
from marketdata_pipeline.simulator.counters import KEPT, Counters
from marketdata_pipeline.simulator.fault import Moment, Target
from marketdata_pipeline.simulator.faults import Faults, Taken
from marketdata_pipeline.simulator.history import History
from marketdata_pipeline.simulator.limits import Limits
from marketdata_pipeline.simulator.listening import HOST, Server, listen
from marketdata_pipeline.simulator.pages import Pages
from marketdata_pipeline.simulator.sending import AnswerResponse, packs
from marketdata_pipeline.simulator.wire import Answer

CLIENT = "X-Client"
"""The header by which a client may say who it is; it is counted under that name."""
_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A provider request: host as the client spelled it, status 0 where nothing was answered.

    Attributes:
        connection: the client's port; requests over one connection have it in common.
        packed: whether the answer is gzipped.
    """

    host: str
    path: str
    params: dict[str, str]
    status: int
    connection: int = 0
    packed: bool = False


@dataclass
class Simulator:
    """One history served at one clock; ``port`` 0 takes a free one, ``port`` then says which.

    Attributes:
        requests: the newest 100,000 of providers' routes, oldest first.
        faults: what goes wrong at the moment; may be changed while it runs.
        limits: quotas and latency; may be changed as well.
        counters: what was granted and refused.
    """

    history: History
    clock: Clock
    port: int = 0
    requests: deque[Seen] = field(default_factory=lambda: deque(maxlen=KEPT))
    faults: Faults = field(default_factory=Faults)
    limits: Limits = field(default_factory=Limits)
    counters: Counters = field(default_factory=Counters)
    _asked: dict[str, int] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://{HOST}:{self.port}"

    def charts(self) -> list[Seen]:
        """The chart requests among those seen."""
        return [seen for seen in self.requests if seen.path.startswith("/v8/finance/chart/")]

    def asked(self) -> dict[str, Any]:
        """How many requests of providers' routes came since the start, and for charts."""
        charts = self._asked.get(Target.CHART.value, 0)
        return {"requests": sum(self._asked.values()), "charts": charts}

    def serve(self) -> None:
        """Serve until the process is interrupted or told to end.

        Raises:
            BadInput: the port is taken.
        """
        with listen(self.port) as listener:
            self.port = listener.getsockname()[1]
            self._server().run(sockets=[listener])

    @contextmanager
    def in_thread(self) -> Iterator[Self]:
        """Serve from a thread of this process until the block ends.

        Raises:
            BadInput: the port is taken.
        """
        ready = threading.Event()
        with listen(self.port) as listener:
            self.port = listener.getsockname()[1]
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

    def _server(self, started: Callable[[], None] = lambda: None) -> Server:
        app = self._app(started)
        server = Server(app, self.port)
        app.state.refuse = server.refuse
        return server

    def _app(self, started: Callable[[], None]) -> Starlette:
        """The application; ``started`` is called once it is ready."""

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            started()
            yield

        return Starlette(
            lifespan=lifespan,
            routes=[
                *Pages(self).routes(),
                Route("/v8/finance/chart/{symbol}", self._chart),
                Route("/v1/test/getcrumb", self._crumb),
                Route("/", self._cookie),
                Route("/{path:path}", self._elsewhere, methods=["GET", "POST"]),
            ],
        )

    async def _chart(self, request: Request) -> Response:
        moment = self._moment()
        symbol = request.path_params["symbol"].upper()
        answer = self.limits.refusal(moment.wall)
        if answer is None:
            faults = self.faults.take(Target.CHART, symbol)
            answer = faults.on_answer(self._chart_of(symbol, request, faults, moment), moment)
        return self._reply(request, Target.CHART.value, moment.wall, answer)

    def _chart_of(self, symbol: str, request: Request, faults: Taken, moment: Moment) -> Answer:
        listing = yahoo.listing_of(self.history, symbol, moment.market)
        if listing is not None:
            listing = faults.on_listing(listing)
        answer = yahoo.chart(listing, dict(request.query_params), moment.market)
        return replace(answer, delay=self.limits.delay())

    async def _crumb(self, request: Request) -> Response:
        return self._spoiled(request, Target.CRUMB, yahoo.crumb(request.cookies))

    async def _cookie(self, request: Request) -> Response:
        return self._spoiled(request, Target.COOKIE, yahoo.cookie())

    def _spoiled(self, request: Request, target: Target, answer: Answer) -> Response:
        moment = self._moment()
        spoiled = self.faults.take(target).on_answer(answer, moment)
        return self._reply(request, target.value, moment.wall, spoiled)

    async def _elsewhere(self, request: Request) -> Response:
        return self._reply(request, "elsewhere", self.clock.wall_now(), yahoo.elsewhere())

    def _moment(self) -> Moment:
        return Moment(self.clock.market_now(), self.clock.wall_now())

    def _reply(self, request: Request, route: str, now: datetime, answer: Answer) -> Response:
        """The answer on its way; what was asked is kept and counted."""
        host = request.headers.get("host", "").partition(":")[0]
        status = answer.status if answer.way.answered else 0
        packed = packs(answer, request.headers.get("accept-encoding", ""))
        port = request.client.port if request.client else 0
        params = dict(request.query_params)
        self.requests.append(Seen(host, request.url.path, params, status, port, packed))
        self._asked[route] = self._asked.get(route, 0) + 1
        self.counters.add(route, request.headers.get(CLIENT, ""), now, answer)
        refuse: Callable[[float], None] = request.app.state.refuse
        source = answer.source or self.history.name
        return AnswerResponse(answer, source, refuse, packed=packed)


@contextmanager
def running(history: History, clock: Clock, port: int = 0) -> Iterator[Simulator]:
    """A simulator that serves from a thread of this process until the block ends.

    Raises:
        BadInput: the port is taken.
    """
    with Simulator(history, clock, port).in_thread() as simulator:
        yield simulator
