from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from marketdata_pipeline.config import Settings
from marketdata_pipeline.domain.gate import Budget, Limits, RateLimit
from marketdata_pipeline.governor.gcra import pace_of
from marketdata_pipeline.governor.limits import LIMITS, Sourced, joined
from marketdata_pipeline.providers.registry import PROVIDERS

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


FIGURES = {
    "yahoo": ([(2000, 3600, 200)], None),
    "binance": ([(6000, 60, 300)], None),
    "coingecko": ([(100, 60, 5)], 322),
    "alphavantage": ([(1, 1, 1)], 25),
    "fmp": ([(300, 60, 10)], 250),
    "tiingo": ([(50, 3600, 10)], 1000),
    "massive": ([(5, 60, 1)], None),
    "alpaca": ([(200, 60, 20)], None),
    "ibkr": ([(60, 600, 5), (5, 2, 3)], None),
}
"""Requests, seconds, burst; credits a day: whoever changes one has looked it up again."""


def test_the_figures_are_those_that_were_looked_up() -> None:
    found = {
        name: (
            [(each.requests, each.window.total_seconds(), each.burst) for each in one.limits.rates],
            one.limits.budget and one.limits.budget.credits,
        )
        for name, one in LIMITS.items()
    }
    assert found == FIGURES


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


@pytest.mark.parametrize("name", LIMITS)
def test_what_a_provider_publishes_can_be_looked_up(name: str) -> None:
    assert "https://" in LIMITS[name].source


def test_keys_together_have_their_rates_but_each_its_own_day() -> None:
    one = Limits((RateLimit(300, MINUTE, 10), RateLimit(9, HOUR, 1)), MINUTE, Budget(250))
    assert joined(one, 3) == Limits((RateLimit(900, MINUTE, 30), RateLimit(27, HOUR, 3)), MINUTE)
    assert joined(one, 1) == replace(one, budget=None)


@pytest.mark.parametrize("name", LIMITS)
def test_all_limits_can_be_joined(name: str) -> None:
    for rate in joined(LIMITS[name].limits, 9).rates:
        assert pace_of(rate).interval > 0


def test_yahoos_settings_are_those_of_the_table() -> None:
    (rate,) = LIMITS["yahoo"].limits.rates
    settings = Settings()
    assert (settings.yahoo_requests_per_hour, settings.yahoo_burst) == (rate.requests, rate.burst)
    assert settings.yahoo_spacing == LIMITS["yahoo"].limits.spacing
