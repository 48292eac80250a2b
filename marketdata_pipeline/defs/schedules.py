"""Schedules: when somebody looks for news, and what that run is given.

Not here: what is due (ingest.due). Schedules ask market time, never the scheduled time.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from marketdata_pipeline.assembly import Pipeline
from marketdata_pipeline.defs.assets.provider_health import PROVIDER_HEALTH
from marketdata_pipeline.defs.maintenance import store_maintenance
from marketdata_pipeline.defs.resources import GovernorResource, PipelineResource, failing_clearly
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import (
    ProviderTimeout,
    RateLimited,
    Unavailable,
    UnknownSymbol,
)
from marketdata_pipeline.ingest.due import due_series, resting
from marketdata_pipeline.ingest.runs import MASS, batches
from marketdata_pipeline.ingest.track import series_of

bars_update = dg.define_asset_job(
    "bars_update",
    selection=dg.AssetSelection.assets("ohlcv"),
    description="Update the series that the run's config lists (ops: ohlcv: config: series).",
)

health_update = dg.define_asset_job(
    "health_update",
    selection=dg.AssetSelection.assets(PROVIDER_HEALTH),
    description="Look at every provider once.",
)

_PASSING = (RateLimited.category, Unavailable.category, ProviderTimeout.category)
"""Why an update failed that the next one may bring to its end."""
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dg.schedule(
    job=bars_update,
    cron_schedule="*/15 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=(
        "Every 15 minutes: intraday series whose session is open, daily and weekly ones after the "
        "close, holes that are due, what failed for a passing reason. Quotas bound it; a market "
        "that is closed costs nothing."
    ),
)
def bars_refresh(
    context: dg.ScheduleEvaluationContext, pipeline: dg.ResourceParam[PipelineResource]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One config-driven run for every 100 instruments that can have news."""
    unfinished = dg.RunsFilter(statuses=UNFINISHED, tags={"dagster/schedule_name": "bars_refresh"})
    if context.instance.get_runs_count(unfinished):
        yield dg.SkipReason("the last refresh is still under way")
        return
    with failing_clearly(), pipeline.opened() as opened:
        tracked = series_of(opened.tracking.all())
        due = _due(opened, tracked)
    if not due:
        yield dg.SkipReason(f"none of {len(tracked)} tracked series can have news now")
        return
    runs = list(batches(due))
    for number, batch in enumerate(runs, start=1):
        yield dg.RunRequest(
            # Dagster refuses several requests without keys; it looks for one in this tick's runs.
            run_key=f"{number}/{len(runs)}",
            run_config={"ops": {"ohlcv": {"config": {"series": [str(one) for one in batch]}}}},
            tags=MASS if len(runs) > 1 else {},
        )


@dg.schedule(
    job=store_maintenance,
    cron_schedule="0 3 * * 0",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=(
        "Sundays at 03:00 UTC, when most markets are closed: the store is compacted, tidied and "
        "verified, and what is old of logged requests and of Dagster's own records goes."
    ),
)
def weekly_maintenance(
    context: dg.ScheduleEvaluationContext,
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One run, unless one is still under way."""
    unfinished = dg.RunsFilter(job_name=store_maintenance.name, statuses=UNFINISHED)
    if context.instance.get_runs_count(unfinished):
        yield dg.SkipReason("a run of store_maintenance is still under way")
        return
    yield dg.RunRequest()


@dg.schedule(
    job=health_update,
    cron_schedule="*/15 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=(
        "Every 15 minutes: how each provider stands, if any was asked since the last look. It asks "
        "none itself."
    ),
)
def health_refresh(
    context: dg.ScheduleEvaluationContext, governor: dg.ResourceParam[GovernorResource]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One look, where there is news."""
    unfinished = dg.RunsFilter(job_name=health_update.name, statuses=UNFINISHED)
    if context.instance.get_runs_count(unfinished):
        yield dg.SkipReason("the last look is still under way")
        return
    with failing_clearly(), governor.opened() as gates:
        asked_at = gates.asked_at()
    if asked_at is None:
        yield dg.SkipReason("no provider was asked yet")
        return
    last = context.instance.get_latest_materialization_event(PROVIDER_HEALTH)
    if last is not None and asked_at.timestamp() < last.timestamp:
        yield dg.SkipReason("no provider was asked since the last look")
        return
    yield dg.RunRequest()


def _due(opened: Pipeline, tracked: Sequence[Series]) -> list[Series]:
    market_now = opened.clock.market_now()
    asleep = resting(opened.catalog.failing(UnknownSymbol.category), opened.clock.wall_now())
    awake = [one for one in tracked if one not in asleep and one.base not in asleep]
    reached = opened.store.reached(awake, market_now)
    due = set(due_series(awake, reached, market_now, delay=opened.refresh_delay))
    for category in _PASSING:  # an older window of it may be missing behind a newer one
        due.update(opened.catalog.failing(category))
    return [one for one in awake if one in due]
