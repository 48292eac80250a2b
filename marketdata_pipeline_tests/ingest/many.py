"""Many series of one calendar, a provider that loses sessions of them, and a clock to turn.

Not here: what the tests say of it.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pandas as pd

from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.domain.incident import Incident
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.governor.waits import Waits
from marketdata_pipeline.ingest.events import Events
from marketdata_pipeline.ingest.gaps import Brought, Gaps
from marketdata_pipeline.ingest.queue import Queue
from marketdata_pipeline.ingest.track import Keeping
from marketdata_pipeline.ingest.worker import Worker
from marketdata_pipeline.store import incidents
from marketdata_pipeline.store.tracking import Tracked
from marketdata_pipeline_tests.ingest.world import TruthProvider, World, day, days, walk

QUARTER = days("2024-01-15", "2024-03-16")


@dataclass
class Forgetful(TruthProvider):
    """A provider of truth that has lost some sessions of some series, by their dates."""

    lost: dict[Instrument, set[date]] = field(default_factory=dict)

    def _closed(self, series: Series, window: TimeRange, now: datetime) -> pd.DataFrame:
        served = super()._closed(series, window, now)
        gone = self.lost.get(series.instrument, set())
        return served[[one.date() not in gone for one in served.index]]


@dataclass
class Market:
    """A world in which so many instruments of one venue are tracked, one series each."""

    world: World
    series: list[Series]
    provider: Forgetful

    @classmethod
    def of(
        cls,
        world: World,
        count: int,
        *,
        lost: Collection[str],
        losers: int,
        suffix: str = "",
        timeframe: Timeframe = Timeframe.D1,
    ) -> "Market":
        """``losers`` of the series, the first ones, come without the sessions ``lost``."""
        names = [f"Q{number:03d}{suffix}" for number in range(count)]
        series = [Series(Instrument.parse(name), timeframe) for name in names]
        truth = walk(series[0], QUARTER)
        gone = {date.fromisoformat(one) for one in lost}
        provider = Forgetful(
            dict.fromkeys(series, truth),
            world.clock,
            first_trade=QUARTER.start.date(),
            lost={one.instrument: set(gone) for one in series[:losers]},
        )
        world.provider = provider
        made = cls(world, series, provider)
        made.track(series)
        return made

    def track(self, series: Sequence[Series]) -> None:
        for one in series:
            self.world.tracking.put(Tracked(one.instrument, (one.timeframe,), QUARTER.start))

    @property
    def queue(self) -> Queue:
        return Queue(self.world.home.engine, self.world.clock)

    @property
    def gaps(self) -> Gaps:
        world = self.world
        return Gaps(world.tracking, world.catalog, world.store, self.queue, rest=timedelta(0))

    def update(self) -> None:
        """What the schedule does."""
        for outcome in self.world.updater.update_many(self.series):
            assert outcome.error is None

    def cycle(self, after: timedelta = timedelta(0)) -> Brought:
        """Let time go by, look, and do what the queue holds; the wall is the database's."""
        self.world.clock.advance(after)
        brought = self.gaps.look()
        worker = Worker(
            Events(self.world.home.engine, self.world.clock, Keeping()),
            self.queue,
            self.world.updater,
            Waits(),
            lambda _: None,
        )
        while worker.step() is not None:
            pass
        return brought

    def incidents(self) -> list[Incident]:
        with reading(self.world.home.engine) as connection:
            return incidents.newest(connection, 100)

    def restore(self) -> None:
        """The provider has found what it lost."""
        self.provider.lost.clear()

    def requests(self) -> int:
        """How many were sent since the last call."""
        count = len(self.provider.asked)
        self.provider.asked.clear()
        return count

    def digest(self, without: Collection[str] = ()) -> str:
        """Of all bars but those of some days."""
        gone = [day(one) for one in without]
        told = hashlib.sha256()
        for one in self.series:
            bars = self.world.store.read(one)
            told.update(bars[~bars.index.isin(gone)].to_csv().encode())
        return told.hexdigest()

    def holes(self) -> int:
        """Series that lack anything."""
        return sum(bool(one.holes()) for one in self.world.store.coverage(self.series).values())


def at(text: str) -> datetime:
    """An instant of UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
