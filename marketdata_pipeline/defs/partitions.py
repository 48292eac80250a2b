"""The partition grid: instruments added as they are tracked, timeframes fixed.

Not here: time. What was asked of a series is known by coverage, not by partitions.
"""

from collections.abc import Sequence

import dagster as dg

from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.orchestrator import INSTRUMENTS

KEYS = dg.DynamicPartitionsDefinition(name=INSTRUMENTS)
GRID = dg.MultiPartitionsDefinition(
    {
        "instrument": KEYS,
        "timeframe": dg.StaticPartitionsDefinition([one.key for one in Timeframe]),
    }
)
"""Keys are spelled ``AAPL|1d``: Dagster orders dimensions by name."""


def series_of(keys: Sequence[str]) -> list[Series]:
    """The series of partition keys.

    Raises:
        BadInput: a key that is no series.
    """
    return [Series.parse(key) for key in keys]
