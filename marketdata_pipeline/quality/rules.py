"""The rules that score a stored series, one function each, in RULES.

Not here: hard rules that keep bars out of the store, and where verdicts are kept.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pandas as pd

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.coverage import Coverage, SpanKind
from marketdata_pipeline.domain.ranges import TimeRange, merge, span, subtract, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.errors import ContractViolation


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which score on a rule holds.

    Attributes:
        completeness: the least share of expected bars that is present.
        sessions_late: how many expected bars the newest stored one may lag behind.
    """

    completeness: float = 0.95
    sessions_late: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a rule may look at.

    Attributes:
        bars: raw stored bars to validate (those of this run, or all).
        coverage: of the whole series.
        wanted: the label range that is kept, up to the last closed bar; None: none is closed.
        last: label of the newest stored bar, None where there is none.
    """

    series: Series
    bars: pd.DataFrame
    coverage: Coverage
    wanted: TimeRange | None
    first_trade: date | None
    last: datetime | None
    market_now: datetime
    thresholds: Thresholds


def bars_contract(evidence: Evidence) -> Verdict:
    """Stored bars still keep every hard rule."""
    try:
        contract.validate(evidence.bars, evidence.series, evidence.market_now)
    except ContractViolation as error:
        return Verdict(passed=False, score=0.0, detail=str(error))
    return Verdict(passed=True, score=1.0, detail=f"{len(evidence.bars)} bars re-validated")


def completeness(evidence: Evidence) -> Verdict:
    """The share of expected bars that is present; closed sessions and out of depth not counted."""
    expected, absent = counts(evidence)
    if not expected:
        return Verdict(passed=True, score=1.0, detail="no bar is expected yet")
    score = 1 - absent / expected
    passed = score >= evidence.thresholds.completeness
    return Verdict(
        passed=passed, score=score, detail=f"{absent} of {expected} expected bars absent"
    )


def freshness(evidence: Evidence) -> Verdict:
    """The newest stored bar is the newest closed one, or few expected bars behind it."""
    return lateness(_bars_late(evidence), evidence.thresholds)


def lateness(late: int, thresholds: Thresholds) -> Verdict:
    """The verdict on a series whose newest bar is so many expected bars behind."""
    allowed = thresholds.sessions_late
    detail = "up to date" if not late else f"{late} expected bars behind"
    score = 1.0 if late <= allowed else allowed / late
    return Verdict(passed=late <= allowed, score=score, detail=detail)


RULES: Mapping[str, Callable[[Evidence], Verdict]] = {
    "bars_contract": bars_contract,
    "completeness": completeness,
    "freshness": freshness,
}


def counts(evidence: Evidence) -> tuple[int, int]:
    """How many bars are expected in what is wanted, and how many of them are absent."""
    scope = _scope(evidence)
    if scope is None:
        return 0, 0
    deep = [one.within for one in evidence.coverage.spans if one.kind is SpanKind.OUT_OF_DEPTH]
    full = evidence.coverage.present()
    calendar, timeframe = calendar_of(evidence.series.instrument), evidence.series.timeframe
    grids = [calendar.grid(timeframe, part).labels for part in subtract([scope], deep)]
    absent = sum(int((~_inside(labels, full)).sum()) for labels in grids)
    return sum(map(len, grids)), absent


def _scope(evidence: Evidence) -> TimeRange | None:
    wanted, first = evidence.wanted, evidence.first_trade
    if wanted is None or first is None:
        return wanted
    if evidence.series.timeframe is Timeframe.W1:  # the listing's week is labelled before it
        first -= timedelta(days=first.weekday())
    return span(max(wanted.start, datetime.combine(first, time.min, tzinfo=UTC)), wanted.end)


def _inside(labels: np.ndarray, ranges: list[TimeRange]) -> np.ndarray:
    inside = np.zeros(len(labels), dtype=bool)
    for one in merge(ranges):
        inside[slice(*np.searchsorted(labels, [to_micros(one.start), to_micros(one.end)]))] = True
    return inside


def _bars_late(evidence: Evidence) -> int:
    scope = _scope(evidence)
    if scope is None:
        return 0
    if evidence.last is not None:
        return bars_behind(evidence.series, evidence.last, scope.end)
    return len(
        calendar_of(evidence.series.instrument).grid(evidence.series.timeframe, scope).labels
    )


def bars_behind(series: Series, last: datetime, until: datetime) -> int:
    """How many bars are expected after the label ``last`` and before ``until`` (label space)."""
    late = span(last, until)
    if late is None or last + series.timeframe.length >= until:
        return 0
    return len(calendar_of(series.instrument).grid(series.timeframe, late).labels) - 1
