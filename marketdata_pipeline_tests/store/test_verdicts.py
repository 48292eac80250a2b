import pytest
from sqlalchemy import Engine

from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.store.tracking import Tracked, Tracking
from marketdata_pipeline.store.verdicts import Judged, Verdicts
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
    assert verdicts.all("completeness", [STOCK]) == {STOCK: GOOD}
    assert verdicts.all("completeness", []) == {}


def test_what_is_tracked_no_longer_does_not_count(
    verdicts: Verdicts, engine: Engine, clock: FrozenClock
) -> None:
    tracking = Tracking(engine, clock)
    tracking.put(Tracked(COIN.instrument, tuple(Timeframe)))
    verdicts.put(COIN, {"completeness": BAD})
    assert verdicts.kept("completeness") == {COIN: Judged(BAD, tracked=True, last=None)}
    tracking.remove(COIN.instrument)
    assert verdicts.kept("completeness") == {}
    assert list(verdicts.kept("completeness", [COIN])) == [COIN], "but where it is asked for"


def test_a_timeframe_beside_those_tracked_does_not_count_before_it_has_bars(
    verdicts: Verdicts, engine: Engine, clock: FrozenClock
) -> None:
    others = tuple(one for one in Timeframe if one is not COIN.timeframe)
    Tracking(engine, clock).put(Tracked(COIN.instrument, others))
    verdicts.put(COIN, {"completeness": BAD})
    assert verdicts.kept("completeness") == {}


def test_what_nobody_tracks_and_no_provider_has_does_not_count(verdicts: Verdicts) -> None:
    verdicts.put(COIN, {"completeness": BAD})
    assert verdicts.kept("completeness") == {}
