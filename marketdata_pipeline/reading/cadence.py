"""Wished and real cadence of each timeframe, and whether the quota carries the wish: arithmetic.

Not here: reading totals and the governor's row (status), and words for people (cli).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.gate import Turns
from marketdata_pipeline.domain.ranges import TimeRange, to_micros
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.venues import Venue
from marketdata_pipeline.store.totals import NewestGroup, Totals, TrackedGroup, UpdatedGroup

LOOK = timedelta(minutes=15)
"""How often the schedule looks for series that can have news."""
_HOUR = timedelta(hours=1)
_FURTHEST = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often the tracked series of one timeframe are wished to be refreshed, and how they are.

    Attributes:
        series: how many are tracked; ``open``: those of them whose session is open now.
        wished: between two refreshes while the session is open: as often as the schedule looks,
            but no more often than bars close; a day is asked for once, after the close.
        behind: the median of what is closed and not stored yet, in trading time; None: half of
            the series have no bar. Intraday of the series whose session is open, if there are any.
        updated: the median age of their last update that did not fail; None: half never had one.
        requests: those that the wish costs in an hour with every session open, ``requests_now``
            with the sessions that are; a derived series costs none, a day a 24th of one.
    """

    timeframe: Timeframe
    series: int
    open: int
    wished: timedelta
    behind: timedelta | None
    updated: timedelta | None
    requests: float
    requests_now: float


@dataclass(frozen=True, slots=True)
class Load:
    """Requests an hour that the wish costs, and those that quotas allow for ever.

    Attributes:
        wished: with every session open.
        allowed: one every interval, since a burst comes once only; None: no quota is known.
        costliest: the timeframe that most of the wish is for; None: nothing is wished.
        stretched: how often that one can be refreshed where the quota does not carry the wish,
            all timeframes being stretched alike; None: it does.
    """

    wished: float
    allowed: float | None
    costliest: Timeframe | None
    stretched: timedelta | None


def cadences(totals: Totals, market_now: datetime, delay: timedelta) -> list[Cadence]:
    """One for each tracked timeframe, finest first; ``delay`` is that of a day after its close."""
    open_venues = _open_venues(totals.tracked, market_now)
    return [
        _cadence(totals, frame, open_venues, market_now - frame.asked_after(delay))
        for frame in Timeframe
        if series_of(totals.tracked, frame)
    ]


def _cadence(
    totals: Totals, timeframe: Timeframe, open_venues: frozenset[Venue], until: datetime
) -> Cadence:
    """The cadence of a timeframe whose bars are asked for once they are closed at ``until``."""
    ours = _among(totals, timeframe, None)
    trading = _among(totals, timeframe, open_venues)
    series, opened = (series_of(one.tracked, timeframe) for one in (ours, trading))
    seen, of = (trading, opened) if timeframe.intraday and opened else (ours, series)
    ages = [
        (max(totals.at - one.at, timedelta(0)), one.series)
        for one in seen.updated
        if one.at is not None
    ]
    return Cadence(
        timeframe=timeframe,
        series=series,
        open=opened,
        wished=wish_of(timeframe),
        behind=median(_behind(seen.newest, timeframe, until), of=of),
        updated=median(ages, of=of),
        requests=requests_of(timeframe, series),
        requests_now=requests_of(timeframe, opened if timeframe.intraday else series),
    )


def _among(totals: Totals, timeframe: Timeframe, venues: frozenset[Venue] | None) -> Totals:
    """The totals of one timeframe, of these venues only where any are named."""

    def wanted(one: TrackedGroup | NewestGroup | UpdatedGroup) -> bool:
        return venues is None or one.example.venue in venues

    return replace(
        totals,
        tracked=tuple(one for one in totals.tracked if wanted(one)),
        newest=tuple(one for one in totals.newest if one.timeframe is timeframe and wanted(one)),
        updated=tuple(one for one in totals.updated if one.timeframe is timeframe and wanted(one)),
    )


def wish_of(timeframe: Timeframe) -> timedelta:
    """How long between two refreshes: between two looks of the schedule no bar may have closed."""
    return max(LOOK, timeframe.length)


def requests_of(timeframe: Timeframe, series: int) -> float:
    """Requests an hour that so many series cost as often as wished; one a refresh."""
    return 0.0 if timeframe.derived else series * (_HOUR / wish_of(timeframe))


def load_of(tracked: Sequence[TrackedGroup], turns: Sequence[Turns]) -> Load:
    """What the wish costs against what all quotas together allow."""
    costs = {frame: requests_of(frame, series_of(tracked, frame)) for frame in Timeframe}
    wished, allowed = sum(costs.values()), sum(_HOUR / one.interval for one in turns)
    if not wished:
        return Load(0.0, allowed or None, None, None)
    costliest = max(costs, key=lambda frame: costs[frame])
    too_much = 0 < allowed < wished
    stretched = wish_of(costliest) * (wished / allowed) if too_much else None
    return Load(wished, allowed or None, costliest, stretched)


def series_of(tracked: Sequence[TrackedGroup], timeframe: Timeframe) -> int:
    """How many series of a timeframe are tracked."""
    return sum(one.instruments for one in tracked if timeframe in one.timeframes)


def median(values: Iterable[tuple[timedelta, int]], *, of: int) -> timedelta | None:
    """The lower median of values that so many have each, among ``of`` in all.

    None: the median is one of those that no value is given for, which are more than any value.
    """
    passed = 0
    for value, count in sorted(values):
        passed += count
        if 2 * passed >= of:
            return value
    return None


def _open_venues(tracked: Sequence[TrackedGroup], market_now: datetime) -> frozenset[Venue]:
    """The venues of tracked instruments whose session is open."""
    examples = {one.example.venue: one.example for one in tracked}
    return frozenset(
        venue for venue, one in examples.items() if calendar_of(one).is_open(market_now)
    )


def _behind(
    newest: Sequence[NewestGroup], timeframe: Timeframe, until: datetime
) -> list[tuple[timedelta, int]]:
    """For each group the bars that were closed at ``until`` and are newer than its newest one.

    Sixty days back at most; as trading time: that many times the timeframe's length.
    """
    found: list[tuple[timedelta, int]] = []
    for venue in {one.example.venue for one in newest}:
        ours = [one for one in newest if one.example.venue == venue]
        grid = calendar_of(ours[0].example).grid(timeframe, TimeRange(until - _FURTHEST, until))
        closed = grid.labels[grid.closes <= to_micros(until)]
        for one in ours:
            if one.last is not None:
                late = len(closed) - np.searchsorted(closed, to_micros(one.last), side="right")
                found.append((int(late) * timeframe.length, one.series))
    return found
