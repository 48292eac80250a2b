from datetime import date
from zoneinfo import ZoneInfo

import pytest

from marketdata_pipeline.config import Settings
from marketdata_pipeline.governor.gcra import pace_of
from marketdata_pipeline.governor.limits import LIMITS, Sourced
from marketdata_pipeline.providers.registry import PROVIDERS


def test_every_provider_that_can_be_asked_has_its_limits() -> None:
    assert set(PROVIDERS) <= set(LIMITS)


@pytest.mark.parametrize("one", LIMITS.values(), ids=LIMITS)
def test_each_line_has_limits_that_can_be_a_source_and_the_day_it_was_read(one: Sourced) -> None:
    assert one.limits.rates
    for rate in one.limits.rates:
        assert pace_of(rate).interval > 0
    assert len({rate.window for rate in one.limits.rates}) == len(one.limits.rates)
    if one.limits.budget is not None:
        assert one.limits.budget.credits > 0
        assert ZoneInfo(one.limits.budget.zone).key
    assert len(one.source) > 20
    assert date(2026, 1, 1) <= one.read_on <= date.today()  # noqa: DTZ011 - a day will do


def test_yahoos_settings_are_those_of_the_table() -> None:
    (rate,) = LIMITS["yahoo"].limits.rates
    settings = Settings()
    assert (settings.yahoo_requests_per_hour, settings.yahoo_burst) == (rate.requests, rate.burst)
    assert settings.yahoo_spacing == LIMITS["yahoo"].limits.spacing
