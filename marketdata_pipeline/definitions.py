"""Assembles what Dagster loads, nothing else."""

import dagster as dg

from marketdata_pipeline.defs.alerting import alert_sensor
from marketdata_pipeline.defs.assets.ohlcv import ohlcv
from marketdata_pipeline.defs.assets.provider_health import provider_health
from marketdata_pipeline.defs.gap_sensor import gap_sensor
from marketdata_pipeline.defs.maintenance import store_maintenance
from marketdata_pipeline.defs.rechecking import quality_check, weekly_quality_check
from marketdata_pipeline.defs.resources import (
    AlertingResource,
    GovernorResource,
    PipelineResource,
)
from marketdata_pipeline.defs.schedules import (
    bars_update,
    health_refresh,
    health_update,
    refresh_schedules,
    weekly_maintenance,
)
from marketdata_pipeline.defs.sensors import SENSORS
from marketdata_pipeline.defs.tending import (
    events_cleanup,
    hourly_check,
    neglected_check,
    weekly_cleanup,
)
from marketdata_pipeline.defs.times import Times

_TIMES = Times.configured()

defs = dg.Definitions(
    assets=[ohlcv, provider_health],
    jobs=[
        bars_update,
        events_cleanup,
        health_update,
        neglected_check,
        quality_check,
        store_maintenance,
    ],
    schedules=[
        *refresh_schedules(_TIMES),
        health_refresh,
        hourly_check,
        weekly_cleanup(_TIMES),
        weekly_maintenance,
        weekly_quality_check,
    ],
    sensors=[*SENSORS, alert_sensor, gap_sensor],
    resources={
        "pipeline": PipelineResource(),
        "governor": GovernorResource(),
        "alerting": AlertingResource(),
    },
    executor=dg.in_process_executor,
)
