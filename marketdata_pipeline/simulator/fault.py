"""One thing that goes wrong on purpose: what it is, for whom, how often; and its spelling as JSON.

Not here: what each kind does (on_listing, on_answer) and which are switched on (faults).
"""

import math
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter

from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.simulator.posted import read
from marketdata_pipeline.simulator.wire import RetryAfter

_STATUSES = range(200, 1000)
"""Yahoo itself answers 999 at times."""
_LONGEST = 86_400.0


class Target(Enum):
    """The route that a fault is for."""

    CHART = "chart"
    CRUMB = "crumb"
    COOKIE = "cookie"


class Page(Enum):
    """Whose words ``block`` uses."""

    YAHOO = "yahoo"
    CLOUDFLARE = "cloudflare"


@dataclass(frozen=True, slots=True)
class Moment:
    """When a request came, by both clocks; aware UTC."""

    market: datetime
    wall: datetime


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        kind: a name of ``ON_LISTING`` or ``ON_ANSWER``.
        symbol: for this symbol only; empty: for all.
        times: for that many requests; None: until it is cleared.
        target: for requests of this route.
        status: of ``status``.
        retry_after: seconds, of ``status``; None: without the header.
        seconds: how long ``slow`` waits, ``drip`` takes, and ``refused`` lets nobody connect.
        dates: the sessions that kinds of data spoil, by the exchange's dates, or the ex-dates of
            ``split_not_applied``; empty: all of them.
        other: the symbol that ``wrong_symbol`` names instead.
        share: of the requests that it is for, how many it befalls; each is drawn.
        retry_as: how ``retry_after`` is spelled.
        page: whose words ``block`` uses.

    Raises:
        BadInput: a number that cannot be.
    """

    kind: str
    symbol: str = ""
    times: int | None = None
    target: Target = Target.CHART
    status: int = 500
    retry_after: int | None = None
    seconds: float = 1.0
    dates: tuple[date, ...] = ()
    other: str = "WRONG"
    share: float = 1.0
    retry_as: RetryAfter = RetryAfter.SECONDS
    page: Page = Page.YAHOO

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    def __post_init__(self) -> None:
        allowed = {
            "times, 1 or more": self.times is None or self.times >= 1,
            f"status, {_STATUSES[0]} to {_STATUSES[-1]}": self.status in _STATUSES,
            "retry_after, seconds from 0 on": self.retry_after is None or self.retry_after >= 0,
            f"seconds, from 0 to {_LONGEST:g}": 0 <= self.seconds <= _LONGEST,
            "share, above 0 and up to 1": 0 < self.share <= 1 and math.isfinite(self.share),
        }
        for said, right in allowed.items():
            if not right:
                raise BadInput(f"a fault has {said}")

    def written(self) -> dict[str, Any]:
        """As JSON takes it."""
        written: dict[str, Any] = _FAULT.dump_python(self, mode="json")
        return written


_FAULT = TypeAdapter(Fault)
_FAULTS = TypeAdapter(list[Fault])


def parse_faults(body: bytes) -> list[Fault]:
    """The faults of a JSON object, or of a list of them.

    Raises:
        BadInput: no JSON, an unknown field, a malformed value.
    """
    if body.lstrip().startswith(b"["):
        return read(_FAULTS, body, "fault")
    return [read(_FAULT, body, "fault")]
