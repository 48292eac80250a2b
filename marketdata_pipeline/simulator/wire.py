"""Answers before they are sent, and the error bodies that Yahoo writes.

Not here: which answer a request gets (yahoo), and how it is sent or broken (server, faults).
"""

import json
import math
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json;charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply and how it leaves.

    Attributes:
        source: what its origin says where that is not the history's name.
        delay: seconds to wait before the first byte.
        sent: how much of the body is sent before the connection is closed; None: all of it.
        reset: the connection is reset instead.
    """

    status: int
    body: bytes
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    source: str = ""
    delay: float = 0.0
    sent: int | None = None
    reset: bool = False


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


def number(value: Any) -> int | float | None:
    """As JavaScript writes a number: whole ones without a fraction, NaN as null."""
    value = float(value)
    if math.isnan(value):
        return None
    return int(value) if value.is_integer() else value
