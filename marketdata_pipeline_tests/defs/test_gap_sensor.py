"""The sensor of gaps: what is due is in the queue a tick later, and said in a sentence."""

from datetime import date, timedelta

import dagster as dg
import pytest

from marketdata_pipeline.definitions import defs
from marketdata_pipeline.defs.gap_sensor import gap_sensor
from marketdata_pipeline.domain.backfill import Status
from marketdata_pipeline_tests.defs.stage import Choosy, Stage
from marketdata_pipeline_tests.ingest.many import Market
from marketdata_pipeline_tests.ingest.world import day


def _tick(stage: Stage) -> str:
    with dg.build_sensor_context(instance=stage.instance, resources={"pipeline": stage}) as context:
        found = gap_sensor(context)
        assert isinstance(found, dg.SkipReason)
        return str(found.skip_message)


def test_a_hole_is_in_the_queue_once_it_is_due_and_not_before(
    stage: Stage, provider: Choosy
) -> None:
    provider.lacking = {day("2024-03-13")}
    stage.track("AAPL", "MSFT")
    stage.by_config("AAPL|1d", "MSFT|1d")
    assert _tick(stage) == "no hole is due"
    stage.world.clock.advance(timedelta(minutes=59))
    assert _tick(stage) == "no hole is due"
    stage.world.clock.advance(timedelta(minutes=1))
    assert _tick(stage) == "put into the queue: 2 series of 2 instruments"
    rows = stage.queue.rows([Status.PENDING])
    assert [str(one.start) for one in rows] == [str(day("2024-03-13"))] * 2
    assert _tick(stage) == "no hole is due"  # nobody asks twice
    assert len(stage.queue.rows()) == 2


@pytest.mark.usefixtures("provider")
def test_an_incident_is_told_of(stage: Stage) -> None:
    market = Market.of(stage.world, 5, lost=["2024-03-13"], losers=5)
    market.update()
    stage.world.clock.advance(timedelta(minutes=20))
    assert _tick(stage) == (
        "no hole is due; incident 1 (open): was XNYS closed on 2024-03-13? none of 5 series has a "
        "bar; if it was: marketdata calendar close XNYS 2024-03-13 --reason ..."
    )
    assert date(2024, 3, 13) in market.incidents()[0].sessions


def test_it_runs_without_anybody_switching_it_on() -> None:
    assert gap_sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert "gap_sensor" in {one.name for one in defs.sensors or ()}
