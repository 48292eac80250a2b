"""A run at a batch of the queue: its leases, its updates, and what it says of each row.

Not here: the update (update), the rows (queue), what an error leads to (after).
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event, Thread

from marketdata_pipeline.domain.backfill import Backfill, Claim
from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange, span
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import MarketDataError, NotDone, StoreError
from marketdata_pipeline.ingest.outcome import Outcome
from marketdata_pipeline.ingest.queue import Queue
from marketdata_pipeline.logs import get_logger

_log = get_logger(__name__)
_RENEWALS = 3
"""In the time that a lease holds: two may fail."""
THREAD = "backfills"
"""Name of the thread that renews leases."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that one update can do, no two of the same instrument.

    ``wanted`` None: as they are tracked.
    """

    rows: tuple[Backfill, ...]
    wanted: TimeRange | None
    priority: Priority

    @property
    def series(self) -> list[Series]:
        """What to update, in the order of the rows."""
        return [one for row in self.rows for one in row.series]


Update = Callable[[Part], Generator[Outcome]]


@dataclass(slots=True, eq=False)
class AtWork:
    """The rows of a run; those of which nothing was said are given back at its end.

    ``done`` are the instruments whose rows were completed; ``_errors`` has those not concluded yet.
    """

    queue: Queue
    rows: Sequence[Backfill]
    done: list[Instrument] = field(default_factory=list)
    _errors: dict[int, list[MarketDataError]] = field(default_factory=dict)

    @property
    def series(self) -> list[Series]:
        """All that is wanted, each once."""
        return list(dict.fromkeys(one for row in self.rows for one in row.series))

    def updates(self, update: Update, market_now: datetime) -> Iterator[Outcome]:
        """The outcomes of all rows' updates; of each row is said what came of it once it is done.

        What is stored stays where saying so fails: the row is begun again and finds it.
        """
        for part in parts(self.rows, market_now):
            yield from self._updated(part, update)

    def give_back(self) -> None:
        """Say of the rest that it was not done."""
        left = NotDone("not begun before its run ended; the next one goes on")
        for row in self.rows:
            if row.id in self._errors:
                self._say(row, [left])

    def _updated(self, part: Part, update: Update) -> Iterator[Outcome]:
        by_instrument = {one.instrument: one for one in part.rows}
        left = {one.id: set(one.series) for one in part.rows}
        with closing(update(part)) as outcomes:
            for outcome in outcomes:
                row = by_instrument[outcome.series.instrument]
                if outcome.error is not None:
                    self._errors[row.id].append(outcome.error)
                left[row.id].discard(outcome.series)
                if not left[row.id]:
                    self._say(row, self._errors[row.id])
                yield outcome

    def _say(self, row: Backfill, errors: Sequence[MarketDataError]) -> None:
        try:
            self.queue.conclude(row, errors)
        except StoreError as error:  # its lease runs out, and then it is begun again
            _log.warning("not concluded", backfill=row.id, error=str(error))
            return
        self._errors.pop(row.id, None)
        if not errors:
            self.done.append(row.instrument)


@contextmanager
def at_work(queue: Queue, claims: Collection[Claim], run_id: str) -> Iterator[AtWork]:
    """Have the rows of a run for as long as the block runs, as far as they are still its own.

    Raises:
        StoreError: the catalog does not answer.
    """
    rows = queue.start(claims, run_id)
    work = AtWork(queue, rows, _errors={one.id: [] for one in rows})
    with _renewed(queue, run_id) if rows else _nothing():
        try:
            yield work
        finally:
            work.give_back()


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _renewed(queue: Queue, run_id: str) -> Iterator[None]:
    """Renew the leases of a run in a thread, which ends with the process too."""
    over = Event()

    def renew() -> None:
        while not over.wait(queue.lease.total_seconds() / _RENEWALS):
            try:
                queue.renew(run_id)
            except StoreError as error:  # what was renewed last holds for a while yet
                _log.warning("leases not renewed", run=run_id, error=str(error))

    thread = Thread(target=renew, name=THREAD, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def parts(rows: Iterable[Backfill], market_now: datetime) -> list[Part]:
    """Rows grouped by what they want, in their order; a second one of an instrument comes later."""
    groups: dict[tuple[object, ...], list[Backfill]] = defaultdict(list)
    seen: dict[Instrument, int] = defaultdict(int)
    for row in rows:
        groups[row.priority, row.start, row.end, seen[row.instrument]].append(row)
        seen[row.instrument] += 1
    return [Part(tuple(some), _wanted(some[0], market_now), some[0].priority)
            for some in groups.values()]  # fmt: skip


def _wanted(row: Backfill, market_now: datetime) -> TimeRange | None:
    """The range of a row; one without a start reaches back as the instrument is tracked."""
    if row.start is None:
        return None
    return span(row.start, row.end or market_now)
