"""Rules about which bars are there: how many are absent, how many in a row, how late the newest is.

Not here: what becomes of a gap (ingest); these look at coverage, and once at what is stored.
"""

from datetime import datetime

import numpy as np

from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.ranges import from_micros, span
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.thresholds import Thresholds
from marketdata_pipeline.domain.verdict import Finding, Verdict
from marketdata_pipeline.quality.evidence import MOST_FINDINGS, Evidence, runs


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


def gaps(evidence: Evidence) -> Verdict:
    """No more expected bars in a row are absent than are tolerated."""
    tolerated = evidence.thresholds.gap_tolerance
    listed = sorted(evidence.gaps, key=lambda one: (-one[1], one[0].start))
    if not listed:
        return Verdict(passed=True, score=1.0, detail="no gap")
    longest = listed[0][1]
    found = [
        Finding("gaps", within, f"{count} expected bars absent", {"bars": count})
        for within, count in listed[:MOST_FINDINGS]
        if count > tolerated
    ]
    score = 1.0 if longest <= tolerated else (tolerated or 1) / (longest + (not tolerated))
    detail = f"{len(listed)} gaps, the longest of {longest} bars at {listed[0][0]}"
    return Verdict(passed=longest <= tolerated, score=score, detail=detail, findings=tuple(found))


def freshness(evidence: Evidence) -> Verdict:
    """The newest stored bar is the newest closed one, or few expected bars behind it."""
    return lateness(_bars_late(evidence), evidence.thresholds)


def lateness(late: int, thresholds: Thresholds) -> Verdict:
    """The verdict on a series whose newest bar is so many expected bars behind."""
    allowed = thresholds.sessions_late
    detail = "up to date" if not late else f"{late} expected bars behind"
    score = 1.0 if late <= allowed else allowed / late
    return Verdict(passed=late <= allowed, score=score, detail=detail)


def coverage_holds(evidence: Evidence) -> Verdict | None:
    """Every expected bar that counts as answered is stored."""
    if not len(evidence.expected):
        return None
    claimed = evidence.expected[evidence.answered]
    lost = ~np.isin(claimed, evidence.labels)
    count = int(lost.sum())
    if not count:
        return Verdict(passed=True, score=1.0, detail=f"{len(claimed)} answered bars are stored")
    length = evidence.series.timeframe.length
    found = []
    for first, last in runs(lost)[:MOST_FINDINGS]:
        begin, end = from_micros(claimed[first]), from_micros(claimed[last])
        within = span(begin, end + length)
        if within is not None:
            said = f"{last - first + 1} bars were answered and are not stored"
            found.append(Finding("coverage_holds", within, said))
    detail = f"{count} of {len(claimed)} answered bars are not stored"
    score = 1 - count / len(claimed)
    return Verdict(passed=False, score=score, detail=detail, findings=tuple(found))


def counts(evidence: Evidence) -> tuple[int, int]:
    """How many bars are expected in what is wanted, and how many of them are absent."""
    return len(evidence.expected), int((~evidence.answered).sum())


def _bars_late(evidence: Evidence) -> int:
    scope = evidence.scope
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
