"""How rules stand over all series: SQL's sums are those of the verdicts that count."""

import numpy as np
import pytest
from sqlalchemy import Engine

from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.store.standings import Standing, bucket, standing_of
from marketdata_pipeline.store.tracking import Tracked, Tracking
from marketdata_pipeline.store.verdicts import Verdicts
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.store.writes import COIN, STOCK

RULES = ("completeness", "spikes")


@pytest.fixture
def verdicts(engine: Engine, clock: FrozenClock) -> Verdicts:
    return Verdicts(engine, clock)


def test_a_rule_that_judged_nothing_stands_well(verdicts: Verdicts) -> None:
    assert verdicts.standings(RULES) == {one: Standing() for one in RULES}


def test_sums_are_those_of_the_verdicts_one_by_one(
    verdicts: Verdicts, engine: Engine, clock: FrozenClock
) -> None:
    dice = np.random.default_rng(7)
    tracking, kept = Tracking(engine, clock), {}
    for number in range(40):
        series = Series.parse(f"A{number}|1d")
        tracking.put(Tracked(series.instrument, (Timeframe.D1,)))
        score = float(np.round(dice.choice([0, 0.1, 0.3, 0.95, 1.0, dice.random()]), 6))
        kept[series] = Verdict(passed=score > 0.9, score=score, detail=f"{number}")
        verdicts.put(series, {"completeness": kept[series]})
    named = [Series.parse("A1|1d"), Series.parse("A2|1d"), Series.parse("B|1d")]
    found = verdicts.standings(RULES, named, most=7)["completeness"]
    wanted = standing_of(kept, named, most=7)
    assert found.mean == pytest.approx(wanted.mean)
    assert (found.lowest, found.spread, found.worst) == (
        wanted.lowest, wanted.spread, wanted.worst,
    )  # fmt: skip
    assert (found.series, found.failing, found.asked, found.ok) == (
        wanted.series, wanted.failing, wanted.asked, wanted.ok,
    )  # fmt: skip


def test_the_series_that_count_are_those_that_are_kept(
    verdicts: Verdicts, engine: Engine, clock: FrozenClock
) -> None:
    bad = Verdict(passed=False, score=0.0, detail="bad")
    tracking = Tracking(engine, clock)
    tracking.put(Tracked(COIN.instrument, (Timeframe.M15, Timeframe.H1)))
    minutes = Series(COIN.instrument, Timeframe.M5)
    for series in (COIN, STOCK, minutes):
        verdicts.put(series, {"spikes": bad})
    tracked = Series(COIN.instrument, Timeframe.M15)
    verdicts.put(tracked, {"spikes": bad})
    for named in ([], [STOCK], [minutes, STOCK]):
        found = verdicts.standings(["spikes"], named)["spikes"]
        assert {one for one, _ in found.worst} == set(verdicts.kept("spikes", named))
        assert found.asked == len(named)


def test_a_score_of_one_is_in_the_last_tenth() -> None:
    assert [bucket(one) for one in (0.0, 0.0999, 0.1, 0.95, 1.0)] == [0, 0, 1, 9, 9]
