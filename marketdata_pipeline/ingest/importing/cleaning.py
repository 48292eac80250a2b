"""Rows that have their labels become a frame of bars: good ones only, each label once, sorted.

Not here: which label a row has (placing), and raw prices (traded).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.bars import COLUMNS
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.domain.ranges import TimeRange, from_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing.placing import Placed
from marketdata_pipeline.ingest.importing.tables import Table
from marketdata_pipeline.ingest.importing.times import UNKNOWN

_TOLERATED_SHARE = 0.01
_TELLING = 10
"""Rows from which on it is no chance that each is on the grid of a longer timeframe."""
_WITHOUT_VOLUME = {AssetClass.FX, AssetClass.INDEX}
WORDS = {
    "time": "without a time, or one that a change of the clocks left out or made twofold",
    "grid": "not on the grid of the calendar",
    "closure": "on a day, or in hours, that a person closed",
    "closed": "not closed yet",
    "finite": "a price or the volume missing",
    "positive_prices": "a price that is not above 0",
    "low_high": "low above, or high below, open or close",
    "volume": "negative volume",
}
"""Each reason for dropping a row, as people read it."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A row that was left out.

    Attributes:
        spot: where it stands.
        rule: why; a key of WORDS.
        at: the instant of its time, as far as it has one.
        ts: its label, as far as it has one.
    """

    spot: str
    rule: str
    at: datetime | None
    ts: datetime | None


@dataclass(frozen=True, slots=True, eq=False)
class Cleaned:
    """Bars as ``domain.bars`` shapes them, in the basis of the file, and what was left out.

    Attributes:
        read: rows of the file; ``empty`` of them had no price at all.
        outside: rows outside regular hours, which the person said are among them.
        merged: rows that repeat another one.
        dropped: rows that break a hard rule.
    """

    bars: pd.DataFrame
    read: int
    empty: int
    outside: int
    merged: int
    dropped: tuple[Dropped, ...]


def cleaned(
    table: Table, where: Placed, series: Series, market_now: datetime, *, extended: bool
) -> Cleaned:
    """The bars of a table whose rows have been placed.

    ``extended``: rows outside regular hours are left out instead of breaking a rule.

    Raises:
        BadInput: more than one row and more than 1 % of them break a hard rule; rows that
            contradict each other; no volume; bars of a longer timeframe.
    """
    priced = table.priced()
    inside = ~_outside(where, series) if extended else np.ones(len(table), dtype=bool)
    keep = priced & inside
    kept = table.where(keep)
    labels, instants = where.labels[keep], where.instants[keep]
    values = np.array([_column(kept, name, series) for name in COLUMNS])
    broken = _broken(labels, instants, values, series, market_now)
    if len(broken) > max(1, _TOLERATED_SHARE * len(kept)):
        raise BadInput(_refusal(kept, instants, broken, series))
    dropped = tuple(
        Dropped(kept.spot(row), rule, _instant(instants[row]), _instant(labels[row]))
        for row, rule in broken.items()
    )
    good = np.ones(len(kept), dtype=bool)
    good[list(broken)] = False
    bars, merged = _each_once(kept.where(good), labels[good], values[:, good], series)
    _refuse_other_timeframe(contract.labels_of(bars), series, kept)
    empty = int((~priced).sum())
    outside = int((priced & ~inside).sum())
    return Cleaned(bars, len(table), empty, outside, merged, dropped)


def still_good(clean: Cleaned, raw: pd.DataFrame, series: Series, market_now: datetime) -> Cleaned:
    """The same with the bars as traded, but for those that rounding has put out of order."""
    bad = contract.bad_rows(raw, series, market_now)
    if not bad:
        return replace(clean, bars=raw)
    dropped = [
        Dropped(f"the bar of {one.ts:%Y-%m-%d %H:%M}", one.rule, one.ts, one.ts) for one in bad
    ]
    kept = raw[~raw.index.isin([one.ts for one in bad])]
    return replace(clean, bars=kept, dropped=(*clean.dropped, *dropped))


def _column(table: Table, name: str, series: Series) -> np.ndarray:
    if name in table.columns:
        return table.columns[name]
    if series.instrument.asset_class in _WITHOUT_VOLUME:
        return np.zeros(len(table))
    raise BadInput(f"{table.places[0]} has no column of {name}; only FX and indices do without")


def _outside(where: Placed, series: Series) -> np.ndarray:
    """Which rows begin in no session; of one that ends no bar the moment before its end counts."""
    known = where.instants != UNKNOWN
    out = np.zeros(len(known), dtype=bool)
    if not series.timeframe.intraday or not known.any():
        return out
    timed = where.instants - where.ends
    begun = np.where(where.labels != UNKNOWN, where.labels, timed)[known]
    out[known] = calendar_of(series.instrument).bucket(series.timeframe, begun) < 0
    return out


def _broken(
    labels: np.ndarray,
    instants: np.ndarray,
    values: np.ndarray,
    series: Series,
    market_now: datetime,
) -> dict[int, str]:
    """The rule that each bad row breaks, by its position."""
    has_label = np.flatnonzero(labels != UNKNOWN)
    broken = {
        int(row): "grid" if instants[row] != UNKNOWN else "time"
        for row in np.flatnonzero(labels == UNKNOWN)
    }
    columns = dict(zip(COLUMNS, values[:, has_label], strict=True))
    bars = contract.frame(labels[has_label], columns)
    found = contract.broken_rows(bars, series, market_now)
    broken |= {int(has_label[row]): rule for row, rule in found.items()}
    return dict(sorted(broken.items()))


def _instant(micros: int) -> datetime | None:
    try:
        return None if micros == UNKNOWN else from_micros(micros)
    except OverflowError:  # of no year that a datetime has
        return None


def _refusal(table: Table, instants: np.ndarray, broken: Mapping[int, str], series: Series) -> str:
    rule, count = Counter(broken.values()).most_common(1)[0]
    first = next(row for row, one in broken.items() if one == rule)
    at = _instant(instants[first])
    when = "" if at is None else f" at {at:%Y-%m-%d %H:%M} UTC"
    told = (
        f"{len(broken)} of {len(table)} rows break a hard rule of {series}, {count} of them are "
        f"{WORDS[rule]}; the first is {table.spot(first)}{when}"
    )
    if rule != "grid":
        return told
    asked = "are --labels, --zone and --timeframe right?"
    if not series.timeframe.intraday:
        return f"{told}; {asked}"
    return f"{told}; {asked} (--extended-hours leaves out bars outside of sessions)"


def _each_once(
    table: Table, labels: np.ndarray, values: np.ndarray, series: Series
) -> tuple[pd.DataFrame, int]:
    """Sorted bars, and how many rows repeated another one."""
    order = np.argsort(labels, kind="stable")
    labels, values = labels[order], values[:, order]
    again = np.flatnonzero(np.diff(labels) == 0)
    differ = again[(values[:, again] != values[:, again + 1]).any(axis=0)]
    if len(differ):
        at = int(differ[0])
        one, other = table.spot(int(order[at])), table.spot(int(order[at + 1]))
        raise BadInput(
            f"{one} and {other} are two different bars of {series} at "
            f"{from_micros(int(labels[at])):%Y-%m-%d %H:%M} UTC; correct the file"
        )
    once = np.append(np.diff(labels) > 0, True)[: len(labels)]
    columns = dict(zip(COLUMNS, values[:, once], strict=True))
    return contract.frame(labels[once], columns), len(again)


def _refuse_other_timeframe(labels: np.ndarray, series: Series, table: Table) -> None:
    """Bars of five minutes would pass as bars of one, four of five missing."""
    if len(labels) < _TELLING:
        return
    every = list(Timeframe)
    within = TimeRange(from_micros(int(labels[0])), from_micros(int(labels[-1]) + 1))
    calendar = calendar_of(series.instrument)
    for longer in reversed(every[every.index(series.timeframe) + 1 :]):
        if np.isin(labels, calendar.grid(longer, within).labels).all():
            raise BadInput(
                f"{table.places[0]}: each of its rows begins where a bar of {longer} does; is "
                f"--timeframe {series.timeframe} right?"
            )
