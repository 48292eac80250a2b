"""Rules about how bars follow each other."""

from dataclasses import replace
from datetime import date
from fractions import Fraction

import pytest

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.thresholds import Thresholds
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.quality.evidence import Evidence
from marketdata_pipeline.quality.rules import RULES
from marketdata_pipeline_tests.quality.evidence import evidence_of, scaled, spoiled

DAILY = evidence_of("AAPL|1d")
COURSE = ("spikes", "level_shifts", "split_jumps", "stale_repeats", "flat_runs", "zero_volume")
SPLIT = Action(date(2024, 1, 10), ActionKind.SPLIT, Fraction(4))


def said(rule: str, evidence: Evidence) -> Verdict:
    found = RULES[rule](evidence)
    assert found is not None
    return found


def failing(evidence: Evidence) -> set[str]:
    """The rules of the course that fail."""
    found = {name: RULES[name](evidence) for name in COURSE}
    return {name for name, one in found.items() if one is not None and not one.passed}


@pytest.mark.parametrize("key", ["AAPL|1d", "BTC-USD|1d", "EURUSD=X|1d", "AZN.L|1h", "AAPL|1wk"])
def test_a_random_walk_has_nothing_odd(key: str) -> None:
    assert failing(evidence_of(key)) == set()


def test_a_close_that_leaps_away_and_comes_back_is_a_spike() -> None:
    bars = DAILY.bars
    odd = spoiled(DAILY, 60, close=bars["close"].iloc[60] * 1.6, high=bars["high"].iloc[60] * 1.7)
    verdict = said("spikes", odd)
    assert not verdict.passed
    assert f"{bars.index[60]:%Y-%m-%d}" in verdict.detail


def test_a_day_that_moves_by_more_than_the_limit_is_one_and_the_limit_is_a_threshold() -> None:
    crash = scaled(DAILY, slice(80, None), 0.4)
    assert any("close moves -6" in one.detail for one in said("spikes", crash).findings)
    lenient = replace(crash, thresholds=Thresholds(spike=0.9, spike_z=1000.0))
    assert said("spikes", lenient).passed


def test_a_split_that_nobody_tells_of_is_found_and_a_known_one_is_none() -> None:
    at = int(DAILY.bars.index.searchsorted("2024-01-10"))
    jump = scaled(DAILY, slice(None, at), 4.0)
    assert "split_jumps" in failing(jump)
    assert "split of 4:1" in said("split_jumps", jump).detail
    assert failing(replace(jump, actions=[SPLIT])) == set()


def test_prices_in_pence_among_pounds_are_another_level() -> None:
    london = evidence_of("AZN.L|1d")
    pence = scaled(london, slice(40, 55), 0.01)
    assert "level_shifts" in failing(pence)
    (finding,) = said("level_shifts", pence).findings
    assert finding.within.start == london.bars.index[40]


def test_prices_that_stand_still_are_found_from_the_threshold_on() -> None:
    bars = DAILY.bars.copy()
    bars.iloc[30:42, :4] = bars["close"].iloc[29]
    still = replace(DAILY, bars=bars)
    verdict = said("flat_runs", still)
    assert (verdict.passed, len(verdict.findings)) == (False, 1)
    assert verdict.score == pytest.approx(1 - 13 / len(bars))
    patient = replace(still, thresholds=Thresholds(flat_bars=20))
    assert said("flat_runs", patient).passed


def test_bars_without_volume_are_found_from_the_threshold_on() -> None:
    bars = DAILY.bars.copy()
    bars.iloc[30:42, 4] = 0.0
    silent = replace(DAILY, bars=bars)
    assert said("zero_volume", silent).detail.endswith("12 bars in a row have no volume")
    assert said("zero_volume", replace(silent, thresholds=Thresholds(zero_volume_bars=13))).passed


def test_a_currency_pair_has_no_volume_to_lack() -> None:
    pair = evidence_of("EURUSD=X|1d")
    bars = pair.bars.assign(volume=0.0)
    assert RULES["zero_volume"](replace(pair, bars=bars)) is None


def test_a_bar_that_is_told_again_is_found() -> None:
    bars = DAILY.bars.copy()
    bars.iloc[50] = bars.iloc[49]
    assert not said("stale_repeats", replace(DAILY, bars=bars)).passed


def test_bars_that_are_no_prices_are_left_to_the_rules_of_shape() -> None:
    assert RULES["spikes"](spoiled(DAILY, 5, low=0.0)) is None
    assert RULES["spikes"](replace(DAILY, bars=DAILY.bars.iloc[:2])) is None
