"""What providers that speak HTTP share: turns that are reported, and connections that stay open.

Not here: any client library and any wire format; importing this module imports no client.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from threading import BoundedSemaphore
from typing import Generic, TypeVar

from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.gate import Attempt, Ending, Gate, Turn
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import ProviderError, StoreError
from marketdata_pipeline.logs import get_logger

_LOG = get_logger(__name__)
_Connection = TypeVar("_Connection")
_ENDINGS: Mapping[str, Ending] = {str(one): one for one in Ending}


@dataclass(slots=True, eq=False)
class Sent:
    """What is known of a request while it is under way; whoever sends it fills this in.

    Attributes:
        key: whose turn it is, as ``Turn`` has it.
        status: of HTTP; 0: no reply came.
        retry_after: as ``Attempt`` has it, and ``used`` as well.
        ending: where no error tells it; None: an answer came.
    """

    key: str
    status: int = 0
    retry_after: timedelta | None = None
    used: Mapping[timedelta, int] = field(default_factory=dict)
    ending: Ending | None = None


@contextmanager
def turn_taken(
    gate: Gate, clock: Clock, errand: Errand, series: Series | None = None, *, weight: int = 1
) -> Iterator[Sent]:
    """Wait for a turn; the block sends one request, which is reported however it ends.

    A ``ProviderError`` that leaves the block is an ending by its category; any other exception
    means that it was abandoned. It is one line of the log as well.

    Raises:
        RateLimited: there is no turn, and nothing to report.
    """
    turn = gate.turn(errand, series, weight=weight)
    sent, ending, began = Sent(turn.key), Ending.ABANDONED, clock.wall_now()
    try:
        yield sent
        ending = sent.ending or Ending.ANSWERED
    except ProviderError as error:
        ending = _ENDINGS.get(error.category, Ending.ABANDONED)
        raise
    finally:
        took = max(clock.wall_now() - began, timedelta(0))
        _LOG.debug(
            "request",
            provider=turn.key,
            series=None if series is None else str(series),
            attempt=errand.attempt,
            priority=str(errand.priority),
            status=sent.status,
            ms=took // timedelta(milliseconds=1),
            ending=str(ending),
        )
        _report(gate, turn, Attempt(ending, sent.status, took, sent.retry_after, sent.used))


def _report(gate: Gate, turn: Turn, attempt: Attempt) -> None:
    """Tell the gate; where the catalog takes no word, what came of the request still counts."""
    try:
        gate.report(turn, attempt)
    except StoreError as error:
        _LOG.warning("request not reported", provider=turn.key, error=str(error))


class Connections(Generic[_Connection]):
    """At most so many requests at once, each through a connection that is kept for the next.

    Thread-safe. The connection that was given back last is given out first, so that no more of
    them are open than there are requests at once. Those that wait are served in no known order.

    Args:
        make: a new one.
        most: how many there may be.
    """

    def __init__(self, make: Callable[[], _Connection], most: int) -> None:
        self._make = make
        self._free = BoundedSemaphore(most)
        self._idle: list[_Connection] = []  # append and pop are atomic

    @contextmanager
    def one(self) -> Iterator[_Connection]:
        """Wait until fewer than ``most`` are in use, and use one until the block ends."""
        with self._free:
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._make()
            try:
                yield connection
            finally:
                self._idle.append(connection)
