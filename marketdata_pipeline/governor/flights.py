"""Single flight: of those that want bars of one instrument at the same time, one asks for them.

Not here: what is asked meanwhile, and a provider's turns (gate). The others wait until it is done
and then look at what it brought. A lease holds for ``ttl``; a thread renews it as long as its
process lives, so that one whose holder was killed is free after that time at most. Losing a lease
(a machine that was paused) does no harm: the store judges whatever two write.
"""

import os
import socket
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Self
from uuid import uuid4

from sqlalchemy import Engine

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import MICROSECOND, from_micros
from marketdata_pipeline.errors import RateLimited, StoreError
from marketdata_pipeline.governor import leases
from marketdata_pipeline.governor.leases import Held, Lease, Taken
from marketdata_pipeline.governor.renewing import Renewer
from marketdata_pipeline.logs import get_logger

_log = get_logger(__name__)
_NEVER = 0
_RENEWALS = 3
"""In the time that a lease holds: two may fail."""


@dataclass(slots=True, eq=False)
class Flights:
    """The leases of all processes in the catalog behind ``engine``; one of these a process.

    Attributes:
        max_wait: the longest that one wait for somebody else's lease takes.
        ttl: how long a lease holds that is not renewed.
        poll: how long to sleep between two looks at somebody else's.
    """

    engine: Engine
    clock: Clock
    max_wait: timedelta
    ttl: timedelta = timedelta(seconds=15)
    poll: timedelta = timedelta(seconds=0.5)
    _renewer: Renewer = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._renewer = Renewer(self._renew, self.ttl.total_seconds() / _RENEWALS)

    def ended(self, instruments: Iterable[Instrument]) -> dict[Instrument, int]:
        """A number for each instrument that rises whenever somebody ends with it; 0: never yet.

        Read it before what is known of the instruments: ``Flight.take`` compares.
        """
        asked = list(instruments)
        with reading(self.engine) as connection:
            found = leases.ended(connection, [one.key for one in asked])
        return {one: found.get(one.key, _NEVER) for one in asked}

    def take(self, instrument: Instrument, check: Callable[[], None]) -> tuple[Lease, Taken]:
        """The lease on an instrument; see ``Flight.take``."""
        lease = Lease(instrument.key, f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:12]}")
        left = self.max_wait
        while True:
            found = retry.write(
                self.engine,
                self.clock,
                lambda connection: leases.take(connection, self.clock, lease, self._micros),
            )
            if isinstance(found, Taken):
                self._renewer.keep(lease)
                return lease, found
            left = self._waited(instrument, found, left, check)

    def give_up(self, lease: Lease) -> None:
        """Leave the instrument to others; where the catalog refuses, the lease runs out."""
        self._renewer.drop(lease)
        try:
            retry.write(
                self.engine,
                self.clock,
                lambda connection: leases.give_up(connection, self.clock, lease),
            )
        except StoreError as error:
            _log.warning("lease not given up", instrument=lease.instrument, error=str(error))

    def _waited(
        self, instrument: Instrument, held: Held, left: timedelta, check: Callable[[], None]
    ) -> timedelta:
        """Wait until nobody holds the instrument; returns what is left of the time to wait."""
        _log.info("waiting for another run", instrument=instrument.key, holder=held.holder)
        found: Held | None = held
        while found is not None:
            check()
            if left <= timedelta(0):
                seconds = self.max_wait.total_seconds()
                raise RateLimited(
                    f"another run is fetching {instrument}; it was not done with that after "
                    f"{seconds:.0f} s (it is {found.holder})",
                    retry_at=from_micros(found.until),
                )
            nap = min(self.poll, left)
            self.clock.sleep(nap.total_seconds())
            left -= nap
            with reading(self.engine) as connection:
                found = leases.held(connection, self.clock, instrument.key)
        return left

    @property
    def _micros(self) -> int:
        return self.ttl // MICROSECOND

    def _renew(self, held: Collection[Lease]) -> set[Lease]:
        return retry.write(
            self.engine,
            self.clock,
            lambda connection: leases.renew(connection, self.clock, held, self._micros),
        )


@dataclass(slots=True, eq=False)
class Flight:
    """One instrument's: taken when it is first needed, given up at the end of the block.

    Attributes:
        behind: what was read before may be out of date, since somebody was at it; whoever reads
            anew sets it back.
    """

    flights: Flights
    instrument: Instrument
    behind: bool = False
    _lease: Lease | None = None
    _refused: RateLimited | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lease is not None:
            self.flights.give_up(self._lease)

    def take(self, seen: int, check: Callable[[], None]) -> None:
        """Have the instrument for oneself from here on; waits while somebody else has it.

        Args:
            seen: what ``Flights.ended`` said before all that is known was read.
            check: called before each nap; what it raises ends the wait.

        Raises:
            RateLimited: somebody else has it for longer than may be waited; ``retry_at`` is when
                that lease runs out. It is not waited for a second time.
            StoreError: the catalog does not answer.
        """
        if self._lease is not None:
            return
        if self._refused is not None:
            raise self._refused
        try:
            self._lease, taken = self.flights.take(self.instrument, check)
        except RateLimited as error:
            self._refused = error
            raise
        self.behind = taken.abandoned or taken.ended_at != seen
