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
from marketdata_pipeline.domain.tiers import Pace, Tier, Wishes, paces
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.venues import Venue
from marketdata_pipeline.store.totals import NewestGroup, Totals, TrackedGroup, UpdatedGroup

_HOUR = timedelta(hours=1)
_FURTHEST = timedelta(days=60)
_USUAL = Wishes()


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often the tracked series of one timeframe are wished to be refreshed, and how they are.

    Attributes:
        series: how many are tracked; ``open``: those of them whose session is open now.
        wished: between two refreshes while the session is open: as often as a schedule looks at
            its series, those of the first tier only where there are no others, but no more often
            than bars close; a day is asked for once, after the close.
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
        costliest: the timeframe that most of the wish is for, in the lowest tier that wishes
            anything; None: nothing is wished.
        stretched: how often that one can be refreshed where the quota does not carry the wish,
            all timeframes of the tier being stretched alike; None: it does.
    """

    wished: float
    allowed: float | None
    costliest: Timeframe | None
    stretched: timedelta | None


def cadences(
    totals: Totals, market_now: datetime, delay: timedelta, wishes: Wishes = _USUAL
) -> list[Cadence]:
    """One for each tracked timeframe, finest first; ``delay`` is that of a day after its close."""
    open_venues = _open_venues(totals.tracked, market_now)
    return [
        _cadence(
            totals, frame, open_venues, until=market_now - frame.asked_after(delay), wishes=wishes
        )
        for frame in Timeframe
        if series_of(totals.tracked, frame)
    ]


def _cadence(
    totals: Totals,
    timeframe: Timeframe,
    open_venues: frozenset[Venue],
    *,
    until: datetime,
    wishes: Wishes,
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
        wished=wishes.every(_lowest(ours.tracked, timeframe), timeframe),
        behind=median(_behind(seen.newest, timeframe, until), of=of),
        updated=median(ages, of=of),
        requests=requests_of(ours.tracked, timeframe, wishes),
        requests_now=requests_of(
            (trading if timeframe.intraday else ours).tracked, timeframe, wishes
        ),
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


def requests_of(tracked: Sequence[TrackedGroup], timeframe: Timeframe, wishes: Wishes) -> float:
    """Requests an hour that the series of a timeframe cost as often as wished."""
    return sum(
        wishes.requests(tier, timeframe, count)
        for tier, count in _by_tier(tracked, timeframe).items()
    )


def paces_of(
    tracked: Sequence[TrackedGroup], turns: Sequence[Turns], wishes: Wishes = _USUAL
) -> list[Pace]:
    """How often the series of each tier are wished to be refreshed, and how often they can be."""
    frames = {frame: _by_tier(tracked, frame) for frame in Timeframe}
    series = {tier: {frame: frames[frame][tier] for frame in Timeframe} for tier in Tier}
    return paces(series, wishes, allowed_by(turns))


def allowed_by(turns: Sequence[Turns]) -> float | None:
    """Requests an hour that all quotas together give for ever; None: none is known."""
    return sum(_HOUR / one.interval for one in turns) or None


def load_of(
    tracked: Sequence[TrackedGroup], turns: Sequence[Turns], wishes: Wishes = _USUAL
) -> Load:
    """What the wish costs against what all quotas together allow."""
    allowed = allowed_by(turns)
    wishing = [one for one in paces_of(tracked, turns, wishes) if one.requests]
    if not wishing:
        return Load(0.0, allowed, None, None)
    last = wishing[-1]
    costs = {
        frame: wishes.requests(last.tier, frame, _by_tier(tracked, frame)[last.tier])
        for frame in Timeframe
    }
    costliest = max(costs, key=lambda frame: costs[frame])
    longer = wishes.every(last.tier, costliest) * last.stretch
    stretched = longer if last.stretch > 1 else None
    return Load(sum(one.requests for one in wishing), allowed, costliest, stretched)


def _by_tier(tracked: Sequence[TrackedGroup], timeframe: Timeframe) -> dict[Tier, int]:
    first = sum(one.first for one in tracked if timeframe in one.timeframes)
    return {Tier.PRIORITY: first, Tier.OTHER: series_of(tracked, timeframe) - first}


def _lowest(tracked: Sequence[TrackedGroup], timeframe: Timeframe) -> Tier:
    return Tier.OTHER if _by_tier(tracked, timeframe)[Tier.OTHER] else Tier.PRIORITY


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
