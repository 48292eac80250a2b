"""The refresh schedule: what is due by market time becomes runs that really run."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from marketdata_pipeline.config import Settings
from marketdata_pipeline.defs import schedules
from marketdata_pipeline.defs.times import Times
from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.gate import Turns
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.tiers import Wishes
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import HomeError
from marketdata_pipeline.ingest.runs import BATCH
from marketdata_pipeline_tests.defs.stage import YEAR, Choosy, Stage, hold
from marketdata_pipeline_tests.ingest.world import days, walk

TIMES = Times.of(Settings.model_construct())
bars_refresh = schedules.bars_refresh(TIMES)
priority_refresh = schedules.priority_refresh(TIMES)
daily_refresh = schedules.daily_refresh(TIMES)
SATURDAY = datetime(2024, 3, 16, 12, tzinfo=UTC)


@pytest.fixture
def instance(scheduling_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    """The stage's: one that a schedule's context takes."""
    return scheduling_instance


@pytest.fixture(autouse=True)
def _after_the_close(stage: Stage) -> None:
    stage.world.clock.advance(timedelta(hours=1))


def _looked(
    context: dg.ScheduleEvaluationContext, schedule: dg.ScheduleDefinition = bars_refresh
) -> list[dg.RunRequest | dg.SkipReason]:
    with context:
        found = schedule(context)
        assert isinstance(found, Iterator)
        return list(found)


def _context(stage: Stage, at: datetime = SATURDAY) -> dg.ScheduleEvaluationContext:
    return dg.build_schedule_context(
        instance=stage.instance, scheduled_execution_time=at, resources={"pipeline": stage}
    )


def _tick(
    stage: Stage, at: datetime = SATURDAY, schedule: dg.ScheduleDefinition = bars_refresh
) -> list[dg.RunRequest | dg.SkipReason]:
    return _looked(_context(stage, at), schedule)


def _series(request: dg.RunRequest | dg.SkipReason) -> list[str]:
    assert isinstance(request, dg.RunRequest)
    listed: list[str] = request.run_config["ops"]["ohlcv"]["config"]["series"]
    return listed


def test_what_is_tracked_and_due_becomes_one_run_without_partition_tags(stage: Stage) -> None:
    stage.track("AAPL", "MSFT", timeframes=("1d", "1wk"))
    (request,) = _tick(stage)
    assert _series(request) == ["AAPL|1d", "AAPL|1wk", "MSFT|1d", "MSFT|1wk"]
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key is None
    assert request.tags == {}


def test_a_month_of_minutes_that_broke_off_is_due_before_the_next_bar_closes(
    stage: Stage, provider: Choosy
) -> None:
    """The newest window is stored, an older one failed: nothing new can close until Monday."""
    minutes = Series.parse("AAPL|1m")
    provider.truth = {minutes: walk(minutes, days("2024-02-16", "2024-03-16"))}
    stage.track("AAPL", timeframes=("1m",))
    provider.after = {minutes: 1}
    first = stage.by_config("AAPL|1m")
    assert not first.success
    assert 0 < stage.world.store.read(minutes).index.size < 20 * 390
    stage.world.clock.wall += timedelta(minutes=15)
    (request,) = _tick(stage)
    assert _series(request) == ["AAPL|1m"]
    provider.after = {}
    assert stage.by_config("AAPL|1m").success
    assert stage.world.store.read(minutes).index.size == 20 * 390
    assert isinstance(_tick(stage)[0], dg.SkipReason)


def test_the_run_that_is_asked_for_really_runs(stage: Stage) -> None:
    stage.track("AAPL", timeframes=("1d", "1wk"))
    (request,) = _tick(stage)
    assert isinstance(request, dg.RunRequest)
    result = stage.configured(request.run_config["ops"]["ohlcv"]["config"])
    assert result.success
    assert stage.materialized() == {"AAPL|1d", "AAPL|1wk"}


def test_nothing_due_is_a_reason_to_skip_and_costs_no_request(stage: Stage) -> None:
    stage.track("AAPL")
    stage.by_config("AAPL|1d")
    asked = len(stage.world.provider.asked)
    (skip,) = _tick(stage)
    assert isinstance(skip, dg.SkipReason)
    assert skip.skip_message == "none of 1 tracked series can have news now"
    assert len(stage.world.provider.asked) == asked


def test_nothing_tracked_is_a_reason_to_skip(stage: Stage) -> None:
    (skip,) = _tick(stage)
    assert isinstance(skip, dg.SkipReason)


def test_market_time_counts_not_the_time_that_the_tick_was_planned_for(stage: Stage) -> None:
    stage.track("AAPL")
    stage.by_config("AAPL|1d")
    (early,) = _tick(stage, SATURDAY + timedelta(days=9))
    assert isinstance(early, dg.SkipReason)
    stage.world.clock.market += timedelta(days=3)
    (due,) = _tick(stage, SATURDAY)
    assert _series(due) == ["AAPL|1d"]


def test_a_bar_is_due_half_an_hour_after_it_closed(stage: Stage) -> None:
    stage.track("AAPL")
    stage.by_config("AAPL|1d")
    stage.world.clock.market = datetime(2024, 3, 18, 20, 29, tzinfo=UTC)
    assert isinstance(_tick(stage)[0], dg.SkipReason)
    stage.world.clock.market += timedelta(minutes=1)
    assert _series(_tick(stage)[0]) == ["AAPL|1d"]


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_a_refresh_under_way_is_not_started_twice(
    stage: Stage, status: dg.DagsterRunStatus
) -> None:
    stage.track("AAPL")
    tags = {"dagster/schedule_name": "bars_refresh"}
    stage.instance.create_run_for_job(stage.job(), tags=tags, status=status)
    (skip,) = _tick(stage)
    assert isinstance(skip, dg.SkipReason)
    assert skip.skip_message == "the last refresh is still under way"


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        ({"dagster/schedule_name": "bars_refresh"}, dg.DagsterRunStatus.FAILURE),
        ({"dagster/schedule_name": "bars_refresh"}, dg.DagsterRunStatus.SUCCESS),
        ({}, dg.DagsterRunStatus.STARTED),
    ],
)
def test_finished_refreshes_and_other_runs_are_not_in_the_way(
    stage: Stage, tags: dict[str, str], status: dg.DagsterRunStatus
) -> None:
    stage.track("AAPL")
    stage.instance.create_run_for_job(stage.job(), tags=tags, status=status)
    assert _series(_tick(stage)[0]) == ["AAPL|1d"]


def test_a_symbol_that_nobody_knows_rests_for_a_day(stage: Stage, provider: Choosy) -> None:
    provider.unknown = {"IBM"}
    stage.track("AAPL", "IBM")
    stage.by_config("AAPL|1d", "IBM|1d")
    assert isinstance(_tick(stage)[0], dg.SkipReason)
    stage.world.clock.wall += timedelta(hours=25)
    assert _series(_tick(stage)[0]) == ["IBM|1d"]


def test_a_series_whose_provider_was_down_is_due_a_quarter_of_an_hour_later(
    stage: Stage, provider: Choosy
) -> None:
    provider.down = {"AAPL"}
    stage.track("AAPL")
    stage.by_config("AAPL|1d")
    stage.world.clock.wall += timedelta(minutes=14)
    assert isinstance(_tick(stage)[0], dg.SkipReason)
    stage.world.clock.wall += timedelta(minutes=1)
    assert _series(_tick(stage)[0]) == ["AAPL|1d"]


def test_a_hole_is_due_when_its_time_has_come(stage: Stage, provider: Choosy) -> None:
    lost = datetime(2024, 2, 14, tzinfo=UTC)
    provider.lacking = {lost}
    stage.track("AAPL")
    stage.by_config("AAPL|1d")
    assert isinstance(_tick(stage)[0], dg.SkipReason)
    stage.world.clock.market += timedelta(hours=1)
    assert _series(_tick(stage)[0]) == ["AAPL|1d"]


def test_intraday_series_are_due_while_their_session_is_open(
    stage: Stage, provider: Choosy
) -> None:
    hourly = Series.parse("AAPL|1h")
    provider.truth = {**provider.truth, hourly: walk(hourly, YEAR)}
    stage.track("AAPL", timeframes=("1h", "1d"))
    stage.by_config("AAPL|1h", "AAPL|1d")
    stage.world.clock.market = datetime(2024, 3, 18, 15, 5, tzinfo=UTC)
    assert _series(_tick(stage)[0]) == ["AAPL|1h"]


def test_runs_of_mass_work_are_told_apart_by_a_tag_and_a_key(stage: Stage) -> None:
    stage.track(*(f"A{number}" for number in range(BATCH + 1)))
    requests = _tick(stage)
    assert [len(_series(one)) for one in requests] == [BATCH, 1]
    for one in requests:
        assert isinstance(one, dg.RunRequest)
        assert one.tags == {"marketdata/tier": "mass"}
    assert [one.run_key for one in requests if isinstance(one, dg.RunRequest)] == ["1/2", "2/2"]


def test_a_hundred_series_and_more_of_few_instruments_are_no_mass_work(stage: Stage) -> None:
    frames = ("1h", "4h", "1d", "1wk")
    stage.track(*(f"A{number}" for number in range(26)), timeframes=frames)
    (request,) = _tick(stage)
    assert isinstance(request, dg.RunRequest)
    assert len(_series(request)) == 104
    assert request.tags == {}


def test_dagster_accepts_a_tick_that_asks_for_several_runs(stage: Stage) -> None:
    stage.track(*(f"A{number}" for number in range(BATCH + 1)))
    with _context(stage) as context:
        told = bars_refresh.evaluate_tick(context)
    assert [one.run_key for one in told.run_requests or []] == ["1/2", "2/2"]
    assert told.skip_message is None


def test_a_home_that_cannot_be_opened_fails_the_tick_with_one_sentence(stage: Stage) -> None:
    class NoHome:
        def opened(self) -> None:
            raise HomeError("no home at /nowhere; run marketdata init or make run")

    context = dg.build_schedule_context(instance=stage.instance, resources={"pipeline": NoHome()})
    with pytest.raises(dg.Failure, match=r"^no home at /nowhere; run marketdata init"):
        _looked(context)


@pytest.mark.parametrize(
    ("schedule", "name", "cron"),
    [
        (bars_refresh, "bars_refresh", ["*/5 * * * *"]),
        (priority_refresh, "priority_refresh", ["*/2 * * * *"]),
        (daily_refresh, "daily_refresh", "0 8 * * *"),
    ],
)
def test_the_schedules_run_by_themselves_as_often_as_is_wished(
    schedule: dg.ScheduleDefinition, name: str, cron: str | list[str]
) -> None:
    assert (schedule.name, schedule.cron_schedule) == (name, cron)
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_weekly_bars_are_due_after_fridays_close_only(stage: Stage) -> None:
    stage.track("AAPL", timeframes=("1d", "1wk"))
    stage.by_config("AAPL|1d", "AAPL|1wk")
    provider = stage.world.provider
    provider.truth = {
        Series.parse("AAPL|1d"): walk(Series.parse("AAPL|1d"), days("2023-03-15", "2024-03-23"))
    }
    stage.world.clock.market = datetime(2024, 3, 21, 21, tzinfo=UTC)
    assert _series(_tick(stage)[0]) == ["AAPL|1d"]
    stage.world.clock.market = datetime(2024, 3, 22, 21, tzinfo=UTC)
    assert _series(_tick(stage)[0]) == ["AAPL|1d", "AAPL|1wk"]


def test_what_a_run_left_is_due_at_the_next_tick(stage: Stage) -> None:
    stage.track("AAPL", "MSFT", "IBM")
    stage.by_config("AAPL|1d")
    stage.run_time = timedelta(0)
    (request,) = _tick(stage)
    assert stage.by_config(*_series(request)).success
    (again,) = _tick(stage)
    assert _series(again) == _series(request) == ["MSFT|1d", "IBM|1d"]


def test_the_first_tier_has_a_refresh_of_its_own(stage: Stage) -> None:
    stage.track("AAPL", "MSFT", timeframes=("1d", "1wk"))
    stage.wishes = Wishes(first=frozenset({Instrument("MSFT")}))
    (rest,) = _tick(stage)
    assert _series(rest) == ["AAPL|1d", "AAPL|1wk"]
    (first,) = _tick(stage, schedule=priority_refresh)
    assert _series(first) == ["MSFT|1d", "MSFT|1wk"]
    assert isinstance(first, dg.RunRequest)
    assert first.tags == {"marketdata/priority": "held", "dagster/priority": "5"}


def test_requests_of_the_first_tier_come_before_others(stage: Stage, provider: Choosy) -> None:
    stage.track("AAPL", "MSFT")
    stage.wishes = Wishes(first=frozenset({Instrument("MSFT")}))
    for schedule in (bars_refresh, priority_refresh):
        (request,) = _tick(stage, schedule=schedule)
        assert isinstance(request, dg.RunRequest)
        assert stage.run(run_config=request.run_config, tags=request.tags).success
    urgent = {
        series.instrument.key: errand.priority
        for (series, _), errand in zip(provider.asked, provider.errands, strict=True)
    }
    order = list(Priority)
    assert order.index(urgent["MSFT"]) + 1 == order.index(urgent["AAPL"])


def test_what_a_portfolio_holds_is_of_the_first_tier(stage: Stage) -> None:
    stage.track("AAPL", "MSFT")
    hold(stage, "AAPL")
    assert _series(_tick(stage, schedule=priority_refresh)[0]) == ["AAPL|1d"]
    assert _series(_tick(stage)[0]) == ["MSFT|1d"]


def test_an_empty_first_tier_is_a_reason_to_skip(stage: Stage) -> None:
    stage.track("AAPL")
    (skip,) = _tick(stage, schedule=priority_refresh)
    assert isinstance(skip, dg.SkipReason)


def test_a_quota_that_is_used_up_leaves_all_for_a_later_look(stage: Stage) -> None:
    stage.track("AAPL", "MSFT", "IBM")
    now = stage.world.clock.wall_now()
    stage.turns = [Turns("truth", 60, 1, timedelta(hours=1), 0, now + timedelta(hours=1), None)]
    (skip,) = _tick(stage)
    assert isinstance(skip, dg.SkipReason)
    assert skip.skip_message == "the quotas carry none of 3 series that are due now"
    stage.turns = [Turns("truth", 60, 2, timedelta(hours=1), 2, now, None)]
    assert _series(_tick(stage)[0]) == ["AAPL|1d", "MSFT|1d"]


def test_an_exchange_that_is_always_asked_is_so_once_an_interval(stage: Stage) -> None:
    stage.track("AAPL")
    stage.by_config("AAPL|1d")
    stage.wishes = Wishes(always=lambda calendar: calendar == "XNYS")
    stage.world.clock.wall += timedelta(minutes=14)
    assert isinstance(_tick(stage)[0], dg.SkipReason)
    stage.world.clock.wall += timedelta(minutes=1)
    assert _series(_tick(stage)[0]) == ["AAPL|1d"]
    asked = len(stage.world.provider.asked)
    assert stage.by_config("AAPL|1d").success
    assert len(stage.world.provider.asked) == asked, "nothing of it was missing"
    assert isinstance(_tick(stage)[0], dg.SkipReason)


def test_what_the_queue_sees_to_is_not_asked_for_a_first_time_twice(stage: Stage) -> None:
    stage.track("AAPL", "MSFT")
    with stage.opened() as opened:
        opened.queue.enqueue(Instrument("AAPL"), [Timeframe.D1])
    assert _series(_tick(stage)[0]) == ["MSFT|1d"]


def test_the_daily_refresh_takes_all_that_is_tracked_as_mass_work(stage: Stage) -> None:
    stage.track("AAPL", "MSFT")
    stage.by_config("AAPL|1d")
    asked = len(stage.world.provider.asked)
    (request,) = _tick(stage, schedule=daily_refresh)
    assert _series(request) == ["AAPL|1d", "MSFT|1d"]
    assert isinstance(request, dg.RunRequest)
    assert request.tags == {"marketdata/tier": "mass"}
    assert stage.configured(request.run_config["ops"]["ohlcv"]["config"]).success
    windows = [str(series) for series, _ in stage.world.provider.asked[asked:]]
    assert windows
    assert set(windows) == {"MSFT|1d"}


def test_the_daily_refresh_of_nothing_is_skipped(stage: Stage) -> None:
    assert isinstance(_tick(stage, schedule=daily_refresh)[0], dg.SkipReason)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (priority_refresh, "the last refresh is still under way"),
        (daily_refresh, "the last daily refresh is still under way"),
    ],
)
def test_none_of_them_piles_up(stage: Stage, schedule: dg.ScheduleDefinition, message: str) -> None:
    stage.track("AAPL")
    stage.instance.create_run_for_job(
        stage.job(),
        tags={"dagster/schedule_name": schedule.name},
        status=dg.DagsterRunStatus.NOT_STARTED,
    )
    (skip,) = _tick(stage, schedule=schedule)
    assert isinstance(skip, dg.SkipReason)
    assert skip.skip_message == message
