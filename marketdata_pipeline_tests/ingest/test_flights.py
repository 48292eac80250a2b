"""Runs that want the same instrument: one asks, and what it brought is not asked for again."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.governing import flights as table
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.reply import Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.errors import RateLimited, StoreError
from marketdata_pipeline.governor.flights import Flight, Flights
from marketdata_pipeline.ingest.outcome import Outcome
from marketdata_pipeline.ingest.update import Updater
from marketdata_pipeline_tests.fakes import Lines, RealWall
from marketdata_pipeline_tests.ingest.world import (
    FRIDAY_CLOSE,
    USUAL,
    TruthProvider,
    World,
    days,
    walk,
)

AAPL, MSFT, HOURLY = (Series.parse(one) for one in ("AAPL|1d", "MSFT|1d", "AAPL|1h"))
TRUTH = {
    AAPL: walk(AAPL, days("2023-03-15", "2024-03-16")),
    MSFT: walk(MSFT, days("2023-03-15", "2024-03-16")),
    HOURLY: walk(HOURLY, days("2023-03-15", "2024-03-16")),
}
LONG = timedelta(minutes=1)


def _nothing(_series: Series) -> None:
    return


@dataclass
class Watched(TruthProvider):
    """Does something before it answers."""

    before: Callable[[Series], None] = field(default=_nothing)

    def fetch(self, series: Series, window: TimeRange, errand: Errand = USUAL) -> Reply:
        self.before(series)
        return super().fetch(series, window, errand)


@dataclass
class Runner:
    """What a process of its own would have: a provider, flights, an updater over one home."""

    provider: Watched
    updater: Updater

    @property
    def asked(self) -> list[Series]:
        """The series that its provider was asked for."""
        return [series for series, _ in self.provider.asked]


def runner(world: World, max_wait: timedelta = LONG) -> Runner:
    clock = RealWall(FRIDAY_CLOSE, FRIDAY_CLOSE)
    provider = Watched(TRUTH, clock, first_trade=date(2023, 3, 15))
    flights = Flights(world.home.engine, clock, max_wait, poll=timedelta(milliseconds=10))
    made = World(world.home, clock, provider).updater
    return Runner(provider, replace(made, flights=flights, at_once=2))


def held_by_another(world: World) -> Flight:
    """AAPL is somebody else's within the block."""
    clock = RealWall(FRIDAY_CLOSE, FRIDAY_CLOSE)
    flight = Flight(Flights(world.home.engine, clock, timedelta(0)), AAPL.instrument)
    flight.take(0, lambda: None)
    return flight


def rows(world: World) -> list[dict[str, Any]]:
    with reading(world.home.engine) as connection:
        return [dict(one) for one in connection.execute(select(table)).mappings()]


def test_a_second_run_waits_for_the_first_and_asks_for_nothing(
    world: World, log_lines: Lines
) -> None:
    first, second = runner(world), runner(world)
    begun, go_on = threading.Event(), threading.Event()

    def hold(_series: Series) -> None:
        begun.set()
        assert go_on.wait(10)

    first.provider.before = hold
    found: dict[str, Outcome] = {}

    def update(name: str, who: Runner) -> None:
        found[name] = who.updater.update(AAPL)

    threads = [
        threading.Thread(target=update, args=(name, who))
        for name, who in (("first", first), ("second", second))
    ]
    threads[0].start()
    assert begun.wait(10)
    threads[1].start()
    for _ in range(500):
        if log_lines("waiting for another run"):
            break
        SystemClock().sleep(0.01)
    assert second.asked == []
    go_on.set()
    for thread in threads:
        thread.join()
    assert (first.asked, second.asked) == ([AAPL], [])
    assert [found[name].error for name in ("first", "second")] == [None, None]
    assert [found[name].rows for name in ("first", "second")] == [253, 253]
    assert (found["first"].rows_new, found["second"].rows_new) == (253, 0)
    assert found["second"].judgement is not None
    assert found["second"].judgement.coverage == 1.0


def meanwhile(world: World, *series: Series) -> tuple[Runner, Runner]:
    """Two runs: once the second, which knows of AAPL, asks for MSFT, the first does these."""
    first, second = runner(world), runner(world)
    second.updater = replace(second.updater, at_once=1)

    def act(asked: Series) -> None:
        if asked == MSFT:
            assert not [one for one in first.updater.update_many(series) if one.error]

    second.provider.before = act
    return first, second


def test_what_another_run_brought_since_the_start_is_not_asked_again(world: World) -> None:
    first, second = meanwhile(world, AAPL)
    outcomes = {one.series: one for one in second.updater.update_many([MSFT, AAPL])}
    assert (first.asked, second.asked) == ([AAPL], [MSFT])
    assert (outcomes[AAPL].error, outcomes[AAPL].rows, outcomes[AAPL].rows_new) == (None, 253, 0)
    assert outcomes[AAPL].version == 1


def test_what_it_did_not_bring_is_asked_for(world: World) -> None:
    first, second = meanwhile(world, AAPL)
    outcomes = list(second.updater.update_many([MSFT, AAPL, HOURLY]))
    assert [one.error for one in outcomes] == [None] * 3
    assert (first.asked, second.asked) == ([AAPL], [MSFT, HOURLY])


def test_what_it_judged_stays_judged(world: World) -> None:
    first, second = meanwhile(world, AAPL)
    act = second.provider.before

    def and_judge(asked: Series) -> None:
        act(asked)
        told = {"bars_contract": Verdict(passed=True, score=1.0, detail="by the first")}
        world.verdicts.put(AAPL, told)

    second.provider.before = and_judge
    list(second.updater.update_many([MSFT, AAPL]))
    assert first.asked == [AAPL]
    assert world.verdicts.of(AAPL)["bars_contract"].detail == "by the first"


def test_a_catalog_that_cannot_be_read_anew_is_read_by_the_next_series(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, second = meanwhile(world, AAPL, HOURLY)
    act, works = second.provider.before, Updater._works  # noqa: SLF001 - what a reading breaks in
    failures, minutes = [StoreError("the catalog is gone")], Series.parse("AAPL|5m")
    read = []

    def break_down(asked: Series) -> None:
        act(asked)
        monkeypatch.setattr(Updater, "_works", broken)

    def broken(*given: Any) -> Any:
        read.append(given)
        if failures:
            raise failures.pop()
        return works(*given)

    second.provider.before = break_down
    found = second.updater.update_many([MSFT, AAPL, HOURLY, minutes])
    outcomes = {one.series: one for one in found}
    assert isinstance(outcomes[AAPL].error, StoreError)
    assert (outcomes[HOURLY].error, outcomes[HOURLY].requests) == (None, 0)
    assert second.asked == [MSFT, minutes]
    assert len(read) == 2, "once more, and not for each series"


def test_what_needs_no_request_waits_for_nobody_and_holds_nothing(world: World) -> None:
    first = runner(world, timedelta(0))
    first.updater.update(AAPL)
    before = rows(world)
    assert first.updater.update(AAPL).error is None
    assert rows(world) == before
    with held_by_another(world):
        assert first.updater.update(AAPL).error is None
        assert first.updater.update(Series.parse("AAPL|1wk")).error is None


def test_an_instrument_is_left_to_others_at_the_end_and_also_after_an_error(world: World) -> None:
    first = runner(world)
    first.provider.failures = [StoreError("gone")]
    assert first.updater.update(AAPL).error is not None
    (row,) = rows(world)
    assert (row["instrument"], row["holder"]) == ("AAPL", "")


def test_an_instrument_that_another_run_has_for_too_long_fails_alone(world: World) -> None:
    second = runner(world, timedelta(milliseconds=50))
    with held_by_another(world):
        started = time.monotonic()
        outcomes = {one.series: one for one in second.updater.update_many([AAPL, HOURLY, MSFT])}
    error = outcomes[AAPL].error
    assert isinstance(error, RateLimited)
    assert outcomes[HOURLY].error is error, "it is waited for once"
    assert str(error).startswith("another run is fetching AAPL; it was not done with that after")
    assert error.retry_at > datetime.now(UTC)
    assert outcomes[MSFT].error is None, "the provider has turns"
    assert second.asked == [MSFT]
    assert set(world.catalog.failing("rate_limited")) == {AAPL, HOURLY}
    assert time.monotonic() - started < 5


def test_a_run_whose_time_is_over_waits_no_longer(world: World) -> None:
    second = runner(world)
    with held_by_another(world):
        started = time.monotonic()
        found = second.updater.update_many([AAPL], ends_within=timedelta(milliseconds=200))
        assert [one.not_done for one in found] == [True]
        assert time.monotonic() - started < 5


def test_a_run_that_is_ended_waits_no_longer(world: World) -> None:
    second = runner(world)
    with held_by_another(world):
        found = second.updater.update_many([AAPL, MSFT])
        assert next(found).series == MSFT
        started = time.monotonic()
        found.close()
        assert time.monotonic() - started < 5
