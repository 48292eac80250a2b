"""Judging: what is looked at after which write, what is kept, and what a full check finds."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import pandas as pd
import pytest

from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.reply import Basis
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.thresholds import Thresholds
from marketdata_pipeline.errors import StoreError
from marketdata_pipeline.ingest.batch_verdict import batch_verdict
from marketdata_pipeline.ingest.judge import Judge, Judgement
from marketdata_pipeline.ingest.recheck import Recheck
from marketdata_pipeline.quality.rules import RULES
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.reports import Reports
from marketdata_pipeline.store.write import Fetch, FetchKind, State, Write
from marketdata_pipeline_tests.ingest.world import World, day, days, walk

AAPL, MSFT = Series.parse("AAPL|1d"), Series.parse("MSFT|1d")


class Watched(BarStore):
    """A store that notes which ranges are read."""

    asked: list[TimeRange | None]

    def read(self, series: Series, within: TimeRange | None = None, **how: object) -> pd.DataFrame:
        self.asked.append(within)
        return super().read(series, within, **how)  # type: ignore[arg-type]


@dataclass
class Bench:
    """A world with a year of two stocks, one day of them still to come; what is read is noted."""

    world: World
    thresholds: Thresholds = field(default_factory=Thresholds)

    def update(self, series: Series = AAPL) -> tuple[Judgement, list[TimeRange | None]]:
        """Bring a series up to date; its judgement, and the ranges that it took."""
        world = self.world
        store = Watched(world.home.engine, world.home.bars, world.clock)
        store.asked = []
        judge = Judge(store, world.verdicts, world.clock, self.thresholds)
        outcome = replace(world.updater, judge=judge).update(series)
        assert outcome.error is None
        assert outcome.judgement is not None
        return outcome.judgement, store.asked

    def recheck(self) -> dict[Series, Judgement]:
        """Judge all that is stored."""
        world = self.world
        judge = Judge(world.store, world.verdicts, world.clock, self.thresholds)
        found = Recheck(judge, world.catalog, world.tracking)
        told = {one.series: one for one in found.run(found.series(), "run-9")}
        assert not [one.error for one in told.values() if one.error]
        return {series: one.judgement for series, one in told.items() if one.judgement}

    def spoil(self, label: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        """Change a stored bar of AAPL, past everything that judges bars."""
        world, at = self.world, day(label)
        within = TimeRange(at, at + timedelta(days=1))
        later = world.clock.wall_now() + timedelta(days=30)
        fetch = Fetch(
            kind=FetchKind.REPLY,
            provider="truth",
            origin="truth",
            window=within,
            basis=Basis.RAW,
            currency="USD",
            market_at=later,
            fetched_at=later,
        )
        bar = change(world.store.read(AAPL, within))
        write = Write(AAPL, fetch, bar, state=State.FINAL, reason="a faulty writer")
        world.store.commit(write, expected_version=world.store.versions([AAPL])[AAPL])


@pytest.fixture
def bench(world: World) -> Bench:
    world.provider.truth = {
        one: walk(one, days("2023-03-15", "2024-04-16")) for one in (AAPL, MSFT)
    }
    world.provider.first_trade = date(2023, 3, 15)
    return Bench(world)


def broken(bar: pd.DataFrame) -> pd.DataFrame:
    return bar.assign(high=bar["low"] - 1)


def leaping(bar: pd.DataFrame) -> pd.DataFrame:
    return bar.assign(close=bar["close"] * 1.7, high=bar["high"] * 1.8)


def test_the_first_time_all_bars_are_looked_at(bench: Bench) -> None:
    judgement, asked = bench.update()
    assert asked == [None]
    assert judgement.is_valid
    assert judgement.score == 1.0
    assert judgement.coverage == 1.0
    assert set(judgement.verdicts) == set(bench.world.verdicts.of(AAPL))


def test_rules_that_do_not_apply_give_no_verdict(bench: Bench) -> None:
    judgement, _ = bench.update()
    absent = set(RULES) - set(judgement.verdicts)
    assert absent == {
        "agreement", "coverage_holds", "contract_month", "expiry", "rollover", "contract_volume",
    }  # fmt: skip


def test_after_a_further_bar_only_bars_around_it_are_looked_at(bench: Bench) -> None:
    first, _ = bench.update()
    bench.world.clock.advance(timedelta(days=3))
    judgement, asked = bench.update()
    (part,) = asked
    assert part is not None
    assert part.start > day("2023-11-01")
    assert judgement.verdicts["bars_contract"] == replace(
        first.verdicts["bars_contract"], findings=()
    )
    assert judgement.is_valid


def test_where_nothing_was_written_no_bar_is_looked_at(bench: Bench) -> None:
    bench.update()
    judgement, asked = bench.update()
    assert asked == []
    assert judgement.is_valid


def test_what_is_odd_in_the_part_is_looked_at_in_the_whole(bench: Bench) -> None:
    bench.update()
    bench.spoil("2024-03-07", leaping)
    bench.world.clock.advance(timedelta(days=3))
    judgement, asked = bench.update()
    assert [one is None for one in asked] == [False, True]
    assert not judgement.verdicts["spikes"].passed
    _, again = bench.update()
    assert again == [], "it stays as it was found until bars are written again"


def test_a_hard_rule_that_failed_is_looked_at_again_whatever_was_written(bench: Bench) -> None:
    bench.update()
    bench.spoil("2023-06-07", broken)
    assert not bench.recheck()[AAPL].verdicts["bars_contract"].passed
    judgement, asked = bench.update()
    assert asked == [None]
    assert not judgement.verdicts["bars_contract"].passed


def test_an_old_bar_that_went_bad_is_found_by_the_full_check_only(bench: Bench) -> None:
    bench.update()
    bench.update(MSFT)
    bench.spoil("2023-06-07", broken)
    bench.world.clock.advance(timedelta(days=3))
    assert bench.update()[0].is_valid, "only bars around the new one are looked at"
    found = bench.recheck()
    failing = [name for name, one in found[AAPL].verdicts.items() if not one.passed]
    assert failing == ["bars_contract", "ohlc_relations"]
    (kept, last) = Reports(bench.world.home.engine, bench.world.clock).of(AAPL)
    assert (kept.report.is_valid, last.report.is_valid) == (True, False)
    assert last.run_id == "run-9"
    assert not last.report.logically_consistent
    assert [one.rule for one in last.report.findings] == ["ohlc_relations"]
    verdict = batch_verdict(found)
    assert (verdict.judged, verdict.valid, verdict.is_valid) == (2, 1, False)
    assert verdict.worst[0][0] == AAPL
    assert "1 of 2 series valid" in str(verdict)
    assert "worst AAPL|1d" in str(verdict)


def test_a_full_check_of_what_is_sound_writes_no_second_report(bench: Bench) -> None:
    bench.update()
    assert bench.recheck()[AAPL].is_valid
    bench.recheck()
    assert len(Reports(bench.world.home.engine, bench.world.clock).of(AAPL)) == 1


def test_a_rule_that_was_switched_off_is_forgotten(bench: Bench) -> None:
    bench.update()
    assert "spikes" in bench.world.verdicts.of(AAPL)
    bench.thresholds = Thresholds(off=frozenset({"spikes"}))
    judgement, _ = bench.update()
    assert "spikes" not in judgement.verdicts
    assert "spikes" not in bench.world.verdicts.of(AAPL)


def test_weights_are_in_the_score(bench: Bench) -> None:
    bench.world.provider.lacking = {day("2024-03-04"), day("2024-03-05")}
    bench.update()
    bench.thresholds = Thresholds(weights=dict.fromkeys(RULES, 0.0) | {"completeness": 1.0})
    judgement, _ = bench.update()
    assert judgement.score == judgement.coverage < 1


def test_a_series_whose_file_is_gone_does_not_end_the_check_of_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.update()
    bench.update(MSFT)
    read = BarStore.read

    def damaged(self: BarStore, series: Series, *where: object, **how: object) -> pd.DataFrame:
        if series == AAPL:
            raise StoreError(f"{series}: a file is gone")
        return read(self, series, *where, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(BarStore, "read", damaged)
    world = bench.world
    judge = Judge(world.store, world.verdicts, world.clock, Thresholds())
    recheck = Recheck(judge, world.catalog, world.tracking)
    found = {one.series: one.error for one in recheck.run([AAPL, MSFT])}
    assert (str(found[AAPL]), found[MSFT]) == ("AAPL|1d: a file is gone", None)


def test_a_batch_without_any_series_is_valid() -> None:
    empty = batch_verdict({})
    assert (empty.is_valid, empty.mean, empty.lowest) == (True, 1.0, 1.0)
    assert str(empty) == ("quality: 0 of 0 series valid, score 1.0000 on average, 1.0000 at least")
