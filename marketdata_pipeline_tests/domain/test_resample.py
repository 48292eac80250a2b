"""Derived bars equal a model that walks over the base bar by bar."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.bars import COLUMNS, empty, frame, labels_of, validate
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.resample import derive
from marketdata_pipeline.domain.series import Series

LATER = datetime(2025, 1, 1, tzinfo=UTC)


def random_base(series: Series, start: datetime, days: int, keep: float) -> pd.DataFrame:
    """Bars of the base on its own grid, some left out."""
    base = series.base
    assert base is not None
    grid = calendar_of(base.instrument).grid(
        base.timeframe, TimeRange(start, start + timedelta(days=days))
    )
    rng = np.random.default_rng(days)
    labels = grid.labels[rng.random(len(grid.labels)) < keep]
    low = rng.uniform(1, 9, len(labels))
    high = low + rng.uniform(1, 5, len(labels))
    opened, closed = rng.uniform(low, high), rng.uniform(low, high)
    volume = rng.integers(0, 10**6, len(labels))
    return frame(
        labels, {"open": opened, "high": high, "low": low, "close": closed, "volume": volume}
    )


def model(base: pd.DataFrame, series: Series) -> pd.DataFrame:
    """One bar after the other, by the calendar's own grid."""
    within = TimeRange(
        base.index[0].to_pydatetime() - timedelta(days=8),
        base.index[-1].to_pydatetime() + timedelta(days=8),
    )
    grid = calendar_of(series.instrument).grid(series.timeframe, within)
    groups: dict[int, list[int]] = {}
    for row, label in enumerate(labels_of(base)):
        groups.setdefault(int(grid.labels[grid.labels <= label][-1]), []).append(row)
    made = {label: base.iloc[rows] for label, rows in groups.items()}
    return frame(
        list(made),
        {
            "open": [rows["open"].iloc[0] for rows in made.values()],
            "high": [max(rows["high"]) for rows in made.values()],
            "low": [min(rows["low"]) for rows in made.values()],
            "close": [rows["close"].iloc[-1] for rows in made.values()],
            "volume": [sum(rows["volume"]) for rows in made.values()],
        },
    )


@settings(max_examples=40)
@given(
    st.sampled_from(["AAPL|4h", "AAPL|1wk", "0700.HK|4h", "ES=F|4h", "EURUSD=X|4h", "BTC-USD|1wk"]),
    st.integers(0, 1200),
    st.integers(3, 40),
    st.sampled_from([0.3, 1.0]),
)
def test_a_derived_bar_is_the_first_the_extremes_the_last_and_the_sum_of_its_base(
    name: str, offset: int, days: int, keep: float
) -> None:
    series = Series.parse(name)
    start = datetime(2021, 1, 1, tzinfo=UTC) + timedelta(days=offset)
    base = random_base(series, start, days, keep)
    if base.empty:
        return
    made = derive(base, series, [])
    pd.testing.assert_frame_equal(made, model(base, series))
    assert validate(made, series, LATER) is made


def test_an_empty_base_makes_no_bars() -> None:
    for name in ("AAPL|4h", "AAPL|1wk"):
        pd.testing.assert_frame_equal(derive(empty(), Series.parse(name), []), empty())


def test_base_bars_outside_every_session_are_left_out() -> None:
    night = np.array(["2024-01-03T03:30", "2024-01-06T15:30"], dtype="datetime64[us]")
    base = frame(night, {name: [1.0, 1.0] for name in COLUMNS})
    pd.testing.assert_frame_equal(derive(base, Series.parse("AAPL|4h"), []), empty())
    inside = np.array(["2024-01-02T14:30"], dtype="datetime64[us]")
    both = pd.concat([frame(inside, {name: [1.0] for name in COLUMNS}), base])
    assert len(derive(both, Series.parse("AAPL|4h"), [])) == 1


def test_the_base_is_not_changed() -> None:
    base = random_base(Series.parse("AAPL|1wk"), datetime(2024, 1, 1, tzinfo=UTC), 30, 1.0)
    before = base.copy()
    derive(base, Series.parse("AAPL|1wk"), [split("2024-01-10", 2)])
    pd.testing.assert_frame_equal(base, before, check_exact=True)


# A split inside a week


def split(day: str, ratio: Fraction | int) -> Action:
    return Action(date.fromisoformat(day), ActionKind.SPLIT, Fraction(ratio))


def week(rows: Iterable[tuple[str, float, float, float, float, float]]) -> pd.DataFrame:
    table = list(rows)
    labels = np.array([row[0] for row in table], dtype="datetime64[us]")
    return frame(labels, {name: [row[i + 1] for row in table] for i, name in enumerate(COLUMNS)})


def only(made: pd.DataFrame) -> list[float]:
    assert len(made) == 1
    return [float(value) for value in made.iloc[0]]


APPLE_OF_JUNE_2000 = week([
    ("2000-06-19", 90.56, 97.88, 89.81, 96.69, 3472400),
    ("2000-06-20", 98.50, 103.94, 98.38, 101.00, 4353700),
    ("2000-06-21", 50.50, 56.94, 50.31, 55.56, 8735600),
    ("2000-06-22", 55.88, 57.63, 53.56, 53.69, 8037100),
    ("2000-06-23", 53.78, 54.63, 50.81, 51.69, 3596400),
])  # fmt: skip


def test_a_week_with_a_split_is_in_the_basis_of_its_last_session() -> None:
    weekly = Series.parse("AAPL|1wk")
    volume = 2 * (3472400 + 4353700) + 8735600 + 8037100 + 3596400
    expected = [45.28, 57.63, 44.905, 51.69, volume]
    assert only(derive(APPLE_OF_JUNE_2000, weekly, [split("2000-06-21", 2)])) == expected


def test_splits_of_other_weeks_leave_a_week_as_traded() -> None:
    weekly = Series.parse("AAPL|1wk")
    others = [split("2005-02-28", 2), split("1987-06-16", 2), split("2000-06-26", 2)]
    assert only(derive(APPLE_OF_JUNE_2000, weekly, others))[:4] == [90.56, 103.94, 50.31, 51.69]
    both = derive(APPLE_OF_JUNE_2000, weekly, [*others, split("2000-06-21", 2)])
    assert only(both)[:4] == [45.28, 57.63, 44.905, 51.69]


def test_a_split_on_monday_is_in_all_of_its_week() -> None:
    weekly = Series.parse("AAPL|1wk")
    assert only(derive(APPLE_OF_JUNE_2000, weekly, [split("2000-06-19", 2)]))[0] == 90.56


def test_two_splits_in_a_week_multiply_and_a_dividend_does_not() -> None:
    three = week((day, 80.0, 80.0, 80.0, 80.0, 10.0) for day in ("2024-01-08", "2024-01-09"))
    actions = [
        split("2024-01-09", 4),
        split("2024-01-10", Fraction(1, 2)),
        Action(date(2024, 1, 9), ActionKind.DIVIDEND, Fraction(1)),
    ]
    assert only(derive(three, Series.parse("AAPL|1wk"), actions)) == [
        40.0,
        160.0,
        40.0,
        160.0,
        25.0,
    ]


def test_4h_bars_are_as_traded_on_the_day_of_a_split() -> None:
    series = Series.parse("AAPL|4h")
    base = random_base(series, datetime(2020, 8, 31, tzinfo=UTC), 1, 1.0)
    pd.testing.assert_frame_equal(
        derive(base, series, [split("2020-08-31", 4)]), derive(base, series, [])
    )


def test_weeks_of_apple_equal_pandas_own_weeks(shared: Path) -> None:
    table = pd.read_csv(shared / "bars/lean/aapl_1d_raw.csv.gz", parse_dates=["date"])
    base = frame(table["date"].to_numpy(), {name: table[name].to_numpy() for name in COLUMNS})
    made = derive(base, Series.parse("AAPL|1wk"), [])
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    theirs = base.resample("W-MON", label="left", closed="left").agg(how)
    pd.testing.assert_frame_equal(made, theirs, check_freq=False)
