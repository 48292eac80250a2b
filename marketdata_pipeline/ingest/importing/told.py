"""Splits and payments that a file lists beside its bars.

Not here: what follows from them for prices (traded).
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

import numpy as np

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.ranges import TimeRange, from_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import DAY, Micros
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing.columns import DIVIDENDS, GAINS, SPLITS
from marketdata_pipeline.ingest.importing.placing import Placed
from marketdata_pipeline.ingest.importing.tables import Table
from marketdata_pipeline.ingest.importing.times import UNKNOWN, shown

_KINDS = {
    SPLITS: ActionKind.SPLIT,
    DIVIDENDS: ActionKind.DIVIDEND,
    GAINS: ActionKind.CAPITAL_GAIN,
}
_SIMPLE = 1000
"""Ratios such as 1/3 come as float64; one of small whole numbers is meant where it is that near."""
_NEAR = Fraction(1, 10**9)


@dataclass(frozen=True, slots=True)
class Told:
    """The actions that a file lists.

    Attributes:
        actions: as it writes them; payments are divided as prices are.
        within: the range of which it lists all splits; None: of none.
        paid: payments as they were paid, listed elsewhere.
    """

    actions: tuple[Action, ...] = ()
    within: TimeRange | None = None
    paid: tuple[Action, ...] = ()


def told_by(table: Table, where: Placed, series: Series) -> Told:
    """The actions in the columns of a table whose rows have been placed.

    A weekly row does not tell the day, so that nothing is taken from it.

    Raises:
        BadInput: a negative one, or two splits of one day.
    """
    if series.timeframe is Timeframe.W1 or not series.instrument.asset_class.has_actions:
        return Told()
    dates = _dates(where, series)
    known = dates != UNKNOWN
    found: list[Action] = []
    for word, kind in _KINDS.items():
        if word in table.columns:
            found += _of_kind(table, np.where(known, table.columns[word], 0.0), dates, kind)
    if SPLITS not in table.columns or not known.any():
        return Told(tuple(sorted(found)))
    first, last = int(dates[known].min()), int(dates[known].max())
    return Told(tuple(sorted(found)), TimeRange(from_micros(first), from_micros(last + DAY)))


def _dates(where: Placed, series: Series) -> Micros:
    """The exchange's date of each row, as a label; UNKNOWN for a row that has none."""
    if not series.timeframe.intraday:
        return where.labels
    local = shown(where.instants, series.instrument.venue.zone)
    return np.where(local == UNKNOWN, UNKNOWN, local // DAY * DAY)


def _of_kind(table: Table, values: np.ndarray, dates: Micros, kind: ActionKind) -> list[Action]:
    """One action a day; payments of a day that differ are added up, as providers do."""
    amounts: dict[date, set[Fraction]] = defaultdict(set)
    for row in np.flatnonzero(~np.isnan(values) & (values != 0)):
        if values[row] < 0 or not np.isfinite(values[row]):
            raise BadInput(f"{table.spot(int(row))}: a {kind} of {values[row]} cannot be")
        number = float(values[row])
        exact = _ratio(number) if kind is ActionKind.SPLIT else Fraction(repr(number))
        amounts[from_micros(int(dates[row])).date()].add(exact)
    if kind is ActionKind.SPLIT:
        twice = [day for day, each in amounts.items() if len(each) > 1]
        if twice:
            raise BadInput(f"{table.places[0]} has two different splits on {twice[0]}")
        amounts = {day: each for day, each in amounts.items() if each != {Fraction(1)}}
    return [Action(day, kind, sum(each, Fraction(0))) for day, each in amounts.items()]


def _ratio(number: float) -> Fraction:
    simple = Fraction(number).limit_denominator(_SIMPLE)
    exact = Fraction(repr(number))
    return simple if abs(simple - exact) <= exact * _NEAR else exact
