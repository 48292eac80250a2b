"""A frame as somebody made it becomes the rows of each instrument that it holds.

Not here: what the times mean (times, placing) and reading files (files).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.bars import PRICES
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing.columns import (
    ADJUSTED,
    SYMBOL,
    TIME,
    TIMEFRAME,
    is_yahoo,
    mapped,
    numbers_of,
    word_of,
)
from marketdata_pipeline.ingest.importing.place import Place

_LEVELS = 2
_VOLUME = "volume"


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows of one instrument, in the order of the files that they stand in.

    Attributes:
        places: the files.
        symbol, timeframe: what the rows themselves say that they are of; None: nothing.
        times: as they are written.
        columns: float64 of the words in ``columns.NUMBERS`` that are there; NaN: an empty cell.
        file: which of the places each row is of; ``lines`` is its line there.
        yahoo: shaped as yfinance shapes its frames.
    """

    places: tuple[Place, ...]
    symbol: str | None
    timeframe: str | None
    times: "pd.Series[Any]"
    columns: dict[str, np.ndarray]
    file: np.ndarray
    lines: np.ndarray
    yahoo: bool

    def __len__(self) -> int:
        return len(self.lines)

    def spot(self, row: int) -> str:
        """What messages call a row."""
        return self.places[int(self.file[row])].at(int(self.lines[row]))

    @property
    def has_adjusted_close(self) -> bool:
        """Whether an adjusted close stands beside the unadjusted one."""
        return ADJUSTED in self.columns

    def priced(self) -> np.ndarray:
        """Which rows have any price."""
        prices = np.array([self.columns[name] for name in PRICES])
        return np.asarray(~np.isnan(prices).all(axis=0))

    def where(self, keep: np.ndarray) -> "Table":
        """The rows that a mask or an order selects."""
        return replace(
            self,
            times=self.times.iloc[keep],
            columns={name: values[keep] for name, values in self.columns.items()},
            file=self.file[keep],
            lines=self.lines[keep],
        )


def tables_of(frame: pd.DataFrame, place: Place, first_line: int = 1) -> Iterator[Table]:
    """The tables of a frame, one for each instrument that its columns or rows name.

    Times are a column, or the index. Columns of two levels are yfinance's: prices and tickers, in
    either order.

    Raises:
        BadInput: a column is missing, there twice, or holds what is no number.
    """
    if frame.columns.nlevels == _LEVELS:
        yield from _by_ticker(frame, place, first_line)
        return
    if frame.columns.nlevels > _LEVELS:
        raise BadInput(f"{place} has columns of {frame.columns.nlevels} levels; two are known")
    frame = _with_times(frame)
    columns = mapped(frame.columns, place)
    whole = Table(
        (place,),
        None,
        None,
        frame[columns[TIME]],
        numbers_of(frame, columns, place, first_line),
        np.zeros(len(frame), dtype=np.int32),
        np.arange(first_line, first_line + len(frame)),
        is_yahoo(frame.columns),
    )
    named = {word: frame[columns[word]] for word in (SYMBOL, TIMEFRAME) if word in columns}
    yield from _by_value(whole, pd.DataFrame(named)) if named else [whole]


def _by_ticker(frame: pd.DataFrame, place: Place, first_line: int) -> Iterator[Table]:
    """A frame of several tickers; which level is which, the price words tell."""
    prices = [
        level
        for level in range(_LEVELS)
        if all(word_of(name) for name in frame.columns.get_level_values(level))
    ]
    if not prices:
        raise BadInput(f"{place} has columns of two levels, neither of them open, high, low, close")
    tickers = 1 - prices[0]
    times = frame.index.to_series()
    file = np.zeros(len(frame), dtype=np.int32)
    lines = np.arange(first_line, first_line + len(frame))
    for ticker in dict.fromkeys(frame.columns.get_level_values(tickers)):
        part = pd.DataFrame(frame.xs(ticker, axis=1, level=tickers))
        columns = mapped([TIME, *part.columns], place)
        numbers = numbers_of(part, columns, place, first_line)
        yield Table((place,), str(ticker), None, times, numbers, file, lines, yahoo=True)


def _with_times(frame: pd.DataFrame) -> pd.DataFrame:
    """The same with what the index says in columns, first of all the times."""
    if isinstance(frame.index, pd.MultiIndex):  # tickers below each other
        return frame.reset_index()
    named = word_of(frame.index.name) == TIME
    if isinstance(frame.index, pd.DatetimeIndex) or named:
        return frame.reset_index(names=str(frame.index.name) if named else TIME)
    return frame


def _by_value(whole: Table, named: pd.DataFrame) -> Iterator[Table]:
    """The rows that are alike in what they say they are of, in the order of their first rows."""
    groups = named.groupby(list(named.columns), sort=False, dropna=False).ngroup().to_numpy()
    for number in range(int(groups.max(initial=-1)) + 1):
        rows = np.flatnonzero(groups == number)
        said = {word: _said(named[word].iloc[int(rows[0])]) for word in named.columns}
        yield replace(whole.where(rows), symbol=said.get(SYMBOL), timeframe=said.get(TIMEFRAME))


def _said(value: Any) -> str | None:
    return None if pd.isna(value) else str(value)


def joined(parts: Iterable[Table]) -> list[Table]:
    """The tables of one instrument and timeframe as one, in the order of their first rows.

    A column that one of them lacks is left out of all.

    Raises:
        BadInput: that is the column of volume, which nobody may lose.
    """
    groups: dict[tuple[str | None, str | None], list[Table]] = {}
    for one in parts:
        groups.setdefault((one.symbol, one.timeframe), []).append(one)
    return [_one_of(group) for group in groups.values()]


def _one_of(group: list[Table]) -> Table:
    first = group[0]
    if len(group) == 1:
        return first
    names = [name for name in first.columns if all(name in one.columns for one in group)]
    lacking = [one for one in group if _VOLUME not in one.columns]
    if 0 < len(lacking) < len(group):
        raise BadInput(f"{lacking[0].places[0]} has no column of volume, the files beside it have")
    places = tuple(dict.fromkeys(place for one in group for place in one.places))
    number = {place: at for at, place in enumerate(places)}
    file = [np.array([number[place] for place in one.places])[one.file] for one in group]
    return Table(
        places,
        first.symbol,
        first.timeframe,
        pd.concat([one.times for one in group], ignore_index=True),
        {name: np.concatenate([one.columns[name] for one in group]) for name in names},
        np.concatenate(file).astype(np.int32),
        np.concatenate([one.lines for one in group]),
        all(one.yahoo for one in group),
    )
