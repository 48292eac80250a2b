"""The spellings of columns, and numbers out of them.

Not here: which instrument the rows are of (tables), and times (times).
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.bars import COLUMNS, PRICES
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing.place import Place

TIME, SYMBOL, TIMEFRAME = "time", "symbol", "timeframe"
ADJUSTED = "adj_close"
SPLITS, DIVIDENDS, GAINS = "splits", "dividends", "gains"
NUMBERS = (*COLUMNS, ADJUSTED, SPLITS, DIVIDENDS, GAINS)
_SPELLINGS = {
    TIME: "date datetime timestamp time ts",
    SYMBOL: "symbol ticker instrument",
    TIMEFRAME: "timeframe interval",
    "open": "open o",
    "high": "high h",
    "low": "low l",
    "close": "close c",
    "volume": "volume vol v",
    ADJUSTED: "adjclose adjustedclose",
    SPLITS: "stocksplits stocksplit",
    DIVIDENDS: "dividends dividend",
    GAINS: "capitalgains",
}
_BY_SPELLING = {text: name for name, spelled in _SPELLINGS.items() for text in spelled.split()}
_NAMELESS = frozenset({"", "unnamed0", "index"})
"""Names of a frame's index that was saved without one."""
_YAHOO = frozenset({"Open", "High", "Low", "Close"})
_YAHOO_ONLY = frozenset({"Adj Close", "Stock Splits", "Capital Gains"})


def word_of(name: Hashable) -> str | None:
    """What a column holds, by its name in any case and punctuation; None: nothing we know."""
    return _BY_SPELLING.get(_plain(name))


def _plain(name: Hashable) -> str:
    return "".join(one for one in str(name).casefold() if one.isalnum())


def mapped(names: Iterable[Hashable], where: object) -> dict[str, Hashable]:
    """The column of each word that is there; others are left out.

    A column without a name is that of times where no other is.

    Raises:
        BadInput: two columns for one word, or none of times or of a price.
    """
    columns = list(names)
    found: dict[str, list[Hashable]] = defaultdict(list)
    for name in columns:
        word = word_of(name)
        if word is not None:
            found[word].append(name)
    if TIME not in found and columns and _plain(columns[0]) in _NAMELESS:
        found[TIME].append(columns[0])
    for word, named in found.items():
        if len(named) > 1:
            both = " and ".join(str(one) for one in named[:2])
            raise BadInput(f"{where} has two columns of {word}, {both}; leave one of them out")
    lacking = [word for word in (TIME, *PRICES) if word not in found]
    if lacking:
        seen = ", ".join(str(one) for one in columns[:8]) or "none"
        raise BadInput(f"{where} has no column of {', '.join(lacking)}; its columns are: {seen}")
    return {word: named[0] for word, named in found.items()}


def is_yahoo(names: Iterable[Hashable]) -> bool:
    """Whether columns are named as yfinance names them, and by nobody else."""
    spelled = {str(one) for one in names}
    return spelled >= _YAHOO and bool(spelled & _YAHOO_ONLY)


def numbers_of(
    frame: pd.DataFrame, columns: Mapping[str, Hashable], place: Place, first_line: int
) -> dict[str, np.ndarray]:
    """The float64 values of each word that stands for numbers; NaN where a cell is empty.

    Raises:
        BadInput: a cell is no number; the text names its line.
    """
    return {
        word: _floats(frame[columns[word]], str(columns[word]), place, first_line)
        for word in NUMBERS
        if word in columns
    }


def _floats(column: "pd.Series[Any]", name: str, place: Place, first_line: int) -> np.ndarray:
    found = pd.to_numeric(column, errors="coerce")
    wrong = np.flatnonzero((found.isna() & ~column.isna()).to_numpy())
    if len(wrong):
        first = int(wrong[0])
        raise BadInput(
            f"{place.at(first_line + first)}: {name} is {str(column.iloc[first])[:40]!r}; write "
            "plain numbers, e.g. 1234.5"
        )
    return found.to_numpy(dtype=np.float64, na_value=np.nan)
