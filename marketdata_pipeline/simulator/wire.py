"""Answers before they are sent, and the error bodies that Yahoo writes.

Not here: which answer a request gets (yahoo), what breaks it (on_answer), sending it (sending).
"""

import json
import math
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from enum import Enum
from typing import Any

JSON = "application/json;charset=utf-8"
TOO_MANY_REQUESTS = 429


class Way(Enum):
    """How an answer leaves."""

    WHOLE = "whole"
    HALF = "half"
    """Half of the body, then the connection is closed."""
    HALF_RESET = "half_reset"
    """Half of the body, then the connection is reset."""
    DRIP = "drip"
    """In small pieces that take ``seconds``."""
    RESET = "reset"
    """Not at all: the connection is reset."""
    SILENT = "silent"
    """Not at all: the connection stays open until the client leaves."""
    REFUSED = "refused"
    """Not at all: the connection is reset, and for ``seconds`` nobody can connect."""

    @property
    def answered(self) -> bool:
        """Whether at least a status line is sent."""
        return self in {Way.WHOLE, Way.HALF, Way.HALF_RESET, Way.DRIP}


class RetryAfter(Enum):
    """How it is said when to come back."""

    SECONDS = "seconds"
    DATE = "date"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply and how it leaves.

    Attributes:
        source: what its origin says where that is not the history's name.
        delay: seconds to wait before the first byte.
        announced: seconds after which it says that one may come again; None: it does not say.
    """

    status: int
    body: bytes
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    source: str = ""
    delay: float = 0.0
    way: Way = Way.WHOLE
    seconds: float = 0.0
    announced: float | None = None


def json_answer(status: int, content: object) -> Answer:
    """An answer with a JSON body, compact as Yahoo's are."""
    return Answer(status, json.dumps(content, separators=(",", ":"), allow_nan=False).encode())


def chart_error(status: int, code: str, description: str) -> Answer:
    """An error as the chart endpoint writes it."""
    error = {"code": code, "description": description}
    return json_answer(status, {"chart": {"result": None, "error": error}})


def not_found() -> Answer:
    """The chart endpoint's answer for a symbol that it does not know."""
    return chart_error(404, "Not Found", "No data found, symbol may be delisted")


def bad_request(description: str) -> Answer:
    """The chart endpoint's 400."""
    return chart_error(400, "Bad Request", description)


def unprocessable(description: str) -> Answer:
    """The chart endpoint's 422."""
    return chart_error(422, "Unprocessable Entity", description)


def too_many_requests() -> Answer:
    """Yahoo's 429, without a word on when to come back."""
    return Answer(TOO_MANY_REQUESTS, b"Too Many Requests\r\n", "text/html")


def retrying(answer: Answer, wait: float, said: RetryAfter, wall: datetime) -> Answer:
    """The answer with a Retry-After of ``wait`` seconds, rounded up as its spelling wants it."""
    if said is RetryAfter.OFF:
        return answer
    seconds: float = math.ceil(wait)
    text = f"{seconds}"
    if said is RetryAfter.DATE:
        until = wall + timedelta(seconds=wait)
        until += timedelta(microseconds=-until.microsecond % 1_000_000)
        seconds, text = (until - wall).total_seconds(), format_datetime(until, usegmt=True)
    return replace(answer, headers={**answer.headers, "Retry-After": text}, announced=seconds)


def number(value: Any) -> int | float | None:
    """As JavaScript writes a number: whole ones without a fraction, NaN as null."""
    value = float(value)
    if math.isnan(value):
        return None
    return int(value) if value.is_integer() else value
