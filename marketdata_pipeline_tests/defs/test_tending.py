"""The hourly check and the weekly cleanup: what they find, and what they do."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from sqlalchemy import insert, update

from marketdata_pipeline.config import Settings
from marketdata_pipeline.database.happening import backfill_queue, transactions
from marketdata_pipeline.defs import tending
from marketdata_pipeline.defs.tending import events_cleanup, hourly_check, neglected_check
from marketdata_pipeline.defs.times import Times
from marketdata_pipeline.domain.backfill import Status
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import to_micros
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline_tests.defs.stage import Choosy, Stage, hold

weekly_cleanup = tending.weekly_cleanup(Times.of(Settings.model_construct()))
HOUR = timedelta(hours=1)


@pytest.fixture
def instance(scheduling_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    """The stage's: one that a schedule's context takes."""
    return scheduling_instance


@pytest.fixture(autouse=True)
def _after_the_close(stage: Stage) -> None:
    stage.world.clock.advance(HOUR)


def ticked(stage: Stage, schedule: dg.ScheduleDefinition) -> dg.RunRequest | dg.SkipReason:
    context = dg.build_schedule_context(instance=stage.instance, resources={"pipeline": stage})
    with context:
        found = schedule(context)
        assert isinstance(found, Iterator)
        (one,) = found
    assert isinstance(one, dg.RunRequest | dg.SkipReason)
    return one


def done(stage: Stage, job: dg.JobDefinition) -> dict[str, object]:
    """What the job's steps said."""
    result = job.execute_in_process(instance=stage.instance, resources={"pipeline": stage})
    assert result.success
    return {
        name: value.value
        for event in result.all_node_events
        if event.is_successful_output
        for name, value in event.step_output_data.metadata.items()
    }


def queued(stage: Stage) -> list[tuple[str, str, str]]:
    """Instrument, timeframes and priority of each row that is waiting."""
    return [
        (one.instrument.key, ",".join(map(str, one.timeframes)), str(one.priority))
        for one in stage.queue.rows([Status.PENDING])
    ]


def record(stage: Stage, ago: timedelta, *, processed: bool = False) -> None:
    """Have a transaction recorded so long ago; one that is processed is void."""
    now = to_micros(stage.world.clock.wall_now())
    at = now - ago // timedelta(microseconds=1)
    row = {
        "external_id": f"{ago}", "portfolio": "p", "side": "buy",
        "instrument": "IBM" if processed else "AAPL", "quantity": 1.0,
        "executed_at": at, "recorded_at": at,
        "processed_at": now if processed else None, "voided_at": now if processed else None,
    }  # fmt: skip
    with stage.world.home.engine.begin() as connection:
        connection.execute(insert(transactions), [row])


def set_row(stage: Stage, number: int, **values: object) -> None:
    """Change a row of the queue."""
    with stage.world.home.engine.begin() as connection:
        changed = update(backfill_queue).where(backfill_queue.c.id == number).values(**values)
        connection.execute(changed)


def test_what_was_never_asked_for_goes_into_the_queue(stage: Stage) -> None:
    stage.track("AAPL", "MSFT", timeframes=("1d", "1wk"))
    stage.by_config("AAPL|1d", "AAPL|1wk")
    assert isinstance(ticked(stage, hourly_check), dg.RunRequest)
    told = done(stage, neglected_check)
    assert (told["instruments"], told["series"], told["unprocessed"]) == (1, 2, 0)
    assert queued(stage) == [("MSFT", "1d,1wk", "tracked")]


def test_what_is_in_the_queue_is_not_put_there_again(stage: Stage) -> None:
    stage.track("AAPL")
    done(stage, neglected_check)
    assert isinstance(ticked(stage, hourly_check), dg.SkipReason)
    assert done(stage, neglected_check)["instruments"] == 0
    assert len(queued(stage)) == 1


def test_what_a_portfolio_holds_comes_first(stage: Stage) -> None:
    stage.track("AAPL", "MSFT")
    hold(stage, "MSFT")
    done(stage, neglected_check)
    assert queued(stage) == [("MSFT", "1d", "held"), ("AAPL", "1d", "tracked")]


def test_what_failed_goes_into_the_queue_a_while_later(stage: Stage, provider: Choosy) -> None:
    provider.down = {"AAPL"}
    stage.track("AAPL")
    stage.by_config("AAPL|1d")
    assert isinstance(ticked(stage, hourly_check), dg.SkipReason)
    stage.world.clock.wall += timedelta(minutes=15)
    assert isinstance(ticked(stage, hourly_check), dg.RunRequest)
    done(stage, neglected_check)
    assert queued(stage) == [("AAPL", "1d", "tracked")]


def test_what_would_fail_again_does_not(stage: Stage, provider: Choosy) -> None:
    provider.unknown = {"IBM"}
    stage.track("IBM")
    stage.by_config("IBM|1d")
    stage.world.clock.wall += timedelta(days=2)
    skip = ticked(stage, hourly_check)
    assert isinstance(skip, dg.SkipReason)
    assert skip.skip_message == "all tracked series are seen to, all transactions are processed"


def test_a_hole_goes_into_the_queue_once_it_is_due(stage: Stage, provider: Choosy) -> None:
    provider.lacking = {datetime(2024, 2, 14, tzinfo=UTC)}
    stage.track("AAPL")
    stage.by_config("AAPL|1d")
    assert isinstance(ticked(stage, hourly_check), dg.SkipReason)
    stage.world.clock.market += HOUR
    done(stage, neglected_check)
    assert queued(stage) == [("AAPL", "1d", "tracked")]


@pytest.mark.parametrize("door", ["config", "partition"])
def test_what_an_unfinished_run_is_for_is_seen_to(stage: Stage, door: str) -> None:
    stage.track("AAPL", "MSFT")
    config = {"ops": {"ohlcv": {"config": {"series": ["AAPL|1d"]}}}} if door == "config" else {}
    stage.instance.create_run_for_job(
        stage.job(),
        run_config=config,
        tags={} if config else {"dagster/partition": "AAPL|1d"},
        status=dg.DagsterRunStatus.NOT_STARTED,
    )
    done(stage, neglected_check)
    assert queued(stage) == [("MSFT", "1d", "tracked")]


def test_what_the_queue_gave_up_rests_for_a_day(stage: Stage) -> None:
    stage.track("AAPL")
    number = stage.queue.enqueue(Instrument("AAPL"), [Timeframe.D1])
    set_row(stage, number, status="failed")
    assert isinstance(ticked(stage, hourly_check), dg.SkipReason)
    stage.world.clock.wall += timedelta(days=1, minutes=1)
    assert isinstance(ticked(stage, hourly_check), dg.RunRequest)


def test_transactions_that_nobody_processes_are_told_of(
    stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    record(stage, timedelta(minutes=4))
    record(stage, timedelta(days=3), processed=True)
    assert isinstance(ticked(stage, hourly_check), dg.SkipReason)
    record(stage, timedelta(minutes=6))
    assert isinstance(ticked(stage, hourly_check), dg.RunRequest)
    assert done(stage, neglected_check)["unprocessed"] == 1
    assert "1 transactions are not processed, the oldest since " in capfd.readouterr().err


def test_what_a_refresh_told_of_has_holdings_reckoned_anew(stage: Stage) -> None:
    record(stage, timedelta(days=3), processed=True)
    assert isinstance(ticked(stage, hourly_check), dg.SkipReason)
    with stage.world.home.engine.begin() as connection:  # as if it came to another number now
        connection.execute(update(transactions).values(voided_at=None))
    assert isinstance(ticked(stage, hourly_check), dg.RunRequest)
    assert done(stage, neglected_check)["recounted"] == 1
    assert queued(stage)[0][0] == "IBM"
    assert isinstance(ticked(stage, hourly_check), dg.SkipReason)


def test_the_cleanup_removes_what_was_completed_long_ago(stage: Stage) -> None:
    numbers = [
        stage.queue.enqueue(Instrument(key), [Timeframe.D1]) for key in ("AAPL", "MSFT", "IBM")
    ]
    now = to_micros(stage.world.clock.wall_now())
    day = timedelta(days=1) // timedelta(microseconds=1)
    set_row(stage, numbers[0], status="completed", completed_at=now - 31 * day)
    set_row(stage, numbers[1], status="completed", completed_at=now - 29 * day)
    assert isinstance(ticked(stage, weekly_cleanup), dg.RunRequest)
    told = done(stage, events_cleanup)
    assert (told["backfills"], told["requests"]) == (1, 0)
    assert [stage.queue.task(one) is None for one in numbers] == [True, False, False]


def test_the_check_and_the_cleanup_are_upkeep_that_runs_by_itself() -> None:
    assert hourly_check.cron_schedule == "0 * * * *"
    assert weekly_cleanup.cron_schedule == "0 2 * * 0"
    for schedule in (hourly_check, weekly_cleanup):
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    for job in (neglected_check, events_cleanup):
        assert job.tags["marketdata/tier"] == "upkeep"


@pytest.mark.parametrize(
    ("schedule", "job"), [(hourly_check, neglected_check), (weekly_cleanup, events_cleanup)]
)
def test_neither_piles_up(
    stage: Stage, schedule: dg.ScheduleDefinition, job: dg.JobDefinition
) -> None:
    stage.track("AAPL")
    stage.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    assert isinstance(ticked(stage, schedule), dg.SkipReason)
