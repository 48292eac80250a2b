"""The rules that score what is stored."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from marketdata_pipeline.domain.coverage import Coverage, Span, SpanKind
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.thresholds import Thresholds
from marketdata_pipeline.quality.evidence import Evidence
from marketdata_pipeline.quality.extent import completeness, counts, freshness
from marketdata_pipeline.quality.rules import RULES
from marketdata_pipeline.quality.shape import bars_contract
from marketdata_pipeline_tests.ingest.world import FRIDAY_CLOSE, day, days, walk

AAPL = Series.parse("AAPL|1d")
FEBRUARY = days("2024-02-01", "2024-03-01")
HOLE = days("2024-02-13", "2024-02-15")


def _evidence() -> Evidence:
    """Twenty sessions, all answered, the newest stored."""
    return Evidence(
        series=AAPL,
        bars=walk(AAPL, FEBRUARY),
        coverage=Coverage((Span(FEBRUARY, SpanKind.ANSWERED),)),
        wanted=FEBRUARY,
        first_trade=None,
        last=day("2024-02-29"),
        market_now=FRIDAY_CLOSE,
        thresholds=Thresholds(),
    )


def _with_hole() -> Coverage:
    hole = Span(HOLE, SpanKind.HOLE, FRIDAY_CLOSE, 1)
    return Coverage((Span(FEBRUARY, SpanKind.ANSWERED),)).overlay([hole])


@pytest.mark.parametrize("name", list(RULES))
def test_a_sound_series_passes_with_full_score(name: str) -> None:
    verdict = RULES[name](_evidence())
    assert verdict is None or (verdict.passed, verdict.score) == (True, 1.0), verdict


@pytest.mark.parametrize("name", list(RULES))
def test_a_series_of_which_nothing_is_wanted_passes(name: str) -> None:
    nothing = replace(_evidence(), bars=walk(AAPL, HOLE).iloc[:0], wanted=None, last=None)
    verdict = RULES[name](nothing)
    assert verdict is None or verdict.passed


def test_a_stored_bar_that_breaks_a_hard_rule_fails_the_contract() -> None:
    bars = walk(AAPL, FEBRUARY)
    bars.loc[day("2024-02-05"), "low"] = 1e6
    verdict = bars_contract(replace(_evidence(), bars=bars))
    assert (verdict.passed, verdict.score) == (False, 0.0)
    assert "low_high" in verdict.detail


def test_holes_count_as_absent() -> None:
    evidence = replace(_evidence(), coverage=_with_hole())
    assert counts(evidence) == (20, 2)
    verdict = completeness(evidence)
    assert (verdict.passed, verdict.score) == (False, 0.9)
    assert verdict.detail == "2 of 20 expected bars absent"


def test_what_was_never_answered_counts_as_absent() -> None:
    assert counts(replace(_evidence(), coverage=Coverage())) == (20, 20)


def test_the_threshold_decides() -> None:
    evidence = replace(_evidence(), coverage=_with_hole())
    lenient = replace(evidence, thresholds=Thresholds(completeness=0.9))
    assert completeness(lenient).passed


def test_what_is_out_of_depth_is_not_expected() -> None:
    deep = Span(days("2024-02-01", "2024-02-10"), SpanKind.OUT_OF_DEPTH)
    coverage = _with_hole().overlay([deep])
    assert counts(replace(_evidence(), coverage=coverage)) == (13, 2)


def test_nothing_is_expected_before_the_listing() -> None:
    listed = replace(_evidence(), first_trade=date(2024, 2, 14), coverage=_with_hole())
    assert counts(listed) == (11, 1)


def test_the_week_of_the_listing_is_expected() -> None:
    weekly = replace(_evidence(), series=Series.parse("AAPL|1wk"), first_trade=date(2024, 2, 14))
    assert counts(weekly) == (3, 0)


def test_one_expected_bar_behind_is_fresh_enough_two_are_not() -> None:
    behind = replace(_evidence(), last=day("2024-02-28"))
    assert freshness(behind).passed
    verdict = freshness(replace(behind, last=day("2024-02-27")))
    assert (verdict.passed, verdict.score) == (False, 0.5)
    assert verdict.detail == "2 expected bars behind"


def test_a_weekend_makes_nothing_late() -> None:
    friday = days("2024-02-01", "2024-03-02")
    weekend = replace(_evidence(), wanted=friday, last=day("2024-03-01"))
    later = replace(weekend, market_now=FRIDAY_CLOSE + timedelta(days=2))
    assert freshness(later).detail == "up to date"


def test_a_series_without_any_bar_is_as_late_as_all_that_is_expected() -> None:
    verdict = freshness(replace(_evidence(), last=None))
    assert (verdict.passed, verdict.detail) == (False, "20 expected bars behind")
