"""The thread that renews a process' leases; it lives only while there are any.

Not here: taking leases and giving them up (flights), the statements (leases).
"""

from collections.abc import Callable, Collection
from threading import Condition, Thread

from marketdata_pipeline.errors import StoreError
from marketdata_pipeline.governor.leases import Lease
from marketdata_pipeline.logs import get_logger

_log = get_logger(__name__)

THREAD = "leases"
"""The thread's name."""
Renew = Callable[[Collection[Lease]], set[Lease]]
"""Renews leases; returns those that are still their holders'."""


class Renewer:
    """Renews all leases that it was given, every so many seconds, until they are dropped."""

    def __init__(self, renew: Renew, every: float) -> None:
        self._renew = renew
        self._every = every
        self._leases: set[Lease] = set()
        self._changed = Condition()
        self._thread: Thread | None = None

    def keep(self, lease: Lease) -> None:
        """Renew it from now on."""
        with self._changed:
            self._leases.add(lease)
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._run, name=THREAD, daemon=True)
                self._thread.start()

    def drop(self, lease: Lease) -> None:
        """Renew it no longer."""
        with self._changed:
            self._leases.discard(lease)
            self._changed.notify_all()

    def _run(self) -> None:
        while leases := self._due():
            try:
                lost = set(leases) - self._renew(leases)
            except StoreError as error:  # what was renewed last holds for a while yet
                _log.warning("leases not renewed", count=len(leases), error=str(error))
            else:
                self._lose(lost)

    def _due(self) -> tuple[Lease, ...]:
        """What is to be renewed, once it is time to; nothing: no lease is left."""
        with self._changed:
            self._changed.wait_for(lambda: not self._leases, self._every)
            if not self._leases:
                self._thread = None
            return tuple(self._leases)

    def _lose(self, lost: Collection[Lease]) -> None:
        with self._changed:
            mine = self._leases.intersection(lost)  # others were given up meanwhile
            self._leases -= mine
        for one in mine:
            _log.warning("lease lost", instrument=one.instrument, holder=one.holder)
