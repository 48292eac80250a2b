"""How a whole home stands: coverage by class and timeframe, rates, turns, cadence.

Not here: single series (data), the queries (store.totals), Dagster's runs (orchestrator).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.gate import Turns
from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.domain.tiers import Pace, Wishes
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.reading.cadence import Cadence, Load, cadences, load_of, paces_of
from marketdata_pipeline.reading.queue import QueueStatus, queue_status, read_queue
from marketdata_pipeline.store.quarantine import Quarantine
from marketdata_pipeline.store.totals import StoredGroup, Totals, Written, read_totals

_USUAL = Wishes()
_SYMBOLS = 5
"""That no provider knows; as many are named."""


@dataclass(frozen=True, slots=True)
class ClassCoverage:
    """The kept series of one asset class and timeframe.

    Attributes:
        series: those that are tracked, and others that have bars and were not given up.
        complete: those that pass the rule ``completeness``.
        completeness: its mean score, 0 to 1; a series that was never judged counts as 0.
        failing: those whose last update failed.
    """

    asset_class: AssetClass
    timeframe: Timeframe
    series: int
    complete: int
    completeness: float
    failing: int


@dataclass(frozen=True, slots=True)
class Status:
    """A home at one instant of the market, and one of the wall, which is the database's.

    Attributes:
        coverage: in the order of the classes and of the grid.
        cadences: of the tracked timeframes, finest first; empty where nobody asked for them.
        paces: of the tiers that have series, the highest first.
        minute, hour: what was committed in the last ones.
        queue: how it stands; a few of the symbols that no provider knows are named.
        quarantined: parts of replies that are held until a person judges them.
    """

    market_now: datetime
    wall_now: datetime
    coverage: tuple[ClassCoverage, ...]
    cadences: tuple[Cadence, ...]
    turns: tuple[Turns, ...]
    load: Load
    minute: Written
    hour: Written
    paces: tuple[Pace, ...] = ()
    queue: QueueStatus = QueueStatus()  # noqa: RUF009 - frozen
    quarantined: int = 0

    @property
    def series(self) -> int:
        """How many series are kept."""
        return sum(one.series for one in self.coverage)


def read_status(
    home: Home,
    turns: Sequence[Turns],
    *,
    delay: timedelta | None = None,
    wishes: Wishes = _USUAL,
) -> Status:
    """The status of an opened home, in a constant number of queries.

    Args:
        home: the one to look at.
        turns: as the governor tells them; reading does not ask it.
        delay: after the close, until days and weeks are asked for; None leaves cadences out, which
            take calendars and so a second more.
        wishes: how often series are wished to be refreshed.

    Raises:
        StoreError: the catalog is unreadable.
    """
    totals = read_totals(home.engine, home.clock, wishes.first)
    found = status_of(totals, turns, home.clock.market_now(), delay=delay, wishes=wishes)
    backlog = read_queue(home.engine, home.clock, named=_SYMBOLS)
    held = Quarantine(home.engine, home.clock).held()
    return replace(found, queue=queue_status(backlog), quarantined=held)


def status_of(
    totals: Totals,
    turns: Sequence[Turns],
    market_now: datetime,
    *,
    delay: timedelta | None,
    wishes: Wishes = _USUAL,
) -> Status:
    """The status that totals come to, without the queue; arguments as above."""
    return Status(
        market_now=market_now,
        wall_now=totals.at,
        coverage=tuple(_coverage(totals)),
        cadences=() if delay is None else tuple(cadences(totals, market_now, delay, wishes)),
        turns=tuple(turns),
        load=load_of(totals.tracked, turns, wishes),
        minute=totals.minute,
        hour=totals.hour,
        paces=tuple(paces_of(totals.tracked, turns, wishes)),
    )


def _coverage(totals: Totals) -> list[ClassCoverage]:
    """Tracked series count whether they were asked for or not, others once they have bars."""
    series: dict[tuple[AssetClass, Timeframe], int] = defaultdict(int)
    for group in totals.tracked:
        for frame in group.timeframes:
            series[group.asset_class, frame] += group.instruments
    stored: dict[tuple[AssetClass, Timeframe], list[StoredGroup]] = defaultdict(list)
    for one in totals.stored:
        stored[one.asset_class, one.timeframe].append(one)
        series[one.asset_class, one.timeframe] += 0 if one.tracked else one.series
    return [
        ClassCoverage(
            asset_class=kind,
            timeframe=frame,
            series=series[kind, frame],
            complete=sum(one.complete for one in stored[kind, frame]),
            completeness=sum(one.completeness for one in stored[kind, frame]) / series[kind, frame],
            failing=sum(one.failing for one in stored[kind, frame]),
        )
        for kind in AssetClass
        for frame in Timeframe
        if (kind, frame) in series
    ]
