"""Rules of futures."""

from dataclasses import replace
from datetime import date

import pytest

from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.quality.evidence import Evidence
from marketdata_pipeline.quality.futures import expires, rolls
from marketdata_pipeline.quality.rules import RULES
from marketdata_pipeline_tests.ingest.world import day
from marketdata_pipeline_tests.quality.evidence import evidence_of, scaled

CONTRACT = evidence_of("ESH24.CME|1d")
CONTINUOUS = evidence_of("ES=F|1d")


def said(rule: str, evidence: Evidence) -> Verdict:
    found = RULES[rule](evidence)
    assert found is not None
    return found


def test_the_spelling_of_a_contract_tells_its_month() -> None:
    assert expires("ESZ26.CME") == ("ES", date(2026, 12, 31))
    assert expires("CLG25.NYM") == ("CL", date(2025, 2, 28))
    assert expires("ES=F") is None


@pytest.mark.parametrize("rule", ["contract_month", "expiry"])
def test_only_a_contract_has_a_month_and_expires(rule: str) -> None:
    assert said(rule, CONTRACT).passed
    assert RULES[rule](CONTINUOUS) is None
    assert RULES[rule](evidence_of("AAPL|1d")) is None


def test_a_month_that_the_product_is_not_listed_for_is_found() -> None:
    verdict = said("contract_month", evidence_of("ESF24.CME|1d"))
    assert (verdict.passed, verdict.detail) == (False, "ES is listed for H,M,U,Z, not for F")
    assert not said("contract_month", evidence_of("ESZ60.CME|1d")).passed
    assert said("contract_month", evidence_of("CLF24.NYM|1d")).passed


def test_bars_after_the_contract_ended_are_found() -> None:
    verdict = said("expiry", replace(CONTRACT, last=day("2024-04-02")))
    assert verdict.detail == "the newest bar is of 2024-04-02, the contract ended by 2024-03-31"


def test_a_jump_is_explained_by_a_rollover_and_by_nothing_else() -> None:
    bars = CONTINUOUS.bars
    on_roll = int(bars.index.searchsorted("2023-12-13"))
    off_roll = int(bars.index.searchsorted("2024-01-24"))
    assert said("rollover", CONTINUOUS).passed
    assert said("rollover", scaled(CONTINUOUS, slice(on_roll, None), 1.1)).passed
    verdict = said("rollover", scaled(CONTINUOUS, slice(off_roll, None), 1.1))
    assert not verdict.passed
    assert verdict.detail.startswith("2024-01-24: opens +")


def test_financial_contracts_roll_around_the_third_friday_of_a_quarter() -> None:
    assert rolls("ES=F", date(2024, 3, 8))
    assert not rolls("ES=F", date(2024, 3, 1))
    assert not rolls("ES=F", date(2024, 2, 16))
    assert rolls("CL=F", date(2024, 2, 16))


def test_a_contract_that_others_left_is_seen_by_its_volume() -> None:
    assert said("contract_volume", CONTINUOUS).passed
    bars = CONTINUOUS.bars.copy()
    bars.iloc[-6:, 4] = 3.0
    verdict = said("contract_volume", replace(CONTINUOUS, bars=bars))
    assert not verdict.passed
    assert "was a rollover missed?" in verdict.detail
    assert RULES["contract_volume"](replace(CONTINUOUS, bars=bars.iloc[:40])) is None
