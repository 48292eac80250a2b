"""A small world for the tests of ingest: truth, a provider that serves it, and a home.

Not here: any provider's wire format; the truth is handed over as parsed replies.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from math import prod
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from sqlalchemy import make_url

from marketdata_pipeline.database.home import Home, make_home
from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import (
    Action,
    ActionKind,
    adjust_for_splits,
    last_dates,
    later_ratio,
    splits_of,
)
from marketdata_pipeline.domain.bars import COLUMNS, PRICES
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.gate import Gate
from marketdata_pipeline.domain.ranges import TimeRange, to_micros
from marketdata_pipeline.domain.reply import Basis, Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.thresholds import Thresholds
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import MarketDataError
from marketdata_pipeline.governor.flights import Flights
from marketdata_pipeline.ingest.judge import Judge
from marketdata_pipeline.ingest.update import Updater
from marketdata_pipeline.providers.base import Capability, Provider, Reach
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.catalog import Catalog
from marketdata_pipeline.store.tracking import Tracking
from marketdata_pipeline.store.verdicts import Verdicts
from marketdata_pipeline_tests.databases import lay_catalog
from marketdata_pipeline_tests.fakes import FrozenClock

USUAL = Errand()
FRIDAY_CLOSE = datetime(2024, 3, 15, 20, tzinfo=UTC)
"""XNYS closed this very instant; New York is on summer time since the Sunday before."""


def day(text: str) -> datetime:
    """Midnight UTC of an ISO date."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def days(start: str, end: str) -> TimeRange:
    """The label range of ISO dates."""
    return TimeRange(day(start), day(end))


def walk(series: Series, within: TimeRange, *splits: Action) -> pd.DataFrame:
    """Raw bars in cents on every expected label: a random walk around 100 that splits fell into."""
    labels = calendar_of(series.instrument).grid(series.timeframe, within).labels
    dice = np.random.default_rng(1)
    close = np.round(100 * np.exp(np.cumsum(dice.normal(0, 0.01, len(labels)))), 2)
    opened = np.round(close * (1 + dice.normal(0, 0.004, len(labels))), 2)
    high = np.round(np.maximum(opened, close) + dice.integers(0, 50, len(labels)) / 100, 2)
    low = np.round(np.minimum(opened, close) - dice.integers(0, 50, len(labels)) / 100, 2)
    volume = dice.integers(1_000, 9_000_000, len(labels)) * 56.0
    columns = dict(zip(COLUMNS, (opened, high, low, close, volume), strict=True))
    smooth = contract.frame(labels, columns)
    ratio = later_ratio(last_dates(smooth, series), splits)
    raw = {name: np.round(smooth[name].to_numpy() * ratio, 2) for name in PRICES}
    return contract.frame(labels, {**raw, "volume": smooth["volume"]})


@dataclass
class TruthProvider(Provider):
    """Serves raw truth the way Yahoo does: split-adjusted to now, as float32; no action outside.

    ``failures`` are raised one a fetch before anything is served; ``lacking`` labels are absent
    from replies; ``unsplit`` makes it forget to divide.
    """

    truth: Mapping[Series, pd.DataFrame]
    clock: Clock
    actions: tuple[Action, ...] = ()
    first_trade: date | None = None
    failures: list[MarketDataError] = field(default_factory=list)
    lacking: set[datetime] = field(default_factory=set)
    unsplit: bool = False
    asked: list[tuple[Series, TimeRange]] = field(default_factory=list)
    errands: list[Errand] = field(default_factory=list)

    name: ClassVar[str] = "truth"
    timeframes: ClassVar[Mapping[Timeframe, Capability]] = {
        Timeframe.M1: Capability(timedelta(days=7), timedelta(days=29)),
        Timeframe.M5: Capability(None, timedelta(days=59)),
        Timeframe.H1: Capability(None, timedelta(days=729)),
        Timeframe.D1: Capability(),
    }

    @classmethod
    def connected(cls, gate: Gate, clock: Clock, reach: Reach) -> Self:
        """It is nowhere: neither gate nor reach matter."""
        del gate, reach
        return cls({}, clock)

    def fetch(self, series: Series, window: TimeRange, errand: Errand = USUAL) -> Reply:
        self.asked.append((series, window))
        self.errands.append(errand)
        if self.failures:
            raise self.failures.pop(0)
        now = self.clock.market_now()
        served = self._adjusted(self._closed(series, window, now), series, now)
        return Reply(
            series=series,
            window=window,
            bars=served,
            basis=Basis.SPLIT_ADJUSTED,
            actions=tuple(
                self._told(one)
                for one in self.actions
                if window.start.date() <= one.ex_date <= now.date()
            ),
            actions_within=TimeRange(window.start, max(now, window.start + timedelta(1))),
            currency="USD",
            market_at=now,
            fetched_at=self.clock.wall_now(),
            provider=self.name,
            origin="simulator:recorded",
            requests=1,
            first_trade=self.first_trade,
        )

    def _told(self, action: Action) -> Action:
        """Payments are divided by later splits, and rounded to six decimals."""
        if action.kind is ActionKind.SPLIT:
            return action
        later = (one.value for one in splits_of(self.actions) if one.ex_date > action.ex_date)
        return replace(action, value=round(action.value / prod(later, start=Fraction(1)), 6))

    def _closed(self, series: Series, window: TimeRange, now: datetime) -> pd.DataFrame:
        truth = self.truth.get(series, contract.empty())
        labels = contract.labels_of(truth)
        until = calendar_of(series.instrument).closed_until(series.timeframe, now)
        end = window.end if until is None else min(window.end, until)
        inside = (labels >= to_micros(window.start)) & (labels < to_micros(end))
        return truth[inside & ~truth.index.isin(list(self.lacking))]

    def _adjusted(self, raw: pd.DataFrame, series: Series, now: datetime) -> pd.DataFrame:
        begun = [one for one in splits_of(self.actions) if one.ex_date <= now.date()]
        adjusted = adjust_for_splits(raw, series, [] if self.unsplit else begun)
        single = adjusted.drop(columns="volume").astype("float32").astype("float64")
        return single.assign(volume=adjusted["volume"].round())


@dataclass
class World:
    """A home with one provider and everything wired as in production."""

    home: Home
    clock: FrozenClock
    provider: TruthProvider

    @property
    def store(self) -> BarStore:
        return BarStore(self.home.engine, self.home.bars, self.clock)

    @property
    def catalog(self) -> Catalog:
        return Catalog(self.home.engine, self.clock)

    @property
    def tracking(self) -> Tracking:
        return Tracking(self.home.engine, self.clock)

    @property
    def verdicts(self) -> Verdicts:
        return Verdicts(self.home.engine, self.clock)

    @property
    def updater(self) -> Updater:
        return self.updater_over(self.provider)

    def updater_over(self, *providers: Provider) -> Updater:
        judge = Judge(self.store, self.verdicts, self.clock, Thresholds())
        return Updater(
            store=self.store,
            catalog=self.catalog,
            tracking=self.tracking,
            judge=judge,
            providers=providers,
            clock=self.clock,
            flights=Flights(self.home.engine, self.clock, timedelta(minutes=10)),
        )


def make_world(folder: Path, database_url: str) -> World:
    """An empty live home whose clock stands at a Friday's close.

    A SQLite URL says where the catalog is to be; of Postgres it is that of a catalog or empty.
    """
    file = make_url(database_url).database
    if database_url.startswith("sqlite") and file and not Path(file).exists():
        lay_catalog(Path(file))
    home = make_home(folder / "home", database_url=database_url)
    clock = FrozenClock(FRIDAY_CLOSE, FRIDAY_CLOSE)
    return World(home, clock, TruthProvider({}, clock))
