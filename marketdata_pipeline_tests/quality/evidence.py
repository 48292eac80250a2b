"""Evidence for tests of rules: sound bars of a series, and ways to spoil single ones.

Not here: any rule.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from marketdata_pipeline.domain.coverage import Coverage, Span, SpanKind
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.thresholds import Thresholds
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.quality.evidence import Evidence
from marketdata_pipeline_tests.ingest.world import days, walk

HALF_A_YEAR = days("2023-09-01", "2024-03-01")
LATER = datetime(2024, 3, 15, 20, tzinfo=UTC)


def evidence_of(key: str, within: TimeRange = HALF_A_YEAR, **other: Any) -> Evidence:
    """A sound series: all that is expected in the range is answered and stored."""
    series = Series.parse(key)
    bars = other.pop("bars", None)
    bars = walk(series, within) if bars is None else bars
    told = Evidence(
        series=series,
        bars=bars,
        coverage=Coverage((Span(within, SpanKind.ANSWERED),)),
        wanted=within,
        first_trade=None,
        last=bars.index[-1].to_pydatetime() if len(bars) else None,
        market_now=max(LATER, within.end + timedelta(days=1)),
        thresholds=Thresholds(),
        whole=True,
    )
    return replace(told, **other)


def spoiled(evidence: Evidence, row: int, **values: float) -> Evidence:
    """The same with some values of one bar changed."""
    bars = evidence.bars.copy()
    for name, value in values.items():
        bars.iloc[row, list(bars.columns).index(name)] = value
    return replace(evidence, bars=bars)


def scaled(evidence: Evidence, rows: slice, factor: float) -> Evidence:
    """The same with the four prices of some bars multiplied."""
    bars = evidence.bars.copy()
    bars.iloc[rows, :4] = (bars.iloc[rows, :4] * factor).round(4)
    return replace(evidence, bars=bars)


def beside(evidence: Evidence, stored: Mapping[Timeframe, pd.DataFrame]) -> Evidence:
    """The same with bars of other timeframes stored."""
    empty = evidence.bars.iloc[:0]
    return replace(evidence, stored=lambda frame: stored.get(frame, empty))
