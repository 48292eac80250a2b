"""The sensor that looks for what a person should know of, and what it sees of Dagster itself.

Not here: all else that is looked at, and who is told what (ingest.alerting).
"""

from datetime import UTC, datetime, timedelta

import dagster as dg

from marketdata_pipeline.defs.maintenance import store_maintenance
from marketdata_pipeline.defs.resources import AlertingResource, failing_clearly
from marketdata_pipeline.domain.alert import Condition
from marketdata_pipeline.ingest import conditions
from marketdata_pipeline.ingest.alerting import Look, Outside

_SILENT = timedelta(minutes=10)
"""Each part of the daemon that runs tells of it every 30 s."""
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Every minute: failing checks, late series, incidents, bars kept apart, providers that do "
        "not serve, the queue, the disk, the daemon and the store's maintenance are looked at. "
        "What is wrong is recorded, and told once to the receivers of MARKETDATA_ALERT_URLS."
    ),
)
def alert_sensor(
    context: dg.SensorEvaluationContext, alerting: dg.ResourceParam[AlertingResource]
) -> dg.SkipReason:
    """One look; it starts no run."""
    with failing_clearly(), alerting.opened() as opened:
        found = opened.look(outside(context.instance, opened.clock.wall_now()))
    return dg.SkipReason(_said(found))


def outside(instance: dg.DagsterInstance, now: datetime) -> Outside:
    """What is wrong with the instance at a wall instant."""
    found = (_daemon(instance, now), _maintenance(instance))
    kinds = frozenset({"daemon", "maintenance"})
    return Outside(tuple(one for one in found if one is not None), kinds)


def _daemon(instance: dg.DagsterInstance, now: datetime) -> Condition | None:
    """Parts of the daemon that this instance needs, that ran once and are silent now."""
    needed = set(instance.get_required_daemon_types())
    beats = {
        name: datetime.fromtimestamp(one.timestamp, UTC)
        for name, one in instance.get_daemon_heartbeats().items()
        if name in needed
    }
    silent = {name: at for name, at in beats.items() if now - at > _SILENT}
    return conditions.of_daemon(silent, min(silent.values())) if silent else None


def _maintenance(instance: dg.DagsterInstance) -> Condition | None:
    """The last run that ended, where it failed: by a fault of the store, or a step's."""
    ended = dg.RunsFilter(job_name=store_maintenance.name, statuses=_ENDED)
    for record in instance.get_run_records(ended, limit=1):
        if record.dagster_run.status is dg.DagsterRunStatus.FAILURE:
            at = record.update_timestamp.astimezone(UTC)
            return conditions.of_maintenance(record.dagster_run.run_id, at)
    return None


def _said(found: Look) -> str:
    parts = [
        f"{what}: {', '.join(keys)}"
        for what, keys in (("begun", found.begun), ("over", found.ended), ("told", found.told))
        if keys
    ]
    if found.delivery is not None and not found.delivery.done:
        parts.append("no receiver took the message; it is sent again")
    return "; ".join(parts) or "nothing new"
