"""Assembles what Dagster loads, nothing else."""

import dagster as dg

from marketdata_pipeline.defs.assets.ohlcv import ohlcv
from marketdata_pipeline.defs.assets.provider_health import provider_health
from marketdata_pipeline.defs.maintenance import store_maintenance
from marketdata_pipeline.defs.resources import GovernorResource, PipelineResource
from marketdata_pipeline.defs.schedules import (
    bars_refresh,
    bars_update,
    health_refresh,
    health_update,
    weekly_maintenance,
)
from marketdata_pipeline.defs.sensors import SENSORS

defs = dg.Definitions(
    assets=[ohlcv, provider_health],
    jobs=[bars_update, health_update, store_maintenance],
    schedules=[bars_refresh, health_refresh, weekly_maintenance],
    sensors=SENSORS,
    resources={"pipeline": PipelineResource(), "governor": GovernorResource()},
    executor=dg.in_process_executor,
)
