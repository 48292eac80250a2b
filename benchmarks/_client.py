"""Clients of a provider, a process each, all behind gates of the same kind.

Not here: the gates (_gates), and who starts this program and talks to it (_crew). A client waits
for its turn, asks the simulator over a connection that it keeps, tells its gate how that went, and
begins anew. It asks for a symbol that nobody knows: what is measured is the gate.

`python benchmarks/_client.py PLAN` imports what the gate needs, forks the clients, prints their
process ids as a JSON line, and then answers each line that it reads (`go`, `cpu`, `stop`) with one:
a list of what each client said, null for one that is gone. It ends after `stop` or with its input.
"""

import json
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass, field, replace
from datetime import timedelta
from functools import partial
from http.client import HTTPConnection, HTTPException
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any, Protocol

from _gates import Adapter, Answer, Ours, governed, read

_CHART = "/v8/finance/chart/NOBODY?interval=1d&range=1d"
_MONTH = timedelta(days=30)
_PATIENCE = 10.0
_KEPT_ALIVE = 3.0
"""Seconds after which a connection is opened anew; the simulator closes it after five."""


@dataclass(slots=True, eq=False)
class Line:
    """A connection to a simulator; ``name`` is who the client says it is."""

    port: int
    name: str
    _connection: HTTPConnection = field(init=False)
    _used: float = 0.0

    def __post_init__(self) -> None:
        self._connection = HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)

    def warm(self) -> None:
        """Ask for another page, which counts apart."""
        self._connection.request("GET", "/", headers={"X-Client": self.name})
        self._connection.getresponse().read()
        self._used = time.time()

    def ask(self) -> Answer:
        """Send one request and read its answer."""
        sent = time.time()
        if sent - self._used > _KEPT_ALIVE:
            self._connection.close()
            self._connection.connect()
            sent = time.time()
        try:
            self._connection.request("GET", _CHART, headers={"X-Client": self.name})
            response = self._connection.getresponse()
            response.read()
        except (OSError, HTTPException):
            self._connection.close()
            return Answer(sent, time.time(), 0)
        self._used = time.time()
        said = response.headers.get("Retry-After")
        return Answer(sent, self._used, response.status, None if said is None else float(said))


class Worker(Protocol):
    """What a client does again and again."""

    def once(self) -> Answer:
        """Wait for a turn, ask, tell the gate."""
        ...


class Bare:
    """Asks by itself, over a line."""

    def __init__(self, adapter: Adapter, line: Line) -> None:
        self._gate, self._line = adapter.opened(), line
        line.warm()

    def once(self) -> Answer:
        """One request."""
        self._gate.wait()
        answer = self._line.ask()
        self._gate.heed(answer)
        return replace(answer, told=time.time())


class ThroughYahoo:
    """Has the provider ask, which takes turns and reports by itself; nobody sees when it sends."""

    def __init__(self, settings: Ours, port: int) -> None:
        from marketdata_pipeline.domain.clock import SystemClock
        from marketdata_pipeline.domain.ranges import TimeRange
        from marketdata_pipeline.domain.series import Series
        from marketdata_pipeline.errors import ProviderError
        from marketdata_pipeline.providers.yahoo import Yahoo
        from marketdata_pipeline.providers.yahoo.endpoint import Endpoint

        endpoint = Endpoint.simulator(f"http://127.0.0.1:{port}")
        self._yahoo = Yahoo(governed(settings), SystemClock(), endpoint)
        now = SystemClock().wall_now()
        self._series, self._window = Series.parse("NOBODY|1d"), TimeRange(now - _MONTH, now)
        self._refused = ProviderError

    def once(self) -> Answer:
        """One request."""
        with suppress(self._refused):
            self._yahoo.fetch(self._series, self._window)
        return Answer(0, 0, 0)


class Client:
    """One client: a thread that works, and what it did so far."""

    def __init__(self, open_: Callable[[], Worker]) -> None:
        self._opened = open_
        self._done: list[Answer] = []
        self._open, self._begin = threading.Event(), threading.Event()
        self._worker = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        """Open the gate.

        Raises:
            RuntimeError: it does not open; standard error says why.
        """
        self._worker.start()
        while not self._open.wait(0.05):
            if not self._worker.is_alive():
                raise RuntimeError("the gate did not open")

    def answer(self, asked: str) -> Any:
        """What it says to a line."""
        if asked == "cpu":
            return time.process_time()
        if asked == "stop":
            if not self._worker.is_alive():
                raise RuntimeError("the client ended by itself")
            return [astuple(one) for one in list(self._done)]
        self._begin.set()
        return None

    def _work(self) -> None:
        worker = self._opened()
        self._open.set()
        self._begin.wait()
        while True:
            self._done.append(worker.once())


@dataclass(frozen=True, slots=True)
class Plan:
    """Which clients: as many, of the simulator at that port, behind that gate as it is written.

    ``provider``: the Yahoo provider asks for them.
    """

    gate: dict[str, Any]
    port: int
    clients: int
    provider: bool = False

    def names(self) -> list[str]:
        """Who they say they are."""
        return [f"client {number}" for number in range(self.clients)]

    def text(self) -> str:
        """As an argument of this program."""
        return json.dumps(asdict(self))

    def worker(self, name: str) -> Worker:
        """What the client of that name works with, in its own process."""
        adapter = read(self.gate)
        if self.provider and isinstance(adapter, Ours):
            return ThroughYahoo(adapter, self.port)
        return Bare(adapter, Line(self.port, name))

    def prepare(self) -> None:
        """Import what all of them need, before they are forked."""
        for one in read(self.gate).modules:
            import_module(one)
        if self.provider:
            import_module("marketdata_pipeline.providers.yahoo.session")


def _live(plan: Plan, name: str, ours: Connection, others: Sequence[Connection]) -> None:
    """The life of a client's process; it ends with the one that forked it."""
    for one in others:  # or they would keep each other's lines open
        one.close()
    client = Client(partial(plan.worker, name))
    client.start()
    try:
        ours.send("ready")
        while True:
            ours.send(client.answer(ours.recv()))
    except (EOFError, ConnectionError):
        return


def _forked(plan: Plan) -> Iterator[tuple[int, Connection]]:
    """Process ids and lines of the clients, all ready."""
    plan.prepare()
    context = multiprocessing.get_context("fork")
    kept: list[Connection] = []
    pids: list[int] = []
    for name in plan.names():
        mine, theirs = context.Pipe()
        kept.append(mine)
        process = context.Process(target=_live, args=(plan, name, theirs, kept), daemon=True)
        process.start()
        theirs.close()
        pids.append(process.pid or 0)
    for one in kept:
        one.recv()
    yield from zip(pids, kept, strict=True)


def _asked(line: Connection, what: str) -> Any:
    """What a client answers; None: it is gone."""
    try:
        line.send(what)
        return line.recv()
    except (EOFError, ConnectionError):
        return None


def main(plan: Plan) -> None:
    """Serve lines."""
    clients = dict(_forked(plan))
    print(json.dumps(list(clients)), flush=True)
    for asked in sys.stdin:
        what = asked.strip()
        print(json.dumps([_asked(one, what) for one in clients.values()]), flush=True)
        if what == "stop":
            return


if __name__ == "__main__":
    main(Plan(**json.loads(sys.argv[1])))
