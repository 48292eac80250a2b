"""Calendars: grids, closings and opening hours of every kind of market."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata_pipeline.domain import schedules
from marketdata_pipeline.domain.calendars import Grid, calendar_of
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.schedules import EARLIEST
from marketdata_pipeline.domain.timeframe import Timeframe

H1, H4, D1, W1 = Timeframe.H1, Timeframe.H4, Timeframe.D1, Timeframe.W1
MARKETS = ["AAPL", "AZN.L", "0700.HK", "7203.T", "APS.AX", "BTC-USD", "EURUSD=X", "ES=F"]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def grid_of(symbol: str, timeframe: Timeframe, start: str, end: str) -> Grid:
    within = TimeRange(at(start), at(end))
    return calendar_of(Instrument.parse(symbol)).grid(timeframe, within)


def spelled(micros: np.ndarray) -> list[str]:
    return [f"{from_micros(int(one)):%m-%dT%H:%M}" for one in micros]


def labels(symbol: str, timeframe: Timeframe, start: str, end: str) -> list[str]:
    return spelled(grid_of(symbol, timeframe, start, end).labels)


def closes(symbol: str, timeframe: Timeframe, start: str, end: str) -> list[str]:
    return spelled(grid_of(symbol, timeframe, start, end).closes)


def closed_until(symbol: str, timeframe: Timeframe, now: str) -> str | None:
    found = calendar_of(Instrument.parse(symbol)).closed_until(timeframe, at(now))
    return None if found is None else f"{found:%Y-%m-%dT%H:%M}"


def is_open(symbol: str, now: str) -> bool:
    return calendar_of(Instrument.parse(symbol)).is_open(at(now))


# New York


def test_an_hourly_day_in_new_york_starts_at_half_past_nine_and_ends_with_a_short_bar() -> None:
    assert labels("AAPL", H1, "2024-01-03", "2024-01-04") == [
        f"01-03T{hour}:30" for hour in range(14, 21)
    ]
    assert closes("AAPL", H1, "2024-01-03", "2024-01-04")[-2:] == ["01-03T20:30", "01-03T21:00"]


@pytest.mark.parametrize(
    ("day", "opening", "second"),
    [
        ("2024-03-08", "14:30", "18:30"),
        ("2024-03-11", "13:30", "17:30"),
        ("2024-11-01", "13:30", "17:30"),
        ("2024-11-04", "14:30", "18:30"),
    ],
)
def test_the_grid_follows_new_yorks_clock_over_both_edges_of_summer(
    day: str, opening: str, second: str
) -> None:
    month_day = day[5:]
    end = f"{day}T23:59"
    assert labels("AAPL", H4, day, end) == [f"{month_day}T{opening}", f"{month_day}T{second}"]
    assert labels("AAPL", H1, day, end)[0] == f"{month_day}T{opening}"


def test_a_half_day_closes_at_one_in_new_york() -> None:
    half, end = "2024-11-29", "2024-11-30"
    assert labels("AAPL", H1, half, end) == [f"11-29T{hour}:30" for hour in range(14, 18)]
    assert closes("AAPL", H1, half, end)[-1] == "11-29T18:00"
    assert closes("AAPL", D1, half, end) == ["11-29T18:00"]
    assert closes("AAPL", H4, half, end) == ["11-29T18:00"]
    assert len(labels("AAPL", Timeframe.M1, half, end)) == 210


def test_weekends_and_holidays_have_no_bars() -> None:
    assert labels("AAPL", D1, "2024-03-28", "2024-04-02") == ["03-28T00:00", "04-01T00:00"]
    assert labels("AAPL", D1, "2001-09-10", "2001-09-18") == ["09-10T00:00", "09-17T00:00"]


def test_a_week_is_labelled_monday_also_when_monday_is_a_holiday() -> None:
    assert labels("AAPL", W1, "2024-05-20", "2024-06-03") == ["05-20T00:00", "05-27T00:00"]
    assert closes("AAPL", W1, "2024-05-20", "2024-06-03") == ["05-24T20:00", "05-31T20:00"]


def test_a_week_closes_on_thursday_before_good_friday() -> None:
    assert closes("AAPL", W1, "2024-03-25", "2024-04-01") == ["03-28T20:00"]


def test_a_range_that_ends_in_a_week_knows_when_that_week_closes() -> None:
    assert closes("AAPL", W1, "2024-05-20", "2024-05-20T00:01") == ["05-24T20:00"]
    assert closes("BTC-USD", W1, "2024-05-20", "2024-05-20T00:01") == ["05-27T00:00"]


def test_a_range_that_starts_in_a_week_does_not_hold_that_weeks_label() -> None:
    assert labels("AAPL", W1, "2024-05-21", "2024-05-28") == ["05-27T00:00"]


# Lunch breaks


def test_hong_kong_breaks_for_lunch_and_starts_its_grid_again() -> None:
    day = ("2024-01-03", "2024-01-04")
    assert labels("0700.HK", H1, *day) == [
        f"01-03T{label}" for label in ("01:30", "02:30", "03:30", "05:00", "06:00", "07:00")
    ]
    assert closes("0700.HK", H1, *day)[2] == "01-03T04:00"
    assert labels("0700.HK", H4, *day) == ["01-03T01:30", "01-03T05:00"]
    assert closes("0700.HK", D1, *day) == ["01-03T08:00"]


def test_a_half_day_in_hong_kong_ends_before_lunch() -> None:
    assert labels("0700.HK", H1, "2024-12-24", "2024-12-25") == [
        "12-24T01:30",
        "12-24T02:30",
        "12-24T03:30",
    ]


def test_tokyo_breaks_for_lunch_and_closes_half_an_hour_later_since_november_2024() -> None:
    assert labels("7203.T", H1, "2024-11-01", "2024-11-02") == [
        f"11-01T{label}" for label in ("00:00", "01:00", "02:00", "03:30", "04:30", "05:30")
    ]
    assert closes("7203.T", H1, "2024-11-01", "2024-11-02")[2:4] == ["11-01T02:30", "11-01T04:30"]
    assert closes("7203.T", D1, "2024-11-01", "2024-11-02") == ["11-01T06:00"]
    assert closes("7203.T", D1, "2024-11-05", "2024-11-06") == ["11-05T06:30"]


def test_sydney_opens_on_the_utc_day_before_the_date_that_labels_it() -> None:
    assert labels("APS.AX", D1, "2024-01-08", "2024-01-09") == ["01-08T00:00"]
    assert labels("APS.AX", H1, "2024-01-07", "2024-01-08")[0] == "01-07T23:00"


# CME


def test_cme_opens_at_17_chicago_and_breaks_for_an_hour_at_16() -> None:
    day = grid_of("ES=F", H1, "2024-01-08T20:00", "2024-01-09T02:00")
    assert spelled(day.labels) == [
        f"01-0{label}" for label in ("8T20:00", "8T21:00", "8T23:00", "9T00:00", "9T01:00")
    ]
    assert spelled(day.closes)[1] == "01-08T22:00"


def test_a_cme_session_is_labelled_by_the_day_it_ends_on_and_closes_at_16_chicago() -> None:
    assert labels("ES=F", D1, "2024-01-06", "2024-01-10") == ["01-08T00:00", "01-09T00:00"]
    assert closes("ES=F", D1, "2024-01-08", "2024-01-09") == ["01-08T22:00"]
    assert closes("ES=F", D1, "2024-07-08", "2024-07-09") == ["07-08T21:00"]


def test_cme_bars_of_sunday_evening_belong_to_no_range_that_ends_before_it() -> None:
    assert labels("ES=F", H1, "2024-01-06", "2024-01-07T23:00") == []
    assert labels("ES=F", H1, "2024-01-06", "2024-01-07T23:01") == ["01-07T23:00"]
    assert labels("ES=F", H4, "2024-01-07", "2024-01-08T12:00") == [
        f"01-0{label}" for label in ("7T23:00", "8T03:00", "8T07:00", "8T11:00")
    ]


def test_cme_stops_early_on_a_holiday() -> None:
    assert closes("ES=F", D1, "2024-07-04", "2024-07-05") == ["07-04T17:00"]
    assert closes("ES=F", H1, "2024-07-04", "2024-07-05")[-3:-1] == ["07-04T17:00", "07-04T23:00"]


# FX


def test_the_fx_week_runs_from_sunday_to_friday_17_new_york() -> None:
    week = grid_of("EURUSD=X", H1, "2024-01-05T20:00", "2024-01-08T01:00")
    assert spelled(week.labels) == [
        f"01-0{label}" for label in ("5T20:00", "5T21:00", "7T22:00", "7T23:00", "8T00:00")
    ]
    summer = labels("EURUSD=X", H1, "2024-07-05T20:00", "2024-07-07T22:00")
    assert summer == ["07-05T20:00", "07-07T21:00"]


def test_fx_grids_start_at_midnight_utc_also_on_sunday_evening() -> None:
    week = grid_of("EURUSD=X", H4, "2024-01-05T16:00", "2024-01-08T04:00")
    assert spelled(week.labels) == ["01-05T16:00", "01-05T20:00", "01-07T20:00", "01-08T00:00"]
    assert spelled(week.closes) == ["01-05T20:00", "01-05T22:00", "01-08T00:00", "01-08T04:00"]


def test_fx_days_are_monday_to_friday_cut_at_londons_midnight() -> None:
    assert labels("EURUSD=X", D1, "2024-03-29", "2024-04-03") == [
        "03-29T00:00",
        "04-01T00:00",
        "04-02T00:00",
    ]
    assert closes("EURUSD=X", D1, "2024-03-27", "2024-04-02") == [
        "03-28T00:00",
        "03-29T00:00",
        "03-29T21:00",
        "04-01T23:00",
    ]


# Crypto


def test_crypto_trades_every_utc_day_all_day() -> None:
    assert labels("BTC-USD", D1, "2024-03-09", "2024-03-12") == [
        "03-09T00:00",
        "03-10T00:00",
        "03-11T00:00",
    ]
    assert len(labels("BTC-USD", H1, "2024-03-09", "2024-03-12")) == 72
    assert labels("BTC-USD", H4, "2024-03-10T01:00", "2024-03-10T09:00") == [
        "03-10T04:00",
        "03-10T08:00",
    ]
    assert closes("BTC-USD", W1, "2024-03-04", "2024-03-11") == ["03-11T00:00"]


# What is closed, what is open


@pytest.mark.parametrize(
    ("symbol", "timeframe", "now", "expected"),
    [
        ("AAPL", D1, "2024-01-03T20:59", "2024-01-03T00:00"),
        ("AAPL", D1, "2024-01-03T21:00", "2024-01-04T00:00"),
        ("AAPL", D1, "2024-01-07T12:00", "2024-01-06T00:00"),
        ("AAPL", D1, "2024-04-01T12:00", "2024-03-29T00:00"),
        ("AAPL", D1, "2024-11-29T18:00", "2024-11-30T00:00"),
        ("AAPL", D1, "2001-09-17T12:00", "2001-09-11T00:00"),
        ("AAPL", H1, "2024-01-03T15:29", "2024-01-02T21:00"),
        ("AAPL", H1, "2024-01-03T15:30", "2024-01-03T15:30"),
        ("AAPL", H1, "2024-01-03T20:59", "2024-01-03T20:30"),
        ("AAPL", H1, "2024-01-06T12:00", "2024-01-05T21:00"),
        ("AAPL", H4, "2024-01-03T20:00", "2024-01-03T18:30"),
        ("AAPL", Timeframe.M1, "2024-01-03T14:31", "2024-01-03T14:31"),
        ("AAPL", W1, "2024-03-28T19:59", "2024-03-25T00:00"),
        ("AAPL", W1, "2024-03-28T20:00", "2024-04-01T00:00"),
        ("0700.HK", H1, "2024-01-03T04:30", "2024-01-03T04:00"),
        ("0700.HK", D1, "2024-01-03T08:00", "2024-01-04T00:00"),
        ("APS.AX", D1, "2024-01-08T04:59", "2024-01-06T00:00"),
        ("APS.AX", D1, "2024-01-08T05:00", "2024-01-09T00:00"),
        ("ES=F", D1, "2024-01-07T23:30", "2024-01-06T00:00"),
        ("ES=F", D1, "2024-01-08T22:00", "2024-01-09T00:00"),
        ("EURUSD=X", D1, "2024-01-05T21:59", "2024-01-05T00:00"),
        ("EURUSD=X", D1, "2024-01-05T22:00", "2024-01-06T00:00"),
        ("EURUSD=X", H1, "2024-01-07T12:00", "2024-01-05T22:00"),
        ("BTC-USD", D1, "2024-01-07T00:00", "2024-01-07T00:00"),
        ("BTC-USD", H4, "2024-01-07T11:59", "2024-01-07T08:00"),
        ("0700.HK", D1, "1969-06-01", None),
    ],
)
def test_the_end_of_the_last_closed_bar(
    symbol: str, timeframe: Timeframe, now: str, expected: str | None
) -> None:
    assert closed_until(symbol, timeframe, now) == (
        None if expected is None else f"{at(expected):%Y-%m-%dT%H:%M}"
    )


@pytest.mark.parametrize(
    ("symbol", "now", "expected"),
    [
        ("AAPL", "2024-01-03T14:29", False),
        ("AAPL", "2024-01-03T14:30", True),
        ("AAPL", "2024-01-03T21:00", False),
        ("AAPL", "2024-11-29T18:00", False),
        ("AAPL", "2024-07-04T15:00", False),
        ("AAPL", "2024-01-06T15:00", False),
        ("0700.HK", "2024-01-03T04:30", False),
        ("0700.HK", "2024-01-03T05:00", True),
        ("ES=F", "2024-01-08T22:30", False),
        ("ES=F", "2024-01-08T23:00", True),
        ("ES=F", "2024-01-07T22:59", False),
        ("EURUSD=X", "2024-01-05T22:00", False),
        ("EURUSD=X", "2024-01-07T21:59", False),
        ("EURUSD=X", "2024-01-07T22:00", True),
        ("EURUSD=X", "2024-07-07T21:00", True),
        ("BTC-USD", "2024-01-06T03:00", True),
    ],
)
def test_a_market_is_open_within_its_segments(symbol: str, now: str, *, expected: bool) -> None:
    assert is_open(symbol, now) is expected


# Bounds


@pytest.mark.parametrize("timeframe", [H1, D1, W1])
@pytest.mark.parametrize("symbol", MARKETS)
def test_nothing_is_expected_before_a_calendar_begins(symbol: str, timeframe: Timeframe) -> None:
    calendar = calendar_of(Instrument.parse(symbol))
    assert calendar.begins >= EARLIEST
    before = TimeRange(datetime.min.replace(tzinfo=UTC), calendar.begins)
    assert not len(calendar.grid(timeframe, before).labels)
    around = TimeRange(before.start, calendar.begins + timedelta(days=20))
    assert calendar.grid(timeframe, around).labels[0] >= to_micros(calendar.begins)


def test_tokyo_is_known_from_1997_on_new_york_from_1970() -> None:
    assert calendar_of(Instrument.parse("^N225")).begins == at("1997-01-01")
    assert calendar_of(Instrument.parse("AAPL")).begins == EARLIEST
    assert labels("7203.T", D1, "1990-01-01", "1997-01-07") == ["01-06T00:00"]


def test_past_its_bound_a_calendar_goes_on_each_weekday_at_the_hours_known_last() -> None:
    assert len(labels("600519.SS", D1, "2060-01-01", "2061-01-01")) == 262
    assert closed_until("600519.SS", D1, "2060-06-01") == "2060-06-01T00:00"
    week = labels("600519.SS", H1, "2030-03-04", "2030-03-05")
    assert week == ["03-04T01:30", "03-04T02:30", "03-04T05:00", "03-04T06:00"]


@pytest.mark.parametrize("symbol", ["BTC-USD", "EURUSD=X", "AAPL", "ES=F"])
def test_the_year_9999_is_no_fault(symbol: str) -> None:
    everything = TimeRange(at("2090-01-01"), datetime.max.replace(tzinfo=UTC))
    found = calendar_of(Instrument.parse(symbol)).grid(W1, everything)
    assert f"{from_micros(int(found.labels[-1])):%Y-%m-%d}" == "2099-12-28"


# Properties

MINUTE_OF_2010_TO_2026 = st.integers(0, 16 * 365 * 1440).map(
    lambda minute: at("2010-01-01") + timedelta(minutes=minute)
)
LENGTHS = st.integers(1, 12 * 1440).map(lambda minutes: timedelta(minutes=minutes))


@settings(max_examples=60)
@given(
    st.sampled_from(MARKETS), st.sampled_from(Timeframe), MINUTE_OF_2010_TO_2026, LENGTHS, LENGTHS
)
def test_two_ranges_that_touch_have_the_bars_of_both(
    symbol: str, timeframe: Timeframe, start: datetime, first: timedelta, second: timedelta
) -> None:
    calendar = calendar_of(Instrument.parse(symbol))
    middle, end = start + first, start + first + second
    left = calendar.grid(timeframe, TimeRange(start, middle))
    right = calendar.grid(timeframe, TimeRange(middle, end))
    whole = calendar.grid(timeframe, TimeRange(start, end))
    assert np.array_equal(np.concatenate([left.labels, right.labels]), whole.labels)
    assert np.array_equal(np.concatenate([left.closes, right.closes]), whole.closes)
    assert np.all(whole.closes > whole.labels)
    assert np.all(np.diff(whole.labels) > 0)
    assert np.all(np.diff(whole.closes) > 0)
    assert np.all((whole.labels >= to_micros(start)) & (whole.labels < to_micros(end)))


@pytest.mark.parametrize("symbol", ["AAPL", "0700.HK", "ES=F"])
@pytest.mark.parametrize("timeframe", [H1, H4, D1, W1])
def test_the_recent_part_of_a_calendar_says_what_all_of_it_says(
    symbol: str, timeframe: Timeframe
) -> None:
    whole = grid_of(symbol, timeframe, "2011-06-01", "2013-01-01")
    for days in range(0, 70, 3):
        start = at("2011-11-20") + timedelta(days=days)
        part = grid_of(symbol, timeframe, f"{start:%Y-%m-%d}", "2013-01-01")
        later = whole.labels >= to_micros(start)
        assert np.array_equal(whole.labels[later], part.labels)
        assert np.array_equal(whole.closes[later], part.closes)


@settings(max_examples=40)
@given(st.sampled_from(MARKETS), st.sampled_from(Timeframe), MINUTE_OF_2010_TO_2026)
def test_what_is_closed_is_a_bar_that_is_over_and_the_next_is_not(
    symbol: str, timeframe: Timeframe, now: datetime
) -> None:
    calendar = calendar_of(Instrument.parse(symbol))
    until = calendar.closed_until(timeframe, now)
    assert until is not None
    grid = calendar.grid(timeframe, TimeRange(now - timedelta(30), now + timedelta(30)))
    over = grid.closes <= to_micros(now)
    assert np.all(grid.labels[over] < to_micros(until))
    assert np.all(grid.labels[~over] >= to_micros(until))


@settings(max_examples=40)
@given(st.sampled_from(MARKETS), st.sampled_from([H1, H4]), MINUTE_OF_2010_TO_2026)
def test_each_finer_bar_falls_into_one_bar_that_holds_it(
    symbol: str, timeframe: Timeframe, start: datetime
) -> None:
    calendar = calendar_of(Instrument.parse(symbol))
    finer = calendar.grid(Timeframe.M15, TimeRange(start, start + timedelta(days=5)))
    grid = calendar.grid(timeframe, TimeRange(start - timedelta(1), start + timedelta(days=6)))
    bucket = calendar.bucket(timeframe, finer.labels)
    row = np.searchsorted(grid.labels, bucket)
    assert np.array_equal(grid.labels[row], bucket)
    assert np.all((bucket <= finer.labels) & (finer.closes <= grid.closes[row]))


@pytest.mark.parametrize(
    ("symbol", "instant", "label"),
    [
        ("AAPL", "2024-01-03T14:30", "2024-01-03"),
        ("APS.AX", "2024-01-07T23:00", "2024-01-08"),
        ("ES=F", "2024-01-07T23:00", "2024-01-08"),
        ("ES=F", "2024-01-08T22:30", None),
        ("EURUSD=X", "2024-01-07T23:00", None),
        ("EURUSD=X", "2024-07-08T23:30", "2024-07-09"),
        ("BTC-USD", "2024-01-07T23:59", "2024-01-07"),
    ],
)
def test_an_hour_falls_into_the_day_whose_session_it_is_of(
    symbol: str, instant: str, label: str | None
) -> None:
    hour = np.array([to_micros(at(instant))])
    found = int(calendar_of(Instrument.parse(symbol)).bucket(D1, hour)[0])
    assert found == (-1 if label is None else to_micros(at(label)))


def test_no_labels_have_no_buckets() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    for timeframe in (H4, D1, W1):
        assert len(calendar_of(Instrument.parse("AAPL")).bucket(timeframe, nothing)) == 0


def all_that_is_said() -> list[object]:
    for built in (schedules._exchange_schedule, schedules._fx_schedule):  # noqa: SLF001
        built.cache_clear()  # or the first zone's answer would be kept
    within = TimeRange(at("2024-02-20"), at("2024-04-10"))
    said: list[object] = []
    for symbol in ("AAPL", "0700.HK", "ES=F", "EURUSD=X"):
        calendar = calendar_of(Instrument.parse(symbol))
        said.append(calendar.closed_until(D1, within.end))
        for timeframe in (H1, D1, W1):
            grid = calendar.grid(timeframe, within)
            said += [grid.labels.tolist(), grid.closes.tolist()]
    return said


@pytest.fixture
def machine_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def change(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield change
    monkeypatch.undo()
    time.tzset()


def test_the_machines_zone_changes_nothing(machine_zone: Callable[[str], None]) -> None:
    said = []
    for zone in ("America/New_York", "Asia/Tokyo"):
        machine_zone(zone)
        assert time.tzname[0] == {"America/New_York": "EST", "Asia/Tokyo": "JST"}[zone]
        said.append(all_that_is_said())
    assert said[0] == said[1]


# What exchange_calendars is known to get wrong with a pandas that it does not know


@pytest.mark.skipif(
    pd.__version__ >= "3.1",
    reason="exchange_calendars 4.13 reads pandas 3.1's offsets wrongly; the pins hold 3.0",
)
@pytest.mark.parametrize(
    ("symbol", "start", "end", "expected"),
    [
        ("OPAP.AT", "2024-05-02", "2024-05-08", ["05-02T00:00", "05-07T00:00"]),
        ("TEVA.TA", "2024-04-19", "2024-04-26", ["04-21T00:00", "04-24T00:00", "04-25T00:00"]),
        pytest.param(  # some seconds go into the feasts of a century
            *("005930.KS", "1998-12-04", "1998-12-06", ["12-04T00:00", "12-05T00:00"]),
            marks=pytest.mark.proof,
        ),
    ],
)
def test_athens_tel_aviv_and_old_seoul_have_their_own_feasts_and_weeks(
    symbol: str, start: str, end: str, expected: list[str]
) -> None:
    assert labels(symbol, D1, start, end) == expected
