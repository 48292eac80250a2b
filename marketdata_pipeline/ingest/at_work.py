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
from marketdata_pipeline.errors import MarketDataError, NotDone, RateLimited, StoreError
from marketdata_pipeline.ingest.outcome import Outcome
from marketdata_pipeline.ingest.queue import Queue
from marketdata_pipeline.logs import get_logger
from marketdata_pipeline.store.backfills import PRIORITIES

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
class _Unsaid:
    """A row of which nothing was said yet: what is left of it, and what went wrong."""

    row: Backfill
    left: set[Series]
    errors: list[MarketDataError] = field(default_factory=list)

    def note(self, outcome: Outcome) -> None:
        """One more of its series is done."""
        self.left.discard(outcome.series)
        if outcome.error is not None:
            self.errors.append(outcome.error)


@dataclass(slots=True, eq=False)
class AtWork:
    """The rows of a run; those of which nothing was said are given back at its end.

    ``done`` are the instruments whose rows were completed; ``limited`` is the error of a provider
    that has no turn, after which no other part is begun.
    """

    queue: Queue
    rows: Sequence[Backfill]
    done: list[Instrument] = field(default_factory=list)
    limited: RateLimited | None = None
    _unsaid: dict[int, _Unsaid] = field(init=False)
    _outcomes: Generator[Outcome] | None = None

    def __post_init__(self) -> None:
        self._unsaid = {one.id: _Unsaid(one, set(one.series)) for one in self.rows}

    @property
    def series(self) -> list[Series]:
        """All that is wanted, each once."""
        return list(dict.fromkeys(one for row in self.rows for one in row.series))

    def updates(self, update: Update, market_now: datetime) -> Generator[Outcome]:
        """The outcomes of the rows' updates; of each row is said what came of it once it is done.

        What is stored stays where saying so fails: the row is begun again and finds it. Rows that
        are not begun, since a provider has no turn, have no outcome.
        """
        self._outcomes = self._updates(update, market_now)
        return self._outcomes

    def close(self) -> None:
        """End what is under way; nothing of it happens after that."""
        if self._outcomes is not None:
            self._outcomes.close()

    def _updates(self, update: Update, market_now: datetime) -> Generator[Outcome]:
        for part in parts(self.rows, market_now):
            if self.limited is None:
                yield from self._updated(part, update)
        self.give_back()

    def give_back(self) -> None:
        """Say of the rest that it was not done: later where a provider has no turn, else at once.

        Of a row whose word was not taken it is said again.
        """
        why = self.limited or NotDone("not begun before its run ended; the next one goes on")
        for one in list(self._unsaid.values()):
            self._say(one, [*one.errors, *([why] if one.left else [])])

    def _updated(self, part: Part, update: Update) -> Iterator[Outcome]:
        by_instrument = {one.instrument: self._unsaid[one.id] for one in part.rows}
        with closing(update(part)) as outcomes:
            for outcome in outcomes:
                one = by_instrument[outcome.series.instrument]
                one.note(outcome)
                if isinstance(outcome.error, RateLimited):
                    self.limited = outcome.error
                if not one.left:
                    self._say(one, one.errors)
                yield outcome

    def _say(self, one: _Unsaid, errors: Sequence[MarketDataError]) -> None:
        try:
            self.queue.conclude(one.row, errors)
        except StoreError as error:  # its lease runs out, and then it is begun again
            _log.warning("not concluded", backfill=one.row.id, error=str(error))
            return
        self._unsaid.pop(one.row.id, None)
        if not errors:
            self.done.append(one.row.instrument)


@contextmanager
def at_work(queue: Queue, claims: Collection[Claim], run_id: str) -> Iterator[AtWork]:
    """Have the rows of a run for as long as the block runs, as far as they are still its own.

    Where the block breaks off by an error, what it has not concluded counts as lost: begun again
    at once the first time, and later each time that it happens again.

    Raises:
        StoreError: the catalog does not answer.
    """
    with at_rows(queue, queue.start(claims, run_id), run_id) as work:
        yield work


@contextmanager
def at_rows(queue: Queue, rows: Sequence[Backfill], run_id: str) -> Iterator[AtWork]:
    """The same for rows that the run has begun."""
    work = AtWork(queue, rows)
    with _renewed(queue, run_id) if rows else _nothing():
        try:
            with closing(work):
                yield work
        except Exception:  # whichever it is, the next run may break off by the same
            _lose(queue, run_id)
            raise
        except BaseException:  # told to end
            work.give_back()
            raise
        work.give_back()


def _lose(queue: Queue, run_id: str) -> None:
    try:
        queue.run_died(run_id)
    except StoreError as error:  # leases run out
        _log.warning("not given back", run=run_id, error=str(error))


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
    """Rows grouped by what they want, the most urgent first, of those in their order.

    A second one of an instrument comes later.
    """
    rows = sorted(rows, key=lambda one: PRIORITIES.index(one.priority))
    groups: dict[tuple[object, ...], list[Backfill]] = defaultdict(list)
    seen: dict[tuple[object, ...], int] = defaultdict(int)
    for row in rows:
        alike = (row.priority, row.start, row.end)
        groups[*alike, seen[*alike, row.instrument]].append(row)
        seen[*alike, row.instrument] += 1
    return [Part(tuple(some), _wanted(some[0], market_now), some[0].priority)
            for some in groups.values()]  # fmt: skip


def _wanted(row: Backfill, market_now: datetime) -> TimeRange | None:
    """The range of a row; one without a start reaches back as the instrument is tracked."""
    if row.start is None:
        return None
    return span(row.start, row.end or market_now)
