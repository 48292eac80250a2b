"""The queue of backfills: who wants one puts it in, who does them takes them out by the batch.

Not here: what a run does with its batch (at_work), the statements (store.backfills, launches).
A row is asked of a run, begun by it and concluded, each in a transaction of its own; a worker asks
nobody, it takes what it begins. Whatever dies
between two of them, the row is begun again: a run that was asked for and that none has begun is
asked for anew, by the same key at first, and a run that says nothing more loses its rows.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar

from sqlalchemy import Connection, Engine

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.dialect import wall_micros
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.domain.backfill import Backfill, Claim, Status
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import MICROSECOND, TimeRange, from_micros
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput, MarketDataError
from marketdata_pipeline.ingest.after import Patience, after, after_loss
from marketdata_pipeline.ingest.track import refuse_future
from marketdata_pipeline.logs import get_logger
from marketdata_pipeline.store import backfills, launches
from marketdata_pipeline.store.backfills import Wanted

_log = get_logger(__name__)
_T = TypeVar("_T")
_MASS = "mass:"
MOST_URGENT = 20
"""As many are taken out of the mass at once."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that one run is asked for.

    Attributes:
        name: persisted; says whether it is mass, and of a single urgent row is the spelling of
            its claim.
    """

    name: str
    rows: tuple[Backfill, ...]

    @property
    def mass(self) -> bool:
        """Nobody waits for it, or so many wait that it is done with the mass."""
        return self.name.startswith(_MASS)

    @property
    def key(self) -> str:
        """Names the run for ever: there is one at most."""
        return f"backfill:{self.name}"

    @property
    def claims(self) -> list[Claim]:
        """What the run is given."""
        return [one.claim for one in self.rows]


@dataclass(frozen=True, slots=True)
class Room:
    """How many runs may be asked for now: ``urgent`` ones, and ``mass`` ones."""

    urgent: int
    mass: int


@dataclass(frozen=True, slots=True, eq=False)
class Queue:
    """The queue in the catalog behind ``engine``.

    Attributes:
        lease: how long a run has its rows without saying so again.
        launching: how long a run may take to begin what it was asked for, until it is asked for
            again by the same key; after ten times as long it is given up.
        size: rows in a batch of the mass.
    """

    engine: Engine
    clock: Clock
    patience: Patience = Patience()  # noqa: RUF009 - frozen
    lease: timedelta = timedelta(seconds=60)
    launching: timedelta = timedelta(seconds=60)
    size: int = 100

    def enqueue(
        self,
        instrument: Instrument,
        timeframes: Sequence[Timeframe],
        wanted: TimeRange | None = None,
        *,
        priority: Priority = Priority.TRACKED,
    ) -> int:
        """Want an instrument's history to be there; returns the id of the row that is for it.

        ``wanted`` None: as the instrument is tracked. The same wish again is the same row as long
        as none has begun it.

        Raises:
            BadInput: no timeframe, or a start in the market's future.
        """
        if not timeframes:
            raise BadInput("name at least one timeframe, e.g. 1d")
        frames = tuple(one for one in Timeframe if one in timeframes)
        start, end = (None, None) if wanted is None else (wanted.start, wanted.end)
        refuse_future(start, self.clock)
        (number,) = self.enqueue_all([Wanted(instrument, frames, start, end, priority)])
        return number

    def enqueue_all(self, wanted: Sequence[Wanted]) -> list[int]:
        """The same for many at once; the ids in their order."""
        return self._write(lambda one: backfills.add_all(one, self.clock, wanted))

    def task(self, number: int) -> Backfill | None:
        """The row of an id; None: there is none, or it was completed long ago."""
        with reading(self.engine) as connection:
            return backfills.get(connection, number)

    def rows(self, statuses: Iterable[Status] = Status, *, at_most: int = 100) -> list[Backfill]:
        """Rows of these statuses, the most urgent first."""
        with reading(self.engine) as connection:
            return backfills.some(connection, statuses=statuses, at_most=at_most)

    def retry(self, ids: Collection[int] | None = None) -> int:
        """Give failed rows all their attempts again; how many of these there were. None: all."""
        return self._write(lambda one: launches.retry(one, self.clock, ids))

    def drop(self, ids: Collection[int]) -> int:
        """Remove rows that wait or have failed; how many of these there were."""
        return self._write(lambda one: launches.drop(one, ids))

    def prune(self, kept: timedelta) -> int:
        """Remove what was completed longer ago than that; how many rows those were."""
        return self._write(lambda one: launches.prune(one, self.clock, kept))

    def ask(self, room: Room, *, again: bool = True) -> list[Batch]:
        """Batches for which the caller has to start a run each; what is urgent comes first.

        A batch whose run did not begin in time comes again, whole and by the same name; it takes
        none of the room, since it had its own when it was asked for first. Without ``again`` none
        does: another caller asks for those.
        """
        most = MOST_URGENT + room.mass * self.size

        def asked(connection: Connection) -> list[Batch]:
            late = launches.forgotten(connection, self.clock, self.launching) if again else []
            found = launches.due(connection, self.clock, at_most=most)
            fresh = batches(found, room, self.size)
            names = {row.id: one.name for one in fresh for row in one.rows}
            launches.ask(connection, self.clock, names)
            return [*_asked_again(late), *fresh]

        return self._write(asked)

    def take(self, at_most: int, run_id: str, *, urgent: int | None = None) -> list[Backfill]:
        """Begin, in a run of the caller's own, with rows of one urgency that no other is asked for.

        ``urgent``: so many where they are urgent, which leaves some to others; None: as many.
        """

        def taken(connection: Connection) -> list[Backfill]:
            found = launches.due(connection, self.clock, at_most=at_most)
            found = [one for one in found if one.priority is found[0].priority]
            if found and found[0].priority is Priority.URGENT:
                found = found[:urgent]
            claims = [one.claim for one in found]
            return launches.start(connection, self.clock, claims, run_id, self.lease)

        return self._write(taken)

    def until_due(self) -> timedelta | None:
        """How long until a row can be taken; 0: one can be now; None: none is waiting."""
        with reading(self.engine) as connection:
            at = launches.next_due(connection)
            now = wall_micros(connection, self.clock)
        return None if at is None else max(at - now, 0) * MICROSECOND

    def start(self, claims: Collection[Claim], run_id: str) -> list[Backfill]:
        """Begin with those of the claimed rows that are the run's; others have moved on."""
        return self._write(lambda one: launches.start(one, self.clock, claims, run_id, self.lease))

    def renew(self, run_id: str) -> int:
        """Say that a run is still at its rows; how many those are."""
        return self._write(lambda one: launches.renew(one, self.clock, run_id, self.lease))

    def conclude(self, row: Backfill, errors: Sequence[MarketDataError]) -> None:
        """Say what came of a row that was begun; see ``after``."""

        def concluded(connection: Connection) -> bool:
            then = after(errors, row, self._now(connection), self.patience)
            return bool(launches.conclude(connection, self.clock, [(row, then)]))

        if not self._write(concluded):
            _log.warning("somebody else is at it by now", backfill=row.id)

    def run_died(self, run_id: str, claims: Collection[Claim] = ()) -> int:
        """Free what a run was at, or was asked for and has not begun; how many rows."""

        def freed(connection: Connection) -> int:
            rows = launches.at_work(connection, run_id)
            rows += launches.claimed(connection, claims) if claims else []
            return self._lose(connection, rows)

        return self._write(freed)

    def free_lost(self) -> list[Backfill]:
        """Free the rows whose runs ended without a word, or never began; as they were.

        A run counts as ended where a whole lease after its own was found to be over, it has still
        not renewed it.
        """

        def freed(connection: Connection) -> list[Backfill]:
            rows = launches.lost(connection, self.clock, self.lease)
            rows += launches.forgotten(connection, self.clock, 10 * self.launching)
            self._lose(connection, rows)
            return rows

        return self._write(freed)

    def _lose(self, connection: Connection, rows: Sequence[Backfill]) -> int:
        now = self._now(connection)
        then = [(one, after_loss(one, now, self.patience)) for one in rows]
        for one, what in then:
            _log.warning(
                "run lost", backfill=one.id, series=str(one.instrument), reason=what.message
            )
        return launches.conclude(connection, self.clock, then)

    def _now(self, connection: Connection) -> datetime:
        return from_micros(wall_micros(connection, self.clock))

    def _write(self, work: Callable[[Connection], _T]) -> _T:
        return retry.write(self.engine, self.clock, work)


def batches(rows: Sequence[Backfill], room: Room, size: int) -> list[Batch]:
    """The batches that rows are cut into, as far as there is room for their runs.

    Up to 20 urgent rows are shared out among the urgent runs; a run of one row is named by it.
    Everything else is mass: so many rows a run.
    """
    urgent = [one for one in rows if one.priority is Priority.URGENT][:MOST_URGENT]
    taken = {one.id for one in urgent} if room.urgent else set()
    rest = [one for one in rows if one.id not in taken]
    shared = _shared(urgent, room.urgent) if room.urgent else iter(())
    mass = islice(_cut(rest, size), room.mass)
    return [_batch(part, mass=False) for part in shared] + [_batch(one, mass=True) for one in mass]


def _shared(rows: Sequence[Backfill], among: int) -> Iterator[Sequence[Backfill]]:
    return _cut(rows, -(-len(rows) // among) or 1)


def _cut(rows: Sequence[Backfill], size: int) -> Iterator[Sequence[Backfill]]:
    return (rows[at : at + size] for at in range(0, len(rows), size))


def _batch(rows: Sequence[Backfill], *, mass: bool) -> Batch:
    name = f"{_MASS if mass else ''}{rows[0].claim}"
    return Batch(name if len(rows) == 1 else f"{name}+{len(rows) - 1}", tuple(rows))


def _asked_again(rows: Sequence[Backfill]) -> list[Batch]:
    """The batches that rows were asked for by, as far as no run has begun them."""
    named: dict[str, list[Backfill]] = {}
    for one in rows:
        named.setdefault(one.batch or "", []).append(one)
    return [Batch(name, tuple(some)) for name, some in named.items()]
