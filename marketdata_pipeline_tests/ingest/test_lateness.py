"""How many sessions a series is late."""

from datetime import UTC, datetime

import pytest

from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.ingest.lateness import sessions_late, sessions_since


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("series", "last", "now", "late"),
    [
        ("AAPL|1d", "2024-03-14", "2024-03-15T19:59", 0),  # Friday's close is at 20:00
        ("AAPL|1d", "2024-03-14", "2024-03-15T20:00", 1),
        ("AAPL|1d", "2024-03-14", "2024-03-17T20:00", 1),  # a weekend is no session
        ("AAPL|1d", "2024-03-14", "2024-03-18T20:00", 2),
        ("AAPL|1d", "2024-03-28", "2024-03-29T23:00", 0),  # Good Friday
        ("AAPL|1h", "2024-03-14T19:30", "2024-03-15T19:00", 0),
        ("AAPL|1h", "2024-03-14T19:30", "2024-03-15T20:00", 1),
        ("AAPL|1h", "2024-03-15T18:30", "2024-03-15T20:00", 1),  # its last bar is absent
        ("AAPL|1m", "2024-03-15T19:59", "2024-03-15T20:00", 0),
        ("AAPL|1wk", "2024-03-04", "2024-03-15T19:00", 0),
        ("AAPL|1wk", "2024-03-04", "2024-03-15T20:00", 1),
        ("AAPL|1wk", "2024-03-04", "2024-03-22T20:00", 2),
        ("BTC-USD|1d", "2024-03-14", "2024-03-17T00:00", 2),
        ("AAPL|1d", "2024-03-20", "2024-03-15T20:00", 0),  # a clock that was set back
    ],
)
def test_sessions_that_closed_and_of_which_there_is_nothing_count(
    series: str, last: str, now: str, late: int
) -> None:
    assert sessions_late(Series.parse(series), at(last), at(now)) == late


def test_of_a_series_that_is_late_for_years_a_year_is_counted() -> None:
    assert 250 < sessions_late(Series.parse("AAPL|1d"), at("2010-01-04"), at("2024-03-15")) < 290


@pytest.mark.parametrize(
    ("since", "until", "count"),
    [
        ("2024-03-14T20:00", "2024-03-15T20:00", 1),
        ("2024-03-14T19:59", "2024-03-15T20:00", 2),
        ("2024-03-15T20:00", "2024-03-18T13:00", 0),
        ("2024-03-18", "2024-03-15", 0),
    ],
)
def test_sessions_since_an_instant_are_those_that_closed_after_it(
    since: str, until: str, count: int
) -> None:
    assert sessions_since(Instrument("AAPL"), at(since), at(until)) == count
