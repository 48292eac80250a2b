"""Every bar finds its label, whichever end of it the file labels, in whichever zone."""

from datetime import UTC, datetime

import numpy as np
import pytest

from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.ranges import to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.ingest.importing.placing import placed
from marketdata_pipeline.ingest.importing.terms import Side
from marketdata_pipeline.ingest.importing.times import UNKNOWN, Stamps, shown
from marketdata_pipeline_tests.ingest.world import days

YEAR = days("2023-07-01", "2024-07-01")


def _at(*texts: str) -> np.ndarray:
    return np.array([to_micros(datetime.fromisoformat(one).replace(tzinfo=UTC)) for one in texts])


def _placed(wall: np.ndarray, side: Side, zone: str, series: str) -> list[int]:
    found: list[int] = placed(Stamps(wall), side, zone, Series.parse(series)).labels.tolist()
    return found


INTRADAY = [
    Series.parse(f"{name}|{timeframe}")
    for name in ("AAPL", "7203.T", "0700.HK", "BTC-USD", "EURUSD=X", "ES=F")
    for timeframe in ("1m", "1h", "4h")
]


@pytest.mark.parametrize("series", INTRADAY, ids=str)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_every_expected_bar_is_found_by_its_open_and_by_its_close(
    series: Series, zone: str
) -> None:
    """With half days, lunch breaks, short last bars and both changes of the clocks."""
    within = days("2023-10-25", "2023-11-29") if series.timeframe is Timeframe.M1 else YEAR
    grid = calendar_of(series.instrument).grid(series.timeframe, within)
    for side, instants in ((Side.OPEN, grid.labels), (Side.CLOSE, grid.closes)):
        stamps = Stamps(shown(instants, zone), instants)
        found = placed(stamps, side, zone, series)
        assert found.labels.tolist() == grid.labels.tolist()
        assert found.moved == (0 if side is Side.OPEN else len(grid.labels))


@pytest.mark.parametrize(
    ("series", "zone"),
    [("AAPL|1h", "America/New_York"), ("AAPL|1m", "Europe/London"), ("7203.T|1h", "Asia/Tokyo")],
)
def test_clock_readings_without_an_offset_are_found_in_the_stated_zone(
    series: str, zone: str
) -> None:
    one = Series.parse(series)
    within = days("2024-03-04", "2024-03-19")
    grid = calendar_of(one.instrument).grid(one.timeframe, within)
    assert _placed(shown(grid.closes, zone), Side.CLOSE, zone, series) == grid.labels.tolist()


def test_a_close_is_no_label_plus_a_duration() -> None:
    """On 2023-11-24 New York closed at 13:00: the last hour is half as long."""
    closes = _at("2023-11-24 13:00", "2023-11-24 13:30", "2023-11-22 16:00", "2023-11-22 16:30")
    found = _placed(closes, Side.CLOSE, "America/New_York", "AAPL|1h")
    opens = [*_at("2023-11-24 17:30"), UNKNOWN, *_at("2023-11-22 20:30"), UNKNOWN]
    assert found == opens


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("AAPL", "America/New_York"),
        ("AZN.L", "Europe/London"),
        ("7203.T", "Asia/Tokyo"),
        ("PETR4.SA", "America/Sao_Paulo"),  # where midnight was left out until 2018
        ("EURUSD=X", "Europe/London"),
        ("ES=F", "America/New_York"),
        ("BTC-USD", "UTC"),
    ],
)
def test_dates_are_those_of_the_exchange(name: str, zone: str) -> None:
    series = Series.parse(f"{name}|1d")
    labels = calendar_of(series.instrument).grid(Timeframe.D1, days("2017-06-01", "2018-12-31"))
    dates = labels.labels
    assert _placed(dates, Side.OPEN, zone, str(series)) == dates.tolist()
    assert _placed(dates, Side.OPEN, "UTC", str(series)) == dates.tolist()
    day_after = dates + 86_400_000_000
    assert _placed(day_after, Side.CLOSE, zone, str(series)) == dates.tolist()


def test_midnights_of_the_exchange_in_utc_are_its_dates() -> None:
    instants = _at("2024-01-02 05:00", "2024-07-02 04:00", "2024-01-02 00:00")
    found = placed(Stamps(instants, instants), Side.OPEN, "UTC", Series.parse("AAPL|1d"))
    assert found.labels.tolist() == _at("2024-01-02", "2024-07-02", "2024-01-02").tolist()


def test_a_day_may_be_labelled_by_the_instant_at_which_it_opens_or_by_when_it_closed() -> None:
    opens = _at("2024-01-02 09:30", "2024-01-02 15:59")
    assert _placed(opens, Side.OPEN, "America/New_York", "AAPL|1d") == [
        *_at("2024-01-02"),
        UNKNOWN,
    ]
    closes = _at("2024-01-02 16:00", "2023-11-24 13:00", "2024-01-03 00:00")
    assert _placed(closes, Side.CLOSE, "America/New_York", "AAPL|1d") == [
        *_at("2024-01-02", "2023-11-24", "2024-01-02")
    ]


def test_a_day_of_crypto_is_utcs_wherever_the_clock_hangs() -> None:
    there = _at("2024-01-01 19:00", "2024-01-02 00:00")
    found = _placed(there, Side.OPEN, "America/New_York", "BTC-USD|1d")
    assert found == [*_at("2024-01-02"), UNKNOWN]
    closes = _at("2024-01-03 00:00", "2024-01-03 12:00")
    assert _placed(closes, Side.CLOSE, "UTC", "BTC-USD|1d") == [*_at("2024-01-02"), UNKNOWN]


@pytest.mark.parametrize("name", ["AAPL", "BTC-USD", "EURUSD=X"])
def test_weeks_are_labelled_by_their_monday(name: str) -> None:
    series = Series.parse(f"{name}|1wk")
    mondays = calendar_of(series.instrument).grid(Timeframe.W1, YEAR).labels
    assert _placed(mondays, Side.OPEN, "UTC", str(series)) == mondays.tolist()
    next_mondays = mondays + 7 * 86_400_000_000
    assert _placed(next_mondays, Side.CLOSE, "UTC", str(series)) == mondays.tolist()


def test_a_week_begins_with_its_first_session_and_ends_with_its_last() -> None:
    begins = _at("2024-01-16", "2024-01-17", "2024-01-21")  # the 15th was a holiday
    assert _placed(begins, Side.OPEN, "UTC", "AAPL|1wk") == [*_at("2024-01-15"), UNKNOWN, UNKNOWN]
    zone = "America/New_York"
    ends = _at("2024-01-19 16:00", "2024-01-20 00:00", "2024-01-18 16:00", "2024-03-28 16:00")
    assert _placed(ends, Side.CLOSE, zone, "AAPL|1wk") == [
        *_at("2024-01-15", "2024-01-15"),
        UNKNOWN,
        *_at("2024-03-25"),  # Good Friday
    ]


def test_a_time_that_is_not_to_be_told_has_no_label() -> None:
    """02:30 was left out on 2024-03-10; a date is a date all the same."""
    wall = np.array([UNKNOWN, *_at("2024-03-10 02:30")])
    found = placed(Stamps(wall), Side.OPEN, "America/New_York", Series.parse("BTC-USD|15m"))
    assert found.labels.tolist() == [UNKNOWN, UNKNOWN]
    assert found.instants.tolist() == [UNKNOWN, UNKNOWN]


def test_absurd_times_have_no_label() -> None:
    far = np.array([2**62, -(2**62), *_at("2024-01-02")])
    for side in Side:
        found = placed(Stamps(far, far), side, "UTC", Series.parse("AAPL|1d"))
        assert found.labels.tolist()[:2] == [UNKNOWN, UNKNOWN]


def test_days_before_the_calendar_begins_keep_their_dates() -> None:
    dates = _at("1962-01-02", "1926-01-04")
    assert _placed(dates, Side.OPEN, "America/New_York", "IBM|1d") == dates.tolist()
