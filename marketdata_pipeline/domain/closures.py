"""Closures: what a person says of single days of a calendar, and the table of it that is in force.

Not here: calendars, which look into it, and the rows that it comes from (store.closures).
A process works on one home, whose table is put in force when the home is opened, and again by
those that run for long (ADR 0033). ``calendar_of`` alone looks at it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Self

import numpy as np

from marketdata_pipeline.domain.ranges import TimeRange, to_micros
from marketdata_pipeline.domain.sessions import DAY, Days, Segments


@dataclass(frozen=True, slots=True)
class Closure:
    """A day of a calendar that is not as the calendar has it.

    Attributes:
        calendar: as ``domain.venues`` names it.
        session: the exchange's date.
        hours: from the first open to the last close, UTC; None: closed all day.
        reason, evidence: in words, for a person.
        made_at: wall instant; None: not kept yet.
    """

    calendar: str
    session: date
    hours: TimeRange | None
    reason: str
    evidence: str = ""
    made_at: datetime | None = None

    @property
    def label(self) -> int:
        """The session's date at 00:00 UTC, in microseconds."""
        return to_micros(datetime.combine(self.session, time.min, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Closures:
    """All that persons said, sorted by calendar and session; empty: nobody said anything."""

    rows: tuple[Closure, ...] = ()

    @classmethod
    def of(cls, rows: Iterable[Closure]) -> Self:
        """The table of these rows, the last one of a day counts."""
        latest = {(one.calendar, one.session): one for one in rows}
        return cls(tuple(latest[key] for key in sorted(latest)))

    def on(self, calendar: str) -> tuple[Closure, ...]:
        """Those of one calendar, sorted by session."""
        return tuple(one for one in self.rows if one.calendar == calendar)

    def having(self, closure: Closure) -> "Closures":
        """The table with one more, in place of what was said of that day before."""
        return Closures.of([*self.rows, closure])

    def without(self, calendar: str, session: date) -> "Closures":
        """The table without what was said of that day."""
        told = calendar, session
        return Closures(tuple(one for one in self.rows if (one.calendar, one.session) != told))


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What is said of one calendar, sorted by session; one of a table is itself only."""

    rows: tuple[Closure, ...] = ()


_NOTHING = Said()


class _InForce:
    """Where the table lies; it is replaced as a whole, never changed."""

    def __init__(self) -> None:
        self.table = Closures()
        self.by_calendar: dict[str, Said] = {}

    def put(self, table: Closures) -> None:
        if table != self.table:
            self.table = table
            names = {one.calendar for one in table.rows}
            self.by_calendar = {name: Said(table.on(name)) for name in names}


_IN_FORCE = _InForce()


def put_in_force(table: Closures) -> None:
    """From here on calendars of this process are as the table says."""
    _IN_FORCE.put(table)


def in_force() -> Closures:
    """The table that calendars of this process follow."""
    return _IN_FORCE.table


def in_force_on(calendar: str) -> Said:
    """What is said of single days of one calendar: the same object until it changes."""
    return _IN_FORCE.by_calendar.get(calendar, _NOTHING)


@dataclass(frozen=True, slots=True, eq=False)
class Edits:
    """What becomes of a calendar's days: those that are ``gone``, and what is there instead."""

    gone: Days
    days: Days
    segments: Segments

    def on_days(self, regular: Days, start: int, end: int) -> Days:
        """The days with a label in ``[start, end)``, of the regular ones of that range."""
        kept = ~np.isin(regular.label, self.gone.label)
        more = self.days.between(start, end)
        label = np.concatenate([regular.label[kept], more.label])
        opened = np.concatenate([regular.open[kept], more.open])
        closed = np.concatenate([regular.close[kept], more.close])
        order = np.argsort(label)
        return Days(label[order], opened[order], closed[order])

    def on_segments(self, regular: Segments, start: int, end: int) -> Segments:
        """The segments of the regular ones, and those instead that open in ``[start, end)``."""
        kept = self.gone.bucket(regular.open) < 0
        inside = (self.segments.open >= start) & (self.segments.open < end)
        left, more = (_those(regular, kept), _those(self.segments, inside))
        return Segments.of([left, more])


def _those(segments: Segments, mask: np.ndarray) -> Segments:
    return Segments(segments.anchor[mask], segments.open[mask], segments.close[mask])


def edits_of(
    closures: Iterable[Closure], regular: Days, around: Segments, *, at_midnight: bool
) -> Edits:
    """The edits that closures make of a calendar.

    Args:
        closures: sorted by session.
        regular: the calendar's days, those of the closures and some before each.
        around: the segments of these days.
        at_midnight: grids start at 00:00 UTC, not with the session.
    """
    told = list(closures)
    named = np.array([one.label for one in told], dtype=np.int64)
    special = [one for one in told if one.hours is not None]
    gone = np.isin(regular.label, named)
    pieces = [piece for one in special for piece in _pieces(one, regular, around)]
    opened, closed = (np.array([one[at] for one in pieces], dtype=np.int64) for at in (0, 1))
    midnights = np.array([one[2] for one in pieces], dtype=np.int64)
    ends = [(to_micros(one.hours.start), to_micros(one.hours.end)) for one in special if one.hours]
    return Edits(
        Days(regular.label[gone], regular.open[gone], regular.close[gone]),
        Days(
            np.array([one.label for one in special], dtype=np.int64),
            np.array([one[0] for one in ends], dtype=np.int64),
            np.array([one[1] for one in ends], dtype=np.int64),
        ),
        Segments(midnights if at_midnight else opened, opened, closed),
    )


def _pieces(closure: Closure, regular: Days, around: Segments) -> list[tuple[int, int, int]]:
    """Open, close and label of each stretch of a special session: its hours without the break.

    The break is the day's own, or that of the session before where the day has none.
    """
    if closure.hours is None:
        return []
    start, end = to_micros(closure.hours.start), to_micros(closure.hours.end)
    at = int(np.searchsorted(regular.label, closure.label, side="right")) - 1
    pieces = [(start, end)]
    if at >= 0:
        later = closure.label - int(regular.label[at])
        own = (around.open >= regular.open[at]) & (around.open < regular.close[at])
        stops, goes_on = around.close[own][:-1] + later, around.open[own][1:] + later
        for stop, resume in zip(stops.tolist(), goes_on.tolist(), strict=True):
            pieces = [
                part
                for one in pieces
                for part in ((one[0], min(one[1], stop)), (max(one[0], resume), one[1]))
            ]
    return [(*one, closure.label) for one in pieces if one[0] < one[1]]


def around_of(closures: Iterable[Closure]) -> tuple[int, int]:
    """The range of labels that ``edits_of`` needs to know of a calendar."""
    labels = [one.label for one in closures]
    return min(labels) - 14 * DAY, max(labels) + 3 * DAY
