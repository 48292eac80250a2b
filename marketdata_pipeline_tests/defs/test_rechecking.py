"""The job that judges all stored bars anew: no request, every check evaluated, bad bars found."""

from datetime import timedelta

import dagster as dg

from marketdata_pipeline.defs.rechecking import quality_check, weekly_quality_check
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.thresholds import Severity
from marketdata_pipeline.quality.rules import RULES
from marketdata_pipeline_tests.defs.stage import Choosy, Stage, checks, failure, worst
from marketdata_pipeline_tests.defs.test_checks import spoil

AAPL = Series.parse("AAPL|1d")


def recheck(stage: Stage, *instruments: str) -> dg.ExecuteInProcessResult:
    """A run of the job on the stage."""
    config = {"ops": {"judge_everything": {"config": {"instruments": list(instruments)}}}}
    return quality_check.execute_in_process(
        run_config=config,
        instance=stage.instance,
        resources={"pipeline": stage},
        raise_on_error=False,
    )


def test_every_check_is_evaluated_without_any_request(stage: Stage, provider: Choosy) -> None:
    stage.by_key("AAPL|1d")
    stage.by_key("MSFT|1d")
    asked = len(provider.asked)
    stage.world.clock.advance(timedelta(days=1))
    result = recheck(stage)
    assert result.success
    found = checks(result)
    assert set(found) == set(RULES)
    assert all(one.passed for one in found.values())
    assert found["coverage_holds"].description == "over all 2 series; this run: 2 of 2 ok"
    assert len(provider.asked) == asked
    assert not result.get_asset_materialization_events()


def test_a_stored_bar_that_was_made_wrong_turns_its_checks_red(stage: Stage) -> None:
    stage.by_key("AAPL|1d")
    assert checks(recheck(stage))["ohlc_relations"].passed
    spoil(stage, "2023-06-07")
    found = checks(recheck(stage))
    red = {name for name, one in found.items() if not one.passed}
    assert red == {"bars_contract", "ohlc_relations"}
    assert "2023-06-07" in worst(found["ohlc_relations"])
    assert found["bars_contract"].severity is dg.AssetCheckSeverity.ERROR


def test_the_latest_result_that_dagster_shows_is_that_of_the_job(stage: Stage) -> None:
    stage.by_key("AAPL|1d")
    spoil(stage, "2023-06-07")
    result = recheck(stage)
    key = dg.AssetCheckKey(dg.AssetKey("ohlcv"), "bars_contract")
    (latest,) = stage.instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    assert latest.run_id == result.run_id
    assert latest.status.value == "FAILED"


def test_only_the_named_instruments_are_judged(stage: Stage) -> None:
    stage.by_key("AAPL|1d")
    stage.by_key("MSFT|1d")
    found = checks(recheck(stage, "MSFT"))
    assert found["spikes"].description == "over all 2 series; this run: 1 of 1 ok"


def test_where_checks_block_an_error_fails_the_job(stage: Stage) -> None:
    stage.by_key("AAPL|1d")
    spoil(stage, "2023-06-07")
    assert recheck(stage).success
    stage.severity = Severity(blocking=True)
    said = failure(recheck(stage)).description
    assert said is not None
    assert said.startswith("2 checks failed with an error, first: bars_contract")


def test_it_runs_each_week_unless_the_last_one_does() -> None:
    assert weekly_quality_check.cron_schedule == "30 4 * * 6"
    assert weekly_quality_check.default_status is dg.DefaultScheduleStatus.RUNNING
