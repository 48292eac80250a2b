"""Tracked series that nobody sees to: never asked for, failed, with a hole that is due.

Not here: refreshes of what is seen to (refreshes), the queue that these are put into (queue).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.ingest.due import with_holes
from marketdata_pipeline.ingest.queue import Queue
from marketdata_pipeline.ingest.refreshes import LASTING, Refreshes
from marketdata_pipeline.store import backfills, overdue
from marketdata_pipeline.store.backfills import Wanted
from marketdata_pipeline.store.overdue import Overdue

_GIVEN_UP: Final = timedelta(days=1)
"""So long the queue is not asked again for what it gave up."""
_UNPROCESSED: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, eq=False)
class Neglected:
    """What nobody sees to in a catalog."""

    refreshes: Refreshes
    queue: Queue

    def found(self, in_runs: Collection[Series]) -> list[Wanted]:
        """What should be in the queue, an instrument's timeframes together.

        ``in_runs``: series that unfinished runs are asked for.
        """
        at_work = set(in_runs)
        candidates = [one for one in self._lacking() if one not in at_work]
        taken = self._taken({one.instrument for one in candidates})
        held = self.refreshes.tracking.held()
        frames: dict[Instrument, set[Timeframe]] = {}
        for one in candidates:
            if one.instrument not in taken:
                frames.setdefault(one.instrument, set()).add(one.timeframe)
        return [
            Wanted(
                instrument,
                tuple(frame for frame in Timeframe if frame in wanted),
                priority=Priority.HELD if instrument in held else Priority.TRACKED,
            )
            for instrument, wanted in frames.items()
        ]

    def enqueue(self, in_runs: Collection[Series]) -> list[Wanted]:
        """Put it into the queue; what that was."""
        wanted = self.found(in_runs)
        if wanted:
            self.queue.enqueue_all(wanted)
        return wanted

    def queued(self, series: Sequence[Series]) -> set[Series]:
        """Those of these series that the queue sees to."""
        with reading(self.queue.engine) as connection:
            known = backfills.open_instruments(connection, {one.instrument.key for one in series})
        return {one for one in series if one.instrument.key in known}

    def unprocessed(self) -> Overdue | None:
        """Transactions that should have been processed by now; None: there are none."""
        with reading(self.queue.engine) as connection:
            return overdue.transactions(connection, self.queue.clock, _UNPROCESSED)

    def _lacking(self) -> list[Series]:
        """Those of the awake series that were never asked for, that failed, that have holes."""
        its, clock = self.refreshes, self.refreshes.clock
        awake, market_now = its.awake(), clock.market_now()
        asked = its.catalog.last_asked(awake)
        reached = its.store.reached(awake, market_now)
        holes = set(with_holes(awake, reached, market_now, delay=its.delay))

        def lacks(one: Series, wall_now: datetime) -> bool:
            last = asked.get(one)
            if last is None:
                return reached[one].until is None
            if last.failed is not None:
                return last.failed not in LASTING and wall_now - last.at >= its.wishes.again
            return one in holes

        wall_now = clock.wall_now()
        return [one for one in awake if lacks(one, wall_now)]

    def _taken(self, among: Iterable[Instrument]) -> set[Instrument]:
        """Those that are in the queue already, and those that it gave up lately."""
        by_key = {one.key: one for one in among}
        with reading(self.queue.engine) as connection:
            known = backfills.open_instruments(connection, by_key)
            known |= backfills.given_up(connection, self.queue.clock, by_key, _GIVEN_UP)
        return {by_key[key] for key in known}
