"""Closures: what a person says of a day holds in every grid, and only as long as it is said."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.closures import Closure, Closures, in_force, put_in_force
from marketdata_pipeline.domain.hours import refuse_impossible, usual_hours, venue_of
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import DAY
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput, ContractViolation

M1, H1, H4, D1, W1 = Timeframe.M1, Timeframe.H1, Timeframe.H4, Timeframe.D1, Timeframe.W1
TYPHOON = "exchange_calendars issue 600: HKEX did not open on 2023-09-01 and 2023-09-08"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def said(calendar: str, day: str, opens: str = "", closes: str = "") -> Closure:
    hours = TimeRange(at(opens), at(closes)) if opens else None
    return Closure(calendar, date.fromisoformat(day), hours, "typhoon")


def labels(symbol: str, timeframe: Timeframe, start: str, end: str) -> list[str]:
    grid = calendar_of(Instrument.parse(symbol)).grid(timeframe, TimeRange(at(start), at(end)))
    return [f"{from_micros(int(one)):%m-%dT%H:%M}" for one in grid.labels]


@pytest.mark.parametrize("timeframe", [M1, H1, H4, D1])
def test_a_day_that_a_person_closed_is_expected_nowhere(timeframe: Timeframe) -> None:
    before = labels("0700.HK", timeframe, "2023-08-28", "2023-09-12")
    put_in_force(Closures.of([said("XHKG", "2023-09-01"), said("XHKG", "2023-09-08")]))
    found = labels("0700.HK", timeframe, "2023-08-28", "2023-09-12")
    assert found == [one for one in before if one[:5] not in {"09-01", "09-08"}]
    put_in_force(Closures())
    assert labels("0700.HK", timeframe, "2023-08-28", "2023-09-12") == before, TYPHOON


def test_it_is_no_closing_and_no_opening_either() -> None:
    tencent = calendar_of(Instrument.parse("0700.HK"))
    assert tencent.is_open(at("2023-09-08T02:00"))
    assert tencent.closed_until(D1, at("2023-09-08T09:00")) == at("2023-09-09")
    put_in_force(Closures.of([said("XHKG", "2023-09-08")]))
    tencent = calendar_of(Instrument.parse("0700.HK"))
    assert not tencent.is_open(at("2023-09-08T02:00"))
    assert tencent.closed_until(D1, at("2023-09-08T09:00")) == at("2023-09-08")
    hour = np.array([to_micros(at("2023-09-08T02:00"))])
    assert tencent.bucket(D1, hour).tolist() == tencent.bucket(H4, hour).tolist() == [-1]


def test_only_that_calendar_follows() -> None:
    put_in_force(Closures.of([said("XHKG", "2023-09-08")]))
    assert labels("AAPL", D1, "2023-09-08", "2023-09-09") == ["09-08T00:00"]
    assert labels("^HSI", D1, "2023-09-08", "2023-09-09") == []


def test_a_week_ends_with_the_last_session_that_is_left() -> None:
    week = TimeRange(at("2023-09-04"), at("2023-09-11"))
    put_in_force(Closures.of([said("XHKG", "2023-09-08")]))
    grid = calendar_of(Instrument.parse("0700.HK")).grid(W1, week)
    assert from_micros(int(grid.closes[0])) == at("2023-09-07T08:00")
    put_in_force(Closures.of([said("XHKG", f"2023-09-0{one}") for one in range(4, 9)]))
    assert labels("0700.HK", W1, "2023-09-04", "2023-09-11") == []


def test_an_afternoon_alone_has_the_grid_of_the_afternoon() -> None:
    put_in_force(Closures.of([said("XHKG", "2023-09-08", "2023-09-08T05:30", "2023-09-08T08:00")]))
    found = labels("0700.HK", H1, "2023-09-08", "2023-09-09")
    assert found == ["09-08T05:30", "09-08T06:30", "09-08T07:30"]
    assert len(labels("0700.HK", M1, "2023-09-08", "2023-09-09")) == 150


def test_hours_around_the_break_keep_the_break() -> None:
    put_in_force(Closures.of([said("XHKG", "2023-09-08", "2023-09-08T02:30", "2023-09-08T06:30")]))
    found = labels("0700.HK", H1, "2023-09-08", "2023-09-09")
    assert found == ["09-08T02:30", "09-08T03:30", "09-08T05:00", "09-08T06:00"]


def test_a_saturday_may_be_a_session_with_the_break_of_the_day_before() -> None:
    venue = venue_of("XHKG")
    hours = usual_hours(venue, date(2023, 9, 9))
    assert hours == TimeRange(at("2023-09-09T01:30"), at("2023-09-09T08:00"))
    put_in_force(Closures.of([Closure("XHKG", date(2023, 9, 9), hours, "made up for")]))
    assert labels("0700.HK", D1, "2023-09-08", "2023-09-11") == ["09-08T00:00", "09-09T00:00"]
    assert len(labels("0700.HK", M1, "2023-09-09", "2023-09-10")) == 330


def test_usual_hours_follow_the_clocks_change_and_no_half_day() -> None:
    found = usual_hours(venue_of("XNYS"), date(2024, 3, 10))
    assert found == TimeRange(at("2024-03-10T13:30"), at("2024-03-10T20:00"))
    found = usual_hours(venue_of("XNYS"), date(2024, 11, 30))  # the day before closed at 13:00
    assert found == TimeRange(at("2024-11-30T14:30"), at("2024-11-30T21:00"))


@pytest.mark.parametrize(
    ("symbol", "calendar", "day"),
    [("BTC-USD", "CRYPTO", "2024-02-29"), ("EURUSD=X", "FX", "2024-12-25"),
     ("ES=F", "CME", "2024-12-24")],
)  # fmt: skip
def test_what_trades_round_the_clock_can_be_closed_too(
    symbol: str, calendar: str, day: str
) -> None:
    start, end = at(day) - timedelta(days=3), at(day) + timedelta(days=4)
    within = TimeRange(start, end)
    before = calendar_of(Instrument.parse(symbol)).grid(H1, within)
    put_in_force(Closures.of([said(calendar, day)]))
    after = calendar_of(Instrument.parse(symbol))
    own = int(to_micros(at(day)))
    assert own not in after.grid(D1, within).labels
    left = after.grid(H1, within)
    assert 17 <= len(before.labels) - len(left.labels) <= 24
    assert np.isin(left.labels, before.labels).all()


def test_grids_at_midnight_stay_there_on_a_special_day() -> None:
    put_in_force(
        Closures.of([said("CRYPTO", "2024-02-29", "2024-02-29T05:30", "2024-02-29T09:00")])
    )
    found = labels("BTC-USD", H4, "2024-02-29", "2024-03-01")
    assert found == ["02-29T04:00", "02-29T08:00"]


def test_the_last_word_on_a_day_counts_and_an_equal_table_changes_nothing() -> None:
    first, last = said("XHKG", "2023-09-08"), said("XHKG", "2023-09-08", "2023-09-08T05:30",
                                                  "2023-09-08T08:00")  # fmt: skip
    table = Closures.of([first, last])
    assert table.rows == (last,)
    put_in_force(table)
    put_in_force(Closures.of([last]))
    assert in_force() is table
    assert table.without("XHKG", date(2023, 9, 8)) == Closures()
    assert table.having(first).rows == (first,)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (said("XHKG", "2023-09-09"), "no session on 2023-09-09"),
        (said("XHKG", "2023-09-09", "2023-09-07T16:00", "2023-09-08T03:00"), "no hours"),
        (said("XHKG", "2023-09-09", "2023-09-08T07:00", "2023-09-08T09:00"), "another session"),
        (said("CRYPTO", "2023-09-09", "2023-09-08T07:00", "2023-09-09T03:00"), "no hours"),
    ],
)
def test_what_cannot_be_is_refused(told: Closure, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        refuse_impossible(venue_of(told.calendar), told, Closures())
    with pytest.raises(BadInput, match="no calendar"):
        venue_of("NASDAQ")


def test_bars_of_a_closed_day_may_stay_but_none_comes() -> None:
    series = Series.parse("0700.HK|1d")
    days = np.array([to_micros(at(f"2023-09-0{one}")) for one in (7, 8)])
    ones = np.ones(2)
    bars = contract.frame(days, dict.fromkeys(contract.COLUMNS, ones))
    put_in_force(Closures.of([said("XHKG", "2023-09-08")]))
    now = at("2023-10-01")
    (bad,) = contract.bad_rows(bars, series, now)
    assert (bad.ts, bad.rule) == (at("2023-09-08"), contract.CLOSURE)
    assert contract.validate(bars, series, now) is bars
    saturday = contract.frame(
        days[:1] + np.int64(2 * DAY), dict.fromkeys(contract.COLUMNS, ones[:1])
    )
    with pytest.raises(ContractViolation, match="grid"):
        contract.validate(saturday, series, now)
