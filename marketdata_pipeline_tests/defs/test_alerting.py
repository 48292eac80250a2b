"""The alert sensor: one look a tick, with what is wrong of Dagster itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test
from dagster._daemon.types import DaemonHeartbeat

from marketdata_pipeline.alerting import alerting_of
from marketdata_pipeline.config import Settings
from marketdata_pipeline.definitions import defs
from marketdata_pipeline.defs.alerting import alert_sensor, outside
from marketdata_pipeline.ingest.alerting import Alerting
from marketdata_pipeline.store.alerts import Alerts
from marketdata_pipeline_tests.alerts.receiver import Receiver, receiving
from marketdata_pipeline_tests.defs.stage import Stage
from marketdata_pipeline_tests.fakes import FrozenClock

MINUTE = timedelta(minutes=1)
NOW = FrozenClock().wall


@pytest.fixture
def instance(scheduling_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    """The stage's: one that has daemons."""
    return scheduling_instance


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@dataclass
class Opening:
    """Stands where the resource does that reads the settings."""

    stage: Stage
    settings: Settings

    @contextmanager
    def opened(self) -> Iterator[Alerting]:
        yield alerting_of(self.settings, self.stage.world.home)


def _tick(stage: Stage, urls: str = "") -> str:
    settings = Settings.model_validate({"alert_urls": urls} if urls else {})
    resources = {"alerting": Opening(stage, settings)}
    with dg.build_sensor_context(instance=stage.instance, resources=resources) as context:
        found = alert_sensor(context)
    assert isinstance(found, dg.SkipReason)
    return found.skip_message or ""


def _beat(instance: dg.DagsterInstance, ago: timedelta, part: str = "SCHEDULER") -> None:
    at = (NOW - ago).timestamp()
    instance.add_daemon_heartbeat(DaemonHeartbeat(at, part, "id"))


def _maintained(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> None:
    create_run_for_test(instance, job_name="store_maintenance", status=status)


def _kinds(instance: dg.DagsterInstance) -> list[str]:
    return [one.kind for one in outside(instance, NOW).present]


def test_it_is_on_by_itself_and_looks_every_minute() -> None:
    assert alert_sensor in (defs.sensors or [])
    assert alert_sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert alert_sensor.minimum_interval_seconds == 60


def test_a_tick_tells_once_and_starts_no_run(stage: Stage, receiver: Receiver) -> None:
    assert _tick(stage, receiver.url) == "nothing new"
    _maintained(stage.instance, dg.DagsterRunStatus.FAILURE)
    assert _tick(stage, receiver.url) == "begun: maintenance; told: maintenance"
    assert _tick(stage, receiver.url) == "nothing new"
    assert receiver.titles == ["marketdata: critical: the store's maintenance failed"]
    _maintained(stage.instance, dg.DagsterRunStatus.SUCCESS)
    assert _tick(stage, receiver.url) == "over: maintenance; told: maintenance"


def test_a_receiver_that_is_down_fails_no_tick(stage: Stage, receiver: Receiver) -> None:
    receiver.status = 500
    _maintained(stage.instance, dg.DagsterRunStatus.FAILURE)
    said = "begun: maintenance; no receiver took the message; it is sent again"
    assert _tick(stage, receiver.url) == said


def test_without_a_receiver_alerts_are_recorded(stage: Stage) -> None:
    _maintained(stage.instance, dg.DagsterRunStatus.FAILURE)
    assert _tick(stage) == "begun: maintenance"
    home = stage.world.home
    assert [one.key for one in Alerts(home.engine, home.clock).latest()] == ["maintenance"]


def test_a_url_that_cannot_be_used_fails_the_tick_in_one_sentence(stage: Stage) -> None:
    with pytest.raises(dg.Failure) as failed:
        _tick(stage, "json://example.com/")
    assert "MARKETDATA_ALERT_PLAIN_HTTP=true" in str(failed.value.description)


def test_a_part_of_the_daemon_that_is_silent_is_told_of(instance: dg.DagsterInstance) -> None:
    assert _kinds(instance) == [], "it never ran"
    _beat(instance, MINUTE)
    assert _kinds(instance) == []
    _beat(instance, 20 * MINUTE, "SENSOR")
    (found,) = outside(instance, NOW).present
    assert found.title == "Dagster's daemon is silent since 2024-03-15 20:40 UTC"
    assert "parts: SENSOR" in found.body


def test_a_part_that_the_instance_does_not_need_any_more_is_no_trouble(
    instance: dg.DagsterInstance,
) -> None:
    _beat(instance, 20 * MINUTE, "FORMER")
    assert _kinds(instance) == []


def test_only_the_last_maintenance_counts(instance: dg.DagsterInstance) -> None:
    create_run_for_test(instance, job_name="other", status=dg.DagsterRunStatus.FAILURE)
    _maintained(instance, dg.DagsterRunStatus.FAILURE)
    assert _kinds(instance) == ["maintenance"]
    _maintained(instance, dg.DagsterRunStatus.STARTED)
    assert _kinds(instance) == ["maintenance"], "one that is under way says nothing yet"
    _maintained(instance, dg.DagsterRunStatus.SUCCESS)
    assert _kinds(instance) == []
