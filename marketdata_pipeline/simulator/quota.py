"""Quotas, alone and several at once, and how they move; each with its spelling.

Not here: what was granted so far, and the refusal (limits).
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from marketdata_pipeline.errors import BadInput

_QUOTA = re.compile(r"(\d{1,7})/(\d{1,6})", re.ASCII)
_STEP = re.compile(r"(?P<quotas>[^@]*)(?:@(?P<after>\d{1,6}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Quota:
    """At most ``requests`` in any ``seconds``.

    Raises:
        BadInput: not both of them above 0.
    """

    requests: int
    seconds: int

    def __post_init__(self) -> None:
        if self.requests < 1 or self.seconds < 1:
            raise BadInput("a quota is requests/seconds, whole and above 0, e.g. 2000/3600")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The quota of a spelling such as ``2000/3600``: so many requests in so many seconds.

        Raises:
            BadInput: any other spelling.
        """
        found = _QUOTA.fullmatch(text.strip())
        if not found:
            raise BadInput(f"{text[:40]!r} is no quota; write requests/seconds, e.g. 2000/3600")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.requests}/{self.seconds}"


@dataclass(frozen=True, slots=True)
class Step:
    """From ``after`` seconds on these quotas hold, all at once; none: there is no limit.

    Raises:
        BadInput: no time that can come.
    """

    after: float = 0.0
    quotas: tuple[Quota, ...] = ()

    def __post_init__(self) -> None:
        if not math.isfinite(self.after) or self.after < 0:
            raise BadInput("a step comes after some seconds, 0 or more")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The step of a spelling such as ``10/1,600/60@300``: quotas, and after how many seconds.

        Raises:
            BadInput: any other spelling.
        """
        found = _STEP.fullmatch(text.strip())
        if not found:
            raise BadInput(f"{text[:40]!r} is no step; write quotas@seconds, e.g. 30/60@600")
        return cls(float(found["after"] or 0), quotas_of(found["quotas"]))


def quotas_of(text: str) -> tuple[Quota, ...]:
    """The quotas of a spelling such as ``10/1,600/60``.

    Raises:
        BadInput: any other spelling.
    """
    return tuple(Quota.parse(one) for one in text.split(","))


def spelled(quotas: Sequence[Quota]) -> str | None:
    """How these quotas are spelled; None for none."""
    return ",".join(str(one) for one in quotas) or None


def in_order(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The same steps, as a schedule.

    Raises:
        BadInput: one comes before another, or two at once.
    """
    times = [one.after for one in steps]
    if any(later <= earlier for earlier, later in pairwise(times)):
        raise BadInput("each step of a schedule comes after the one before it")
    return tuple(steps)
