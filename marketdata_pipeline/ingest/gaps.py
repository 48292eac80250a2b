"""What brings gaps back: holes that are due, ranges that a provider soon serves no more, incidents.

Not here: when somebody looks (defs.gap_sensor, the worker), how outages go on (incidents).
Coverage is the queue of gaps: a hole is written in the transaction that found it, with the instant
of its next try, and here it becomes a row of the queue once that has come.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Final

from sqlalchemy import Connection

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.domain.calendars import Calendar, calendar_of
from marketdata_pipeline.domain.coverage import Coverage
from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.hole import answered_where, beyond_depth
from marketdata_pipeline.domain.incident import Incident
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange, depth_edge, subtract
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.ingest.incidents import Incidents
from marketdata_pipeline.ingest.queue import Queue
from marketdata_pipeline.store import backfills, gaps, unasked
from marketdata_pipeline.store.backfills import Wanted
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.catalog import Catalog
from marketdata_pipeline.store.gaps import Alike, DueHoles
from marketdata_pipeline.store.tracking import Tracking

_SOON: Final = timedelta(days=2)
"""What the provider serves no more by then goes first."""
_FIRST_MINUTES: Final = 2
"""Of an hour; the sensor looks every minute."""
_GIVEN_UP: Final = timedelta(days=1)
"""So long the queue is not asked again for what it gave up."""
_MOST: Final = 10_000
"""Series that one look puts into the queue; the rest is still due at the next."""
_AT_ONCE: Final = 200
"""Series whose coverage one look changes: the catalog is not held for long."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What a look put into the queue, and the incidents that it saw."""

    wanted: tuple[Wanted, ...]
    incidents: tuple[Incident, ...] = ()

    @property
    def series(self) -> int:
        """How many series are wanted."""
        return sum(len(one.timeframes) for one in self.wanted)


@dataclass(frozen=True, slots=True, eq=False)
class Gaps:
    """The gaps of a catalog.

    Attributes:
        rest: so long an instrument is not put into the queue again after the queue was done with
            it: of what is still due then it can bring no more.
    """

    tracking: Tracking
    catalog: Catalog
    store: BarStore
    queue: Queue
    rest: timedelta = timedelta(minutes=5)

    def look(self) -> Brought:
        """Move incidents on, then put what is due into the queue, an instrument's as one row.

        Left out are instruments that the queue is at, or gave up within a day.

        Raises:
            StoreError: the catalog does not answer.
        """
        clock = self.queue.clock
        seen = Incidents(self.queue.engine, clock).look()
        now = clock.market_now()
        wanted = self._free(wanted_of(self._due(now), self._nearly_lost(now)))
        if wanted:
            self.queue.enqueue_all(wanted)
        return Brought(tuple(wanted), tuple(seen))

    def _change(self, series: Sequence[Series], moved: "_Moved") -> None:
        if series:
            change = partial(_changed, series=series, moved=moved)
            retry.write(self.queue.engine, self.queue.clock, change)

    def _due(self, now: datetime) -> list[DueHoles]:
        """What is due, once it is settled which holes are none any more."""
        with reading(self.queue.engine) as connection:
            alike = gaps.due_alike(connection, now)
            over = [one for one in alike if _is_over(one, now)][:_AT_ONCE]
            found = {each for one in over for each in gaps.having(connection, one)}
        self._change(sorted(found, key=str)[:_AT_ONCE], partial(_settled, now))
        with reading(self.queue.engine) as connection:
            return gaps.due(connection, now, _MOST)

    def _nearly_lost(self, now: datetime) -> list[DueHoles]:
        """What was never asked for of what a provider serves for two days yet.

        That is looked for once an hour, in its first minutes: so it is found in time whoever was
        started again meanwhile, and a second look there brings what the queue is at already.
        """
        if now.minute >= _FIRST_MINUTES:
            return []
        found: list[DueHoles] = []
        for frame in (one for one in Timeframe if one.depth is not None and not one.derived):
            edge = depth_edge(now, frame.depth or _SOON)
            with reading(self.queue.engine) as connection:
                near = unasked.not_asked(connection, frame, TimeRange(edge, edge + _SOON))
            found += [
                replace(one, within=part)
                for one, asked in near
                for part in subtract([one.within], asked)
                if _expects(one.series, part)
            ]
        return found

    def _free(self, wanted: Sequence[Wanted]) -> list[Wanted]:
        """Without what the queue is at, gave up within a day, or did just now."""
        keys, clock = [one.instrument.key for one in wanted], self.queue.clock
        with reading(self.queue.engine) as connection:
            taken = backfills.open_instruments(connection, keys)
            taken |= backfills.given_up(connection, clock, keys, _GIVEN_UP)
            taken |= backfills.completed(connection, clock, keys, self.rest)
        return [one for one in wanted if one.instrument.key not in taken]


_Moved = Callable[[Series, Coverage], Coverage]


def wanted_of(due: Iterable[DueHoles], late: Iterable[DueHoles]) -> list[Wanted]:
    """The rows of the queue: one an instrument, over all that is due of it; ``late`` is urgent.

    What will soon be lost goes first, then what somebody holds.
    """
    hulls: dict[Instrument, Wanted] = {}
    for one, soon in [*((one, True) for one in late), *((one, False) for one in due)]:
        priority = Priority.HELD if one.held or soon else Priority.TRACKED
        mine = hulls.get(one.series.instrument)
        frames = {one.series.timeframe, *(mine.timeframes if mine else ())}
        starts = [one.within.start, *([mine.start] if mine and mine.start else [])]
        ends = [one.within.end, *([mine.end] if mine and mine.end else [])]
        hulls[one.series.instrument] = Wanted(
            one.series.instrument,
            tuple(frame for frame in Timeframe if frame in frames),
            min(starts),
            max(ends),
            mine.priority if mine and mine.priority is Priority.HELD else priority,
        )
    return sorted(hulls.values(), key=lambda one: one.priority is not Priority.HELD)


def _changed(connection: Connection, series: Iterable[Series], moved: _Moved) -> None:
    for one in series:
        gaps.change(connection, one, partial(moved, one))


def _is_over(one: Alike, now: datetime) -> bool:
    """Whether a hole is none any more: the provider forgot it, or no bar is expected in it."""
    depth = one.timeframe.depth
    gone = depth is not None and one.within.start < depth_edge(now, depth)
    return gone or not _expects(Series(one.instrument, one.timeframe), one.within)


def _settled(now: datetime, series: Series, known: Coverage) -> Coverage:
    """Holes beyond the depth are out of it; where nothing is expected any more is answered.

    A newer calendar may know of a holiday.
    """
    depth = series.timeframe.depth
    reached = known if depth is None else beyond_depth(known, depth_edge(now, depth))
    return answered_where(reached, lambda within: not _expects(series, within))


def _expects(series: Series, within: TimeRange) -> bool:
    return _has_bars(calendar_of(series.instrument), series.timeframe, within)


@lru_cache(maxsize=4096)
def _has_bars(calendar: Calendar, timeframe: Timeframe, within: TimeRange) -> bool:
    return len(calendar.grid(timeframe, within).labels) > 0
