import pytest
from sqlalchemy import Engine

from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.store.verdicts import Verdicts
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.store.writes import COIN, STOCK

GOOD = Verdict(passed=True, score=1.0, detail="all there")
BAD = Verdict(passed=False, score=0.25, detail="3 of 4 absent")


@pytest.fixture
def verdicts(engine: Engine, clock: FrozenClock) -> Verdicts:
    return Verdicts(engine, clock)


def test_a_series_that_was_never_judged_has_no_verdict(verdicts: Verdicts) -> None:
    assert verdicts.of(COIN) == {}
    assert verdicts.all("completeness") == {}


def test_the_latest_verdict_of_a_rule_is_kept_and_others_stay(verdicts: Verdicts) -> None:
    verdicts.put(COIN, {"completeness": BAD, "freshness": GOOD})
    verdicts.put(COIN, {"completeness": GOOD})
    verdicts.put(COIN, {})
    assert verdicts.of(COIN) == {"completeness": GOOD, "freshness": GOOD}


def test_a_rule_is_asked_over_all_series(verdicts: Verdicts) -> None:
    verdicts.put(COIN, {"completeness": BAD})
    verdicts.put(STOCK, {"completeness": GOOD, "freshness": BAD})
    assert verdicts.all("completeness") == {COIN: BAD, STOCK: GOOD}
    assert verdicts.all("freshness") == {STOCK: BAD}
