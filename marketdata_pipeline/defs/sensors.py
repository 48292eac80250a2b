"""Sensors: transactions become backfills, backfills become runs, runs that died are begun again.

Not here: what follows from a transaction (ingest.events), the queue (ingest.queue), what a run does
(doors). All state is in SQL: no sensor has a cursor of its own, and whatever dies in between, the
next tick goes on.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from time import monotonic, time

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
_NO_LIMIT = 100
_URGENT = 2
"""Urgent runs at once: each starts a process, which takes some seconds of a core."""
_WAITING = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]
_FEW_KEYS = 50
"""The daemon asks its database for each key that a tick adds: thousands take it a minute."""
_SILENT = timedelta(minutes=30)
_PROCESSING = 2.0
"""Seconds of a tick after which no further transactions are taken."""
_TIER = "marketdata/tier"
_OWN = {"dagster/max_retries": "0"}
"""The queue itself begins again what a run left."""
_URGENTLY = {_TIER: "urgent"}


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
            if not (done.seen and done.left) or monotonic() > until:
                break
        if not seen:
            return dg.SkipReason("no new transaction")
        if done.left:  # their turn is next; the other sensor sees to what is queued
            return _result(context.instance, [], tracked)
        room = Room(_room(context.instance).urgent, mass=0)
        return _result(context.instance, opened.queue.ask(room, again=False), tracked)


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
        _end_runs(context.instance, opened.queue)
        room = _room(context.instance)
        asked = [one for one in opened.queue.ask(room) if _is_to_be_made(context.instance, one)]
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


def _end_runs(instance: dg.DagsterInstance, queue: Queue) -> None:
    """End the runs that are dead, which Dagster cannot know of a process that it lost.

    It would count them as running for ever: those whose lease is over, and those that have nothing
    of the queue and have said nothing for ten leases, for half an hour at least.
    """
    lost = {one.run_id for one in queue.free_lost() if one.status is Status.IN_PROGRESS}
    silent_since = time() - max(10 * queue.lease, _SILENT).total_seconds()
    started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED], job_name=bars_update.name)
    for record in instance.get_run_records(started):
        run = record.dagster_run
        quiet = (record.start_time or silent_since) < silent_since
        if run.run_id in lost or (quiet and _is_silent(instance, queue, run, silent_since)):
            instance.report_run_failed(run, "its process has said nothing for too long")


def _is_silent(
    instance: dg.DagsterInstance, queue: Queue, run: dg.DagsterRun, since: float
) -> bool:
    if queue.renew(run.run_id):
        return False
    newest = instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
    return all(one.timestamp < since for one in newest)


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
    if len(fresh) > _FEW_KEYS:
        instance.add_dynamic_partitions(INSTRUMENTS, fresh)
        fresh = []
    return dg.SensorResult(
        run_requests=[_request(one) for one in asked],
        dynamic_partitions_requests=[KEYS.build_add_request(fresh)] if fresh else [],
    )


def _is_to_be_made(instance: dg.DagsterInstance, batch: Batch) -> bool:
    """Whether no run of a batch exists: Dagster looks for one of the same sensor only."""
    if all(one.asked_at is None for one in batch.rows):
        return True
    return not instance.get_runs_count(dg.RunsFilter(tags={"dagster/run_key": batch.key}))


def _request(batch: Batch) -> dg.RunRequest:
    """One run; with partition keys where they are a range that holds nothing else."""
    tags = {**_OWN, **(MASS if batch.mass else {**_URGENTLY, "dagster/priority": "10"})}
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
    """For how many runs there is room.

    Whatever else waits in Dagster's queue, urgent runs pass it; whatever runs, they have to wait
    for, and the mass never fills all places. One may wait in line even where no place is free.
    """
    limits = instance.get_concurrency_config().run_queue_config
    most = _AT_ONCE if limits is None else limits.max_concurrent_runs
    if most < 1:  # Dagster's way to say that there is no limit
        most = _NO_LIMIT
    mass_most = _mass_limit(limits.tag_concurrency_limits if limits else [], most)

    def count(statuses: Sequence[dg.DagsterRunStatus], tags: Mapping[str, str]) -> int:
        return instance.get_runs_count(dg.RunsFilter(statuses=statuses, tags=tags))

    unfinished, mass = count(UNFINISHED, {}), count(UNFINISHED, MASS)
    running = unfinished - count(_WAITING, {})
    mass_running = mass - count(_WAITING, MASS)
    in_line = count(_WAITING, _URGENTLY)
    free = most - (running - mass_running) - min(mass, mass_most) - in_line
    urgent = max(min(free, _URGENT), 0 if in_line else 1)
    return Room(urgent, max(0, min(mass_most - mass, most - unfinished - urgent)))


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
