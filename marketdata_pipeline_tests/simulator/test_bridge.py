"""Minutes that add up to their day."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.resample import derive
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.simulator import bridge
from marketdata_pipeline.simulator.recorded import recorded_history
from marketdata_pipeline_tests.ingest.world import days, walk

# The days around the end of summer time in New York and London, and Thanksgiving's half day.
AUTUMN = days("2024-10-21", "2024-12-07")
LATER = datetime(2030, 1, 1, tzinfo=UTC)
CLASSES = ("AAPL", "AZN.L", "0700.HK", "7203.T", "^GSPC", "EURUSD=X", "BTC-USD", "ES=F")


def throw(day: int) -> np.random.Generator:
    return np.random.default_rng(day)


def minutes_of(key: str, daily: pd.DataFrame, within: TimeRange = AUTUMN) -> pd.DataFrame:
    return bridge.minutes(daily, Series.parse(f"{key}|1m"), within, throw, 2)


@pytest.mark.parametrize("key", CLASSES)
def test_minutes_add_up_to_their_day_exactly(key: str) -> None:
    daily = walk(Series.parse(f"{key}|1d"), AUTUMN)
    found = minutes_of(key, daily)
    contract.validate(found, Series.parse(f"{key}|1m"), LATER)
    added = bridge.added_up(found, Series.parse(f"{key}|1d"))
    whole = daily.index.intersection(added.index)
    assert len(whole) >= len(daily) - 2, "days that the range cuts are left out"
    pd.testing.assert_frame_equal(added.loc[whole], daily.loc[whole], check_exact=True)


@pytest.mark.parametrize("key", CLASSES)
@pytest.mark.parametrize("timeframe", ["5m", "15m", "1h"])
def test_minutes_add_up_to_longer_bars_and_these_to_their_day(key: str, timeframe: str) -> None:
    daily = walk(Series.parse(f"{key}|1d"), AUTUMN)
    series = Series.parse(f"{key}|{timeframe}")
    found = bridge.added_up(minutes_of(key, daily), series)
    contract.validate(found, series, LATER)
    added = bridge.added_up(found, Series.parse(f"{key}|1d"))
    pd.testing.assert_frame_equal(added, daily.loc[added.index], check_exact=True)


@pytest.mark.parametrize("key", CLASSES)
def test_a_native_four_hour_bar_equals_the_derived_one(key: str) -> None:
    """Made of minutes here, of hours there; FX's may span London's midnight."""
    minutes, four = (
        minutes_of(key, walk(Series.parse(f"{key}|1d"), AUTUMN)),
        Series.parse(f"{key}|4h"),
    )
    hourly = bridge.added_up(minutes, Series.parse(f"{key}|1h"))
    native = bridge.added_up(minutes, four)
    contract.validate(native, four, LATER)
    pd.testing.assert_frame_equal(native, derive(hourly, four, []), check_exact=True)


def test_every_expected_minute_of_a_whole_day_is_there() -> None:
    found = minutes_of("AAPL", walk(Series.parse("AAPL|1d"), AUTUMN))
    grid = calendar_of(Series.parse("AAPL|1m").instrument).grid(Timeframe.M1, AUTUMN)
    assert contract.labels_of(found).tolist() == grid.labels.tolist()


def test_a_day_that_the_range_cuts_has_no_minutes() -> None:
    daily = walk(Series.parse("ES=F|1d"), AUTUMN)
    within = TimeRange(datetime(2024, 11, 12, tzinfo=UTC), datetime(2024, 11, 14, tzinfo=UTC))
    found = minutes_of("ES=F", daily, within)
    assert found.index[0] == pd.Timestamp("2024-11-12T23:00Z"), "the session of the 13th begins"
    whole = minutes_of("ES=F", daily).loc[found.index]
    pd.testing.assert_frame_equal(found, whole, check_exact=True)


def test_the_same_day_is_the_same_in_every_range() -> None:
    daily = walk(Series.parse("BTC-USD|1d"), AUTUMN)
    long, short = (
        minutes_of("BTC-USD", daily),
        minutes_of("BTC-USD", daily, days("2024-11-01", "2024-11-03")),
    )
    pd.testing.assert_frame_equal(short, long.loc[short.index], check_exact=True)


def test_fx_on_sunday_evening_leads_from_friday_to_monday_without_volume() -> None:
    daily = walk(Series.parse("EURUSD=X|1d"), AUTUMN).assign(volume=0.0)
    evening = minutes_of("EURUSD=X", daily).loc["2024-11-17"]
    assert len(evening) == 120
    assert evening["open"].iloc[0] == daily["close"].loc["2024-11-15"]
    assert evening["close"].iloc[-1] == daily["open"].loc["2024-11-18"]
    assert (evening["volume"] == 0).all()


def test_no_day_gives_no_minute() -> None:
    assert minutes_of("AAPL", contract.empty()).empty
    assert bridge.added_up(contract.empty(), Series.parse("AAPL|1h")).empty
    saturday = days("2024-11-16", "2024-11-17")
    assert minutes_of("AAPL", walk(Series.parse("AAPL|1d"), AUTUMN), saturday).empty


def test_a_recorded_day_is_bridged_as_it_was_traded() -> None:
    (apple,) = [
        one for one in recorded_history().listings.values() if str(one.instrument) == "AAPL"
    ]
    daily = apple.bars[Timeframe.D1]
    within = days("2005-02-22", "2005-03-05")
    hourly = bridge.added_up(minutes_of("AAPL", daily, within), Series.parse("AAPL|1h"))
    added = bridge.added_up(hourly, Series.parse("AAPL|1d"))
    pd.testing.assert_frame_equal(added, daily.loc[added.index], check_exact=True)
    assert len(added) == 9


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(*[st.integers(1, 5000)] * 4),
    st.integers(0, 2**40),
    st.integers(0, 2**32),
)
def test_any_day_that_keeps_the_contract_is_met(
    ticks: tuple[int, ...], volume: int, seed: int
) -> None:
    """A day that stood still, one that opened at its low and closed at its high, no volume."""
    low, *between, high = sorted(tick / 100 for tick in ticks)
    columns = {"open": between[:1], "high": [high], "low": [low], "close": between[1:]}
    label = np.array(["2024-11-29"], dtype="datetime64[us]").astype(np.int64)
    daily = contract.frame(label, {**columns, "volume": [float(volume)]})
    series = Series.parse("AAPL|1m")
    found = bridge.minutes(daily, series, AUTUMN, lambda day: np.random.default_rng([seed, day]), 2)
    assert len(found) == 210, "a half day"
    contract.validate(found, series, LATER)
    added = bridge.added_up(found, Series.parse("AAPL|1d"))
    pd.testing.assert_frame_equal(added, daily, check_exact=True)


def test_a_native_week_equals_the_derived_one_over_a_split() -> None:
    from datetime import date
    from fractions import Fraction

    split = Action(date(2024, 11, 13), ActionKind.SPLIT, Fraction(4))
    daily, weekly = walk(Series.parse("AAPL|1d"), AUTUMN, split), Series.parse("AAPL|1wk")
    native = bridge.weeks(daily, weekly, (split,))
    derived = derive(daily, weekly, [split])
    pd.testing.assert_frame_equal(native, derived, rtol=1e-9)
    assert native["close"].loc["2024-11-11"] == daily["close"].loc["2024-11-15"]
