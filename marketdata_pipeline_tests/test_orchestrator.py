"""The client of a Dagster instance."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
    SensorInstigatorData,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.types import DaemonHeartbeat
from dagster_shared.error import SerializableErrorInfo

from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput, MarketDataError
from marketdata_pipeline.ingest.progress import Progress
from marketdata_pipeline.orchestrator import (
    INSTRUMENTS,
    Door,
    Runs,
    RunState,
    instance_state,
    latest_runs,
    partition_range,
    register_instruments,
)
from marketdata_pipeline.reading.health.instance import InstanceState, Schedule

AAPL, IBM, MSFT = (Instrument(key) for key in ("AAPL", "IBM", "MSFT"))
DAILY = (Timeframe.D1, Timeframe.W1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of an instance that knows MSFT, AAPL and IBM, in this order."""
    made = tmp_path_factory.mktemp("dagster")
    assert register_instruments(made, [MSFT, AAPL]) == 2
    assert register_instruments(made, [AAPL, IBM]) == 1
    return made


def test_keys_are_in_the_order_of_their_registration_each_once(folder: Path) -> None:
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        assert list(instance.get_dynamic_partitions(INSTRUMENTS)) == ["MSFT", "AAPL", "IBM"]


@pytest.mark.parametrize(
    ("instruments", "timeframes", "expected"),
    [
        ([AAPL], [Timeframe.D1], "AAPL|1d...AAPL|1d"),
        ([AAPL, MSFT], DAILY, "MSFT|1d...AAPL|1wk"),
        ([IBM, MSFT], DAILY[::-1], "MSFT|1d...IBM|1wk"),
    ],
)
def test_a_range_runs_from_the_first_registered_to_the_last(
    folder: Path, instruments: list[Instrument], timeframes: list[Timeframe], expected: str
) -> None:
    assert partition_range(folder, instruments, timeframes) == expected


def test_an_instrument_without_a_key_has_no_range(folder: Path) -> None:
    with pytest.raises(BadInput, match="run marketdata track first"):
        partition_range(folder, [AAPL, Instrument("META")], DAILY)


def test_a_folder_that_is_none_fails_with_one_line(tmp_path: Path) -> None:
    with pytest.raises(MarketDataError, match="cannot be used: ") as found:
        register_instruments(tmp_path / "none", [AAPL])
    assert "\n" not in str(found.value)


def test_a_storage_that_is_none_fails_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "history").write_text("no folder")
    with pytest.raises(MarketDataError, match="cannot be used: "):
        register_instruments(tmp_path, [AAPL])


RANGE = {
    "dagster/asset_partition_range_start": "MSFT|1h",
    "dagster/asset_partition_range_end": "IBM|1d",
}
WAITING, ENDED = dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.CANCELED


class Listed(dg.Config):
    """What the asset's config door is given."""

    series: list[str] = []


@dg.op(name="ohlcv")
def listed(context: dg.OpExecutionContext, config: Listed) -> None:
    """Logs progress the way the asset does; looks at its own run while it is under way."""
    folder = Path(context.run.tags["folder"])
    seen = LOOKED[folder]
    seen.append(latest_runs(folder, at_most=5))
    for done, series in enumerate(config.series, start=1):
        context.log.info(f"{done}/{len(config.series)} series={series} new=1/2")  # noqa: G004 - as it does
        seen.append(latest_runs(folder, at_most=5))
    for _ in range(50):
        context.log.info("something else, 7/9 of it")
    seen.append(latest_runs(folder, at_most=5))
    context.log.info(str(Progress(1, len(config.series), 5, 1, 0, 2.0, 2.0, 0, 0.0)))
    seen.append(latest_runs(folder, at_most=5))
    if "BAD|1d" in config.series:
        raise dg.Failure(allow_retries=False)


@dg.job(executor_def=dg.in_process_executor)
def update() -> None:
    """One op of the asset's name."""
    listed()


LOOKED: dict[Path, list[Runs]] = {}


def execute(folder: Path, *series: str) -> list[Runs]:
    """Run to the end; what was seen of it meanwhile."""
    LOOKED[folder] = []
    config: dict[str, Any] = {"ops": {"ohlcv": {"config": {"series": list(series)}}}}
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        update.execute_in_process(
            instance=instance,
            run_config=config,
            tags={"folder": str(folder)},
            raise_on_error=False,
        )
    return LOOKED.pop(folder)


def create(
    folder: Path, status: dg.DagsterRunStatus = WAITING, tags: dict[str, str] | None = None
) -> None:
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        instance.create_run_for_job(update, status=status, tags=tags)


def only(runs: Runs) -> RunState:
    (one,) = runs.shown
    return one


def test_an_instance_without_runs_has_none(tmp_path: Path) -> None:
    assert latest_runs(tmp_path, at_most=5) == Runs()


def test_a_run_under_way_says_how_far_it_is(tmp_path: Path) -> None:
    seen = execute(tmp_path, "AAPL|1d", "IBM|1d")
    assert [(one.under_way, one.waiting) for one in seen] == [(1, 0)] * 5
    runs = [only(one) for one in seen]
    assert [(one.done, one.total) for one in runs] == [(None, 2), (1, 2), (2, 2), (2, 2), (1, 2)]
    assert [one.left for one in runs] == [None, None, None, None, timedelta(seconds=30)]
    assert {one.state for one in runs} == {"started"}
    assert {one.ended for one in runs} == {None}
    assert datetime.now(UTC) - runs[0].began < timedelta(minutes=1)


def test_a_run_that_ended_says_when_and_how(tmp_path: Path) -> None:
    execute(tmp_path, "AAPL|1d", "BAD|1d")
    found = latest_runs(tmp_path, at_most=5)
    assert (found.under_way, found.waiting) == (0, 0)
    run = only(found)
    assert (run.state, run.total, run.done, run.door) == ("failure", 2, None, Door.CONFIG)
    assert run.ended is not None
    assert run.began <= run.ended <= datetime.now(UTC)


def test_a_run_that_was_cancelled_while_it_waited_has_ended(tmp_path: Path) -> None:
    create(tmp_path, ENDED)
    run = only(latest_runs(tmp_path, at_most=5))
    assert (run.state, run.total) == ("canceled", None)
    assert run.ended is not None


@pytest.mark.parametrize(
    ("tags", "door"),
    [
        ({}, Door.CONFIG),
        ({"marketdata/tier": "mass"}, Door.CONFIG),
        ({"dagster/schedule_name": "bars_refresh"}, Door.SCHEDULE),
        ({"dagster/partition": "AAPL|1d"}, Door.KEYED),
        (RANGE, Door.KEYED),
    ],
)
def test_the_door_is_known_by_the_tags(tmp_path: Path, tags: dict[str, str], door: Door) -> None:
    create(tmp_path, tags=tags)
    assert only(latest_runs(tmp_path, at_most=5)).door is door


@pytest.mark.parametrize(
    ("tags", "total"),
    [
        ({"dagster/partition": "AAPL|1d"}, 1),
        (RANGE, 3 * 3),
        ({**RANGE, "dagster/asset_partition_range_end": "AAPL|1h"}, 2),
        ({**RANGE, "dagster/asset_partition_range_end": "AAPL|1m"}, 0),
        ({**RANGE, "dagster/asset_partition_range_end": "GONE|1d"}, None),
        ({**RANGE, "dagster/asset_partition_range_end": "2024-01-01"}, None),
    ],
)
def test_a_range_of_keys_is_a_box_of_the_grid(
    tmp_path: Path, tags: dict[str, str], total: int | None
) -> None:
    register_instruments(tmp_path, [MSFT, AAPL, IBM])
    create(tmp_path, tags=tags)
    assert only(latest_runs(tmp_path, at_most=5)).total == total


def test_runs_that_wait_come_before_those_that_ended_and_are_counted(tmp_path: Path) -> None:
    for status in (WAITING, ENDED, WAITING, ENDED, WAITING):
        create(tmp_path, status)
    found = latest_runs(tmp_path, at_most=2)
    assert [one.state for one in found.shown] == [
        "not started",
        "not started",
        "canceled",
        "canceled",
    ]
    assert (found.under_way, found.waiting) == (0, 3)


def know(instance: dg.DagsterInstance, name: str, status: InstigatorStatus) -> None:
    """Have the instance know a schedule or a sensor, as its daemon does once it has seen one."""
    target = LoadableTargetOrigin(module_name="mine")
    place = ManagedGrpcPythonEnvCodeLocationOrigin(target, location_name="here")
    origin = RemoteRepositoryOrigin(place, "all").get_instigator_origin(name)
    kind, data = InstigatorType.SCHEDULE, ScheduleInstigatorData("* * * * *")
    state = InstigatorState(origin, kind, status, data)
    if name == "sensor":
        state = InstigatorState(origin, InstigatorType.SENSOR, status, SensorInstigatorData())
    instance.add_instigator_state(state)


def test_an_instance_without_daemon_knows_no_schedule(tmp_path: Path) -> None:
    assert instance_state(tmp_path) == InstanceState()


def test_schedules_that_a_daemon_has_seen_are_on_or_off(tmp_path: Path) -> None:
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        for name, status in (
            ("declared", InstigatorStatus.DECLARED_IN_CODE),
            ("started", InstigatorStatus.RUNNING),
            ("stopped", InstigatorStatus.STOPPED),
        ):
            know(instance, name, status)
        know(instance, "sensor", InstigatorStatus.RUNNING)
    found = sorted(instance_state(tmp_path).schedules, key=lambda one: one.name)
    assert found == [
        Schedule("declared", "here", on=True),
        Schedule("started", "here", on=True),
        Schedule("stopped", "here", on=False),
    ]


def test_the_daemons_beat_is_that_of_the_part_that_runs_schedules(tmp_path: Path) -> None:
    error = SerializableErrorInfo("no space\n  left", [], "OSError", None)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        instance.add_daemon_heartbeat(DaemonHeartbeat(1000.5, "SCHEDULER", "x", []))
        instance.add_daemon_heartbeat(DaemonHeartbeat(2000.0, "SENSOR", "x", [error]))
    found = instance_state(tmp_path)
    assert found.beat == datetime(1970, 1, 1, 0, 16, 40, 500_000, tzinfo=UTC)
    assert found.errors == ("no space left",)


def test_a_broken_instance_has_no_state_but_one_line(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("storage: 7")
    with pytest.raises(MarketDataError, match="cannot be used: ") as found:
        instance_state(tmp_path)
    assert "\n" not in str(found.value)
