"""From the prices of a file to traded ones, by the splits that are known.

Not here: the arithmetic (domain.actions), and what a file lists (told).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.actions import (
    Action,
    ActionKind,
    as_paid,
    ratio_of,
    raw_from_split_adjusted,
    restated,
    splits_of,
)
from marketdata_pipeline.domain.bars import frame_on, values_of
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.ranges import TimeRange, span, subtract, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing.terms import Prices, Terms
from marketdata_pipeline.ingest.importing.told import Told
from marketdata_pipeline.ingest.raw import in_effect
from marketdata_pipeline.store.catalog import KnownActions

_DAY = timedelta(days=1)
_DIGITS = 15
"""Of a decimal that a float64 always holds."""


@dataclass(frozen=True, slots=True, eq=False)
class Traded:
    """Bars as traded.

    Attributes:
        splits: those that hold for them.
        news: the actions that nobody knew before.
        splits_known: from the first bar to now they are all that there are.
    """

    bars: pd.DataFrame
    splits: tuple[Action, ...]
    news: tuple[Action, ...]
    splits_known: bool


@dataclass(frozen=True, slots=True, eq=False)
class Priced:
    """Bars as a file prices them, and all that is known of the actions of their time.

    Attributes:
        bars: shaped as ``domain.bars`` says, in the basis of the ``terms``.
        told: what the file lists.
        known: what the catalog knows.
        market_now: the market instant of the import.
    """

    bars: pd.DataFrame
    series: Series
    terms: Terms
    told: Told
    known: KnownActions
    market_now: datetime

    def traded(self) -> Traded:
        """The bars as traded.

        Raises:
            BadInput: prices are divided by splits, and not all of them are known from the first
                bar to the day that prices were adjusted to; or what is told of splits contradicts
                what is known.
        """
        fresh = self._fresh_splits()
        splits = tuple(splits_of([*self.known.actions, *fresh]))
        if self.bars.empty or not self.series.instrument.asset_class.has_actions:
            return Traded(self.bars, splits, (), splits_known=True)
        raw = self.bars
        payments = [one for one in self.told.actions if one.kind is not ActionKind.SPLIT]
        if self.terms.basis is Prices.SPLITS:
            taken_out = self._taken_out(splits)
            undone = _undivided if self.terms.exact else raw_from_split_adjusted
            raw = undone(raw, self.series, taken_out)
            payments = list(as_paid(payments, taken_out))
        news = (*fresh, *self._news([*payments, *self.told.paid]))
        whole = not self._gaps(self.market_now)
        return Traded(raw, splits, news, splits_known=whole)

    def _listed(self) -> list[Action]:
        """The splits that the person or the file tells."""
        stated, in_file = self.terms.splits, splits_of(self.told.actions)
        if stated is None:
            return in_file
        more = [one for one in in_file if one not in stated]
        if more:
            raise BadInput(
                f"{self.series}: the file lists a split on {more[0].ex_date} ({more[0].value}:1) "
                "that --splits lacks; give all of them"
            )
        return list(stated)

    def _fresh_splits(self) -> list[Action]:
        """Those told that are not known; one with a date some days away is the known one."""
        before = splits_of(self.known.actions)
        days = {one.ex_date for one in before}
        fresh = [one for one in self._listed() if one not in before and not restated(before, [one])]
        strange = [one for one in fresh if self._is_covered(one) or one.ex_date in days]
        if self.terms.exact:  # the export's home believed in them, this one knows better
            return [one for one in fresh if one not in strange]
        if strange:
            raise BadInput(
                f"{self.series}: a split of {strange[0].value}:1 on {strange[0].ex_date} is not "
                "among those that are known of that time; correct the file or --splits"
            )
        return fresh

    def _news(self, payments: Iterable[Action]) -> list[Action]:
        """The payments of times of which not all are known yet."""
        there = {(one.ex_date, one.kind) for one in self.known.actions}
        return [
            one
            for one in payments
            if (one.ex_date, one.kind) not in there and not self._is_covered(one)
        ]

    def _is_covered(self, action: Action) -> bool:
        at = datetime.combine(action.ex_date, time.min, tzinfo=UTC)
        return any(one.start <= at < one.end for one in self.known.covered)

    def _taken_out(self, splits: Sequence[Action]) -> Sequence[Action]:
        """The splits that the prices were divided by."""
        if self.terms.exact:
            return self.terms.splits or ()
        until = self._adjusted_to()
        gaps = self._gaps(until)
        if gaps:
            raise BadInput(self._lacking(gaps))
        if self.terms.adjusted_to is None:
            self._refuse_later_split(splits)
        taken_out = in_effect(splits, self.series, until)
        self._refuse_denied(taken_out)
        return taken_out

    def _adjusted_to(self) -> datetime:
        """The market instant up to which splits have been taken out of the prices."""
        stated = self.terms.adjusted_to
        if stated is None:
            return self.market_now
        until = datetime.combine(stated, time.min, tzinfo=UTC) + _DAY
        if until <= self._last:
            raise BadInput(
                f"{self.series}: --adjusted-to {stated} is before the last bar "
                f"({self._last:%Y-%m-%d})"
            )
        return min(until, self.market_now)

    @property
    def _first(self) -> datetime:
        first: datetime = self.bars.index[0].to_pydatetime()
        return first

    @property
    def _last(self) -> datetime:
        last: datetime = self.bars.index[-1].to_pydatetime()
        return last

    def _gaps(self, until: datetime) -> list[TimeRange]:
        """Where a split may have come between, up to an instant, that nobody knows of."""
        covered = list(self.known.covered)
        if self.told.within is not None:
            covered.append(self.told.within)
        if self.terms.splits is not None and not self.terms.exact:
            covered.append(TimeRange(self._first, max(until, self._last + _DAY)))
        needed = span(self._first, until)
        parts = subtract([] if needed is None else [needed], covered)
        return [one for one in parts if _opens(self.series, one)]

    def _lacking(self, gaps: Sequence[TimeRange]) -> str:
        """What to do about gaps."""
        instrument, first, last = self.series.instrument, gaps[0].start, gaps[-1].end
        told = (
            f"the splits of {instrument} are not known from {first:%Y-%m-%d} to {last:%Y-%m-%d}; "
            f"run marketdata backfill {instrument} first, or give them: "
            "--splits 2024-06-10=10:1 or --splits none"
        )
        if self.terms.adjusted_to is None and first > self._last:
            told += ", or say up to which day prices are adjusted: --adjusted-to DATE"
        return told

    def _refuse_later_split(self, splits: Sequence[Action]) -> None:
        last, now = self._last.date(), self.market_now.date()
        later = [one for one in splits if last < one.ex_date <= now]
        if later:
            raise BadInput(
                f"{self.series}: {self.series.instrument} split {later[0].value}:1 on "
                f"{later[0].ex_date}, after the last bar ({last}); say whether prices are divided "
                f"by that: --adjusted-to {last} if not, --adjusted-to {later[-1].ex_date} if so"
            )

    def _refuse_denied(self, splits: Sequence[Action]) -> None:
        stated = self.terms.splits
        if stated is None:
            return
        denied = [
            one
            for one in splits
            if one.ex_date > self._first.date()
            and one not in stated
            and not restated([one], stated)
        ]
        if denied:
            raise BadInput(
                f"{self.series}: --splits lacks the split of {denied[0].value}:1 on "
                f"{denied[0].ex_date}, which is known; leave out --splits or give that too"
            )


def _undivided(bars: pd.DataFrame, series: Series, splits: Iterable[Action]) -> pd.DataFrame:
    """The raw bars that ``adjust_for_splits`` has made these of.

    A decimal of up to 15 digits is the only one of so many that a float64 quotient comes from.
    """
    ratio = ratio_of(bars, series, splits)
    values = values_of(bars)
    prices = values[:-1] * ratio
    scale = 10.0 ** (_DIGITS - 1 - np.floor(np.log10(prices)))
    prices = np.where(ratio == 1, values[:-1], np.round(prices * scale) / scale)
    volume = np.where(ratio == 1, values[-1], np.round(values[-1] / ratio))
    return frame_on(bars.index, np.vstack([prices, volume]))


def _opens(series: Series, within: TimeRange) -> bool:
    """Whether a session opens in a range; before the calendar begins, one may."""
    calendar = calendar_of(series.instrument)
    if within.start < calendar.begins:
        return True
    start, end = to_micros(within.start), to_micros(within.end)
    opens = calendar.days(to_micros(within.start - _DAY), to_micros(within.end + _DAY)).open
    return bool(np.any((opens >= start) & (opens < end)))
