"""Where requests to Yahoo go (its own hosts, or a simulator on this machine), and how long.

Not here: sending them (session). A simulator marks each reply with a header; it is how a live
home and a replay home keep their worlds apart.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from marketdata_pipeline.errors import BadInput, HomeError

MARK = "X-Marketdata-Simulator"
"""The header of every reply of a simulator; its value is the name of the history it serves."""
LIVE_ORIGIN = "yahoo"


GROWTH = 1.5
"""By how much each further attempt may take longer than the one before."""
LONGEST_CONNECT, LONGEST_READ = 20.0, 60.0
"""Seconds up to which time limits grow; a setting above them does not grow at all."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that a request for a chart may take; that of ``contact`` is told its own.

    Attributes:
        connect: for the name, the connection and its encryption.
        read: for the whole reply after it. A body that comes in drops gains nothing by them: a
            request ends ``connect + read`` seconds after it began, at the latest.
    """

    connect: float = 8.0
    read: float = 25.0

    def escalated(self, attempt: int) -> Self:
        """Those of the ``attempt``-th try, from 1 on: a slow provider is given more time.

        8 and 25 s become 12 and 37.5, 18 and 56.25, then 20 and 60.
        """
        grown = GROWTH ** min(attempt - 1, 20)
        return replace(
            self,
            connect=max(self.connect, min(self.connect * grown, LONGEST_CONNECT)),
            read=max(self.read, min(self.read * grown, LONGEST_READ)),
        )


_HISTORY = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Yahoo itself, or a simulator at a loopback address; make one with ``live``/``simulator``."""

    host: str = ""
    port: int = 0

    @classmethod
    def live(cls) -> Self:
        """Yahoo's own hosts, by https with certificates verified."""
        return cls()

    @classmethod
    def simulator(cls, url: str) -> Self:
        """A simulator, by plain http on this machine only.

        Raises:
            BadInput: anything but ``http://<loopback address>:<port>``.
        """
        try:
            parts = urlsplit(url)
            host = "127.0.0.1" if parts.hostname == "localhost" else str(parts.hostname)
            loopback = ip_address(host).is_loopback
            port = parts.port or 0
        except ValueError:
            loopback, host, port = False, "", 0
            parts = urlsplit("")
        bare = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
        if not (loopback and port and bare and parts.scheme == "http"):
            raise BadInput(
                f"'{url[:80]}' is no address of a simulator: it runs on this machine only, "
                "write it as http://127.0.0.1:8090"
            )
        return cls(host, port)

    @property
    def simulated(self) -> bool:
        """Whether it is a simulator."""
        return bool(self.host)

    @property
    def ip(self) -> str:
        """The simulator's address as it stands in a URL."""
        return f"[{self.host}]" if ":" in self.host else self.host

    def locate(self, url: str) -> str:
        """Where to send a request that is meant for one of Yahoo's hosts.

        For a simulator the host name stays, so that cookies and the Host header are Yahoo's; the
        session resolves it to the simulator's address.
        """
        parts = urlsplit(url)
        if not self.simulated:
            return url
        return urlunsplit(parts._replace(scheme="http", netloc=f"{parts.hostname}:{self.port}"))

    def origin(self, headers: Mapping[str, str | None]) -> str:
        """Who answered, as a fetch records it: ``yahoo`` or ``simulator:<history>``.

        Raises:
            HomeError: a simulator's reply in a live home, or any other reply in a replay home.
        """
        history = next((headers[name] for name in headers if name.lower() == MARK.lower()), None)
        if not self.simulated:
            if history is None:
                return LIVE_ORIGIN
            raise HomeError(
                "a simulator answered instead of Yahoo; a live home takes no simulated bars "
                "(is a proxy or the hosts file in the way?)"
            )
        if history is None or not _HISTORY.fullmatch(history):
            raise HomeError(
                f"what answers at {self} is not a simulator of this project; a replay home takes "
                "no other bars (start one with: marketdata simulate)"
            )
        return f"simulator:{history}"

    def unanswered(self) -> str:
        """The sentence for a connection that was refused."""
        if self.simulated:
            return f"the simulator at {self} does not answer; start it with: marketdata simulate"
        return "Yahoo cannot be reached; is this machine connected to the internet?"

    def __str__(self) -> str:
        return f"http://{self.ip}:{self.port}" if self.simulated else "https://finance.yahoo.com"
