"""Rows in another unit than those around them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.providers.yahoo.units import in_another_unit

MONDAY = datetime(2024, 3, 11, tzinfo=UTC)
DAY = 86_400 * 1_000_000


def bars(*units: float, **columns: Sequence[float] | np.ndarray) -> pd.DataFrame:
    """Days of about 50 from that Monday on, each times its unit; ``columns`` replace those."""
    factor = np.array(units)
    opened = 50.0 + np.arange(len(units))
    made = {
        "open": opened * factor,
        "high": (opened + 3) * factor,
        "low": (opened - 3) * factor,
        "close": (opened + 1) * factor,
        "volume": np.full(len(units), 1000.0),
    }
    labels = int(MONDAY.timestamp()) * 1_000_000 + np.arange(len(units)) * DAY
    return contract.frame(labels, {**made, **columns})


def doubted(frame: pd.DataFrame, before: float | None = 50.0) -> list[int]:
    """The positions of the bars that are doubted."""
    found = in_another_unit(frame, before)
    assert {one.rule for one in found} <= {"unit"}
    return [list(frame.index).index(pd.Timestamp(one.ts)) for one in found]


@pytest.mark.parametrize("unit", [100, 0.01])
@pytest.mark.parametrize(
    "wrong", [[], [0], [2], [5], [1, 2], [4, 5], [0, 1, 4], [0, 1, 2, 3, 4, 5]]
)
def test_rows_in_another_unit_than_the_close_before_them_are_doubted(
    unit: float, wrong: list[int]
) -> None:
    units = [unit if at in wrong else 1 for at in range(6)]
    assert doubted(bars(*units)) == wrong


def test_without_a_close_before_them_the_first_row_is_right() -> None:
    assert doubted(bars(1, 100, 1), None) == [1]
    assert doubted(bars(100, 100, 1), None) == [2]
    assert doubted(bars(1, 100, 1), 0.0) == [1]


def test_rows_without_prices_tell_nothing_of_those_behind_them() -> None:
    frame = bars(1, 1, 100, 1, 1)
    frame.iloc[[1, 3]] = np.nan
    assert doubted(frame) == [2, 3], "the one of the wrong unit, and the nothing behind it"
    frame.iloc[0] = np.nan
    assert doubted(frame, None) == [4], "the first one with prices is right"
    assert doubted(bars(), None) == []


def test_a_wick_of_a_hundredfold_is_doubted() -> None:
    assert doubted(bars(1, 1, high=[53, 5400])) == [1]
    assert doubted(bars(1, 1, low=[0.47, 48])) == [0]


def test_a_day_that_truly_falls_to_a_hundredth_is_not() -> None:
    opened, close = [4.2, 0.0043, 0.00005], [0.0043, 0.00005, 0.00006]
    fallen = bars(1, 1, 1, open=opened, close=close, high=opened, low=close)
    assert doubted(fallen, 4.0) == []


@pytest.mark.parametrize("ratio", [2, 3, 10, 20, 50, 1000])
def test_what_a_split_makes_is_not_its_to_doubt(ratio: float) -> None:
    assert doubted(bars(1, 1, ratio, ratio)) == []
    assert doubted(bars(ratio, ratio, 1, 1), 50.0 * ratio) == []


def test_the_mixture_that_yahoo_served_of_aet_is_found_and_nothing_else(shared: Path) -> None:
    folder = shared / "bars" / "price_repair"
    served, mended = (
        pd.read_csv(folder / f"AET-L-1d-100x-error{name}.csv.gz", index_col=0).sort_index()
        for name in ("", "-fixed")
    )
    wrong = np.flatnonzero(served["Close"].to_numpy() < mended["Close"].to_numpy() / 2).tolist()
    named = {name: served[name.title()].to_numpy() for name in contract.COLUMNS}
    frame = bars(*[1] * len(served), **named)
    before = float(mended["Close"].iloc[0])
    assert doubted(frame, before) == wrong
    assert len(wrong) == 14
