"""A series held against finer ones of its instrument."""

from dataclasses import replace

import pandas as pd
import pytest

from marketdata_pipeline.domain.resample import derive
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.thresholds import Thresholds
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.quality.evidence import Evidence
from marketdata_pipeline.quality.rules import RULES
from marketdata_pipeline_tests.ingest.world import days, walk
from marketdata_pipeline_tests.quality.evidence import beside, evidence_of, spoiled

FEBRUARY = days("2024-02-01", "2024-03-01")


def fine(key: str) -> pd.DataFrame:
    return walk(Series.parse(key), FEBRUARY)


def made(key: str, finer: str) -> Evidence:
    """A series that was made of a finer one, which is stored beside it."""
    series, base = Series.parse(key), fine(finer)
    evidence = evidence_of(key, FEBRUARY, bars=derive(base, series, []))
    return beside(evidence, {Series.parse(finer).timeframe: base})


def said(evidence: Evidence) -> Verdict:
    found = RULES["agreement"](evidence)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("key", "finer"),
    [("AAPL|1d", "AAPL|1m"), ("AAPL|1d", "AAPL|1h"), ("AAPL|1h", "AAPL|5m"),
     ("AAPL|4h", "AAPL|1h"), ("BTC-USD|1d", "BTC-USD|1h"), ("AAPL|1wk", "AAPL|1d")],
)  # fmt: skip
def test_bars_agree_with_what_they_are_made_of(key: str, finer: str) -> None:
    verdict = said(made(key, finer))
    assert (verdict.passed, verdict.score) == (True, 1.0)
    assert verdict.detail.endswith("bars disagree with finer ones")


def test_a_day_that_is_another_one_is_found() -> None:
    evidence = made("AAPL|1d", "AAPL|1h")
    close = evidence.bars["close"].iloc[3]
    odd = spoiled(evidence, 3, close=close * 1.1, high=close * 1.2)
    verdict = said(odd)
    assert verdict.score == pytest.approx(1 - 1 / 20)
    (finding,) = verdict.findings
    assert finding.within.start == evidence.bars.index[3]
    assert not said(replace(odd, thresholds=Thresholds(agreeing=0.99))).passed


def test_a_day_may_reach_further_than_the_trades_of_its_hours() -> None:
    evidence = made("AAPL|1d", "AAPL|1h")
    assert said(spoiled(evidence, 3, high=evidence.bars["high"].iloc[3] * 1.1)).score == 1.0


def test_a_day_of_which_an_hour_is_absent_is_not_compared() -> None:
    evidence = made("AAPL|1d", "AAPL|1h")
    hours = fine("AAPL|1h").drop(fine("AAPL|1h").index[3])
    fewer = beside(evidence, {Timeframe.H1: hours})
    assert said(fewer).detail == "0 of 19 bars disagree with finer ones"


def test_without_finer_bars_it_does_not_apply() -> None:
    assert RULES["agreement"](evidence_of("AAPL|1d", FEBRUARY)) is None
    assert RULES["agreement"](evidence_of("AAPL|1m", days("2024-02-01", "2024-02-02"))) is None
