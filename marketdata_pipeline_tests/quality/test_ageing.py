"""Freshness ages by itself."""

from datetime import timedelta

from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.thresholds import Thresholds
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.quality.ageing import Ageing
from marketdata_pipeline_tests.ingest.world import FRIDAY_CLOSE, day

AAPL = Series.parse("AAPL|1d")
FRESH = Verdict(passed=True, score=1.0, detail="up to date")


def test_a_series_is_late_by_the_sessions_since_its_newest_bar() -> None:
    ageing = Ageing(FRIDAY_CLOSE + timedelta(days=7), Thresholds())
    assert ageing.verdict(AAPL, FRESH, day("2024-03-15")).detail == "5 expected bars behind"
    assert ageing.verdict(AAPL, FRESH, day("2024-03-22")) == FRESH


def test_without_any_bar_the_verdict_stays_as_it_was() -> None:
    assert Ageing(FRIDAY_CLOSE, Thresholds()).verdict(AAPL, FRESH, None) is FRESH
