"""Which bars of a reply are at another level than what is stored beside them, and held for it.

Not here: what is odd about a series as it is (levels), the same bars told twice (overlap). Markets
make jumps of every size, and what a market did is not held until a person has looked: of jumps that
stay, only those are held that are a unit's or a split's. The rules report the others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from marketdata_pipeline.domain.actions import Action
from marketdata_pipeline.domain.verdict import Finding
from marketdata_pipeline.quality.levels import Shift, known_split, odd_shifts, told
from marketdata_pipeline.quality.prices import Prices, date_of

_UNITS = np.log([100.0, 1000.0])
_SPLITS = np.log([1.5, 2.0, 3.0, 4.0, 5.0, 10.0, 20.0, 25.0, 50.0])
_SPLIT_TOLERANCE = 0.04
_WEEKS = 0.5
"""Between bars that are weeks apart a price moves: by so much a unit's factor may be off then."""
_FEW = 10


def seams_in(prices: Prices, actions: Sequence[Action], suspect: np.ndarray) -> list[Finding]:
    """The parts of a reply among stored bars that are held for their level.

    ``suspect`` marks the reply's bars that no stored bar agrees with. A jump between bars that are
    stored is known; one that begins with a bar that is stored is, too.
    """
    kept = [
        *(_held(one, prices, actions, suspect) for one in odd_shifts(prices, actions)),
        *(_side(one, suspect, unit=True) for one in _far(prices, suspect)),
    ]
    return [told(one, prices, actions) for one in kept if one is not None]


def _held(
    shift: Shift, prices: Prices, actions: Sequence[Action], suspect: np.ndarray
) -> Shift | None:
    unit = _is_unit(shift, prices)
    if shift.paired:
        return _within(shift, suspect, unit=unit)
    if not unit and not _is_split(shift, prices, actions):
        return None
    return _side(shift, suspect, unit=unit)


def _within(block: Shift, suspect: np.ndarray, *, unit: bool) -> Shift | None:
    """The bars of a block that are new; none where it goes on with what is stored."""
    there = np.flatnonzero(suspect[block.first : block.last + 1])
    goes_on = not suspect[block.first] or not suspect[block.last]
    if not len(there) or (goes_on and not unit):
        return None
    return replace(block, first=block.first + int(there[0]), last=block.first + int(there[-1]))


def _side(shift: Shift, suspect: np.ndarray, *, unit: bool) -> Shift | None:
    """The side of a jump that is off: the one without stored bars.

    Of a jump away from the stored bars that side may be all but a tenth of a history, so only a
    unit's is held then; where nothing is stored, nothing tells, and the side is off that has a
    tenth of the bars at most. Stored bars on both sides confirm a jump, unless it is a unit's.
    """
    at, size, count = shift.last, shift.size, len(suspect)
    before, after = _run(suspect[:at][::-1]), _run(suspect[at:])
    free_before, free_after = before == at, after == count - at
    if free_before != free_after:
        of_after, sure = free_after, unit or not (before and after)
    else:
        of_after = 0 < after <= before or not before
        sure = unit and not free_before
    bars = after if of_after else before
    few = (free_before or free_after) and bars * _FEW <= count
    if not bars or not (sure or few):
        return None
    if of_after:
        return Shift(at, at + after - 1, size, paired=False)
    return Shift(at - before, at - 1, -size, paired=False)


def _run(mask: np.ndarray) -> int:
    """How many values at the start of a mask are set."""
    return int(np.argmin(mask)) if not mask.all() else len(mask)


def _far(prices: Prices, suspect: np.ndarray) -> Iterator[Shift]:
    """Where a reply and the stored bar before or after it are far apart, and a unit's factor.

    A provider that has been wrong for weeks is as wrong as on its first day.
    """
    for at in np.flatnonzero(~prices.near[1:] & (suspect[1:] != suspect[:-1])) + 1:
        size = float(prices.logs[0, at] - prices.logs[3, at - 1])
        if (np.abs(abs(size) - _UNITS) < _WEEKS).any():
            yield Shift(int(at) - 1, int(at), size, paired=False)


def _is_unit(shift: Shift, prices: Prices) -> bool:
    tolerance = min(max(0.1, 4 * float(prices.noise[shift.last])), 0.3)
    return bool((np.abs(abs(shift.size) - _UNITS) < tolerance).any())


def _is_split(shift: Shift, prices: Prices, actions: Sequence[Action]) -> bool:
    if known_split(shift.size, date_of(int(prices.labels[shift.last])), actions) is not None:
        return True
    may = prices.series.instrument.asset_class.has_actions
    return may and bool((np.abs(abs(shift.size) - _SPLITS) < _SPLIT_TOLERANCE).any())
