"""Sensors: rows of the queue become runs that do them, and what died is begun again."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

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
from marketdata_pipeline.errors import MalformedReply
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


def test_many_keys_at_once_are_added_in_one_go(stage: Stage) -> None:
    names = [f"A{number}" for number in range(90)]
    stage.queue.enqueue_all(
        [Wanted(Instrument.parse(one), (D1,), priority=Priority.CATALOG) for one in names]
    )
    found = _tick(stage)
    assert isinstance(found, dg.SensorResult)
    assert not found.dynamic_partitions_requests
    assert set(names) <= set(stage.instance.get_dynamic_partitions("instruments"))


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


def _runs(stage: Stage, count: int, status: dg.DagsterRunStatus, **tags: str) -> None:
    """So many runs that others made; one that waits in Dagster's queue counts as not started."""
    for _ in range(count):
        made = dg.DagsterRun(job_name="bars_update", status=status, tags=tags)
        stage.instance.add_run(made)


def _folder(above: Path, name: str) -> str:
    made = above / name
    made.mkdir()
    return str(made)


@pytest.fixture
def four_runs(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance that lets four runs run at once, two of them of the mass, as ours does."""
    limits = {"tag_concurrency_limits": [{"key": "marketdata/tier", "value": "mass", "limit": 2}]}
    runs = {"runs": {"max_concurrent_runs": 4, **limits}}
    with dg.DagsterInstance.local_temp(
        _folder(tmp_path, "four"), overrides={"concurrency": runs}
    ) as made:
        yield made


WAITS, RUNS = dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED


@pytest.mark.parametrize(
    ("others", "urgent"),
    [
        ([], 2),
        ([(2, RUNS, "mass"), (8, WAITS, "mass")], 2),
        ([(2, RUNS, "mass"), (70, WAITS, "")], 2),
        ([(2, RUNS, "mass"), (1, RUNS, "urgent")], 1),
        ([(2, RUNS, "mass"), (2, RUNS, "urgent")], 1),
        ([(2, RUNS, "mass"), (2, RUNS, "urgent"), (1, WAITS, "urgent")], 0),
        ([(4, RUNS, ""), (70, WAITS, "")], 1),
    ],
)
def test_a_purchase_begins_whatever_else_waits_in_dagsters_queue(
    stage: Stage,
    four_runs: dg.DagsterInstance,
    others: list[tuple[int, dg.DagsterRunStatus, str]],
    urgent: int,
) -> None:
    stage.instance = four_runs
    for count, status, tier in others:
        _runs(stage, count, status, **({"marketdata/tier": tier} if tier else {}))
    stage.queue.enqueue_all(
        [Wanted(Instrument.parse(f"A{number}"), (D1,), priority=Priority.URGENT)
         for number in range(4)]
    )  # fmt: skip
    found = _tick(stage)
    asked = found.run_requests or [] if isinstance(found, dg.SensorResult) else []
    assert len([one for one in asked if one.tags["marketdata/tier"] == "urgent"]) == urgent


def test_where_dagster_knows_no_limit_the_mass_has_room_too(stage: Stage, tmp_path: Path) -> None:
    runs = {"runs": {"max_concurrent_runs": -1}}
    with dg.DagsterInstance.local_temp(
        _folder(tmp_path, "endless"), overrides={"concurrency": runs}
    ) as stage.instance:
        stage.queue.enqueue(AAPL, [D1], priority=Priority.CATALOG)
        assert len(_requests(stage)) == 1


def test_what_another_sensor_has_a_run_for_gets_no_second_one(stage: Stage) -> None:
    bought = datetime(2024, 3, 1, tzinfo=UTC)
    stage.events.record([Transaction("1", "main", "AAPL", Side.BUY, 10, bought)])
    found = _transacted(stage)
    assert isinstance(found, dg.SensorResult)
    (request,) = found.run_requests or []
    _runs(stage, 1, WAITS, **{"dagster/run_key": str(request.run_key)})
    stage.world.clock.advance(stage.queue.launching + timedelta(seconds=1))
    assert isinstance(_tick(stage), dg.SkipReason)


def test_a_run_goes_on_that_is_at_others_while_a_row_it_has_given_back_is_forgotten(
    stage: Stage,
) -> None:
    first, _ = _want(stage, "AAPL", "MSFT", priority=Priority.CATALOG)
    run = dg.DagsterRun(job_name="bars_update", status=RUNS)
    stage.instance.add_run(run)
    rows = stage.queue.start([one.claim for one in stage.queue.rows()], run.run_id)
    stage.queue.conclude(next(one for one in rows if one.id == first), [MalformedReply("odd")])
    for _ in range(30):
        stage.world.clock.advance(stage.queue.lease / 2)
        stage.queue.renew(run.run_id)
        _tick(stage)
    found = stage.instance.get_run_by_id(run.run_id)
    assert found is not None
    assert found.status is RUNS


def test_a_run_whose_lease_is_over_is_failed_and_its_row_begun_anew(stage: Stage) -> None:
    (number,) = _want(stage, "AAPL")
    run = dg.DagsterRun(job_name="bars_update", status=RUNS)
    stage.instance.add_run(run)
    stage.queue.start([one.claim for one in stage.queue.rows()], run.run_id)
    for _ in range(2):  # a lease that is over is noted first
        stage.world.clock.advance(2 * stage.queue.lease)
        _tick(stage)
    found, row = stage.instance.get_run_by_id(run.run_id), stage.queue.task(number)
    assert found is not None
    assert row is not None
    assert found.status is dg.DagsterRunStatus.FAILURE
    assert row.launch == 1
