"""The simulator's own pages below ``/simulator``: what it serves, what it counts, the switches.

Not here: providers' routes (server). It listens on this machine only; a web page that a browser
here shows is refused as well, since browsers send what pages ask them to.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from marketdata_pipeline.domain.clock import Clock, ReplayClock
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.simulator.counters import Counters
from marketdata_pipeline.simulator.fault import parse_faults
from marketdata_pipeline.simulator.faults import Faults
from marketdata_pipeline.simulator.history import History
from marketdata_pipeline.simulator.limits import Limits
from marketdata_pipeline.simulator.sending import HEADER

_HERE = frozenset({"127.0.0.1", "localhost"})
Content = dict[str, Any]


class Served(Protocol):
    """What the pages show and switch."""

    history: History
    clock: Clock
    faults: Faults
    limits: Limits
    counters: Counters

    def asked(self) -> Content:
        """How many requests came, by what the front page calls them."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Pages:
    """The pages of one simulator."""

    served: Served

    def routes(self) -> list[Route]:
        """Where they are."""
        pages: dict[str, tuple[Callable[[Request, bytes], Content], list[str]]] = {
            "": (self._about, ["GET"]),
            "/faults": (self._faults, ["GET", "POST", "DELETE"]),
            "/limits": (self._limits, ["GET", "POST"]),
            "/counters": (self._counters, ["GET", "DELETE"]),
            "/counters/requests": (self._requests, ["GET"]),
        }
        return [
            Route(f"/simulator{path}", self._page(content), methods=methods)
            for path, (content, methods) in pages.items()
        ]

    def _page(self, content: Callable[[Request, bytes], Content]) -> Callable[[Request], Any]:
        """What a function tells as JSON; what it refuses is a sentence with 400."""

        async def page(request: Request) -> Response:
            if not _from_here(request):
                told = {"error": "this page is for programs on this machine, by its own address"}
                return self._json(told, 403)
            try:
                return self._json(content(request, await request.body()))
            except BadInput as error:
                return self._json({"error": str(error)}, 400)

        return page

    def _json(self, content: Content, status: int = 200) -> Response:
        return JSONResponse(content, status, headers={HEADER: self.served.history.name})

    def _about(self, _: Request, __: bytes) -> Content:
        clock = self.served.clock
        replay = clock if isinstance(clock, ReplayClock) else None
        return {
            "history": self.served.history.name,
            "market_now": clock.market_now().isoformat(),
            "wall_now": clock.wall_now().isoformat(),
            "market_start": replay.market_start.isoformat() if replay else None,
            "wall_start": replay.wall_start.isoformat() if replay else None,
            **self.served.asked(),
            "instruments": [str(one) for one in self.served.history.instruments()],
        }

    def _faults(self, request: Request, body: bytes) -> Content:
        faults = self.served.faults
        if request.method == "DELETE":
            faults.clear()
        if request.method == "POST":
            faults.add(*parse_faults(body))
        return {"faults": [fault.written() for fault in faults.active()]}

    def _limits(self, request: Request, body: bytes) -> Content:
        now = self.served.clock.wall_now()
        if request.method == "POST":
            self.served.limits.change(body, now)
        return self.served.limits.written(now)

    def _counters(self, request: Request, _: bytes) -> Content:
        now = self.served.clock.wall_now()
        if request.method == "DELETE":
            self.served.counters.clear()
        return {"now": now.timestamp(), "routes": self.served.counters.written(now)}

    def _requests(self, request: Request, _: bytes) -> Content:
        said = request.query_params
        return self.served.counters.requests(
            _seconds(said.get("since", "0")), said.get("route", "")
        )


def _from_here(request: Request) -> bool:
    """Whether it was sent to this machine's own address, and not for a page of another one."""
    hosts = [f"//{request.headers.get('host', '')}"]
    if "origin" in request.headers:
        hosts.append(request.headers["origin"])
    return all(_host(one) in _HERE for one in hosts)


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise BadInput(f"since is in unix seconds, not {text[:40]!r}")
    return seconds
