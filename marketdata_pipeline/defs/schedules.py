"""Schedules: when somebody looks for news, and what that run is given.

Not here: what is due and goes now (ingest.due, ingest.refreshes), what looks after the store, the
queue and events (maintenance, tending). Schedules ask market time, never the scheduled time.
"""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from marketdata_pipeline.assembly import Pipeline
from marketdata_pipeline.defs.assets.provider_health import PROVIDER_HEALTH
from marketdata_pipeline.defs.doors import HELD
from marketdata_pipeline.defs.maintenance import store_maintenance
from marketdata_pipeline.defs.resources import (
    GovernorResource,
    PipelineResource,
    failing_clearly,
)
from marketdata_pipeline.defs.times import Times
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.tiers import Tier
from marketdata_pipeline.ingest.refreshes import Look
from marketdata_pipeline.ingest.runs import MASS, batches

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

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_FIRST = {**HELD, "dagster/priority": "5"}
"""Tags of the runs of the first tier: they pass others that wait."""
_NAMES = {Tier.PRIORITY: "priority_refresh", Tier.OTHER: "bars_refresh"}
_Tick = Iterator[dg.RunRequest | dg.SkipReason]


def refresh_schedules(times: Times) -> list[dg.ScheduleDefinition]:
    """The schedules that keep bars up to date."""
    return [priority_refresh(times), bars_refresh(times), daily_refresh(times)]


def bars_refresh(times: Times) -> dg.ScheduleDefinition:
    """The refresh of all that is not of the first tier."""

    @dg.schedule(
        name=_NAMES[Tier.OTHER],
        job=bars_update,
        cron_schedule=times.other,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            "All but the first tier: series of which a bar closed meanwhile, daily and weekly ones "
            "after the close, holes that are due, what failed for a passing reason a quarter of an "
            "hour ago. As many as the quotas carry beside the first tier, who waits longest first; "
            "a market that is closed costs nothing."
        ),
    )
    def look(
        context: dg.ScheduleEvaluationContext, pipeline: dg.ResourceParam[PipelineResource]
    ) -> _Tick:
        yield from _refresh(context, pipeline, Tier.OTHER)

    return look


def priority_refresh(times: Times) -> dg.ScheduleDefinition:
    """The refresh of the first tier."""

    @dg.schedule(
        name=_NAMES[Tier.PRIORITY],
        job=bars_update,
        cron_schedule=times.priority,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            "The same for the first tier, which comes before all others: what portfolios hold, and "
            "the instruments that MARKETDATA_PRIORITY_INSTRUMENTS names."
        ),
    )
    def look(
        context: dg.ScheduleEvaluationContext, pipeline: dg.ResourceParam[PipelineResource]
    ) -> _Tick:
        yield from _refresh(context, pipeline, Tier.PRIORITY)

    return look


def daily_refresh(times: Times) -> dg.ScheduleDefinition:
    """The daily refresh of everything."""

    @dg.schedule(
        name="daily_refresh",
        job=bars_update,
        cron_schedule=times.daily,
        execution_timezone=times.zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            "Once a day all tracked series, due or not: whatever is missing of them is asked for. "
            "What is complete costs no request."
        ),
    )
    def all_of_them(
        context: dg.ScheduleEvaluationContext, pipeline: dg.ResourceParam[PipelineResource]
    ) -> _Tick:
        if _under_way(context, "daily_refresh"):
            yield dg.SkipReason("the last daily refresh is still under way")
            return
        with failing_clearly(), pipeline.opened() as opened:
            awake = opened.refreshes.awake()
        if not awake:
            yield dg.SkipReason("nothing is tracked")
            return
        yield from _runs(awake, MASS)

    return all_of_them


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
    if is_under_way(context, store_maintenance.name):
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
    if is_under_way(context, health_update.name):
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


def _refresh(
    context: dg.ScheduleEvaluationContext, pipeline: PipelineResource, tier: Tier
) -> _Tick:
    """One config-driven run for every 100 instruments that go now."""
    if _under_way(context, _NAMES[tier]):
        yield dg.SkipReason("the last refresh is still under way")
        return
    with failing_clearly(), pipeline.opened() as opened:
        look = _look(opened, tier)
    if not look.series:
        yield dg.SkipReason(_why_not(look))
        return
    yield from _runs(look.series, _FIRST if tier is Tier.PRIORITY else {})


def _look(opened: Pipeline, tier: Tier) -> Look:
    return opened.refreshes.look(tier, opened.neglected.queued)


def _why_not(look: Look) -> str:
    if look.due:
        return f"the quotas carry none of {look.due} series that are due now"
    return f"none of {look.tracked} tracked series can have news now"


def _under_way(context: dg.ScheduleEvaluationContext, name: str) -> bool:
    """Whether a run of the same schedule is unfinished: they never pile up."""
    tags = {"dagster/schedule_name": name}
    return bool(context.instance.get_runs_count(dg.RunsFilter(statuses=UNFINISHED, tags=tags)))


def is_under_way(context: dg.ScheduleEvaluationContext, job: str) -> bool:
    """Whether a run of the job is unfinished, whoever started it."""
    unfinished = dg.RunsFilter(job_name=job, statuses=UNFINISHED)
    return bool(context.instance.get_runs_count(unfinished))


def _runs(series: Sequence[Series], tags: Mapping[str, str]) -> Iterator[dg.RunRequest]:
    runs = list(batches(series))
    for number, batch in enumerate(runs, start=1):
        yield dg.RunRequest(
            # Dagster refuses several requests without keys; it looks for one in this tick's runs.
            run_key=f"{number}/{len(runs)}",
            run_config={"ops": {"ohlcv": {"config": {"series": [str(one) for one in batch]}}}},
            tags={**MASS, **tags} if len(runs) > 1 else tags,
        )
