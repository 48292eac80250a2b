"""The bars contract: what a frame of bars must look like, and which rows break it.

Not here: soft rules (quality) and where bars come from. A frame of bars has a ``ts`` index
(datetime64[us, UTC], each label the bar's open, or the session's date at 00:00 UTC for 1d and 1wk)
and the float64 columns open, high, low, close (quote currency) and volume (units traded). An empty
frame means: no bars.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from threading import Lock
from typing import cast

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.calendars import Calendar, Grid, calendar_of, calendar_with
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import DAY, Micros, monday_of
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import ContractViolation

PRICES = ("open", "high", "low", "close")
COLUMNS = (*PRICES, "volume")
CLOSURE = "closure"
"""The rule that no bar comes from a day that a person declared closed: what is stored stays."""
INDEX_DTYPE = "datetime64[us, UTC]"
_ASKING = Lock()
"""Two threads that import a package at once can lock each other out: python/cpython issue 83065
(parent package and submodule, up to Python 3.12)."""
_FIRST_INSTANT = datetime(1, 1, 1, tzinfo=UTC)
_LAST_INSTANT = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that breaks a hard rule: its label and the rule's name."""

    ts: datetime
    rule: str


def frame(ts: np.ndarray | Sequence[int], columns: Mapping[str, object]) -> pd.DataFrame:
    """A frame of bars from labels (microseconds or datetime64) and five columns, as given."""
    index = pd.DatetimeIndex(np.asarray(ts, dtype="datetime64[us]"), tz="UTC", name="ts")
    return frame_on(index, np.array([columns[name] for name in COLUMNS], dtype=np.float64))


def frame_on(index: pd.Index, rows: np.ndarray) -> pd.DataFrame:
    """A frame of bars from an index and the five columns as the rows of one array, not copied.

    Five arrays of their own would cost pandas four times as much.
    """
    return pd.DataFrame(rows.T, index=index, columns=_names(), copy=False)


@cache
def _names() -> pd.Index:
    """The columns' names, looked up by one table for all frames."""
    return pd.Index(COLUMNS)


def empty() -> pd.DataFrame:
    """No bars."""
    return frame([], dict.fromkeys(COLUMNS, ()))


def labels_of(bars: pd.DataFrame) -> Micros:
    """The labels in microseconds since 1970-01-01T00:00Z."""
    labels: Micros = cast("pd.DatetimeIndex", bars.index).as_unit("us").asi8
    return labels


def labels_inside(labels: Micros, ranges: Iterable[TimeRange]) -> np.ndarray:
    """A mask of the labels that lie in any of some ranges; neither need be sorted."""
    inside = np.zeros(len(labels), dtype=bool)
    for one in ranges:
        inside |= (labels >= to_micros(one.start)) & (labels < to_micros(one.end))
    return inside


def values_of(bars: pd.DataFrame) -> np.ndarray:
    """The five columns as the rows of one array."""
    if bars.columns.equals(_names()):
        return bars.to_numpy().T
    return bars[list(COLUMNS)].to_numpy().T


def bad_rows(bars: pd.DataFrame, series: Series, market_now: datetime) -> list[BadRow]:
    """The rows that break a hard rule, each with the first rule that it breaks.

    Rules: finite prices and volume, positive prices, low <= open and close <= high, volume >= 0,
    label on the session's grid, no day that a person closed, bar closed at ``market_now``.
    """
    labels = labels_of(bars)
    broken = broken_rows(bars, series, market_now)
    return [BadRow(_instant(labels[row]), rule) for row, rule in broken.items()]


def broken_rows(bars: pd.DataFrame, series: Series, market_now: datetime) -> dict[int, str]:
    """The same by position, in that order: labels need be neither sorted nor unique."""
    broken: dict[int, str] = {}
    for rule, mask in masks(bars, series, market_now).items():
        for row in np.flatnonzero(mask):
            broken.setdefault(int(row), rule)
    return dict(sorted(broken.items()))


def masks(bars: pd.DataFrame, series: Series, market_now: datetime) -> dict[str, np.ndarray]:
    """By hard rule a mask of the rows that break it; the rules are those of ``bad_rows``."""
    labels, values = labels_of(bars), values_of(bars)
    opened, high, low, close, volume = values
    off_grid, closed_day, forming = _against_calendar(labels, series, market_now)
    with np.errstate(invalid="ignore"):
        return {
            "finite": ~np.isfinite(values).all(axis=0),
            "positive_prices": (values[:4] <= 0).any(axis=0),
            "low_high": (low > np.minimum(opened, close)) | (high < np.maximum(opened, close)),
            "volume": volume < 0,
            "grid": off_grid,
            CLOSURE: closed_day,
            "closed": forming,
        }


def _against_calendar(
    labels: Micros, series: Series, market_now: datetime
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Masks: not a label of the calendar; one that a person closed; whose bar is not closed yet.

    Before the first day that the calendar knows any midnight is on the grid of days, any Monday's
    on that of weeks.
    """
    if not len(labels):
        return np.zeros(0, dtype=bool), np.zeros(0, dtype=bool), np.zeros(0, dtype=bool)
    calendar = calendar_of(series.instrument)
    grid = _grid(calendar, labels, series)
    known, at = _known(grid, labels)
    forming = np.zeros(len(labels), dtype=bool)
    forming[known] = grid.closes[at[known]] > to_micros(market_now)
    closed_day = np.zeros(len(labels), dtype=bool)
    if calendar.closures:
        regular = _grid(calendar_with(series.instrument.venue), labels, series)
        closed_day = ~known & _known(regular, labels)[0]
    unknown_era = labels < to_micros(calendar.begins)
    off_grid = ~known & ~closed_day & ~(unknown_era & _dated(labels, series.timeframe))
    return off_grid, closed_day, forming


def _grid(calendar: Calendar, labels: Micros, series: Series) -> Grid:
    within = TimeRange(_instant(labels.min()), _instant(labels.max()) + timedelta(microseconds=1))
    return calendar.grid(series.timeframe, within)


def _known(grid: Grid, labels: Micros) -> tuple[np.ndarray, np.ndarray]:
    """Which labels are of the grid, and where in it they would be."""
    at = np.searchsorted(grid.labels, labels)
    known = np.zeros(len(labels), dtype=bool)
    inside = at < len(grid.labels)
    known[inside] = grid.labels[at[inside]] == labels[inside]
    return known, at


def _dated(labels: Micros, timeframe: Timeframe) -> np.ndarray:
    if timeframe.intraday:
        return np.zeros(len(labels), dtype=bool)
    start_of = monday_of(labels) if timeframe is Timeframe.W1 else labels // DAY * DAY
    return np.equal(start_of, labels)


def _instant(label: int) -> datetime:
    """The label's instant; of one beyond the years that a datetime has, the nearest that it has."""
    low, high = to_micros(_FIRST_INSTANT), to_micros(_LAST_INSTANT)
    return from_micros(min(max(int(label), low), high))


def validate(bars: pd.DataFrame, series: Series, market_now: datetime) -> pd.DataFrame:
    """The same frame, once every hard rule is known to hold.

    What was stored of a day before a person closed it may stay.

    Raises:
        ContractViolation: wrong columns, dtypes, zone or order, duplicates, or a bad row; the text
            names series, rule and the first row.
    """
    check_shape(bars, series)
    bad = [one for one in bad_rows(bars, series, market_now) if one.rule != CLOSURE]
    if bad:
        raise ContractViolation(
            f"{series}: {len(bad)} bars break a hard rule, first {bad[0].rule} at {bad[0].ts}"
        )
    return bars


def check_shape(bars: pd.DataFrame, series: Series) -> None:
    """Pass where columns, dtypes, zone and order are those of a frame of bars.

    Raises:
        ContractViolation: they are not; the text names the series.
    """
    if not _is_shaped(bars):
        with _ASKING:
            _ask_schema(bars, series)


def _ask_schema(bars: pd.DataFrame, series: Series) -> None:
    """Have pandera say what is wrong; importing it takes a third of a second."""
    from pandera.errors import SchemaError, SchemaErrors

    from marketdata_pipeline.domain.contract import schema_of

    try:
        schema_of(COLUMNS, INDEX_DTYPE).validate(bars)
    except SchemaErrors as error:  # several columns; it is no SchemaError
        raise ContractViolation(f"{series}: {_said(error.schema_errors[0])}") from error
    except SchemaError as error:
        raise ContractViolation(f"{series}: {_said(error)}") from error


def _is_shaped(bars: pd.DataFrame) -> bool:
    """Whether the schema has nothing to say: asking it costs more than all the rest of an update.

    The frame without bars has the shape that the schema wants.
    """
    model = empty()
    if bars.index.dtype != model.index.dtype or bars.index.name != model.index.name:
        return False
    if not bars.columns.equals(model.columns) or any(one != np.float64 for one in bars.dtypes):
        return False
    return bool((np.diff(labels_of(bars)) > 0).all())


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
