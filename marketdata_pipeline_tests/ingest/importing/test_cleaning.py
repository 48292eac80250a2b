"""Good rows only, each label once, and what a file is refused for."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata_pipeline.domain.bars import COLUMNS
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing.cleaning import Cleaned, cleaned, still_good
from marketdata_pipeline.ingest.importing.placing import placed
from marketdata_pipeline.ingest.importing.terms import Side
from marketdata_pipeline.ingest.importing.times import stamps_of
from marketdata_pipeline_tests.ingest.importing.rows import at_closes, table_of
from marketdata_pipeline_tests.ingest.world import FRIDAY_CLOSE, day, days, walk

DAILY, MINUTES, HOURS = (Series.parse(f"AAPL|{one}") for one in ("1d", "1m", "1h"))
BARS = walk(DAILY, days("2023-03-15", "2024-03-15"))
NAN = float("nan")


def _cleaned(frame: pd.DataFrame, series: Series = DAILY, *, extended: bool = False) -> Cleaned:
    table = table_of(frame)
    where = placed(stamps_of(table), Side.OPEN, "UTC", series)
    return cleaned(table, where, series, FRIDAY_CLOSE, extended=extended)


def _refusal(frame: pd.DataFrame, series: Series = DAILY) -> str:
    with pytest.raises(BadInput) as refused:
        _cleaned(frame, series)
    return str(refused.value)


def _with(row: int, **values: float) -> pd.DataFrame:
    """The year with other values in one row."""
    frame = BARS.copy()
    for name, value in values.items():
        frame.loc[frame.index[row], name] = value
    return frame


def test_good_rows_are_bars_in_any_order() -> None:
    found = _cleaned(BARS.iloc[::-1])
    pd.testing.assert_frame_equal(found.bars, BARS, check_freq=False)
    assert (found.read, found.empty, found.outside, found.merged) == (len(BARS), 0, 0, 0)
    assert found.dropped == ()


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"volume": -1.0}, "volume"),
        ({"close": NAN}, "finite"),
        ({"volume": float("inf")}, "finite"),
        ({"low": -1.0}, "positive_prices"),
        ({"high": 0.01, "low": 0.01}, "low_high"),
    ],
)
def test_a_row_that_breaks_a_rule_is_dropped_with_its_line(
    values: dict[str, float], rule: str
) -> None:
    found = _cleaned(_with(3, **values))
    assert len(found.bars) == len(BARS) - 1
    assert BARS.index[3] not in found.bars.index
    (one,) = found.dropped
    assert (one.rule, one.spot, one.ts) == (rule, "bars.csv, line 5", BARS.index[3])


def test_a_bar_that_is_not_closed_yet_is_dropped() -> None:
    week = walk(DAILY, days("2024-03-11", "2024-03-20"))
    found = _cleaned(week.iloc[:6])
    assert [(one.rule, one.ts) for one in found.dropped] == [("closed", day("2024-03-18"))]


def test_a_row_on_a_holiday_or_without_a_time_is_dropped() -> None:
    rows = BARS.reset_index()
    rows["ts"] = rows["ts"].dt.strftime("%Y-%m-%d")
    rows.loc[5, "ts"] = "2023-04-07"
    assert [one.rule for one in _cleaned(rows).dropped] == ["grid"]
    rows.loc[5, "ts"] = None
    (one,) = _cleaned(rows).dropped
    assert (one.rule, one.at, one.ts, one.spot) == ("time", None, None, "bars.csv, line 7")


def test_rows_without_any_price_are_left_out_and_break_nothing() -> None:
    frame = BARS.copy()
    frame.iloc[10:60, :4] = NAN
    found = _cleaned(frame)
    assert (found.empty, found.dropped, len(found.bars)) == (50, (), len(BARS) - 50)


def test_above_one_row_and_one_percent_the_file_is_refused() -> None:
    two = _with(3, volume=-1.0)
    two.loc[two.index[9], "volume"] = -1.0
    assert len(_cleaned(two).dropped) == 2  # of 252
    three = two.copy()
    three.loc[three.index[12], "volume"] = -1.0
    assert _refusal(three) == (
        "3 of 252 rows break a hard rule of AAPL|1d, 3 of them are negative volume; the first is "
        "bars.csv, line 5 at 2023-03-20 00:00 UTC"
    )
    assert "2 of 100 rows" in _refusal(two.iloc[:100])
    assert len(_cleaned(two.iloc[:9]).dropped) == 1


def test_times_off_the_grid_ask_for_side_zone_and_timeframe() -> None:
    hours = walk(HOURS, days("2024-03-11", "2024-03-14"))
    shifted = hours.shift(freq=pd.Timedelta(hours=1))
    said = _refusal(shifted, HOURS)
    assert "3 of 21 rows break a hard rule of AAPL|1h, 3 of them are not on the grid" in said
    assert "--extended-hours leaves out bars outside of sessions" in said
    weekends = BARS.shift(freq=pd.Timedelta(days=1))
    assert _refusal(weekends).endswith("are --labels, --zone and --timeframe right?")


def test_trading_outside_of_sessions_is_left_out_where_it_is_said_to_be_there() -> None:
    minutes = walk(MINUTES, days("2024-03-11", "2024-03-13"))
    early = minutes.iloc[:60].shift(freq=pd.Timedelta(hours=-2))
    both = pd.concat([early, minutes])
    assert "60 of them are not on the grid" in _refusal(both, MINUTES)
    found = _cleaned(both, MINUTES, extended=True)
    pd.testing.assert_frame_equal(found.bars, minutes, check_freq=False)
    assert (found.outside, found.dropped) == (60, ())


def test_what_is_off_the_grid_within_a_session_breaks_the_rule_all_the_same() -> None:
    minutes = walk(MINUTES, days("2024-03-11", "2024-03-13"))
    odd = minutes.iloc[:1].shift(freq=pd.Timedelta(seconds=30))
    found = _cleaned(pd.concat([odd, minutes]), MINUTES, extended=True)
    assert [one.rule for one in found.dropped] == ["grid"]
    assert found.outside == 0


def test_rows_that_repeat_another_are_merged() -> None:
    found = _cleaned(pd.concat([BARS, BARS.iloc[:5], BARS.iloc[:2]]))
    assert found.merged == 7
    pd.testing.assert_frame_equal(found.bars, BARS, check_freq=False)


def test_rows_that_contradict_each_other_are_refused_with_both_lines() -> None:
    other = BARS.iloc[[7]].assign(close=lambda one: one["close"] + 0.01, high=1e6)
    assert _refusal(pd.concat([BARS, other])) == (
        "bars.csv, line 9 and bars.csv, line 254 are two different bars of AAPL|1d at 2023-03-24 "
        "00:00 UTC; correct the file"
    )


def test_a_bad_row_contradicts_nobody() -> None:
    bad = BARS.iloc[[7]].assign(close=NAN)
    found = _cleaned(pd.concat([BARS, bad]))
    assert (len(found.dropped), found.merged) == (1, 0)


LONGER = [
    (name, longer, shorter)
    for name in ("AAPL", "0700.HK", "BTC-USD", "EURUSD=X", "ES=F")
    for longer, shorter in (("5m", "1m"), ("15m", "1m"), ("1h", "5m"), ("4h", "1h"), ("4h", "15m"))
]


@pytest.mark.parametrize(("name", "longer", "shorter"), [*LONGER, ("BTC-USD", "1wk", "1d")])
def test_bars_of_a_longer_timeframe_are_no_bars_with_holes(
    name: str, longer: str, shorter: str
) -> None:
    bars = walk(Series.parse(f"{name}|{longer}"), days("2023-11-06", "2024-03-12"))
    assert _refusal(bars.iloc[:40], Series.parse(f"{name}|{shorter}")) == (
        f"bars.csv: each of its rows begins where a bar of {longer} does; is --timeframe "
        f"{shorter} right?"
    )


def test_few_bars_and_bars_with_holes_are_taken_as_they_are() -> None:
    minutes = walk(MINUTES, days("2024-03-11", "2024-03-13"))
    assert len(_cleaned(minutes.iloc[::300], MINUTES).bars) == 3
    assert len(_cleaned(minutes.iloc[::47], MINUTES).bars) == 17


def test_volume_may_be_absent_from_fx_and_indices_only() -> None:
    bars = BARS.drop(columns="volume")
    assert "no column of volume; only FX and indices do without" in _refusal(bars)
    assert (_cleaned(bars, Series.parse("^GSPC|1d")).bars["volume"] == 0).all()


def test_no_row_is_no_bar() -> None:
    found = _cleaned(BARS.iloc[:0])
    assert len(found.bars) == 0
    assert list(found.bars.columns) == list(COLUMNS)


def test_a_bar_that_rounding_put_out_of_order_is_dropped() -> None:
    clean = _cleaned(BARS)
    raw = BARS.copy()
    raw.loc[raw.index[4], "low"] = raw["high"].iloc[4] + 1
    found = still_good(clean, raw, DAILY, FRIDAY_CLOSE)
    assert [(one.rule, one.ts) for one in found.dropped] == [("low_high", BARS.index[4])]
    assert len(found.bars) == len(BARS) - 1
    assert still_good(clean, BARS, DAILY, FRIDAY_CLOSE).bars is BARS


names = st.sampled_from(["AAPL", "AZN.L", "0700.HK", "BTC-USD", "EURUSD=X", "ES=F"])
starts = st.dates(date(2019, 1, 1), date(2024, 1, 1))
zones = st.sampled_from(["UTC", "America/New_York", "Asia/Tokyo", "Europe/London"])


@settings(max_examples=60)
@given(names, st.sampled_from(Timeframe), starts, st.sampled_from(Side), zones, st.integers(0, 99))
def test_whatever_the_calendar_expects_is_read_bar_for_bar(
    name: str, timeframe: Timeframe, start: date, side: Side, zone: str, seed: int
) -> None:
    """In any zone, by either end of the bars, in any order of the rows, some of them absent."""
    series = Series(Instrument.parse(name), timeframe)
    length = timedelta(days=3 if timeframe is Timeframe.M1 else 30)
    dice = np.random.default_rng(seed)
    whole = walk(series, TimeRange(day(str(start)), day(str(start)) + length))
    bars = whole[dice.random(len(whole)) < dice.choice([0.5, 0.9, 1.0])]
    labelled = at_closes(bars, series) if side is Side.CLOSE and len(bars) else bars
    table = table_of(labelled.tz_convert(zone).sample(frac=1, random_state=seed))
    where = placed(stamps_of(table), side, "UTC", series)
    found = cleaned(table, where, series, FRIDAY_CLOSE, extended=False)
    pd.testing.assert_frame_equal(found.bars, bars, check_freq=False)
    assert (found.dropped, found.merged) == ((), 0)
