"""Pruning of Dagster's own storage: what is old and no status is read from goes, in small steps.

Not here: the SQL (dagster_tables) and SQLite's files (dagster_files).

What stays whatever its age: the latest materialization of each partition, a failure that nothing
followed, the latest result of each check, partition keys, all of a run that is under way or of a
backfill that is. A run of which nothing has to stay is deleted; one of which something has keeps
that and how it went, and loses its log. An event goes only while a later one of its partition is
there, so whatever ends a pruning half way, every status reads as before, and the next one goes on.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from marketdata_pipeline.defs.dagster_files import DagsterFiles, leaving_room
from marketdata_pipeline.defs.dagster_tables import RUNLESS, DagsterTables
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.errors import MarketDataError

BATCH = 500
"""Rows deleted in one transaction: 35 ms on SQLite."""
PRUNED = "marketdata/pruned"
"""Tag of a run that lost its log: up to which instant."""
_TOLD_EVERY = 30.0
_LONGEST = 240
_FINISHED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a pruning did.

    Attributes:
        runs: deleted.
        thinned: runs looked at of which something has to stay; all else of them is gone.
        events: deleted, those of deleted runs included.
        checks: executions of checks that were deleted.
        backfills: records of backfills that were deleted.
        files: of runs that Dagster no longer knew.
        bytes_before, bytes_after: of runs and events on disk. Postgres gives little back to the
            system, and uses the place again.
    """

    runs: int
    thinned: int
    events: int
    checks: int
    backfills: int
    files: int
    bytes_before: int
    bytes_after: int


def prune(
    instance: dg.DagsterInstance,
    before: datetime,
    clock: Clock,
    say: Callable[[str], None],
    *,
    batch: int = BATCH,
) -> Pruned:
    """Delete what is older than ``before`` (aware) and not needed; ``say`` takes lines on the way.

    Raises:
        MarketDataError: the storage is of a kind that is not known, and nothing was deleted; or it
            failed, and all that was deleted until then was not needed.
    """
    with _failing_in_one_line():
        pruning = _Pruning(instance, before, clock, say, batch)
        size = pruning.size()
        old, others = pruning.scope()
        results = pruning.prune_checks(others)
        for run_id in pruning.told(old):
            pruning.prune_run(run_id, results)
        pruning.prune_backfills()
        pruning.tidy_files()
        kinds = ("runs", "thinned", "events", "checks", "backfills", "files")
        counts = {one: pruning.counts[one] for one in kinds}
        return Pruned(**counts, bytes_before=size, bytes_after=pruning.size())


@contextmanager
def _failing_in_one_line() -> Iterator[None]:
    try:
        yield
    except (dg.DagsterError, SQLAlchemyError, OSError) as error:
        said = " ".join(str(error).split())[:_LONGEST]
        raise MarketDataError(
            f"pruning Dagster's storage stopped, and goes on when it is run again: {said}"
        ) from error


class _Pruning:
    """One pruning: where it works, up to when, what it has deleted."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        before: datetime,
        clock: Clock,
        say: Callable[[str], None],
        batch: int,
    ) -> None:
        self._instance = instance
        self._before = before
        self._clock = clock
        self._say = say
        self._batch = batch
        self._tables = DagsterTables(instance)
        self._newest = self._tables.newest()
        self._files: DagsterFiles | None = None
        if self._tables.on_files:
            index, runs = self._tables.files()
            self._files = DagsterFiles(index.parent, (index, runs), clock, say)
        self.counts: Counter[str] = Counter()

    def size(self) -> int:
        """Bytes of runs and events."""
        return self._tables.size() if self._files is None else self._files.size()

    def scope(self) -> tuple[list[str], set[str]]:
        """The runs to look at, oldest first; and those to leave alone.

        To look at are those that ended before the age, those that have events and were deleted
        (a kill left them), and what no run wrote.
        """
        writers = self._tables.writers()  # first, so that a run that begins now is known below
        known = set(self._instance.get_run_ids())
        ended = dg.RunsFilter(statuses=_FINISHED, updated_before=self._before)
        busy = self._tables.backfilling()
        old = [one for one in reversed(self._instance.get_run_ids(ended)) if one not in busy]
        deleted = sorted(writers - known - {RUNLESS})
        return [*old, *deleted, RUNLESS], known - set(old)

    def prune_checks(self, others: AbstractSet[str]) -> Mapping[str, AbstractSet[int]]:
        """Prune executions of checks; by run, the events that tell of those that stay."""
        newest = self._tables.newest_checks()
        stay: defaultdict[str, set[int]] = defaultdict(set)
        after = 0
        while found := self._tables.old_checks(self._before, after, self._batch):
            after = found[-1].number
            gone = []
            for one in found:
                if one.number in newest or one.run_id in others:
                    stay[one.run_id].update(() if one.event_id is None else (one.event_id,))
                else:
                    gone.append(one.number)
            if gone:
                with leaving_room(self._clock):
                    self._tables.delete_checks(gone)
                self.counts["checks"] += len(gone)
        return stay

    def told(self, runs: Sequence[str]) -> Iterator[str]:
        """The same runs; how far it is, from time to time."""
        said = perf_counter()
        for number, run_id in enumerate(runs):
            if perf_counter() - said > _TOLD_EVERY:
                said = perf_counter()
                self._say(f"{number} of {len(runs)} runs, {self.counts['events']} events deleted")
            yield run_id

    def prune_run(self, run_id: str, results: Mapping[str, AbstractSet[int]]) -> None:
        """Delete a run, or what of it is not needed."""
        self._drop_superseded(run_id, results.get(run_id, frozenset()))
        if run_id == RUNLESS:
            self._thin_file(run_id)
        elif run_id in results or self._tables.needed(run_id, self._before):
            self._thin(run_id)
        else:
            self._delete_run(run_id)

    def prune_backfills(self) -> None:
        """Delete the records of backfills whose runs are gone."""
        while keys := self._tables.ended_backfills(self._before, self._batch):
            with leaving_room(self._clock):
                self._tables.delete_backfills(keys)
            self.counts["backfills"] += len(keys)

    def tidy_files(self) -> None:
        """Remove files of runs that are gone; give back what was deleted from the others."""
        if self._files is None:
            return
        for run_id in self._files.nobodys(set(self._instance.get_run_ids())):
            self._files.remove(run_id)
            self.counts["files"] += 1
        self._files.shrink()

    def _drop_superseded(self, run_id: str, results: AbstractSet[int]) -> None:
        after = 0
        while found := self._tables.entries(run_id, self._before, after, self._batch):
            after = found[-1].number
            gone: dict[int, int | None] = {}
            for one in found:
                if one.asset is None:  # a line of the log, or of a check
                    gone |= {} if one.number in results else {one.number: None}
                elif (later := self._newest.successor(one)) is not None:
                    gone[one.number] = later
            if gone:
                with leaving_room(self._clock):
                    self.counts["events"] += self._tables.delete_events(gone)

    def _delete_run(self, run_id: str) -> None:
        """Its record last of all but the file: a run that is there is found again."""
        left = self._tables.count(run_id)
        self._instance.compute_log_manager.delete_logs(prefix=[run_id])
        if self._files is not None and self._files.is_large(run_id):
            self._thin_file(run_id)  # Dagster would name all events in one statement
        with leaving_room(self._clock):
            self._instance.delete_run(run_id)
        if self._files is not None:
            self._files.remove(run_id)
        self.counts["runs"] += 1
        self.counts["events"] += left

    def _thin(self, run_id: str) -> None:
        self._thin_file(run_id)
        self._instance.compute_log_manager.delete_logs(prefix=[run_id])
        run = self._instance.get_run_by_id(run_id)
        if run is not None and PRUNED not in run.tags:
            self._instance.add_run_tags(
                run_id, {PRUNED: self._before.isoformat(timespec="minutes")}
            )
        self.counts["thinned"] += 1

    def _thin_file(self, run_id: str) -> None:
        """Leave in the run's own file what the index has of it."""
        if self._files is None or not self._files.has(run_id):
            return
        stay = self._tables.rows(run_id)
        after = 0
        while found := self._tables.rows_on_file(run_id, self._before, after, self._batch):
            after = found[-1][0]
            gone = [number for number, row in found if row not in stay]
            if gone:
                self._tables.delete_on_file(run_id, gone)
        self._files.rewrite(run_id)
