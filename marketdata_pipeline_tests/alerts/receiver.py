"""A receiver of alerts: a real HTTP server on loopback that keeps what it is told.

Not here: any test.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "s3cret-t0ken-of-the-receiver"  # noqa: S105 - of this server alone


@dataclass
class Receiver:
    """What came; ``status`` is what it answers with."""

    port: int = 0
    status: int = 200
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """As apprise has it, a token in its path."""
        return f"json://127.0.0.1:{self.port}/{TOKEN}/"

    @property
    def titles(self) -> list[str]:
        return [str(one["title"]) for one in self.messages]

    @property
    def bodies(self) -> list[str]:
        return [str(one["message"]) for one in self.messages]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that listens; none of what it refuses is kept."""
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if made.status == 200:
                made.messages.append(json.loads(body))
            self.send_response(made.status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
