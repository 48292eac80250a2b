"""What was granted and refused: by route and client, in sliding windows, and request by request.

Not here: granting and refusing (limits). A request is refused where it is answered 429, by a quota
or by a fault, and granted otherwise, whatever becomes of its answer.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from marketdata_pipeline.simulator.instants import Instants
from marketdata_pipeline.simulator.wire import TOO_MANY_REQUESTS, Answer

WINDOWS = (1, 60, 3600)
"""Seconds."""
KEPT = 100_000
_MOST_CLIENTS = 1_000
_LONGEST_NAME = 40
OTHERS = "others"
"""Stands for the clients beyond the first thousand."""


@dataclass(frozen=True, slots=True)
class Counted:
    """One request.

    Attributes:
        at: the unix second (wall) at which it came.
        client: what it calls itself; empty: nothing.
        status: what was to be answered; 0: nothing.
        inside: it came before the time that an earlier refusal had announced was over.
    """

    at: float
    route: str
    client: str
    status: int
    inside: bool

    @property
    def granted(self) -> bool:
        """Whether it was not refused."""
        return self.status != TOO_MANY_REQUESTS


@dataclass(slots=True)
class Tally:
    """Requests granted and refused, and how many of each came inside a Retry-After."""

    granted: int = 0
    refused: int = 0
    granted_inside: int = 0
    refused_inside: int = 0

    def add(self, one: Counted) -> None:
        """One more."""
        if one.granted:
            self.granted += 1
            self.granted_inside += one.inside
        else:
            self.refused += 1
            self.refused_inside += one.inside

    def written(self) -> dict[str, Any]:
        """As JSON takes it."""
        inside = {"granted": self.granted_inside, "refused": self.refused_inside}
        return {"granted": self.granted, "refused": self.refused, "inside_retry_after": inside}


@dataclass(slots=True)
class _Route:
    """What is counted of one route; ``until`` is the latest time that a refusal announced."""

    total: Tally = field(default_factory=Tally)
    clients: dict[str, Tally] = field(default_factory=dict)
    granted: Instants = field(default_factory=Instants)
    refused: Instants = field(default_factory=Instants)
    most: dict[int, int] = field(default_factory=lambda: dict.fromkeys(WINDOWS, 0))
    until: float = 0.0

    def named(self, client: str) -> str:
        """The name that a client is counted under."""
        known = client in self.clients or len(self.clients) < _MOST_CLIENTS
        return client if known else OTHERS

    def add(self, one: Counted) -> None:
        self.total.add(one)
        self.clients.setdefault(one.client, Tally()).add(one)
        if not one.granted:
            self.refused.add(one.at)
            return
        self.granted.add(one.at)
        for seconds in WINDOWS:
            found = self.granted.within(seconds, one.at)
            self.most[seconds] = max(self.most[seconds], found)

    def written(self, at: float) -> dict[str, Any]:
        """As JSON takes it; ``last`` are the windows that end at ``at``."""
        return {
            **self.total.written(),
            "most_granted": {str(one): self.most[one] for one in WINDOWS},
            "last": {
                str(one): {
                    "granted": self.granted.within(one, at),
                    "refused": self.refused.within(one, at),
                }
                for one in WINDOWS
            },
            "clients": {name: tally.written() for name, tally in sorted(self.clients.items())},
        }


class Counters:
    """All requests of providers' routes since the start, or since they were last cleared."""

    def __init__(self) -> None:
        self._routes: dict[str, _Route] = {}
        self._newest: deque[Counted] = deque(maxlen=KEPT)

    def add(self, route: str, client: str, now: datetime, answer: Answer) -> None:
        """One more request, which came at that wall instant and gets that answer."""
        counted = self._routes.setdefault(route, _Route())
        at = now.timestamp()
        status = answer.status if answer.way.answered else 0
        client = counted.named(client[:_LONGEST_NAME])
        one = Counted(at, route, client, status, inside=at < counted.until)
        counted.add(one)
        self._newest.append(one)
        if not one.granted and answer.announced is not None:
            counted.until = max(counted.until, at + answer.announced)

    def clear(self) -> None:
        """Count anew; a Retry-After that was announced is forgotten as well."""
        self._routes.clear()
        self._newest.clear()

    def written(self, now: datetime) -> dict[str, Any]:
        """As JSON takes it: by route; window lengths are seconds."""
        at = now.timestamp()
        return {route: one.written(at) for route, one in sorted(self._routes.items())}

    def requests(self, since: float = 0.0, route: str = "") -> dict[str, list[Any]]:
        """The newest 100,000 requests as columns, oldest first.

        Args:
            since: unix seconds; those that came before are left out.
            route: only those of this route; empty: of all.
        """
        found = list(self._found(since, route))
        return {
            "at": [one.at for one in found],
            "route": [one.route for one in found],
            "client": [one.client for one in found],
            "status": [one.status for one in found],
            "granted": [one.granted for one in found],
            "inside_retry_after": [one.inside for one in found],
        }

    def _found(self, since: float, route: str) -> Iterator[Counted]:
        return (one for one in self._newest if one.at >= since and route in {"", one.route})
