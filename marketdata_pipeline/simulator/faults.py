"""The faults that are switched on, and which of them befall a request.

Not here: what each does. To add a fault, add a function to one of two tables: ``ON_LISTING`` spoils
the data that is served, ``ON_ANSWER`` the reply that is made of it.
"""

import threading
from dataclasses import dataclass, field, replace

import numpy as np

from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.simulator.fault import Fault, Moment, Target
from marketdata_pipeline.simulator.history import Listing
from marketdata_pipeline.simulator.on_answer import ON_ANSWER
from marketdata_pipeline.simulator.on_listing import ON_LISTING
from marketdata_pipeline.simulator.wire import Answer

KINDS = (*ON_LISTING, *ON_ANSWER)


@dataclass(frozen=True, slots=True)
class Taken:
    """The faults that befall one request, in the order in which they were switched on."""

    faults: tuple[Fault, ...] = ()

    def on_listing(self, listing: Listing) -> Listing:
        """What is served instead of the listing."""
        for fault in self.faults:
            if fault.kind in ON_LISTING:
                listing = ON_LISTING[fault.kind](listing, fault)
        return listing

    def on_answer(self, answer: Answer, moment: Moment) -> Answer:
        """What is sent instead of the answer."""
        for fault in self.faults:
            if fault.kind in ON_ANSWER:
                answer = ON_ANSWER[fault.kind](answer, fault, moment)
        return answer


@dataclass(slots=True)
class _Switched:
    """A fault, the times that are left of it, and dice of its own."""

    fault: Fault
    left: int | None
    dice: np.random.Generator

    def befalls(self, target: Target, symbol: str) -> bool:
        """Whether it befalls this request, which then is one of its times."""
        fault = self.fault
        if fault.target is not target or fault.symbol.upper() not in {"", symbol}:
            return False
        if fault.share < 1 and self.dice.random() >= fault.share:
            return False
        if self.left is not None:
            self.left -= 1
        return True


@dataclass
class Faults:
    """The faults that are switched on; may be used from several threads.

    ``seed`` is of the dice: the same faults, switched on in the same order, befall the same
    requests.
    """

    seed: int = 1
    _active: list[_Switched] = field(default_factory=list)
    _added: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, *faults: Fault) -> None:
        """Switch them on, behind those that are.

        Raises:
            BadInput: there is no such fault; then none of them is.
        """
        for one in faults:
            if one.kind not in KINDS:
                raise BadInput(f"'{one.kind[:40]}' is no fault; use one of {', '.join(KINDS)}")
        with self._lock:
            for one in faults:
                dice = np.random.default_rng([self.seed, self._added])
                self._active.append(_Switched(one, one.times, dice))
                self._added += 1

    def clear(self) -> None:
        """Switch all off."""
        with self._lock:
            self._active.clear()
            self._added = 0

    def active(self) -> tuple[Fault, ...]:
        """Those that still befall requests, ``times`` counting down."""
        with self._lock:
            return tuple(replace(one.fault, times=one.left) for one in self._active)

    def take(self, target: Target, symbol: str = "") -> Taken:
        """The faults of one request; it counts as one of their times."""
        with self._lock:
            taken = tuple(one.fault for one in self._active if one.befalls(target, symbol))
            self._active = [one for one in self._active if one.left != 0]
        return Taken(taken)
