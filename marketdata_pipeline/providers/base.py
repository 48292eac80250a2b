"""What a provider is: capabilities as data on the class, fetching as one method.

Not here: any provider's wire format.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Self

from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.contact import Contact
from marketdata_pipeline.domain.credential import Credential
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.gate import Gate
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.reply import Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe


@dataclass(frozen=True, slots=True)
class Capability:
    """What a provider serves of one timeframe; None means without limit.

    Attributes:
        longest_window: the most that one request may span.
        depth: how far back from now it serves.
    """

    longest_window: timedelta | None = None
    depth: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """How providers are reached.

    Attributes:
        simulator: URL of the simulator that stands for all of them; None: the real ones.
        connect, read: seconds to wait for a connection, and for the whole reply after it; of the
            first attempt, later ones may wait longer.
        connections: how many requests may be under way at once.
        credentials: the keys that it was given; ``credential_of`` tells whose turn it is.
    """

    simulator: str | None
    connect: float
    read: float
    connections: int = 15
    credentials: tuple[Credential, ...] = ()


class Provider(ABC):
    """A source of bars. ``name`` is its registry name.

    ``keys`` are the environment variables that hold its keys, as in the documentation of settings
    (several each, or with ``_FILE`` at the end the path of a file); none: it needs no key. One that
    has two parts is given as one, with a colon between them.
    """

    name: ClassVar[str]
    timeframes: ClassVar[Mapping[Timeframe, Capability]]
    keys: ClassVar[tuple[str, ...]] = ()

    @classmethod
    @abstractmethod
    def connected(cls, gate: Gate, clock: Clock, reach: Reach) -> Self:
        """The provider behind its gate; sends nothing yet.

        Raises:
            BadInput: the simulator's URL is none of this machine.
        """

    @abstractmethod
    def fetch(
        self,
        series: Series,
        window: TimeRange,
        errand: Errand = Errand(),  # noqa: B008 - frozen
    ) -> Reply:
        """Ask once for ``window`` (label space) of ``series``.

        Each HTTP request takes a turn for the errand and reports how it ended. None is repeated
        here; whoever asks again does so with ``errand.again()``.

        Raises:
            ProviderError: the narrowest kind; no foreign exception ever leaves.
        """

    def contact(self, *, within: float) -> Contact | None:  # noqa: ARG002 - for those that ask
        """Whether the provider answers: one small request that takes a turn and reports it.

        None where only fetching could tell. What goes wrong is the outcome, not an error.

        Args:
            within: the seconds that it may take.
        """
        return None
