"""SQL on Dagster's own tables: which of its rows nothing needs any more, and deleting them.

Not here: in which order that happens (pruning), and SQLite's files (dagster_files). Dagster 1.13
has no way to delete what is superseded: `delete_run` takes the newest materialization of a
partition with it, `wipe_asset_partitions` is not implemented. Written for one revision of its
tables, any other is refused (ADR 0014).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage

from marketdata_pipeline.defs.superseded import OF_CHECKS, Entry, Newest
from marketdata_pipeline.errors import MarketDataError

REVISIONS = ("29b539ebc72a",)
"""Of Dagster's tables; that of 1.13."""
RUNLESS = ""
"""The run id of events that no run wrote."""
_STORAGES = {
    "SqliteEventLogStorage": "SqliteRunStorage",
    "PostgresEventLogStorage": "PostgresRunStorage",
}
_CHECKED = ("SUCCEEDED", "FAILED")
_ENDED = ("COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED")


def _table(name: str, *columns: str) -> sa.TableClause:
    times = ("timestamp", "create_timestamp", "evaluation_event_timestamp")
    kinds = {one: sa.column(one, sa.DateTime()) for one in times}
    return sa.table(name, *(kinds.get(one, sa.column(one)) for one in columns))


_EVENTS = _table(
    "event_logs", "id", "run_id", "dagster_event_type", "timestamp", "asset_key", "partition"
)
_TAGS = _table("asset_event_tags", "event_id")
_CHECKS = _table(
    *("asset_check_executions", "id", "asset_key", "check_name", "partition", "run_id"),
    *("execution_status", "evaluation_event_timestamp", "evaluation_event_storage_id"),
    "create_timestamp",
)
_RUNS = _table("runs", "run_id", "backfill_id")
_RUN_TAGS = _table("run_tags", "run_id")
_BACKFILLS = _table("bulk_actions", "key", "status", "timestamp")
_BACKFILL_TAGS = _table("backfill_tags", "backfill_id")
EventRow = tuple[str | None, str | None, str | None, datetime]
"""Kind, asset, partition and time of an event: what tells it from others in any database."""
_OF = _EVENTS.c["dagster_event_type", "asset_key", "partition"]
_ROW = _EVENTS.c["dagster_event_type", "asset_key", "partition", "timestamp"]
_KIND = _EVENTS.c.dagster_event_type
_OF_CHECK = _KIND.in_(OF_CHECKS)
_OF_ASSET = _EVENTS.c.asset_key.is_not(None)


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One execution of a check; ``event_id`` is the event that tells of it."""

    number: int
    run_id: str
    event_id: int | None


class DagsterTables:
    """The tables of an instance. Every method is one short transaction.

    Raises:
        MarketDataError: the instance keeps them elsewhere, or they are of another revision.
    """

    def __init__(self, instance: dg.DagsterInstance) -> None:
        log, runs = instance.event_log_storage, instance.run_storage
        kinds = {one.__name__ for one in type(log).__mro__}
        found = [name for name in _STORAGES if name in kinds]
        of_runs = {one.__name__ for one in type(runs).__mro__}
        if not found or _STORAGES[found[0]] not in of_runs:
            said = f"{type(log).__name__} and {type(runs).__name__}"
            raise MarketDataError(
                f"Dagster's runs and events are in {said}; they can be pruned where both are "
                "SQLite files or both are in Postgres, so nothing was"
            )
        self._log, self._runs = cast("SqlEventLogStorage", log), cast("SqlRunStorage", runs)
        self.on_files = found[0].startswith("Sqlite")
        for version in (self._log.alembic_version(), self._runs.alembic_version()):
            revision = None if version is None else version[0]
            if revision not in REVISIONS:
                raise MarketDataError(
                    f"Dagster's tables are of revision {revision}, known is "
                    f"{', '.join(REVISIONS)}; they were not pruned. `dagster instance migrate` "
                    "brings older ones up to date; newer ones need a newer marketdata_pipeline"
                )

    def writers(self) -> set[str]:
        """The run ids that events name."""
        with self._log.index_connection() as connection:
            found = connection.scalars(sa.select(_EVENTS.c.run_id).distinct())
            return {one for one in found if one is not None}

    def backfilling(self) -> set[str]:
        """The runs of backfills that are under way."""
        going = sa.select(_BACKFILLS.c.key).where(_BACKFILLS.c.status.not_in(_ENDED))
        with self._runs.connect() as connection:
            return set(
                connection.scalars(sa.select(_RUNS.c.run_id).where(_RUNS.c.backfill_id.in_(going)))
            )

    def newest(self) -> Newest:
        """The newest event of each kind of each partition."""
        number = sa.func.max(_EVENTS.c.id)
        wanted = sa.select(number, *_OF).where(_OF_ASSET).group_by(*_OF)
        with self._log.index_connection() as connection:
            return Newest.of([Entry(*row) for row in connection.execute(wanted)])

    def entries(self, run_id: str, before: datetime, after: int, most: int) -> list[Entry]:
        """Lines of a run's log, and its events that tell of assets and checks, in order.

        Only those that are older than ``before`` and have a number above ``after``.
        """
        wanted = (
            sa.select(_EVENTS.c.id, *_OF)
            .where(*_old(run_id, before, after))
            .order_by(_EVENTS.c.id)
            .limit(most)
        )
        with self._log.index_connection() as connection:
            return [Entry(*row) for row in connection.execute(wanted)]

    def delete_events(self, successors: Mapping[int, int | None]) -> int:
        """Delete events with their tags, each while its successor is there; how many went.

        None: it needs no successor.
        """
        later = {one for one in successors.values() if one is not None}
        known = sa.select(_EVENTS.c.id).where(_EVENTS.c.id.in_(later))
        with self._log.index_transaction() as connection:
            there = {None, *connection.scalars(known)}
            gone = [number for number, after in successors.items() if after in there]
            connection.execute(sa.delete(_TAGS).where(_TAGS.c.event_id.in_(gone)))
            connection.execute(sa.delete(_EVENTS).where(_EVENTS.c.id.in_(gone)))
        return len(gone)

    def needed(self, run_id: str, before: datetime) -> bool:
        """Whether something that is left of a run has to stay, once its stale events are gone.

        The newest event of all stays too: SQLite would give its number to the next one, and
        whoever looks for greater ones would miss that.
        """
        newest = sa.select(sa.func.max(_EVENTS.c.id)).scalar_subquery()
        event = sa.exists().where(
            _EVENTS.c.run_id == run_id,
            sa.or_(_OF_ASSET, _EVENTS.c.timestamp >= _stored(before), _EVENTS.c.id == newest),
        )
        with self._log.index_connection() as connection:
            return bool(connection.scalar(sa.select(event)))

    def count(self, run_id: str) -> int:
        """How many events there are of a run."""
        counted = sa.select(sa.func.count()).where(_EVENTS.c.run_id == run_id)
        with self._log.index_connection() as connection:
            return int(connection.scalar(counted) or 0)

    def newest_checks(self) -> set[int]:
        """The executions that statuses are read from: each check's last, and last with a result."""
        number, status = _CHECKS.c.id, _CHECKS.c.execution_status
        wanted = sa.select(
            sa.func.max(number), sa.func.max(sa.case((status.in_(_CHECKED), number)))
        ).group_by(_CHECKS.c.asset_key, _CHECKS.c.check_name, _CHECKS.c.partition)
        with self._log.index_connection() as connection:
            return {one for row in connection.execute(wanted) for one in row if one is not None}

    def old_checks(self, before: datetime, after: int, most: int) -> list[CheckRow]:
        """Executions older than ``before`` with a number above ``after``, in order."""
        at = sa.func.coalesce(_CHECKS.c.evaluation_event_timestamp, _CHECKS.c.create_timestamp)
        wanted = (
            sa.select(_CHECKS.c.id, _CHECKS.c.run_id, _CHECKS.c.evaluation_event_storage_id)
            .where(_CHECKS.c.id > after, at < _stored(before))
            .order_by(_CHECKS.c.id)
            .limit(most)
        )
        with self._log.index_connection() as connection:
            rows = connection.execute(wanted)
            return [CheckRow(number, run or RUNLESS, event) for number, run, event in rows]

    def delete_checks(self, numbers: Sequence[int]) -> None:
        """Delete executions of checks; the events that tell of them stay."""
        with self._log.index_transaction() as connection:
            connection.execute(sa.delete(_CHECKS).where(_CHECKS.c.id.in_(numbers)))

    def ended_backfills(self, before: datetime, most: int) -> list[str]:
        """Backfills that began before that, have ended, and have no run left."""
        wanted = (
            sa.select(_BACKFILLS.c.key)
            .where(
                _BACKFILLS.c.status.in_(_ENDED),
                _BACKFILLS.c.timestamp < _stored(before),
                ~sa.exists().where(_RUNS.c.backfill_id == _BACKFILLS.c.key),
            )
            .limit(most)
        )
        with self._runs.connect() as connection:
            return list(connection.scalars(wanted))

    def delete_backfills(self, keys: Sequence[str]) -> None:
        """Delete the records of backfills; tags first, since Postgres commits each statement."""
        with self._runs.connect() as connection:
            connection.execute(
                sa.delete(_BACKFILL_TAGS).where(_BACKFILL_TAGS.c.backfill_id.in_(keys))
            )
            connection.execute(sa.delete(_BACKFILLS).where(_BACKFILLS.c.key.in_(keys)))

    def rows(self, run_id: str) -> set[EventRow]:
        """What the index has of a run, but for how it went."""
        of_run = _EVENTS.c.run_id == run_id
        wanted = sa.select(*_ROW).where(of_run, sa.or_(_OF_ASSET, _OF_CHECK))
        with self._log.index_connection() as connection:
            return {cast("EventRow", tuple(row)) for row in connection.execute(wanted)}

    def rows_on_file(
        self, run_id: str, before: datetime, after: int, most: int
    ) -> list[tuple[int, EventRow]]:
        """What the run's own SQLite file has of the same, and its log lines, in order."""
        wanted = (
            sa.select(_EVENTS.c.id, *_ROW)
            .where(*_old(run_id, before, after))
            .order_by(_EVENTS.c.id)
            .limit(most)
        )
        with self._log.run_connection(run_id) as connection:
            return [
                (number, cast("EventRow", tuple(row)))
                for number, *row in connection.execute(wanted)
            ]

    def delete_on_file(self, run_id: str, numbers: Sequence[int]) -> None:
        """Delete events from the run's own SQLite file."""
        with self._log.run_connection(run_id) as connection:
            connection.execute(sa.delete(_EVENTS).where(_EVENTS.c.id.in_(numbers)))

    def files(self) -> list[Path]:
        """The SQLite files of the index and of the runs."""
        with self._log.index_connection() as index, self._runs.connect() as runs:
            return [_file(index), _file(runs)]

    def size(self) -> int:
        """Bytes of these tables in Postgres, with their indexes."""
        total = 0
        for connect, tables in (
            (self._log.index_connection, (_EVENTS, _TAGS, _CHECKS)),
            (self._runs.connect, (_RUNS, _RUN_TAGS, _BACKFILLS)),
        ):
            with connect() as connection:
                for one in tables:
                    taken = connection.scalar(sa.select(sa.func.pg_total_relation_size(one.name)))
                    total += int(taken or 0)
        return total


def _old(run_id: str, before: datetime, after: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        _EVENTS.c.run_id == run_id,
        _EVENTS.c.id > after,
        _EVENTS.c.timestamp < _stored(before),
        sa.or_(_KIND.is_(None), _OF_ASSET, _OF_CHECK),
    )


def _stored(instant: datetime) -> datetime:
    """As Dagster stores it: UTC, naive."""
    return instant.astimezone(UTC).replace(tzinfo=None)


def _file(connection: sa.Connection) -> Path:
    return Path(connection.execute(sa.text("PRAGMA database_list")).one().file)
