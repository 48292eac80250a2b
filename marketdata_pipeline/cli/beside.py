"""Work beside other work, for which nobody waits longer than they say.

Not here: what is worked at.
"""

import threading
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Beside(Generic[_T]):
    """Work in a thread of its own; the end of this process does not wait for it."""

    def __init__(self, work: Callable[[], _T]) -> None:
        self._done = threading.Event()
        self._told: list[_T] = []
        threading.Thread(target=self._run, args=(work,), daemon=True).start()

    def _run(self, work: Callable[[], _T]) -> None:
        try:
            self._told.append(work())
        finally:
            self._done.set()

    def told(self, *, until: float) -> _T | None:
        """What the work returned; None where it had not, at an instant of ``time.monotonic``."""
        self._done.wait(max(0.0, until - monotonic()))
        return self._told[0] if self._told else None
