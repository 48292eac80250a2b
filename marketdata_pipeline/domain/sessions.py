"""Schedules: the days and the trading segments of a calendar as arrays, and grids on them.

Not here: which calendar an instrument follows, and where the days come from (calendars).
All instants are int64 microseconds since 1970-01-01T00:00Z; a day's label is its date at 00:00 UTC.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Micros = npt.NDArray[np.int64]
DAY = 86_400_000_000
WEEK = 7 * DAY
_MONDAY = 4 * DAY
"""1970-01-05 was a Monday."""


def monday_of(labels: Micros) -> Micros:
    """The label of the week that each day label falls in: that week's Monday."""
    return (labels - _MONDAY) // WEEK * WEEK + _MONDAY


@dataclass(frozen=True, slots=True, eq=False)
class Days:
    """Sessions as daily bars see them: label, first and last instant; sorted by label."""

    label: Micros
    open: Micros
    close: Micros

    def between(self, start: int, end: int) -> "Days":
        """The days whose label is in ``[start, end)``."""
        cut = slice(*np.searchsorted(self.label, [start, end]))
        return Days(self.label[cut], self.open[cut], self.close[cut])

    def weeks(self) -> "Days":
        """One entry a week: its Monday, the first open, the last close."""
        monday, first, count = np.unique(
            monday_of(self.label), return_index=True, return_counts=True
        )
        return Days(monday, self.open[first], self.close[first + count - 1])

    def bucket(self, instants: Micros) -> Micros:
        """The label of the day that each instant falls in; -1 outside every day."""
        if not len(self.label):
            return np.full_like(instants, -1)
        at = np.maximum(np.searchsorted(self.open, instants, side="right") - 1, 0)
        known = (instants >= self.open[at]) & (instants < self.close[at])
        return np.where(known, self.label[at], -1)


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Unbroken stretches of trading: grids start at ``anchor``; sorted by ``open``.

    ``anchor`` equals ``open`` except where a grid is anchored earlier (FX at 00:00 UTC).
    """

    anchor: Micros
    open: Micros
    close: Micros

    @classmethod
    def of(cls, parts: "list[Segments]") -> Self:
        """All parts as one, sorted by open."""
        anchor = np.concatenate([part.anchor for part in parts])
        opened = np.concatenate([part.open for part in parts])
        close = np.concatenate([part.close for part in parts])
        order = np.argsort(opened)
        return cls(anchor[order], opened[order], close[order])

    def grid(self, step: int) -> tuple[Micros, Micros]:
        """Labels and closing instants of all bars of ``step`` microseconds, sorted.

        The last bar of a segment may be short; it closes with the segment.
        """
        first = (self.open - self.anchor) // step
        count = -((self.anchor - self.close) // step) - first
        segment = np.repeat(np.arange(len(count)), count)
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        labels = self.anchor[segment] + (first[segment] + within) * step
        return labels, np.minimum(labels + step, self.close[segment])

    def bucket(self, instants: Micros, step: int) -> Micros:
        """The label of the ``step`` bar that each instant falls in; -1 outside every segment."""
        if not len(self.open):
            return np.full_like(instants, -1)
        at = np.maximum(np.searchsorted(self.open, instants, side="right") - 1, 0)
        known = (instants >= self.open[at]) & (instants < self.close[at])
        anchor = self.anchor[at]
        return np.where(known, anchor + (instants - anchor) // step * step, -1)

    def closed_until(self, now: int, step: int) -> int | None:
        """When the last bar of ``step`` microseconds that is closed ``now`` closed, or None."""
        at = int(np.searchsorted(self.open, now)) - 1
        if at < 0:
            return None
        anchor, close = int(self.anchor[at]), int(self.close[at])
        end = close if close <= now else anchor + (now - anchor) // step * step
        if end > self.open[at]:
            return end
        return int(self.close[at - 1]) if at else None

    def holds(self, instant: int) -> bool:
        """Whether an instant is inside a segment."""
        at = int(np.searchsorted(self.open, instant, side="right")) - 1
        return at >= 0 and instant < int(self.close[at])
