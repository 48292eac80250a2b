"""What a rule may look at, and the few shapes that a rule's answer takes.

Not here: the rules, and where the evidence comes from (ingest.judge).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property

import numpy as np
import pandas as pd

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import Action
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.coverage import Coverage, SpanKind, absent_ranges
from marketdata_pipeline.domain.ranges import (
    TimeRange,
    from_micros,
    merge,
    span,
    subtract,
    to_micros,
)
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import Micros
from marketdata_pipeline.domain.thresholds import Thresholds
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.verdict import Finding, Verdict
from marketdata_pipeline.errors import ContractViolation
from marketdata_pipeline.quality.prices import Prices, prices_of

MOST_FINDINGS = 20
"""Of one rule on one series; more of them say nothing new."""
_FEWEST = 3
"""Bars that tell anything about each other: one, one before, one after."""
_NOT_EXPECTED = {SpanKind.OUT_OF_DEPTH, SpanKind.NO_TRADE}


def nothing_stored(_: Timeframe) -> pd.DataFrame:
    """No bars of any other timeframe."""
    return contract.empty()


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a rule may look at.

    Attributes:
        bars: raw stored bars: those of this run with some around them, or all.
        coverage: of the whole series.
        wanted: the label range that is kept, up to the last closed bar; None: none is closed.
        last: label of the newest stored bar, None where there is none.
        actions: of the instrument, as far as they are known.
        whole: whether ``bars`` are all that is stored.
        stored: all stored raw bars of the instrument at another timeframe.
    """

    series: Series
    bars: pd.DataFrame
    coverage: Coverage
    wanted: TimeRange | None
    first_trade: date | None
    last: datetime | None
    market_now: datetime
    thresholds: Thresholds
    actions: Sequence[Action] = ()
    whole: bool = False
    stored: Callable[[Timeframe], pd.DataFrame] = nothing_stored

    @cached_property
    def shaped(self) -> bool:
        """Whether the bars have the columns, dtypes, zone and order of the contract."""
        try:
            contract.check_shape(self.bars, self.series)
        except ContractViolation:
            return False
        return True

    @cached_property
    def labels(self) -> Micros:
        """The labels of the bars."""
        return contract.labels_of(self.bars)

    @cached_property
    def broken(self) -> dict[str, np.ndarray]:
        """By hard rule a mask of the bars that break it."""
        return contract.masks(self.bars, self.series, self.market_now)

    @cached_property
    def prices(self) -> Prices | None:
        """The bars with splits and payments taken out; None: too few, or not all above zero."""
        broken = self.broken["finite"] | self.broken["positive_prices"]
        if len(self.bars) < _FEWEST or broken.any():
            return None
        return prices_of(self.bars, self.series, self.actions)

    @cached_property
    def scope(self) -> TimeRange | None:
        """The labels that are wanted and not before the listing; None: there are none."""
        wanted, first = self.wanted, self.first_trade
        if wanted is None or first is None:
            return wanted
        if self.series.timeframe is Timeframe.W1:  # the listing's week is labelled before it
            first -= timedelta(days=first.weekday())
        return span(max(wanted.start, datetime.combine(first, time.min, tzinfo=UTC)), wanted.end)

    @cached_property
    def expected(self) -> Micros:
        """The labels of the bars that ought to be there: not out of depth, not without a trade."""
        if self.scope is None:
            return np.zeros(0, dtype=np.int64)
        spared = [one.within for one in self.coverage.spans if one.kind in _NOT_EXPECTED]
        calendar, timeframe = calendar_of(self.series.instrument), self.series.timeframe
        parts = [calendar.grid(timeframe, part).labels for part in subtract([self.scope], spared)]
        return np.concatenate([np.zeros(0, dtype=np.int64), *parts])

    @cached_property
    def answered(self) -> np.ndarray:
        """A mask of the expected labels that a provider answered with a bar."""
        full = self.coverage.present()
        inside = np.zeros(len(self.expected), dtype=bool)
        for one in merge(full):
            ends = [to_micros(one.start), to_micros(one.end)]
            inside[slice(*np.searchsorted(self.expected, ends))] = True
        return inside

    @cached_property
    def gaps(self) -> list[tuple[TimeRange, int]]:
        """Ranges of expected bars that are absent, and how many bars each lacks."""
        if self.scope is None or bool(self.answered.all()):
            return []
        spared = [one.within for one in self.coverage.spans if one.kind in _NOT_EXPECTED]
        calendar, timeframe = calendar_of(self.series.instrument), self.series.timeframe
        present = self.expected[self.answered]
        found = []
        for part in subtract([self.scope], spared):
            grid = calendar.grid(timeframe, part)
            for one in absent_ranges(grid, present, timeframe):
                ends = np.searchsorted(grid.labels, [to_micros(one.start), to_micros(one.end)])
                found.append((one, int(ends[1] - ends[0])))
        return found

    def dated(self, row: int) -> str:
        """The label of a bar, as a person reads it."""
        return self.spelled(from_micros(int(self.labels[row])))

    def spelled(self, label: datetime) -> str:
        """A label as a person reads it."""
        form = "%Y-%m-%d %H:%M" if self.series.timeframe.intraday else "%Y-%m-%d"
        return label.strftime(form)

    def between(self, first: int, last: int) -> TimeRange:
        """The label range from one bar to another, both in it."""
        end = from_micros(int(self.labels[last])) + self.series.timeframe.length
        return TimeRange(from_micros(int(self.labels[first])), end)


def runs(mask: np.ndarray, at_least: int = 1) -> list[tuple[int, int]]:
    """First and last position of each run of as many or more that are true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    pairs = edges.reshape(-1, 2).tolist()
    return [(first, after - 1) for first, after in pairs if after - first >= at_least]


def by_share(evidence: Evidence, rule: str, bad: np.ndarray, what: str) -> Verdict:
    """Holds where no bar is bad; the score is the share of good ones. ``what`` is said of them."""
    count, total = int(bad.sum()), len(bad)
    if not count:
        return Verdict(passed=True, score=1.0, detail=f"{total} bars looked at")
    found = tuple(
        Finding(rule, evidence.between(first, last), f"{last - first + 1} bars: {what}")
        for first, last in runs(bad)[:MOST_FINDINGS]
    )
    first = evidence.dated(int(np.flatnonzero(bad)[0]))
    detail = f"{count} of {total} bars, the first at {first}: {what}"
    return Verdict(passed=False, score=1 - count / total, detail=detail, findings=found)


def by_findings(found: Sequence[Finding], looked_at: int) -> Verdict:
    """Holds where nothing was found; each finding halves, thirds, ... the score."""
    if not found:
        return Verdict(passed=True, score=1.0, detail=f"{looked_at} bars looked at")
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return Verdict(
        passed=False,
        score=1 / (1 + len(found)),
        detail=f"{found[0].detail}{more}",
        findings=tuple(found[:MOST_FINDINGS]),
    )
