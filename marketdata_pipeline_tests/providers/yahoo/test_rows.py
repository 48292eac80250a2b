"""From rows to bars: what is asked, which rows are bars, which values they keep."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import MalformedReply
from marketdata_pipeline.providers.yahoo.chart import Chart, Envelope
from marketdata_pipeline.providers.yahoo.rows import ask_for, bars_of
from marketdata_pipeline_tests.providers.yahoo.canned import DAY, DAY_1, chart_body

DAILY, HOURLY = Series.parse("AAPL|1d"), Series.parse("AAPL|1h")
FRIDAY = datetime(2024, 3, 15, 21, tzinfo=UTC)
EVER = TimeRange(datetime(1900, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
HOUR = 3600


def at(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)  # type: ignore[arg-type, misc] # year to second, all int


def bars(
    stamps: list[int],
    series: Series = DAILY,
    *,
    within: TimeRange = EVER,
    now: datetime = FRIDAY,
    **others: Any,
) -> pd.DataFrame:
    return bars_of(chart_of(stamps, series, **others), series, within, now)


def chart_of(stamps: list[int], series: Series, **others: Any) -> Chart:
    """A chart of a week in New York, with the hours of its days."""
    hours = {"tradingPeriods": [[hours_from(DAY_1 + at * DAY)] for at in range(5)]}
    body = chart_body(stamps, dataGranularity=series.timeframe.key, **(hours | others))
    result = Envelope.model_validate_json(body).chart.result
    assert result is not None
    return result[0]


def hours_from(start: int) -> dict[str, Any]:
    """A day's regular trading as Yahoo writes it."""
    end = start + 6 * HOUR + 1800
    return {"timezone": "EDT", "start": start, "end": end, "gmtoffset": -4 * HOUR}


def labels(frame: pd.DataFrame) -> list[str]:
    return [f"{ts:%m-%d %H:%M}" for ts in frame.index]


@pytest.mark.parametrize(
    ("series", "window", "start", "end"),
    [
        # midnights of New York, before and after its change of hours
        ("AAPL|1d", ((2024, 3, 5), (2024, 3, 12)), (2024, 3, 5, 5), None),
        ("AAPL|1d", ((2023, 3, 5), (2023, 3, 14)), (2023, 3, 5, 5), (2023, 3, 14, 4)),
        ("7203.T|1d", ((2023, 3, 6), (2023, 3, 7)), (2023, 3, 5, 15), (2023, 3, 6, 15)),
        ("EURUSD=X|1d", ((2023, 7, 3), (2023, 7, 4)), (2023, 7, 2, 23), (2023, 7, 3, 23)),
        ("BTC-USD|1d", ((2023, 7, 3), (2023, 7, 4)), (2023, 7, 3), (2023, 7, 4)),
        # a window that begins or ends inside a day holds the labels from the next day on
        ("AAPL|1d", ((2023, 7, 3, 9), (2023, 7, 6, 9)), (2023, 7, 4, 4), (2023, 7, 7, 4)),
        ("AAPL|1h", ((2023, 7, 3, 9), (2023, 7, 6, 9)), (2023, 7, 3, 9), (2023, 7, 6, 9)),
        # where a change of hours skips midnight
        ("PETR4.SA|1d", ((2017, 10, 15), (2017, 10, 16)), (2017, 10, 15, 3), (2017, 10, 16, 2)),
    ],
)
def test_a_window_of_labels_is_asked_as_instants(
    series: str, window: Any, start: Any, end: Any
) -> None:
    asked = ask_for(Series.parse(series), TimeRange(at(*window[0]), at(*window[1])), FRIDAY)
    assert asked.start == at(*start)
    assert asked.end == (FRIDAY if end is None else at(*end))
    assert asked.to_now is (end is None)


@pytest.mark.parametrize("series", ["AAPL|1d", "AAPL|1h", "BTC-USD|1d", "7203.T|1d"])
def test_nothing_is_asked_beyond_now(series: str) -> None:
    now = FRIDAY + timedelta(milliseconds=700)
    asked = ask_for(Series.parse(series), TimeRange(FRIDAY - timedelta(days=2), EVER.end), now)
    assert asked.end == FRIDAY
    assert asked.to_now


def test_a_window_that_ends_shortly_before_now_is_asked_up_to_now() -> None:
    yesterday = TimeRange(FRIDAY - timedelta(days=9), FRIDAY - timedelta(days=1))
    assert ask_for(DAILY, yesterday, FRIDAY).to_now
    assert not ask_for(HOURLY, yesterday, FRIDAY).to_now
    today = TimeRange(FRIDAY - timedelta(days=9), FRIDAY - timedelta(hours=1))
    assert ask_for(HOURLY, today, FRIDAY).to_now


def test_a_minute_window_of_seven_days_stays_within_yahoos_eight() -> None:
    for hours in range(48):
        end = FRIDAY - timedelta(hours=hours)
        window = TimeRange(end - timedelta(days=7), end)
        asked = ask_for(Series.parse("AAPL|1m"), window, FRIDAY)
        assert asked.end - asked.start <= timedelta(days=8)


def test_a_window_after_now_is_asked_as_a_second_before_now() -> None:
    asked = ask_for(DAILY, TimeRange(FRIDAY + timedelta(days=3), EVER.end), FRIDAY)
    assert (asked.start, asked.end) == (FRIDAY - timedelta(seconds=1), FRIDAY)


@pytest.mark.parametrize("moment", ["start", "end"])
def test_second_zero_is_never_asked(moment: str) -> None:
    epoch = at(1970, 1, 1)
    window = TimeRange(epoch, at(1971, 1, 1)) if moment == "start" else TimeRange(EVER.start, epoch)
    asked = ask_for(Series.parse("BTC-USD|1d"), window, FRIDAY)
    assert getattr(asked, moment) == epoch - timedelta(seconds=1)


def test_all_there_is_begins_in_1900() -> None:
    window = TimeRange(datetime.min.replace(tzinfo=UTC), FRIDAY)
    assert ask_for(Series.parse("7203.T|1d"), window, FRIDAY).start.year == 1899


def test_daily_labels_are_dates_and_values_stay_as_they_were_sent() -> None:
    value = 1.1220825910568237
    quote = {name: [value, 2.0] for name in contract.PRICES} | {"volume": [1, 2]}
    found = bars([DAY_1, DAY_1 + DAY], quote=quote)
    assert labels(found) == ["03-11 00:00", "03-12 00:00"]
    assert found["close"].iloc[0] == value
    assert found.index.dtype == contract.INDEX_DTYPE
    contract.validate(found, DAILY, FRIDAY)


def test_intraday_labels_are_instants() -> None:
    found = bars([DAY_1, DAY_1 + HOUR], HOURLY)
    assert labels(found) == ["03-11 13:30", "03-11 14:30"]
    contract.validate(found, HOURLY, FRIDAY)


def test_no_rows_are_no_bars() -> None:
    assert bars([], quote={}).equals(contract.empty())


def test_only_labels_inside_the_window_are_kept() -> None:
    within = TimeRange(at(2024, 3, 12), at(2024, 3, 13))
    assert labels(bars([DAY_1 + at * DAY for at in range(4)], within=within)) == ["03-12 00:00"]


def test_trading_before_and_after_hours_is_no_bar() -> None:
    day = [DAY_1 + at * HOUR for at in range(-2, 9)]
    assert labels(bars(day, HOURLY)) == labels(bars(day[2:9], HOURLY))
    assert labels(bars(day, HOURLY))[0] == "03-11 13:30"
    assert labels(bars(day, HOURLY))[-1] == "03-11 19:30"


def test_a_row_that_reaches_into_the_hours_stays_for_the_validator() -> None:
    assert labels(bars([DAY_1 - 1800, DAY_1], HOURLY)) == ["03-11 13:00", "03-11 13:30"]


def test_a_day_whose_hours_are_not_told_stays_whole() -> None:
    late = DAY_1 + 8 * HOUR
    assert labels(bars([DAY_1, late], HOURLY, tradingPeriods=[])) == ["03-11 13:30", "03-11 21:30"]
    told = [[hours_from(DAY_1 + DAY)]]
    found = bars([DAY_1, late, late + DAY], HOURLY, tradingPeriods=told)
    assert labels(found) == ["03-11 13:30", "03-11 21:30"]


def test_hours_are_also_told_beside_those_before_and_after() -> None:
    sections = {"pre": [], "regular": [[hours_from(DAY_1)]], "post": []}
    day = [DAY_1, DAY_1 + 8 * HOUR]
    assert labels(bars(day, HOURLY, tradingPeriods=sections)) == ["03-11 13:30"]


def test_intraday_rows_without_any_hours_are_refused() -> None:
    with pytest.raises(MalformedReply, match=r"AAPL\|1h does not tell the hours"):
        bars([DAY_1], HOURLY, tradingPeriods=None)


def test_a_row_without_any_price_is_left_out_and_one_with_some_stays() -> None:
    quote = {name: [None, None, 3.0] for name in contract.PRICES} | {"volume": [0, None, None]}
    quote["open"] = [None, 2.0, 3.0]
    found = bars([DAY_1, DAY_1 + DAY, DAY_1 + 2 * DAY], quote=quote)
    assert labels(found) == ["03-12 00:00", "03-13 00:00"]
    assert np.isnan(found["volume"]).all()  # not known is not zero


def test_the_bar_of_a_session_that_is_not_over_is_left_out() -> None:
    stamps = [DAY_1 + at * DAY for at in range(5)]
    before = FRIDAY - timedelta(hours=1, seconds=1)
    after = FRIDAY - timedelta(hours=1)
    assert labels(bars(stamps, now=before))[-1] == "03-14 00:00"
    assert labels(bars(stamps, now=after))[-1] == "03-15 00:00"


def test_a_short_last_bar_is_closed_with_its_session() -> None:
    stamps = [DAY_1 + at * HOUR for at in range(7)]
    close = at(2024, 3, 11, 20)
    assert labels(bars(stamps, HOURLY, now=close))[-1] == "03-11 19:30"
    assert labels(bars(stamps, HOURLY, now=close - timedelta(seconds=1)))[-1] == "03-11 18:30"


def test_rows_off_the_grid_stay_for_the_validator() -> None:
    saturday = DAY_1 + 5 * DAY
    stamps = [DAY_1, saturday, DAY_1 + 7 * DAY]
    found = bars(stamps, now=at(2024, 3, 20))
    assert labels(found) == ["03-11 00:00", "03-16 00:00", "03-18 00:00"]
    assert labels(bars([DAY_1, saturday], now=at(2024, 3, 20))) == ["03-11 00:00", "03-16 00:00"]
    minutes = [DAY_1, DAY_1 + 1800, DAY_1 + HOUR]
    assert labels(bars(minutes, HOURLY)) == ["03-11 13:30", "03-11 14:00", "03-11 14:30"]


def test_the_last_trade_is_no_bar_and_its_bar_still_grows_at_yahoo() -> None:
    trade = DAY_1 + HOUR + 1234
    late = at(2024, 3, 11, 15, 45)  # the clock calls the 14:30 bar closed
    found = bars([DAY_1, DAY_1 + HOUR, trade], HOURLY, now=late, regularMarketTime=trade)
    assert labels(found) == ["03-11 13:30"]


def test_a_row_of_the_future_is_no_bar_and_hides_no_last_trade() -> None:
    trade, late = DAY_1 + HOUR + 1234, at(2024, 3, 11, 15, 45)
    for ahead in (DAY_1 + 3 * HOUR, DAY_1 + DAY, DAY_1 + 3 * HOUR + 7):
        found = bars([DAY_1, DAY_1 + HOUR, trade, ahead], HOURLY, now=late)
        assert labels(found) == ["03-11 13:30"]
    assert bars([DAY_1 + DAY], now=at(2024, 3, 12, 13)).empty


def test_a_day_of_the_future_does_not_stand_for_the_newest_one() -> None:
    stamps = [DAY_1, DAY_1 + DAY, DAY_1 + DAY + 6 * HOUR + 1801, DAY_1 + 4 * DAY]
    found = bars(stamps, now=at(2024, 3, 13), regularMarketTime=stamps[2])
    assert list(found["close"]) == [10.0, 12.0]


def test_a_last_trade_is_known_by_its_second_too() -> None:
    stamps = [DAY_1, DAY_1 + HOUR, DAY_1 + HOUR + 61]
    assert labels(bars(stamps, HOURLY, now=at(2024, 3, 11, 18))) == ["03-11 13:30"]


def test_the_last_trade_of_a_session_leaves_its_bars_alone() -> None:
    close = DAY_1 + 6 * HOUR + 1800
    stamps = [DAY_1 + at * HOUR for at in range(7)]
    found = bars([*stamps, close], HOURLY, regularMarketTime=close)
    assert labels(found) == labels(bars(stamps, HOURLY))
    assert len(found) == 7


def test_a_last_trade_at_a_full_bar_is_none_either() -> None:
    trade = DAY_1 + 2 * HOUR
    found = bars([DAY_1, DAY_1 + HOUR, trade], HOURLY, regularMarketTime=trade)
    assert labels(found) == ["03-11 13:30", "03-11 14:30"]


def test_a_day_that_is_told_twice_at_the_end_is_the_later_row() -> None:
    stamps = [DAY_1, DAY_1 + DAY, DAY_1 + DAY + 6 * HOUR + 1801]
    found = bars(stamps, regularMarketTime=stamps[-1])
    assert labels(found) == ["03-11 00:00", "03-12 00:00"]
    assert list(found["close"]) == [10.0, 12.0]


def test_a_trade_on_a_day_without_a_session_is_no_bar() -> None:
    sunday = DAY_1 + 6 * DAY
    stamps = [DAY_1, sunday]
    assert labels(bars(stamps, now=at(2024, 3, 18), regularMarketTime=sunday)) == ["03-11 00:00"]


def test_the_same_row_twice_is_one() -> None:
    quote = {name: [1.0, 1.0, 2.0] for name in contract.PRICES} | {"volume": [None, None, 2]}
    found = bars([DAY_1, DAY_1, DAY_1 + DAY], quote=quote)
    assert labels(found) == ["03-11 00:00", "03-12 00:00"]


@pytest.mark.parametrize("series", [DAILY, HOURLY])
def test_two_different_rows_for_one_label_are_refused(series: Series) -> None:
    with pytest.raises(MalformedReply, match=r"two different rows for AAPL\|1. at 2024-03-11"):
        bars([DAY_1, DAY_1, DAY_1 + DAY], series)


def test_rows_in_any_order_give_sorted_bars() -> None:
    found = bars([DAY_1 + DAY, DAY_1])
    assert list(found["close"]) == [11.0, 10.0]
    assert found.index.is_monotonic_increasing


def test_a_last_trade_alone_is_no_bar_at_all() -> None:
    found = bars([DAY_1 + 61], HOURLY, regularMarketTime=DAY_1 + 61)
    assert found.equals(contract.empty())
