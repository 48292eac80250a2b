"""Assembles what Dagster loads, nothing else."""

import dagster as dg

from marketdata_pipeline.defs.assets.ohlcv import ohlcv
from marketdata_pipeline.defs.maintenance import store_maintenance
from marketdata_pipeline.defs.resources import PipelineResource
from marketdata_pipeline.defs.schedules import bars_refresh, bars_update, weekly_maintenance

defs = dg.Definitions(
    assets=[ohlcv],
    jobs=[bars_update, store_maintenance],
    schedules=[bars_refresh, weekly_maintenance],
    resources={"pipeline": PipelineResource()},
    executor=dg.in_process_executor,
)
