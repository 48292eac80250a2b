"""Jobs that look after what happens by itself: the hourly check, the weekly cleanup.

Not here: what nobody sees to (ingest.neglected), the queue, what looks after the store
(maintenance), the times (times).
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from marketdata_pipeline.defs.doors import given
from marketdata_pipeline.defs.maintenance import UPKEEP
from marketdata_pipeline.defs.partitions import series_of
from marketdata_pipeline.defs.resources import PipelineResource, failing_clearly
from marketdata_pipeline.defs.schedules import UNFINISHED, is_under_way
from marketdata_pipeline.defs.times import Times
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.orchestrator import INSTRUMENTS

_MOST_RUNS = 500
_PARTITION = "dagster/partition"


@dg.op
def enqueue_neglected(
    context: dg.OpExecutionContext, pipeline: dg.ResourceParam[PipelineResource]
) -> None:
    """Put into the queue what nobody sees to; say so where transactions are not processed.

    Before, what is held is reckoned anew: a refresh may have told of a split.
    """
    with failing_clearly(), pipeline.opened() as opened:
        recounted = opened.events.recount_all()
        wanted = opened.neglected.enqueue(series_in_runs(context.instance))
        late = opened.neglected.unprocessed()
    series = sum(len(one.timeframes) for one in wanted)
    context.log.info("put into the queue: series=%d instruments=%d", series, len(wanted))
    context.add_output_metadata(
        {
            "instruments": len(wanted),
            "series": series,
            "recounted": len(recounted),
            "unprocessed": 0 if late is None else late.transactions,
        }
    )
    if late is not None:
        context.log.warning(
            "%d transactions are not processed, the oldest since %s UTC; "
            "is the daemon running, and transaction_sensor switched on?",
            late.transactions,
            f"{late.since:%Y-%m-%d %H:%M}",
        )


@dg.job(tags=UPKEEP)
def neglected_check() -> None:
    """Tracked series that nobody sees to go into the queue."""
    enqueue_neglected()


@dg.schedule(
    job=neglected_check,
    cron_schedule="0 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=(
        "Every hour: tracked series that were never asked for, that failed or that have a hole "
        "that is due, and that no run and no row of the queue is for, go into the queue. What is "
        "held is reckoned anew where a refresh told of a split or a currency. "
        "Transactions that nobody processed are told of. What is tracked and has no partition yet "
        "gets one."
    ),
)
def hourly_check(
    context: dg.ScheduleEvaluationContext, pipeline: dg.ResourceParam[PipelineResource]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One run, where there is something to do or to tell."""
    if is_under_way(context, neglected_check.name):
        yield dg.SkipReason("the last check is still under way")
        return
    with failing_clearly(), pipeline.opened() as opened:
        _add_keys(context.instance, [one.instrument for one in opened.tracking.all()])
        found = opened.neglected.found(series_in_runs(context.instance))
        late = opened.neglected.unprocessed()
        miscounted = opened.events.miscounted()
    if not found and not miscounted and late is None:
        yield dg.SkipReason("all tracked series are seen to, all transactions are processed")
        return
    yield dg.RunRequest()


@dg.op
def prune_queue(
    context: dg.OpExecutionContext, pipeline: dg.ResourceParam[PipelineResource]
) -> None:
    """Remove rows of the queue that were completed longer ago than the setting says."""
    with failing_clearly(), pipeline.opened() as opened:
        _tell(context, backfills=opened.queue.prune(opened.queue_kept))


@dg.op
def prune_events(
    context: dg.OpExecutionContext, pipeline: dg.ResourceParam[PipelineResource]
) -> None:
    """Remove requests to providers that are logged for longer than the setting says."""
    with failing_clearly(), pipeline.opened() as opened:
        _tell(context, requests=opened.upkeep.prune_requests())


@dg.op
def prune_reports(
    context: dg.OpExecutionContext, pipeline: dg.ResourceParam[PipelineResource]
) -> None:
    """Remove reports on quality that are older than the setting says; the last ones stay."""
    with failing_clearly(), pipeline.opened() as opened:
        _tell(context, reports=opened.upkeep.prune_reports())


@dg.op
def end_upkeep(
    context: dg.OpExecutionContext, pipeline: dg.ResourceParam[PipelineResource]
) -> None:
    """Keep no longer up to date what nobody has held for longer than the setting says."""
    with failing_clearly(), pipeline.opened() as opened:
        _tell(context, instruments=len(opened.events.end_upkeep()))


@dg.job(tags=UPKEEP)
def events_cleanup() -> None:
    """End the upkeep of what was sold; remove what is old: of the queue, requests, reports."""
    end_upkeep()
    prune_queue()
    prune_events()
    prune_reports()


def weekly_cleanup(times: Times) -> dg.ScheduleDefinition:
    """The schedule of the cleanup."""

    @dg.schedule(
        name="weekly_cleanup",
        job=events_cleanup,
        cron_schedule=times.cleanup,
        execution_timezone=times.zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            "Once a week: what was sold a while ago is kept up to date no longer; completed rows "
            "of the queue that are old, and the old log of requests, are removed."
        ),
    )
    def clean(
        context: dg.ScheduleEvaluationContext,
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        if is_under_way(context, events_cleanup.name):
            yield dg.SkipReason("the last cleanup is still under way")
            return
        yield dg.RunRequest()

    return clean


def _add_keys(instance: dg.DagsterInstance, tracked: Sequence[Instrument]) -> None:
    """Give partition keys to what somebody else tracked: a worker knows nothing of Dagster."""
    known = set(instance.get_dynamic_partitions(INSTRUMENTS))
    fresh = [str(one) for one in tracked if str(one) not in known]
    if fresh:
        instance.add_dynamic_partitions(INSTRUMENTS, fresh)


def series_in_runs(instance: dg.DagsterInstance) -> set[Series]:
    """The series that unfinished runs are given, by their config or as a partition."""
    unfinished = dg.RunsFilter(statuses=UNFINISHED)
    keys = set[str]()
    for run in instance.get_runs(filters=unfinished, limit=_MOST_RUNS):
        keys.update(given(run.run_config, "series"))
        keys.update(filter(None, [run.tags.get(_PARTITION)]))
    return {one for key in keys for one in _parsed(key)}


def _parsed(key: str) -> list[Series]:
    try:
        return series_of([key])
    except BadInput:  # a partition of somebody else's asset
        return []


def _tell(context: dg.OpExecutionContext, **counts: int) -> None:
    context.add_output_metadata(counts)
    context.log.info(" ".join(f"{name}={number}" for name, number in counts.items()))
