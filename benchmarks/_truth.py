"""The real bars of ../shared/bars as frames that keep the contract, with their known actions.

Not here: what is done to them (_defects). Bars outside regular hours, which are not stored, are
left out; hourly bars that Lean floors to the hour are labelled by the open of the same bar in the
session's grid; a contract's bars are of that contract.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.bars import COLUMNS
from marketdata_pipeline.domain.ranges import from_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import DAY

BARS = Path(__file__).resolve().parents[2] / "shared" / "bars"
_MONTHS = "FGHJKMNQUVXZ"
_FLOORED = timedelta(minutes=30)
_FEWEST = 40


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A series of real bars: ``whole`` where it has every session from its first to its last."""

    name: str
    series: Series
    bars: pd.DataFrame
    actions: tuple[Action, ...] = ()
    currency: str = "USD"
    whole: bool = True

    @property
    def days(self) -> int:
        """The dates on which it has bars."""
        return len(np.unique(contract.labels_of(self.bars) // DAY))


def subjects() -> list[Subject]:
    """Every series of the real bars that has enough of them.

    Raises:
        FileNotFoundError: ../shared/bars is not there.
    """
    return [one for one in _all() if len(one.bars) >= _FEWEST]


def _all() -> Iterator[Subject]:
    for symbol in ("SPY", "AAPL", "IBM"):
        yield _lean(symbol, "1d")
    yield _lean("AAPL", "1h", _FLOORED)
    yield _plain("MSFT|1d", "market_prices/MSFT_1d")
    yield _plain("BTC-USD|1d", "lean/btcusd_coinbase_1d")
    yield _plain("EURUSD=X|1h", "lean/eurusd_1h_bid")
    yield _plain("MSFT|1h", "market_prices/MSFT_1h")
    yield _plain("MSFT|5m", "market_prices/MSFT_5m")
    yield _plain("MSFT|1m", "market_prices/MSFT_1m")
    yield _plain("SPY|1m", "lean/spy_1m_raw", whole=False)
    yield _plain("SPY|1m", "pyalgotrade/spy_1m_2011-01", -timedelta(minutes=1))
    yield _plain("BTC-USD|1m", "lean/btcusd_coinbase_1m", whole=False)
    for product, venue, timeframe in (
        ("es", "CME", "1d"), ("es", "CME", "1h"), ("es", "CME", "1m"), ("gc", "CMX", "1m"),
    ):  # fmt: skip
        yield from _contracts(product, venue, timeframe)


def read(name: str) -> pd.DataFrame:
    """A file as it is: labels in UTC as the index, the file's own columns, sorted."""
    table = pd.read_csv(BARS / f"{name}.csv.gz")
    column = "ts" if "ts" in table else "date"
    labels = pd.to_datetime(table.pop(column), utc=True, format="ISO8601")
    return table.set_index(pd.DatetimeIndex(labels)).sort_index(kind="stable")


def bars_of(table: pd.DataFrame, series: Series, shift: timedelta = timedelta()) -> pd.DataFrame:
    """The rows of a table that are bars of the series' market, each label once."""
    table = table[~table.index.duplicated()]
    labels = (pd.DatetimeIndex(table.index) + shift).as_unit("us").asi8
    columns = {name: table[name].to_numpy(np.float64) if name in table else 0.0 for name in COLUMNS}
    rows = {name: np.broadcast_to(one, len(labels)) for name, one in columns.items()}
    found = contract.frame(labels, rows)
    now = from_micros(int(labels[-1])) + timedelta(days=30)
    broken = contract.broken_rows(found, series, now)
    return found.drop(found.index[list(broken)])


def _plain(key: str, name: str, shift: timedelta = timedelta(), *, whole: bool = True) -> Subject:
    series = Series.parse(key)
    return Subject(f"{key} {name}", series, bars_of(read(name), series, shift), whole=whole)


def _lean(symbol: str, timeframe: str, shift: timedelta = timedelta()) -> Subject:
    series = Series.parse(f"{symbol}|{timeframe}")
    name = f"lean/{symbol.lower()}_{timeframe}_raw"
    bars = bars_of(read(name), series, shift)
    return Subject(f"{series} {name}", series, bars, tuple(_factors(symbol.lower())))


def _factors(symbol: str) -> Iterator[Action]:
    """The actions that a factor file tells: rows of date, price factor, split factor, close.

    A row's factors hold up to its date; the next row's from the day after on.
    """
    lines = (BARS / f"lean/{symbol}_factor_file.csv").read_text().split()
    rows = [line.split(",") for line in lines]
    for earlier, later in pairwise(rows[1:]):
        ex_date = _next_day(datetime.strptime(earlier[0], "%Y%m%d").replace(tzinfo=UTC).date())
        price, after = float(earlier[1]), float(later[1])
        split = float(later[2]) / float(earlier[2])
        if abs(split - 1) > 0.01:  # noqa: PLR2004 - the factors are rounded
            value = Fraction(split).limit_denominator(50)
            yield Action(ex_date, ActionKind.SPLIT, value)
        cash = round((1 - price / after) * float(earlier[3]), 3)
        if cash > 0:
            yield Action(ex_date, ActionKind.DIVIDEND, Fraction(str(cash)))


def _next_day(day: date) -> date:
    """The next weekday: an ex-date is a session."""
    after = day + timedelta(days=1)
    return after + timedelta(days=max(0, 7 - after.weekday()) if after.weekday() >= 5 else 0)  # noqa: PLR2004


def _contracts(product: str, venue: str, timeframe: str) -> Iterator[Subject]:
    table = read(f"lean/{product}_{timeframe}_contracts")
    for code, rows in table.groupby("contract"):
        year, month = str(code)[2:4], int(str(code)[4:6])
        key = f"{product.upper()}{_MONTHS[month - 1]}{year}.{venue}|{timeframe}"
        series = Series.parse(key)
        bars = bars_of(rows, series)
        yield Subject(f"{key} lean/{product}", series, bars, whole=False)
