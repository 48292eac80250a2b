"""Amounts, stretches of time and the quota in words."""

from datetime import UTC, datetime, timedelta

import pytest

from marketdata_pipeline.cli.words import (
    amount,
    lasting,
    load_line,
    rate_line,
    share,
    turns_line,
    wish_line,
)
from marketdata_pipeline.domain.gate import Circuit, Turns
from marketdata_pipeline.domain.tiers import Tier, Wishes
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.reading.cadence import Load
from marketdata_pipeline.store.totals import Written

NOW = datetime(2024, 3, 15, 16, 0, 5, tzinfo=UTC)
TWO_SECONDS = timedelta(seconds=1.998918)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (150, "2 min"),
        (3600, "1 h"),
        (7530, "2 h 5 min"),
        (86_400, "1 d"),
        (90_000, "1 d 1 h"),
        (604_800, "7 d"),
    ],
)
def test_a_stretch_of_time_is_said_in_its_largest_unit(seconds: float, said: str) -> None:
    assert lasting(timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0"), (0.04, "<0.1"), (0.25, "0.2"), (4, "4"), (9.96, "10.0"), (1800.97, "1,801")],
)
def test_an_amount_has_no_more_digits_than_it_needs(number: float, said: str) -> None:
    assert amount(number) == said


@pytest.mark.parametrize(
    ("part", "digits", "said"),
    [(1.0, 2, "100.00 %"), (0.999999, 2, "99.99 %"), (0.9996, 1, "99.9 %"), (0.0, 1, "0.0 %")],
)
def test_less_than_all_is_never_said_to_be_all(part: float, digits: int, said: str) -> None:
    assert share(part, digits) == said


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (
            Load(2400, 1800, Timeframe.M1, timedelta(minutes=20)),
            "2,400 requests an hour wished, 1,800 allowed: 1m series are refreshed every 20 min",
        ),
        (
            Load(2.5, 1800, Timeframe.H1, None),
            "2.5 requests an hour wished, 1,800 allowed: the quota carries it",
        ),
        (
            Load(24, None, Timeframe.D1, None),
            "24 requests an hour wished; no provider was asked yet, so no quota is known",
        ),
        (Load(0, 1800, None, None), "nothing that is tracked costs requests"),
    ],
)
def test_the_wish_and_the_quota_are_one_line(load: Load, said: str) -> None:
    assert load_line(load) == said


def test_turns_say_how_many_are_free_or_until_when_there_is_none() -> None:
    free = Turns("yahoo", 2000, 200, TWO_SECONDS, 150, NOW, None)
    assert turns_line(free) == "150 of 200 turns free; 2,000 an hour, one every 2 s"
    cooling = Turns("yahoo", 2000, 200, timedelta(seconds=0.36), 0, NOW, NOW)
    assert turns_line(cooling) == (
        "no turn until 16:00:05 UTC (it asked to wait); 2,000 an hour, one every 0.36 s"
    )


def test_turns_say_what_the_breaker_says() -> None:
    shut = Turns("yahoo", 2000, 200, TWO_SECONDS, 0, NOW, NOW, Circuit.OPEN, NOW)
    assert turns_line(shut).startswith("no turn until 16:00:05 UTC (it failed too often); ")
    half = Turns("yahoo", 2000, 200, TWO_SECONDS, 0, NOW, None, Circuit.HALF_OPEN)
    assert turns_line(half).startswith("one request tries whether it is back; ")


def test_a_rate_that_refusals_have_eased_is_said_beside_it() -> None:
    eased = Turns("yahoo", 2000, 200, 2 * TWO_SECONDS, 9, NOW, None, eased=0.4999)
    assert turns_line(eased).endswith("; 2,000 an hour, one every 4 s (49 % of its rate)")


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.105, "0.1 s"), (2.4, "2.4 s"), (12, "12 s"), (3456, "57 min")]
)
def test_the_pace_is_said_in_units_that_fit(seconds: float, said: str) -> None:
    slow = Turns("yahoo", 25, 1, timedelta(seconds=seconds), 1, NOW, None)
    assert turns_line(slow).endswith(f"one every {said}")


def test_a_rate_names_requests_and_bars() -> None:
    assert rate_line(Written(1, 2500)) == "1 requests answered, 2,500 bars written"


def test_days_are_wished_after_the_close() -> None:
    said = {str(one): wish_line(one, Wishes().every(Tier.OTHER, one)) for one in Timeframe}
    assert said == {
        "1m": "5 min",
        "5m": "5 min",
        "15m": "15 min",
        "1h": "1 h",
        "4h": "4 h",
        "1d": "after the close",
        "1wk": "after the close",
    }
