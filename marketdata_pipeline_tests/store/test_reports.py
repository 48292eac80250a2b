"""Reports: one row whenever what is said differs; old ones go, the last one never."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.store.reports import Reports
from marketdata_pipeline.store.verdicts import Verdicts
from marketdata_pipeline_tests.domain.test_report import REPORT
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.store.writes import COIN, STOCK

GOOD = {"completeness": Verdict(passed=True, score=1.0, detail="all there")}
OTHER = replace(REPORT, is_valid=True, score=1.0, errors={}, findings=())


@pytest.fixture
def verdicts(engine: Engine, clock: FrozenClock) -> Verdicts:
    return Verdicts(engine, clock)


@pytest.fixture
def reports(engine: Engine, clock: FrozenClock) -> Reports:
    return Reports(engine, clock)


def test_a_report_is_kept_with_the_run_that_made_it(verdicts: Verdicts, reports: Reports) -> None:
    verdicts.put(COIN, GOOD, report=REPORT, run_id="run-1")
    (kept,) = reports.of(COIN)
    assert (kept.report, kept.run_id) == (REPORT, "run-1")
    assert reports.newest([COIN, STOCK]) == {COIN: REPORT}


def test_the_same_again_makes_no_second_row(verdicts: Verdicts, reports: Reports) -> None:
    verdicts.put(COIN, GOOD, report=REPORT)
    verdicts.put(COIN, GOOD, report=replace(REPORT, market_at=REPORT.market_at + timedelta(1)))
    assert len(reports.of(COIN)) == 1
    verdicts.put(COIN, GOOD, report=OTHER)
    verdicts.put(COIN, GOOD, report=REPORT)
    assert [one.report.score for one in reports.of(COIN)] == [0.75, 1.0, 0.75]
    assert reports.newest([COIN])[COIN] == REPORT


def test_a_report_without_a_look_at_bars_keeps_what_was_found_before(
    verdicts: Verdicts, reports: Reports
) -> None:
    verdicts.put(COIN, GOOD, report=REPORT)
    verdicts.put(COIN, GOOD, report=replace(REPORT, gaps=(), findings=(), looked=False))
    assert reports.newest([COIN])[COIN].findings == REPORT.findings


def test_what_a_rule_said_goes_with_it(verdicts: Verdicts) -> None:
    verdicts.put(COIN, {**GOOD, "spikes": GOOD["completeness"]})
    verdicts.put(STOCK, {"spikes": GOOD["completeness"]})
    verdicts.put(COIN, GOOD, gone=["spikes"])
    assert verdicts.of_all([COIN, STOCK]) == {
        COIN: GOOD,
        STOCK: {"spikes": GOOD["completeness"]},
    }


def test_old_reports_are_removed_but_for_the_last_of_each_series(
    verdicts: Verdicts, reports: Reports, engine: Engine, clock: FrozenClock
) -> None:
    for report in (REPORT, OTHER, REPORT):
        verdicts.put(COIN, GOOD, report=report)
    verdicts.put(STOCK, GOOD, report=OTHER)
    assert reports.prune(timedelta(days=1)) == 0
    if engine.dialect.name == "sqlite":  # elsewhere the wall time is the server's
        clock.advance(timedelta(days=2))
        assert reports.prune(timedelta(days=1)) == 2
    else:
        assert reports.prune(timedelta(0)) == 2
    assert len(reports.of(COIN)) == len(reports.of(STOCK)) == 1
    assert reports.newest([COIN, STOCK]) == {COIN: REPORT, STOCK: OTHER}
