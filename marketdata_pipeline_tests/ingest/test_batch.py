"""A batch that ends before its series are all done: what is done, what is left, what is noted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import pytest

from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.reply import Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import NotDone, Unavailable, UnknownSymbol
from marketdata_pipeline.ingest.outcome import Outcome
from marketdata_pipeline.ingest.update import Updater
from marketdata_pipeline_tests.fakes import Lines
from marketdata_pipeline_tests.ingest.world import USUAL, TruthProvider, World, days, walk

YEAR = days("2023-03-15", "2024-03-16")
MINUTE = timedelta(minutes=1)
DOWN = Unavailable("truth is down", provider="truth")


@dataclass
class Slow(TruthProvider):
    """Each request takes a minute of the frozen clock."""

    def fetch(self, series: Series, window: TimeRange, errand: Errand = USUAL) -> Reply:
        self.clock.sleep(MINUTE.total_seconds())
        return super().fetch(series, window, errand)


def daily(count: int) -> list[Series]:
    return [Series.parse(f"A{number}|1d") for number in range(count)]


@pytest.fixture
def slow(world: World) -> Updater:
    """One instrument at a time, a minute each."""
    truth = {one: walk(one, YEAR) for one in daily(5)}
    world.provider = Slow(truth, world.clock, first_trade=date(2023, 3, 15))
    return replace(world.updater, at_once=1, retry_waits=())


def categories(outcomes: Sequence[Outcome]) -> dict[str, str | None]:
    return {str(one.series): one.error.category if one.error else None for one in outcomes}


def test_after_its_time_no_further_series_is_begun_and_those_left_are_not_done(
    world: World, slow: Updater
) -> None:
    outcomes = list(slow.update_many(daily(5), ends_within=3 * MINUTE))
    assert categories(outcomes) == {
        "A0|1d": None,
        "A1|1d": None,
        "A2|1d": None,
        "A3|1d": "not_done",
        "A4|1d": "not_done",
    }
    assert [series for series, _ in world.provider.asked] == daily(3)
    left = outcomes[-1]
    assert left.not_done
    assert not outcomes[0].not_done
    assert (left.rows_new, left.requests, left.judgement, left.seconds) == (0, 0, None, 0.0)


def test_the_next_call_does_what_was_left_and_nothing_else(world: World, slow: Updater) -> None:
    list(slow.update_many(daily(5), ends_within=3 * MINUTE))
    outcomes = list(slow.update_many(daily(5), ends_within=3 * MINUTE))
    assert set(categories(outcomes).values()) == {None}
    assert [series for series, _ in world.provider.asked] == daily(5)


def test_without_a_time_all_are_done_however_long_it_takes(slow: Updater) -> None:
    assert set(categories(list(slow.update_many(daily(5)))).values()) == {None}


def test_nothing_is_noted_of_what_is_not_done(
    world: World, slow: Updater, log_lines: Lines
) -> None:
    last = daily(5)[-1]
    world.provider.failures = [DOWN]
    slow.update(last)
    before, verdicts = world.catalog.summaries([last]), world.verdicts.of(last)
    (outcome,) = slow.update_many([last], ends_within=timedelta(0))
    assert isinstance(outcome.error, NotDone)
    assert world.catalog.summaries([last]) == before
    assert before[0].error_category == "unavailable", "it still tells of the last attempt"
    assert world.verdicts.of(last) == verdicts
    assert len(log_lines("updated")) == 1
    (never,) = slow.update_many(daily(1), ends_within=timedelta(0))
    assert never.not_done
    assert world.verdicts.of(daily(1)[0]) == {}


def test_what_is_derived_from_a_series_that_is_not_done_is_not_done(
    world: World, slow: Updater
) -> None:
    asked = [Series.parse(one) for one in ("A0|1wk", "A1|1wk", "A1|1d")]
    found = categories(list(slow.update_many(asked, ends_within=MINUTE / 2)))
    assert found == {"A0|1wk": "not_done", "A1|1d": "not_done", "A1|1wk": "not_done"}
    assert len(world.provider.asked) == 1, "the base that was begun is finished"
    assert len(world.store.read(daily(1)[0])) == 253


def test_an_update_of_one_series_has_no_end(slow: Updater) -> None:
    assert slow.update(daily(1)[0]).error is None


def failing(world: World, count: int) -> list[Series]:
    """So many series, all of which fail."""
    world.provider.failures = [DOWN] * count
    return daily(count)


def hasty(world: World, at_once: int = 1) -> Updater:
    """One that asks once only."""
    return replace(world.updater, at_once=at_once, retry_waits=())


def test_once_ten_failed_because_of_their_provider_nobody_asks_it_any_more(world: World) -> None:
    many = failing(world, 40)
    found = categories(list(hasty(world).update_many(many, failure_share=0.3)))
    assert list(found.values()) == ["unavailable"] * 10 + ["cut_off"] * 30
    assert len(world.provider.asked) == 10


def test_those_under_way_are_finished(world: World) -> None:
    many = failing(world, 40)
    found = categories(list(hasty(world, 3).update_many(many, failure_share=0.3)))
    assert 10 <= list(found.values()).count("unavailable") <= 12
    assert len(found) == 40


def test_failures_within_the_share_end_nothing(world: World) -> None:
    many = daily(40)
    world.provider.truth = dict.fromkeys(many[10:], walk(many[0], YEAR))
    list(world.updater.update_many(many[10:]))
    world.provider.failures = [DOWN] * 10
    turned = [*many[10:], *many[:10]]
    found = categories(list(hasty(world).update_many(turned, failure_share=0.3)))
    assert list(found.values()) == [None] * 30 + ["unavailable"] * 10


def test_unknown_symbols_end_nothing(world: World) -> None:
    world.provider.failures = [UnknownSymbol("who is it", provider="truth")] * 40
    found = categories(list(world.updater.update_many(daily(40), failure_share=0.3)))
    assert set(found.values()) == {"unknown_symbol"}


def test_whoever_is_not_told_a_share_goes_on_whatever_fails(world: World) -> None:
    found = categories(list(hasty(world).update_many(failing(world, 40))))
    assert set(found.values()) == {"unavailable"}
