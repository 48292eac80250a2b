"""How the providers stand: the turns of each, and its health.

Not here: deciding either (governor), asking a provider anything, and drawing (cli, defs).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from marketdata_pipeline.database.dialect import wall_micros
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.domain.gate import Turns
from marketdata_pipeline.domain.ranges import from_micros
from marketdata_pipeline.governor.governor import Governor
from marketdata_pipeline.governor.health import Health, health_of, never_asked
from marketdata_pipeline.governor.logged import Request, newest_requests, read_log

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Standing:
    """One provider; of one that has buckets or several credentials each of these.

    Attributes:
        turns: None: no process was ever made ready to ask it.
    """

    health: Health
    turns: Turns | None = None

    @property
    def key(self) -> str:
        """The provider's name; behind a slash its bucket's or credential's."""
        return self.health.key

    @property
    def per_minute(self) -> float | None:
        """How many requests may be sent a minute now, once the burst is used up."""
        return None if self.turns is None else _MINUTE / self.turns.interval


@dataclass(frozen=True, slots=True)
class Standings:
    """All of them at the wall instant ``at``, which is the database's; in order of their keys."""

    at: datetime
    all: tuple[Standing, ...]


def read_providers(governor: Governor, known: Iterable[str] = ()) -> Standings:
    """How every provider stands that has turns or is ``known`` by name.

    Takes no turn, writes nothing, in a constant number of queries a provider.

    Raises:
        StoreError: the catalog is unreadable.
    """
    found = {one.provider: one for one in governor.turns()}
    with reading(governor.engine) as connection:
        now = from_micros(wall_micros(connection, governor.clock))
        log = read_log(connection, list(found), now)
    standing = {key: Standing(health_of(one, log[key], now), one) for key, one in found.items()}
    asked = {key.partition("/")[0] for key in found}
    standing |= {name: Standing(never_asked(name)) for name in known if name not in asked}
    return Standings(now, tuple(standing[key] for key in sorted(standing)))


def read_requests(governor: Governor, most: int) -> list[Request]:
    """The newest requests to all providers, the newest first.

    Raises:
        StoreError: the catalog is unreadable.
    """
    with reading(governor.engine) as connection:
        return newest_requests(connection, most)
