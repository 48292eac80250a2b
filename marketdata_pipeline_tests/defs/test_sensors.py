"""Sensors: rows of the queue become runs that do them, and what died is begun again."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from marketdata_pipeline.defs.sensors import (
    backfill_queue_sensor,
    run_canceled_sensor,
    run_failure_sensor,
    transaction_sensor,
)
from marketdata_pipeline.domain.backfill import Status
from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.transaction import Side, Transaction
from marketdata_pipeline.store.backfills import Wanted
from marketdata_pipeline_tests.defs.stage import Choosy, Stage

D1, W1 = Timeframe.D1, Timeframe.W1
AAPL = Instrument.parse("AAPL")


@pytest.fixture
def instance(scheduling_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    return scheduling_instance


def _want(stage: Stage, *keys: str, priority: Priority = Priority.URGENT) -> list[int]:
    stage.track(*keys, timeframes=("1d", "1wk"))
    return stage.queue.enqueue_all(
        [Wanted(Instrument.parse(key), (D1, W1), priority=priority) for key in keys]
    )


def _tick(stage: Stage) -> dg.SensorResult | dg.SkipReason:
    with dg.build_sensor_context(instance=stage.instance, resources={"pipeline": stage}) as context:
        found = backfill_queue_sensor(context)
        assert isinstance(found, dg.SensorResult | dg.SkipReason)
        return found


def _requests(stage: Stage) -> list[dg.RunRequest]:
    found = _tick(stage)
    assert isinstance(found, dg.SensorResult), found
    return list(found.run_requests or [])


def _statuses(stage: Stage) -> list[Status]:
    return [one.status for one in sorted(stage.queue.rows(), key=lambda one: one.id)]


def _run(stage: Stage, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    tags = {key: value for key, value in request.tags.items() if "range" in key}
    return stage.run(run_config=dict(request.run_config), tags=tags)


def test_a_single_backfill_is_a_run_with_the_range_of_its_partitions(stage: Stage) -> None:
    (number,) = _want(stage, "AAPL")
    (request,) = _requests(stage)
    assert request.run_key == f"backfill:{number}:0"
    assert request.tags["dagster/asset_partition_range_start"] == "AAPL|1d"
    assert request.tags["dagster/asset_partition_range_end"] == "AAPL|1wk"
    assert request.tags["dagster/max_retries"] == "0"
    assert _run(stage, request).success
    assert stage.materialized() == {"AAPL|1d", "AAPL|1wk"}
    assert _statuses(stage) == [Status.COMPLETED]


def test_several_urgent_ones_share_two_runs(stage: Stage) -> None:
    _want(stage, "AAPL", "MSFT", "IBM")
    requests = _requests(stage)
    assert [one.tags["dagster/priority"] for one in requests] == ["10", "10"]
    for one in requests:
        assert _run(stage, one).success
    assert _statuses(stage) == [Status.COMPLETED] * 3
    assert len(stage.materialized()) == 6


def test_partition_keys_that_dagster_does_not_know_are_added_with_the_run(stage: Stage) -> None:
    stage.queue.enqueue(Instrument.parse("NVDA"), [D1], priority=Priority.URGENT)
    found = _tick(stage)
    assert isinstance(found, dg.SensorResult)
    (added,) = found.dynamic_partitions_requests or []
    assert list(added.partition_keys) == ["NVDA"]


def test_mass_work_is_a_run_by_the_config_door_in_the_tier_that_is_bounded(stage: Stage) -> None:
    _want(stage, "AAPL", "MSFT", priority=Priority.CATALOG)
    (request,) = _requests(stage)
    assert request.tags["marketdata/tier"] == "mass"
    assert "dagster/asset_partition_range_start" not in request.tags
    assert _run(stage, request).success
    assert _statuses(stage) == [Status.COMPLETED] * 2


def test_no_more_mass_runs_are_asked_for_than_there_is_room(stage: Stage) -> None:
    stage.queue.enqueue_all(
        [Wanted(Instrument.parse(f"A{number}"), (D1,), priority=Priority.CATALOG)
         for number in range(1250)]
    )  # fmt: skip
    requests = _requests(stage)
    assert len(requests) == 8  # of ten runs at once two are left to others
    for one in requests:
        stage.instance.add_run(
            dg.DagsterRun(job_name="bars_update", status=dg.DagsterRunStatus.STARTED, tags=one.tags)
        )
    assert isinstance(_tick(stage), dg.SkipReason)


def test_an_empty_queue_and_one_that_waits_say_so(stage: Stage, provider: Choosy) -> None:
    assert "empty" in str(_tick(stage))
    provider.down = {"AAPL"}
    _want(stage, "AAPL")
    (request,) = _requests(stage)
    assert _run(stage, request).success  # it goes back into the queue
    said = str(_tick(stage))
    assert "the next, AAPL, is due at" in said
    assert "is down" in said


def test_what_was_asked_for_is_not_asked_for_again_at_the_next_tick(stage: Stage) -> None:
    _want(stage, "AAPL")
    assert len(_requests(stage)) == 1
    assert isinstance(_tick(stage), dg.SkipReason)


def test_a_run_that_never_began_is_asked_for_again_by_the_same_key(stage: Stage) -> None:
    _want(stage, "AAPL")
    (first,) = _requests(stage)
    stage.world.clock.advance(stage.queue.launching + timedelta(seconds=1))
    (again,) = _requests(stage)
    assert (again.run_key, again.run_config) == (first.run_key, first.run_config)
    assert _run(stage, first).success
    assert _run(stage, again).success  # which finds nothing left to do
    assert len(stage.queue.rows([Status.COMPLETED])) == 1


@pytest.mark.parametrize(
    ("sensor", "status", "build"),
    [
        (run_failure_sensor, dg.DagsterRunStatus.FAILURE, True),
        (run_canceled_sensor, dg.DagsterRunStatus.CANCELED, False),
    ],
)
def test_a_run_that_died_frees_its_rows_for_a_new_one(
    stage: Stage,
    sensor: dg.RunStatusSensorDefinition,
    status: dg.DagsterRunStatus,
    build: bool,  # noqa: FBT001 - of the table
) -> None:
    (number,) = _want(stage, "AAPL")
    (request,) = _requests(stage)
    stage.queue.start([one.claim for one in stage.queue.rows()], "dead")
    run = dg.DagsterRun(
        job_name="bars_update", run_id="dead", status=status, run_config=request.run_config
    )
    event = dg.DagsterEvent(event_type_value=f"PIPELINE_{status.value}", job_name="bars_update")
    with dg.build_run_status_sensor_context(
        sensor_name=sensor.name,
        dagster_event=event,
        dagster_instance=stage.instance,
        dagster_run=run,
        resources={"pipeline": stage},
    ) as context:
        sensor(context.for_run_failure() if build else context)
    row = stage.queue.task(number)
    assert row is not None
    assert (row.status, row.launch, row.attempts) == (Status.PENDING, 1, 0)
    (again,) = _requests(stage)
    assert again.run_key == f"backfill:{number}:1"
    assert not _run(stage, request).asset_materializations_for_node("ohlcv")
    assert _run(stage, again).success


def _transacted(stage: Stage) -> dg.SensorResult | dg.SkipReason:
    with dg.build_sensor_context(instance=stage.instance, resources={"pipeline": stage}) as context:
        found = transaction_sensor(context)
        assert isinstance(found, dg.SensorResult | dg.SkipReason)
        return found


def test_a_purchase_is_tracked_and_its_history_asked_for_in_the_same_tick(stage: Stage) -> None:
    bought = datetime(2024, 3, 1, tzinfo=UTC)
    stage.events.record([Transaction("1", "main", "AAPL", Side.BUY, 10, bought)])
    found = _transacted(stage)
    assert isinstance(found, dg.SensorResult)
    (request,) = found.run_requests or []
    assert _run(stage, request).success
    assert stage.materialized() == {"AAPL|1d", "AAPL|1wk"}
    kept = stage.world.tracking.get(AAPL)
    assert kept is not None
    assert kept.since == datetime(2023, 3, 1, tzinfo=UTC)
    assert isinstance(_transacted(stage), dg.SkipReason)
    assert isinstance(_tick(stage), dg.SkipReason)
