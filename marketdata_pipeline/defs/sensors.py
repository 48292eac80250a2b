"""Sensors: transactions become backfills, backfills become runs, runs that died are begun again.

Not here: what follows from a transaction (ingest.events), the queue (ingest.queue), what a run does
(doors). All state is in SQL: no sensor has a cursor of its own, and whatever dies in between, the
next tick goes on.
"""

from collections.abc import Iterable, Mapping, Sequence
from time import monotonic

import dagster as dg

from marketdata_pipeline.defs.doors import claims_in, config_of
from marketdata_pipeline.defs.partitions import KEYS
from marketdata_pipeline.defs.resources import PipelineResource, failing_clearly
from marketdata_pipeline.defs.schedules import UNFINISHED, bars_update
from marketdata_pipeline.domain.backfill import Backfill, Status
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.ingest.queue import Batch, Queue, Room
from marketdata_pipeline.ingest.runs import MASS
from marketdata_pipeline.orchestrator import INSTRUMENTS

_AT_ONCE = 4
"""Runs, where the instance does not say how many it lets run."""
_URGENT = 2
"""Urgent runs at once: each starts a process, which takes some seconds of a core."""
_WAITING = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]
_PROCESSING = 4.0
"""Seconds of a tick after which no further transactions are taken."""
_TIER = "marketdata/tier"
_OWN = {"dagster/max_retries": "0"}
"""The queue itself begins again what a run left."""


@dg.sensor(
    job=bars_update,
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "New transactions are processed: what they need is tracked and put into the queue, and the "
        "most urgent of it is begun at once."
    ),
)
def transaction_sensor(
    context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[PipelineResource]
) -> dg.SensorResult | dg.SkipReason:
    """Transactions in, tracked instruments and the first runs out."""
    with failing_clearly(), pipeline.opened() as opened:
        until = monotonic() + _PROCESSING
        seen, tracked = 0, list[Instrument]()
        while True:
            done = opened.events.process()
            seen += done.seen
            tracked += done.tracked
            if not done.left or monotonic() > until:
                break
        if not seen:
            return dg.SkipReason("no new transaction")
        room = Room(_room(context.instance).urgent, mass=0)
        return _result(context.instance, opened.queue.ask(room), tracked)


@dg.sensor(
    job=bars_update,
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Backfills of the queue that are due become runs: urgent ones at once, the mass by the "
        "hundred, as many as may run."
    ),
)
def backfill_queue_sensor(
    context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[PipelineResource]
) -> dg.SensorResult | dg.SkipReason:
    """Rows of the queue in, runs out."""
    with failing_clearly(), pipeline.opened() as opened:
        _end_runs(context.instance, {one.run_id for one in opened.queue.free_lost()})
        room = _room(context.instance)
        asked = opened.queue.ask(room)
        if not asked:
            return dg.SkipReason(_waited_for(opened.queue, room))
        return _result(context.instance, asked, [])


@dg.run_failure_sensor(
    monitored_jobs=[bars_update],
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="What a failed run had of the queue, and did not come to, is begun again.",
)
def run_failure_sensor(
    context: dg.RunFailureSensorContext, pipeline: dg.ResourceParam[PipelineResource]
) -> dg.SkipReason:
    """A run that died frees its rows at once, not only when its lease is over."""
    return _freed(context.dagster_run, pipeline)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.CANCELED,
    monitored_jobs=[bars_update],
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="The same for a run that somebody cancelled.",
)
def run_canceled_sensor(
    context: dg.RunStatusSensorContext, pipeline: dg.ResourceParam[PipelineResource]
) -> dg.SkipReason:
    """A run that was cancelled frees its rows at once."""
    return _freed(context.dagster_run, pipeline)


def _freed(run: dg.DagsterRun, pipeline: PipelineResource) -> dg.SkipReason:
    claims = claims_in(run.run_config)
    if not claims:
        return dg.SkipReason("the run had nothing of the queue")
    with failing_clearly(), pipeline.opened() as opened:
        freed = opened.queue.run_died(run.run_id, claims)
    return dg.SkipReason(f"{freed} of {len(claims)} backfills of run {run.run_id} begin again")


def _end_runs(instance: dg.DagsterInstance, lost: set[str | None]) -> None:
    """Runs whose leases are over are dead, which Dagster cannot know of a process that it lost.

    It would count them as running for ever.
    """
    for run_id in lost - {None}:
        run = instance.get_run_by_id(str(run_id))
        if run is not None and not run.is_finished:
            instance.report_run_failed(
                run, "its process has said nothing for longer than its lease"
            )


def _result(
    instance: dg.DagsterInstance, asked: Sequence[Batch], tracked: Iterable[Instrument]
) -> dg.SensorResult:
    """The runs, and the partition keys that Dagster does not know yet."""
    known = set(instance.get_dynamic_partitions(INSTRUMENTS))
    wanted = [
        *(str(one) for one in tracked),
        *(str(row.instrument) for one in asked for row in one.rows),
    ]
    fresh = [one for one in dict.fromkeys(wanted) if one not in known]
    return dg.SensorResult(
        run_requests=[_request(one) for one in asked],
        dynamic_partitions_requests=[KEYS.build_add_request(fresh)] if fresh else [],
    )


def _request(batch: Batch) -> dg.RunRequest:
    """One run; with partition keys where they are a range that holds nothing else."""
    tags = {**_OWN, **(MASS if batch.mass else {"dagster/priority": "10"})}
    if len(batch.rows) == 1:
        tags |= _range(batch.rows[0])
    return dg.RunRequest(run_key=batch.key, run_config=config_of(batch.claims), tags=tags)


def _range(row: Backfill) -> dict[str, str]:
    grid = list(Timeframe)
    first, last = grid.index(row.timeframes[0]), grid.index(row.timeframes[-1])
    if tuple(grid[first : last + 1]) != row.timeframes:
        return {}
    return {
        "dagster/asset_partition_range_start": str(row.series[0]),
        "dagster/asset_partition_range_end": str(row.series[-1]),
    }


def _room(instance: dg.DagsterInstance) -> Room:
    """For how many runs there is room; one urgent run may wait in line even where there is none.

    Dagster lets nobody pass who runs: the mass never fills all places, and of what waits the most
    urgent comes first.
    """
    limits = instance.get_concurrency_config().run_queue_config
    most = (limits and limits.max_concurrent_runs) or _AT_ONCE
    mass_most = _mass_limit(limits.tag_concurrency_limits if limits else [], most)
    unfinished = instance.get_runs_count(dg.RunsFilter(statuses=UNFINISHED))
    mass = instance.get_runs_count(dg.RunsFilter(statuses=UNFINISHED, tags=MASS))
    free = most - unfinished
    urgent = min(free, _URGENT)
    if urgent < 1 and not instance.get_runs_count(dg.RunsFilter(statuses=_WAITING)):
        urgent = 1
    return Room(max(urgent, 0), max(min(mass_most - mass, free), 0))


def _mass_limit(limits: Sequence[Mapping[str, object]], most: int) -> int:
    for one in limits:
        if one.get("key") == _TIER and one.get("value") == MASS[_TIER]:
            return int(str(one["limit"]))
    return max(1, most - 2)


def _waited_for(queue: Queue, room: Room) -> str:
    """Why no run was asked for."""
    first = next(iter(queue.rows([Status.PENDING, Status.RATE_LIMITED], at_most=1)), None)
    if first is None:
        return "the queue is empty, or runs are at all of it"
    if first.asked_at is not None:
        return f"runs were asked for and begin soon: {first.instrument} and others"
    if first.retry_after <= queue.clock.wall_now():
        return f"due: {first.instrument} and others; room: {room.urgent} urgent, {room.mass} mass"
    why = f": {first.error_message}" if first.error_message else ""
    return f"the next, {first.instrument}, is due at {first.retry_after:%Y-%m-%d %H:%M:%S} UTC{why}"


SENSORS = (transaction_sensor, backfill_queue_sensor, run_failure_sensor, run_canceled_sensor)
"""All of them."""
