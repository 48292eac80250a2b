"""When schedules tick: the settings as cron strings."""

from datetime import time

import dagster as dg
import pytest

from marketdata_pipeline.config import Settings
from marketdata_pipeline.config.values import Weekly
from marketdata_pipeline.defs.schedules import daily_refresh
from marketdata_pipeline.defs.tending import weekly_cleanup
from marketdata_pipeline.defs.times import Times, every


def test_times_are_those_of_the_settings() -> None:
    settings = Settings.model_construct(
        priority_minutes=3,
        other_minutes=90,
        daily_refresh_at=time(7, 5),
        cleanup_at=Weekly(0, time(23, 30)),
        schedule_zone="America/New_York",
    )
    times = Times.of(settings)
    assert times.priority == ["*/3 * * * *"]
    assert len(times.other) == 2
    assert (times.daily, times.cleanup) == ("5 7 * * *", "30 23 * * 1")
    for schedule in (daily_refresh(times), weekly_cleanup(times)):
        assert schedule.execution_timezone == "America/New_York"


def test_the_week_of_a_cron_string_begins_on_sunday() -> None:
    assert Times.of(Settings.model_construct()).cleanup == "0 2 * * 0"


@pytest.mark.parametrize("minutes", [1, 2, 7, 15, 45, 60, 90, 720, 1440])
def test_ticks_are_so_many_minutes_apart_all_day(minutes: int) -> None:
    ticks = set()
    for cron in every(minutes):
        minute, hour, *rest = cron.split()
        assert rest == ["*", "*", "*"]
        hours = range(24) if hour == "*" else [int(one) for one in hour.split(",")]
        step = int(minute.removeprefix("*/")) if "/" in minute else None
        at = range(0, 60, step) if step else [int(minute)]
        ticks |= {60 * one + two for one in hours for two in at}
    assert sorted(ticks) == list(range(0, 1440, minutes))


def test_a_setting_that_is_wrong_is_said_in_its_sentence_when_definitions_load(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MARKETDATA_CLEANUP_AT", "someday")
    said = "^MARKETDATA_CLEANUP_AT is 'someday', it must be a day and a time such as Sun 02:00; "
    with pytest.raises(dg.DagsterInvalidDefinitionError, match=said) as caught:
        Times.configured()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
