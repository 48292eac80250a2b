"""Parts of a series: the years or quarters of its labels that are kept and merged by themselves.

Not here: chunks, of which a part has one or several.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import Micros
from marketdata_pipeline.domain.timeframe import Timeframe


def parts_of(series: Series, labels: Micros) -> Iterator[tuple[str, slice]]:
    """The rows of each part: years for 1m and 5m (quarters for crypto's 1m), else all in one."""
    if series.timeframe not in {Timeframe.M1, Timeframe.M5}:
        if len(labels):
            yield "all", slice(0, len(labels))
        return
    crypto = series.instrument.asset_class is AssetClass.CRYPTO
    quarterly = crypto and series.timeframe is Timeframe.M1
    months = labels.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    number = months // (3 if quarterly else 12)
    edges = [0, *(np.flatnonzero(np.diff(number)) + 1), len(labels)]
    for first, after in pairwise(edges):
        if first < after:
            yield _name(int(number[first]), quarterly=quarterly), slice(first, after)


def _name(number: int, *, quarterly: bool) -> str:
    if quarterly:
        return f"{1970 + number // 4}Q{number % 4 + 1}"
    return str(1970 + number)
