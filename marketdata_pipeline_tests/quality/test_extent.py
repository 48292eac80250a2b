"""Rules about which bars are there."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain.coverage import Coverage, Span, SpanKind
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.thresholds import Thresholds
from marketdata_pipeline.quality.extent import completeness, counts, coverage_holds, gaps
from marketdata_pipeline_tests.ingest.world import FRIDAY_CLOSE, day, days
from marketdata_pipeline_tests.quality.evidence import HALF_A_YEAR, evidence_of

DAILY = evidence_of("AAPL|1d")


def lacking(*ranges: TimeRange, kind: SpanKind = SpanKind.HOLE) -> Coverage:
    return Coverage((Span(HALF_A_YEAR, SpanKind.ANSWERED),)).overlay(
        [Span(one, kind) for one in ranges]
    )


def test_what_waits_for_its_settlement_counts_as_there() -> None:
    waiting = lacking(days("2024-02-20", "2024-03-01"), kind=SpanKind.PROVISIONAL)
    assert counts(replace(DAILY, coverage=waiting)) == (len(DAILY.bars), 0)


def test_what_was_not_traded_counts_as_not_expected() -> None:
    quiet = lacking(days("2024-02-12", "2024-02-14"), kind=SpanKind.NO_TRADE)
    assert counts(replace(DAILY, coverage=quiet)) == (len(DAILY.bars) - 2, 0)
    assert gaps(replace(DAILY, coverage=quiet)).detail == "no gap"


def test_a_gap_of_the_tolerated_length_passes_and_a_longer_one_does_not() -> None:
    five, six = days("2024-02-05", "2024-02-10"), days("2024-02-05", "2024-02-13")
    assert gaps(replace(DAILY, coverage=lacking(five))).passed
    verdict = gaps(replace(DAILY, coverage=lacking(six)))
    assert (verdict.passed, verdict.score) == (False, 5 / 6)
    assert verdict.detail == "1 gaps, the longest of 6 bars at 2024-02-05..2024-02-13"
    assert [one.within for one in verdict.findings] == [six]


def test_without_any_tolerance_a_single_bar_fails() -> None:
    one = replace(
        DAILY,
        coverage=lacking(days("2024-02-05", "2024-02-06")),
        thresholds=Thresholds(gap_tolerance=0),
    )
    verdict = gaps(one)
    assert (verdict.passed, verdict.score) == (False, 0.5)


@given(st.sets(st.integers(0, 120), max_size=30))
def test_gaps_add_up_to_what_is_absent(rows: set[int]) -> None:
    labels = [DAILY.bars.index[row].to_pydatetime() for row in sorted(rows)]
    holes = [TimeRange(one, one + DAILY.series.timeframe.length) for one in labels]
    evidence = replace(DAILY, coverage=lacking(*holes) if holes else DAILY.coverage)
    assert sum(count for _, count in evidence.gaps) == len(rows) == counts(evidence)[1]
    assert completeness(evidence).score == pytest.approx(1 - len(rows) / len(DAILY.bars))
    longest = max((count for _, count in evidence.gaps), default=0)
    assert gaps(evidence).passed == (longest <= 5)


def test_a_bar_that_was_answered_and_is_stored_no_more_is_found() -> None:
    verdict = coverage_holds(DAILY)
    assert verdict is not None
    assert verdict.passed
    rows = np.ones(len(DAILY.bars), dtype=bool)
    rows[[7, 8, 50]] = False
    lost = coverage_holds(replace(DAILY, bars=DAILY.bars[rows]))
    assert lost is not None
    assert (lost.passed, len(lost.findings)) == (False, 2)
    assert lost.detail == f"3 of {len(DAILY.bars)} answered bars are not stored"
    assert lost.findings[1].within.start == DAILY.bars.index[50]


def test_where_nothing_is_expected_nothing_can_be_lost() -> None:
    assert coverage_holds(replace(DAILY, wanted=None)) is None


def test_the_hours_of_a_gap_are_counted_as_bars() -> None:
    hourly = evidence_of("AAPL|1h", days("2024-02-01", "2024-03-01"), market_now=FRIDAY_CLOSE)
    hole = TimeRange(day("2024-02-14"), day("2024-02-15"))
    coverage = hourly.coverage.overlay([Span(hole, SpanKind.HOLE)])
    ((_, count),) = replace(hourly, coverage=coverage).gaps
    assert count == 7
