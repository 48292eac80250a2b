"""A past in a real Dagster instance, what Dagster says of it, and a pruning in its own process.

Not here: what may be pruned (test_pruning).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.storage.partition_status_cache import (
    AssetStatusCacheValue,
    get_and_update_asset_status_cache_value,
)
from sqlalchemy import text

from marketdata_pipeline.defs.pruning import Pruned, prune
from marketdata_pipeline.domain.clock import Clock, SystemClock
from marketdata_pipeline_tests.fakes import FrozenClock

THING = dg.AssetKey("thing")
CHECK = dg.AssetCheckKey(THING, "sound")
NAMES = ("a", "b", "c")
_INDEXED = "dagster/data_version"
"""A tag that Dagster has a table for."""
GRID = dg.MultiPartitionsDefinition(
    {
        "name": dg.DynamicPartitionsDefinition(name="names"),
        "size": dg.StaticPartitionsDefinition(["1", "2"]),
    }
)


class Wanted(dg.Config):
    """Partitions to materialize where a run has none, and what fails."""

    keys: list[str] = []
    bad: list[str] = []


@dg.multi_asset(
    specs=[dg.AssetSpec(THING, partitions_def=GRID)],
    check_specs=[dg.AssetCheckSpec(CHECK.name, asset=THING)],
    can_subset=True,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def thing(
    context: dg.AssetExecutionContext, config: Wanted
) -> Iterator[dg.AssetMaterialization | dg.AssetCheckResult]:
    """Materializes what is good, fails if anything was bad."""
    keyed = context.has_partition_key or context.has_partition_key_range
    for key in context.partition_keys if keyed else config.keys:
        context.log.info("at work on %s", key)
        if key not in config.bad:
            yield _materialization(key, context.run.run_id)
    if config.bad:
        raise dg.Failure("some were bad", allow_retries=False)
    yield dg.AssetCheckResult(asset_key=THING, check_name=CHECK.name, passed=True)


def _materialization(key: str, of: str) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(THING, partition=key, metadata={"of": of}, tags={_INDEXED: of})


def _job() -> dg.JobDefinition:
    definitions = dg.Definitions(
        assets=[thing],
        jobs=[dg.define_asset_job("things", selection=[THING])],
        executor=dg.in_process_executor,
    )
    return definitions.resolve_job_def("things")


@dg.op
def _rest() -> None:
    """Do nothing."""


@dg.job
def _nothing() -> None:
    _rest()


@dataclass
class Past:
    """An instance with partition keys; each method adds to its past."""

    instance: dg.DagsterInstance

    def __post_init__(self) -> None:
        self.instance.add_dynamic_partitions("names", list(NAMES))

    def refreshed(self, *keys: str, tags: dict[str, str] | None = None) -> str:
        """A run whose config lists partitions; its id."""
        config = {"ops": {"thing": {"config": {"keys": list(keys)}}}}
        return self._run(run_config=config, tags=tags)

    def failed(self, key: str) -> str:
        """A run whose config lists one partition, which fails; its id."""
        return self._run(run_config={"ops": {"thing": {"config": {"keys": [key], "bad": [key]}}}})

    def idle(self) -> str:
        """A run that has to do with no asset; its id."""
        return _nothing.execute_in_process(instance=self.instance).run_id

    def backfilled(self, first: str, last: str, bad: tuple[str, ...] = ()) -> str:
        """A run of a range of partitions, of which some fail; its id."""
        config = {"ops": {"thing": {"config": {"bad": list(bad)}}}}
        return self._run(run_config=config, tags=_range(first, last))

    def begun(self, first: str, last: str) -> str:
        """A run of a range that is under way; its id."""
        run = self.instance.create_run_for_job(
            _job(), tags=_range(first, last), status=dg.DagsterRunStatus.STARTED
        )
        return run.run_id

    def reported(self, key: str) -> None:
        """A materialization that no run wrote."""
        self.instance.report_runless_asset_event(_materialization(key, "nobody"))

    def backfill(self, key: str, status: BulkActionStatus) -> None:
        """A backfill's record, as old as can be."""
        self.instance.add_backfill(
            PartitionBackfill(
                key, status, from_failure=False, tags={"who": "me"}, backfill_timestamp=1.0
            )
        )

    def _run(self, **how: Any) -> str:
        made = _job().execute_in_process(instance=self.instance, raise_on_error=False, **how)
        return made.run_id


def _range(first: str, last: str) -> dict[str, str]:
    return {
        "dagster/asset_partition_range_start": first,
        "dagster/asset_partition_range_end": last,
    }


def told(instance: dg.DagsterInstance) -> dict[str, Any]:
    """All that Dagster says of partitions, checks and runs under way, reckoned anew."""
    log = instance.event_log_storage
    kept = _statuses(instance)
    log.wipe_asset_cached_status(THING)
    materialized = dg.DagsterEventType.ASSET_MATERIALIZATION
    newest = log.get_latest_storage_id_by_partition(THING, materialized)
    unfinished = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.QUEUED]
    begun = instance.get_run_ids(dg.RunsFilter(statuses=unfinished))
    record = instance.get_asset_records([THING])[0]
    return {
        "statuses as they were cached": kept,
        "statuses": _statuses(instance),
        "newest materializations": newest,
        "their contents": {key: _contents(instance, key) for key in newest},
        "their tags": _tags(instance, sorted(newest)),
        "the asset's last": record.asset_entry.last_materialization_storage_id,
        "its last run": record.asset_entry.last_run_id,
        "the last that was planned": instance.get_latest_planned_materialization_info(THING),
        "checks": log.get_asset_check_summary_records([CHECK]),
        "partition keys": instance.get_dynamic_partitions("names"),
        "under way": {one: instance.all_logs(one) for one in begun},
    }


def _statuses(instance: dg.DagsterInstance) -> dict[str, list[str]]:
    with partition_loading_context(None, instance):
        value = get_and_update_asset_status_cache_value(instance, THING, GRID)
        if value is None:
            return {}
        read = AssetStatusCacheValue
        return {
            "materialized": _keys(read.deserialize_materialized_partition_subsets(value, GRID)),
            "failed": _keys(read.deserialize_failed_partition_subsets(value, GRID)),
            "in progress": _keys(read.deserialize_in_progress_partition_subsets(value, GRID)),
        }


def _keys(subset: Any) -> list[str]:
    return sorted(subset.get_partition_keys())


def _contents(instance: dg.DagsterInstance, key: str) -> Any:
    wanted = dg.AssetRecordsFilter(THING, asset_partitions=[key])
    (record,) = instance.fetch_materializations(wanted, limit=1).records
    return record.event_log_entry


def _tags(instance: dg.DagsterInstance, keys: list[str]) -> Any:
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION
    return instance.event_log_storage.get_latest_tags_by_partition(THING, kind, [_INDEXED], keys)


def rows(instance: dg.DagsterInstance, table: str) -> list[Any]:
    """The rows of a table of the index."""
    log: Any = instance.event_log_storage
    with log.index_connection() as connection:
        return list(connection.execute(text(f"SELECT * FROM {table} ORDER BY id")))  # noqa: S608


def drop(instance: dg.DagsterInstance, table: str) -> None:
    """Take a table of the index away."""
    log: Any = instance.event_log_storage
    with log.index_connection() as connection:
        connection.execute(text(f"DROP TABLE {table}"))


def kinds(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """The kinds of a run's events, as its page shows them; a line of log is an empty one."""
    entries = instance.all_logs(run_id)
    return [one.dagster_event_type.value if one.dagster_event_type else "" for one in entries]


def pruned(
    instance: dg.DagsterInstance,
    before: datetime | None = None,
    clock: Clock | None = None,
    batch: int = 2,
) -> Pruned:
    """Prune what there is, in small steps; nobody else writes, so that no time is left to them."""
    now = datetime.now(UTC)
    return prune(instance, before or now, clock or FrozenClock(now, now), print, batch=batch)


def prune_home(folder: Path, begun: Event) -> None:
    """Prune the instance of a folder; tells when it is about to begin."""
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        begun.set()
        pruned(instance, clock=SystemClock())
