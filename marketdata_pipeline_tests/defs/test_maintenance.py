"""The job that looks after store and records, and its schedule."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import func, select, update

from marketdata_pipeline.database.engine import writing
from marketdata_pipeline.database.metadata import chunks, series
from marketdata_pipeline.defs import maintenance
from marketdata_pipeline.defs.maintenance import UPKEEP, store_maintenance
from marketdata_pipeline.defs.schedules import weekly_maintenance
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.gate import Attempt, Ending, Turn
from marketdata_pipeline.domain.ranges import to_micros
from marketdata_pipeline.governor.log import record
from marketdata_pipeline_tests.conftest import ROOT
from marketdata_pipeline_tests.defs.stage import Stage

pytestmark = pytest.mark.proof

STEPS = {"compact", "collect", "verify", "prune_requests", "prune_dagster"}
MONTH = timedelta(days=31)


@pytest.fixture
def instance(sqlite_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    return sqlite_instance


def _maintained(stage: Stage) -> dg.ExecuteInProcessResult:
    """The job of the real definitions, run by itself."""
    definitions = dg.Definitions(
        jobs=[store_maintenance], resources={"pipeline": stage}, executor=dg.in_process_executor
    )
    job = definitions.resolve_job_def("store_maintenance")
    return job.execute_in_process(instance=stage.instance, raise_on_error=False)


def _told(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    """What each step that succeeded said that it did."""
    found = {}
    for event in result.all_node_events:
        if event.is_successful_output:
            said = event.step_output_data.metadata
            found[event.node_name] = {name: value.value for name, value in said.items()}
    return found


def _chunks(stage: Stage) -> dict[str, int]:
    """How many chunks there are of each series."""
    counted = select(series.c.key, func.count()).join_from(series, chunks).group_by(series.c.key)
    with stage.world.home.engine.connect() as connection:
        return {row.key: int(row[1]) for row in connection.execute(counted)}


def _failures(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    return {
        event.node_name: event.step_failure_data.user_failure_data
        for event in result.all_node_events
        if event.is_step_failure
    }


def _fetched(stage: Stage, *keys: str) -> None:
    """Two chunks of each series."""
    stage.by_config(*keys, start="2023-06-01", end="2023-07-01")
    stage.by_config(*keys, start="2023-07-01", end="2023-08-01")


def _damage(stage: Stage, key: str) -> None:
    """Change what is stored of a series."""
    ids = select(series.c.id).where(series.c.key == key)
    with stage.world.home.engine.begin() as connection:
        wanted = update(chunks).where(chunks.c.series_id.in_(ids))
        connection.execute(wanted.values(checksum="s8:00"))


def test_every_step_tells_what_it_did(stage: Stage) -> None:
    _fetched(stage, "AAPL|1d", "MSFT|1d")
    result = _maintained(stage)
    assert result.success
    told = _told(result)
    assert set(told) == STEPS
    assert all(one["seconds"] >= 0 for one in told.values())
    assert told["compact"].items() >= {"series": 2, "merged": 4, "made": 2, "bars": 82}.items()
    assert told["collect"].items() >= {"superseded_chunks": 0, "bytes_freed": 0}.items()
    assert told["verify"].items() >= {"series": 2, "of": 2, "faults": 0}.items()
    assert told["prune_requests"].items() >= {"requests": 0}.items()
    assert told["prune_dagster"].items() >= {"runs": 0, "events": 0}.items()


def test_requests_that_are_logged_for_long_are_removed(stage: Stage) -> None:
    clock = stage.world.clock
    clock.wall = datetime.now(UTC)
    turn = Turn("yahoo", 0, Errand())
    with writing(stage.world.home.engine) as connection:
        for days in (9, 8, 6):
            attempt = Attempt(Ending.TIMEOUT, took=timedelta(seconds=1))
            record(connection, turn, attempt, to_micros(clock.wall - timedelta(days=days)))
    assert _told(_maintained(stage))["prune_requests"]["requests"] == 2
    assert _told(_maintained(stage))["prune_requests"]["requests"] == 0


def test_old_runs_are_pruned_and_partitions_stay_green(stage: Stage) -> None:
    first = stage.by_key("AAPL|1d").run_id
    second = stage.by_key("AAPL|1d").run_id
    stage.world.clock.wall = datetime.now(UTC) + MONTH
    result = _maintained(stage)
    told = _told(result)["prune_dagster"]
    assert (told["runs"], told["thinned"]) == (1, 1)
    assert told["bytes_freed"] == told["bytes_before"] - told["bytes_after"] > 0
    assert set(stage.instance.get_run_ids()) == {second, result.run_id}, first
    assert stage.materialized() == {"AAPL|1d"}


def test_a_retention_of_nothing_keeps_everything(stage: Stage) -> None:
    stage.by_key("AAPL|1d")
    stage.by_key("AAPL|1d")
    stage.world.clock.wall = datetime.now(UTC) + MONTH
    stage.dagster_retention = timedelta(0)
    result = _maintained(stage)
    assert result.success
    assert len(stage.instance.get_run_ids()) == 3
    assert "prune_dagster" not in {one for one, said in _told(result).items() if said}


def test_a_fault_fails_its_steps_and_no_other(stage: Stage) -> None:
    _fetched(stage, "AAPL|1d", "MSFT|1d")
    _damage(stage, "AAPL|1d")
    result = _maintained(stage)
    assert not result.success
    failures = _failures(result)
    assert set(failures) == {"compact", "verify"}
    assert set(_told(result)) == STEPS - {"compact", "verify"}
    said = failures["verify"].description
    assert said.startswith("2 faults in 2 series; docs/recover.md says what to do, first: AAPL|1d")
    listed = failures["verify"].metadata["failed"].value
    assert listed.count("unreadable: ") == 2
    assert failures["compact"].description.startswith("1 of 2 series were not compacted, first")
    assert _chunks(stage) == {"AAPL|1d": 2, "MSFT|1d": 1}


def test_a_long_list_of_faults_is_cut(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "_LISTED", 1)
    _fetched(stage, "AAPL|1d")
    _damage(stage, "AAPL|1d")
    table = _failures(_maintained(stage))["verify"].metadata["failed"].value
    assert table.count("unreadable: ") == 1
    assert "and 1 more" in table


def test_records_that_are_kept_elsewhere_fail_the_pruning_alone(stage: Stage) -> None:
    with dg.DagsterInstance.ephemeral() as elsewhere:
        stage.instance = elsewhere
        failures = _failures(_maintained(stage))
    assert set(failures) == {"prune_dagster"}
    assert "so nothing was" in failures["prune_dagster"].description


def test_the_job_runs_by_itself_on_sundays_at_three() -> None:
    assert weekly_maintenance.cron_schedule == "0 3 * * 0"
    assert weekly_maintenance.execution_timezone == "UTC"
    assert weekly_maintenance.default_status is dg.DefaultScheduleStatus.RUNNING
    assert weekly_maintenance.job_name == "store_maintenance"


def _looked(stage: Stage) -> list[dg.RunRequest | dg.SkipReason]:
    with dg.build_schedule_context(instance=stage.instance) as context:
        found = weekly_maintenance(context)
        assert isinstance(found, Iterator)
        return list(found)


def test_one_that_is_under_way_is_not_started_again(stage: Stage) -> None:
    (request,) = _looked(stage)
    assert isinstance(request, dg.RunRequest)
    status = dg.DagsterRunStatus.STARTED
    stage.instance.create_run_for_job(store_maintenance, status=status)
    (skip,) = _looked(stage)
    assert isinstance(skip, dg.SkipReason)
    assert skip.skip_message == "a run of store_maintenance is still under way"


def test_other_runs_and_finished_ones_are_not_in_the_way(stage: Stage) -> None:
    stage.instance.create_run_for_job(stage.job(), status=dg.DagsterRunStatus.STARTED)
    stage.instance.create_run_for_job(store_maintenance, status=dg.DagsterRunStatus.FAILURE)
    assert isinstance(_looked(stage)[0], dg.RunRequest)


def test_the_instance_lets_one_go_at_a_time() -> None:
    settings = (ROOT / "dagster.yaml").read_text("utf-8")
    key = "marketdata/tier"
    assert f"key: {key}\n        value: {UPKEEP[key]}\n        limit: 1\n" in settings
    assert store_maintenance.tags.items() >= UPKEEP.items()
