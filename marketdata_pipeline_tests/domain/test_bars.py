"""The bars contract: each rule broken once, each frame that is no frame of bars."""

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from marketdata_pipeline.domain.bars import (
    COLUMNS,
    BadRow,
    bad_rows,
    broken_rows,
    empty,
    frame,
    labels_inside,
    labels_of,
    validate,
)
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.ranges import TimeRange, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import ContractViolation
from marketdata_pipeline_tests.conftest import ROOT

AAPL = Series.parse("AAPL|1d")
NOW = datetime(2024, 1, 5, 21, tzinfo=UTC)
DAYS = ["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"]


def bars_at(labels: list[str]) -> pd.DataFrame:
    count = len(labels)
    return frame(
        np.array(labels, dtype="datetime64[us]"),
        {
            "open": [10.0] * count,
            "high": [12.0] * count,
            "low": [9.0] * count,
            "close": [11.0] * count,
            "volume": [100.0] * count,
        },
    )


def broken(column: str, value: float) -> pd.DataFrame:
    bars = bars_at(DAYS)
    bars.loc[bars.index[2], column] = value
    return bars


def rules(bars: pd.DataFrame, series: Series = AAPL, now: datetime = NOW) -> list[str]:
    return [row.rule for row in bad_rows(bars, series, now)]


def test_good_bars_are_returned_as_they_are() -> None:
    bars = bars_at(DAYS)
    assert validate(bars, AAPL, NOW) is bars


def test_no_bars_are_good_bars() -> None:
    assert validate(empty(), AAPL, NOW).empty
    assert list(empty().columns) == list(COLUMNS)
    assert bad_rows(empty(), AAPL, NOW) == []
    assert len(labels_of(empty())) == 0


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("open", np.nan, "finite"),
        ("high", np.inf, "finite"),
        ("low", -np.inf, "finite"),
        ("close", np.nan, "finite"),
        ("volume", np.nan, "finite"),
        ("volume", np.inf, "finite"),
        ("low", 0.0, "positive_prices"),
        ("low", -1.0, "positive_prices"),
        ("low", 10.01, "low_high"),
        ("open", 8.99, "low_high"),
        ("open", 12.01, "low_high"),
        ("close", 8.99, "low_high"),
        ("close", 12.01, "low_high"),
        ("high", 10.99, "low_high"),
        ("volume", -1.0, "volume"),
    ],
)
def test_each_rule_names_the_row_that_breaks_it(column: str, value: float, rule: str) -> None:
    bars = broken(column, value)
    assert bad_rows(bars, AAPL, NOW) == [BadRow(datetime(2024, 1, 4, tzinfo=UTC), rule)]
    with pytest.raises(ContractViolation, match=rf"AAPL\|1d: 1 bars .* {rule} at 2024-01-04"):
        validate(bars, AAPL, NOW)


@pytest.mark.parametrize(("column", "value"), [("volume", 0.0), ("low", 10.0), ("high", 11.0)])
def test_no_volume_and_bars_without_wicks_are_good(column: str, value: float) -> None:
    validate(broken(column, value), AAPL, NOW)


@pytest.mark.parametrize(
    ("series", "label", "rule"),
    [
        ("AAPL|1d", "2024-01-06", "grid"),
        ("AAPL|1d", "2024-01-01", "grid"),
        ("AAPL|1d", "2024-01-05T05:00", "grid"),
        ("AAPL|1d", "2024-01-05T00:00:00.000001", "grid"),
        ("AAPL|1d", "2024-01-08", "closed"),
        ("AAPL|1wk", "2024-01-02", "grid"),
        ("AAPL|1h", "2024-01-05T15:00", "grid"),
        ("AAPL|1h", "2024-01-05T21:30", "grid"),
        ("AAPL|4h", "2024-01-05T16:30", "grid"),
        ("BTC-USD|4h", "2024-01-05T20:00", "closed"),
        ("EURUSD=X|1d", "2024-01-07", "grid"),
        ("ES=F|1h", "2024-01-04T22:00", "grid"),
        ("0700.HK|1h", "2024-01-05T04:30", "grid"),
        ("AAPL|1d", "9999-12-31", "grid"),
    ],
)
def test_a_label_is_on_the_sessions_grid_and_its_bar_is_closed(
    series: str, label: str, rule: str
) -> None:
    assert rules(bars_at([label]), Series.parse(series)) == [rule]


@pytest.mark.parametrize(
    ("series", "label"),
    [
        ("AAPL|1d", "2024-01-05"),
        ("AAPL|1wk", "2024-01-01"),
        ("AAPL|1h", "2024-01-05T20:30"),
        ("AAPL|4h", "2024-01-05T18:30"),
        ("BTC-USD|4h", "2024-01-05T16:00"),
        ("EURUSD=X|4h", "2023-12-31T20:00"),
        ("ES=F|1d", "2024-01-04"),
        ("0700.HK|1h", "2024-01-05T05:00"),
    ],
)
def test_a_closed_label_of_the_grid_is_good(series: str, label: str) -> None:
    assert rules(bars_at([label]), Series.parse(series)) == []


def test_a_bar_is_closed_at_the_instant_of_its_close() -> None:
    assert rules(bars_at(DAYS), now=NOW) == []
    assert rules(bars_at(DAYS), now=NOW - timedelta(microseconds=1)) == ["closed"]


@pytest.mark.parametrize(
    ("series", "label", "expected"),
    [
        ("AAPL|1d", "1962-01-06", []),
        ("AAPL|1d", "1962-01-06T01:00", ["grid"]),
        ("AAPL|1wk", "1962-01-01", []),
        ("AAPL|1wk", "1962-01-02", ["grid"]),
        ("AAPL|1h", "1962-01-02T00:00", ["grid"]),
        ("^N225|1d", "1985-05-01", []),
        ("^N225|1d", "1997-01-01", ["grid"]),
        ("BTC-USD|1d", "1969-12-31", []),
    ],
)
def test_before_a_calendar_begins_any_midnight_is_a_day(
    series: str, label: str, expected: list[str]
) -> None:
    assert rules(bars_at([label]), Series.parse(series)) == expected


def test_a_row_is_named_once_by_the_first_rule_and_rows_come_in_order() -> None:
    bars = bars_at(["2024-01-02", "2024-01-03", "2024-01-06"])
    bars.loc[bars.index[0], ["low", "volume"]] = [-1.0, -1.0]
    bars.loc[bars.index[2], "close"] = np.nan
    assert rules(bars) == ["positive_prices", "finite"]


def test_bad_rows_are_told_by_position_whatever_the_order_and_repetition() -> None:
    good = bars_at(DAYS[:2])
    bad = good.assign(volume=-1.0)
    rows = pd.concat([bad.iloc[::-1], good, bad.iloc[:1]])
    assert broken_rows(rows, AAPL, NOW) == dict.fromkeys((0, 1, 4), "volume")


def test_labels_of_another_era_are_off_the_grid_not_a_fault() -> None:
    nanoseconds_taken_for_microseconds = 1_704_067_200_000_000_000
    bars = frame([nanoseconds_taken_for_microseconds], {name: [1.0] for name in COLUMNS})
    assert rules(bars) == ["grid"]
    with pytest.raises(ContractViolation, match="grid"):
        validate(bars, AAPL, NOW)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda bars: bars[::-1],
        lambda bars: pd.concat([bars, bars.tail(1)]),
        lambda bars: bars.drop(columns="volume"),
        lambda bars: bars.assign(adj_close=1.0),
        lambda bars: bars[["close", *COLUMNS[:3], "volume"]],
        lambda bars: bars.rename(columns=str.title),
        lambda bars: bars.astype({"volume": "int64"}),
        lambda bars: bars.astype("float32"),
        lambda bars: bars.astype({"close": object}),
        lambda bars: bars.tz_localize(None),
        lambda bars: bars.tz_convert("America/New_York"),
        lambda bars: bars.set_axis(bars.index.as_unit("ns")),
        lambda bars: bars.rename_axis("date"),
        lambda bars: bars.reset_index(drop=True),
        lambda bars: bars.set_axis([*bars.index[:3], pd.NaT]),
    ],
)
def test_what_is_not_shaped_like_bars_is_refused_in_one_line(
    spoil: Callable[[pd.DataFrame], pd.DataFrame],
) -> None:
    with pytest.raises(ContractViolation, match=r"AAPL\|1d: ") as refused:
        validate(spoil(bars_at(DAYS)), AAPL, NOW)
    assert "\n" not in str(refused.value)


def test_a_frame_has_the_contracts_shape_whatever_it_is_made_from() -> None:
    columns = {name: pd.Series([1, 2], index=[7, 8]) for name in reversed(COLUMNS)}
    made = frame([0, 86_400_000_000], columns)
    assert str(made.index.dtype) == "datetime64[us, UTC]"
    assert made.index.name == "ts"
    assert list(made.columns) == list(COLUMNS)
    assert (made.dtypes == "float64").all()
    assert made["close"].tolist() == [1.0, 2.0]


def test_a_missing_number_is_nan() -> None:
    made = frame([0], {name: [None if name == "volume" else 1.0] for name in COLUMNS})
    assert np.isnan(made["volume"].iloc[0])


def test_labels_are_microseconds_whatever_the_frames_unit_and_zone() -> None:
    bars = bars_at(DAYS)
    expected = [to_micros(label.to_pydatetime()) for label in bars.index]
    assert labels_of(bars).tolist() == expected
    elsewhere = bars.set_axis(pd.DatetimeIndex(bars.index).as_unit("ns").tz_convert("Asia/Tokyo"))
    assert labels_of(elsewhere).tolist() == expected


@pytest.mark.parametrize("series", ["AAPL|1h", "ES=F|4h", "EURUSD=X|1d", "0700.HK|15m"])
def test_all_that_a_calendar_expects_is_on_its_grid(series: str) -> None:
    one = Series.parse(series)
    within = TimeRange(datetime(2023, 10, 1, tzinfo=UTC), datetime(2023, 12, 31, tzinfo=UTC))
    labels = calendar_of(one.instrument).grid(one.timeframe, within).labels
    bars = frame(labels, {name: np.ones(len(labels)) for name in COLUMNS})
    assert validate(bars, one, NOW) is bars


AT_ONCE = """
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from marketdata_pipeline.domain.bars import check_shape, empty
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import ContractViolation

ready = Barrier(8)

def said(number):
    ready.wait()
    try:
        check_shape(empty().rename(columns={"open": f"{number}"}), Series.parse("AAPL|1d"))
    except ContractViolation as error:
        return str(number) in str(error)

assert "pandera" not in sys.modules
with ThreadPoolExecutor(8) as pool:
    print(list(pool.map(said, range(8))))
"""


def test_frames_of_another_shape_are_refused_in_many_threads_at_once() -> None:
    """Which thread is the first to need pandera does not matter."""
    done = subprocess.run(
        [sys.executable, "-c", AT_ONCE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == str([True] * 8), done.stderr


def test_labels_lie_inside_half_open_ranges_in_whatever_order_both_come() -> None:
    day = 86_400_000_000
    labels = np.array([3, 0, 5, 2, 4, 1], dtype=np.int64) * day
    inside = labels_inside(labels, [_days(4, 5), _days(1, 3)])
    assert (labels[inside] // day).tolist() == [2, 4, 1]
    assert not labels_inside(labels, []).any()


def _days(first: int, end: int) -> TimeRange:
    return TimeRange(*(datetime(1970, 1, 1 + number, tzinfo=UTC) for number in (first, end)))
