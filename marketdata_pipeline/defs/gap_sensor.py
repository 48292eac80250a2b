"""The sensor that brings gaps back: holes that are due go into the queue, incidents move on.

Not here: any decision (ingest.gaps), and the runs that do the queue (sensors).
"""

import dagster as dg

from marketdata_pipeline.defs.resources import PipelineResource, failing_clearly
from marketdata_pipeline.defs.schedules import bars_update
from marketdata_pipeline.domain.incident import IncidentStatus
from marketdata_pipeline.ingest.gaps import Brought


@dg.sensor(
    job=bars_update,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Every minute: holes that are due, and ranges that a provider will soon serve no more, go "
        "into the queue. Many series of a calendar that lack the same sessions are one incident: "
        "a few of them are asked now and then, and all once one has bars."
    ),
)
def gap_sensor(
    context: dg.SensorEvaluationContext,  # noqa: ARG001 - Dagster passes it
    pipeline: dg.ResourceParam[PipelineResource],
) -> dg.SkipReason:
    """What is due goes into the queue, whose sensor starts the runs."""
    with failing_clearly(), pipeline.opened() as opened:
        return dg.SkipReason(_told(opened.gaps.look()))


def _told(brought: Brought) -> str:
    parts = [
        f"put into the queue: {brought.series} series of {len(brought.wanted)} instruments"
        if brought.wanted
        else "no hole is due"
    ]
    for one in brought.incidents:
        ended = f", {one.outcome}" if one.status is IncidentStatus.CLOSED else ""
        parts.append(f"incident {one.id} ({one.status}{ended}): {one.detail}")
    return "; ".join(parts)
