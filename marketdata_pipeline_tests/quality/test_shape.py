"""Rules about each bar by itself."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.quality.evidence import Evidence
from marketdata_pipeline.quality.rules import RULES
from marketdata_pipeline_tests.quality.evidence import evidence_of, spoiled

DAILY = evidence_of("AAPL|1d")
HOURLY = evidence_of("AAPL|1h")


def said(rule: str, evidence: Evidence) -> Verdict:
    found = RULES[rule](evidence)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        ("ohlc_relations", {"high": 1.0}),
        ("ohlc_relations", {"low": 1e6}),
        ("positive_prices", {"low": 0.0}),
        ("positive_prices", {"close": -5.0}),
        ("positive_prices", {"open": np.nan}),
        ("volume", {"volume": -1.0}),
        ("volume", {"volume": np.inf}),
    ],
)
def test_a_bar_that_cannot_be_is_found_with_its_date(rule: str, values: dict[str, float]) -> None:
    verdict = said(rule, spoiled(DAILY, 40, **values))
    assert not verdict.passed
    assert verdict.score == pytest.approx(1 - 1 / len(DAILY.bars))
    (finding,) = verdict.findings
    assert finding.within.start == DAILY.bars.index[40]
    assert f"{DAILY.bars.index[40]:%Y-%m-%d}" in verdict.detail
    assert not said("bars_contract", spoiled(DAILY, 40, **values)).passed


def test_neighbours_that_are_bad_are_one_finding() -> None:
    bars = DAILY.bars.copy()
    bars.iloc[10:13, 4] = -1.0
    verdict = said("volume", replace(DAILY, bars=bars))
    assert [one.detail for one in verdict.findings] == [
        "3 bars: a volume that is negative or no number"
    ]


def moved(evidence: Evidence, row: int, by: timedelta) -> Evidence:
    """The same with one label moved."""
    labels = contract.labels_of(evidence.bars).copy()
    labels[row] += by // timedelta(microseconds=1)
    columns = {name: evidence.bars[name] for name in contract.COLUMNS}
    return replace(evidence, bars=contract.frame(labels, columns))


def test_a_label_off_the_grid_or_out_of_hours_is_found() -> None:
    odd = moved(moved(HOURLY, 5, timedelta(minutes=7)), -1, timedelta(hours=5))
    verdict = said("timestamps", odd)
    assert verdict.score == pytest.approx(1 - 2 / len(odd.bars))


def test_a_weekend_is_no_session() -> None:
    thursday = int(DAILY.bars.index.searchsorted("2024-02-29"))
    assert not said("timestamps", moved(DAILY, thursday, timedelta(days=2))).passed


def test_labels_that_repeat_or_go_back_are_found_and_rules_of_sorted_bars_stay_silent() -> None:
    twice = DAILY.bars.iloc[[0, 1, 1, 2, 4, 3]]
    verdict = said("order", replace(DAILY, bars=twice))
    assert verdict.detail.startswith("2 of 6 bars")
    assert RULES["spikes"](replace(DAILY, bars=twice)) is None
    assert not said("bars_contract", replace(DAILY, bars=twice)).passed


def test_another_zone_than_utc_is_found() -> None:
    local = DAILY.bars.tz_convert("America/New_York")
    assert not said("order", replace(DAILY, bars=local)).passed


def test_a_missing_column_and_a_wrong_type_are_found() -> None:
    verdict = said("columns", replace(DAILY, bars=DAILY.bars.drop(columns="volume")))
    assert (verdict.passed, verdict.score, verdict.detail) == (False, 0.8, "missing: volume")
    whole = DAILY.bars.astype({"volume": "int64"})
    assert said("columns", replace(DAILY, bars=whole)).score == 0.0
