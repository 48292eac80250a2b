"""The one call behind backfill, refresh, repair and the command line.

Not here: the work on one instrument (work), deciding what to ask (plan), storing (settle).
"""

import random
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from importlib import import_module
from queue import SimpleQueue

from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.coverage import Coverage
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.governor.flights import Flights
from marketdata_pipeline.ingest.acts import Acts
from marketdata_pipeline.ingest.batch import Batch, Start
from marketdata_pipeline.ingest.course import Course
from marketdata_pipeline.ingest.judge import Judge
from marketdata_pipeline.ingest.outcome import Outcome
from marketdata_pipeline.ingest.retries import WAITS, Retries
from marketdata_pipeline.ingest.work import InstrumentWork
from marketdata_pipeline.providers.base import Provider
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.catalog import Catalog, SeriesSummary
from marketdata_pipeline.store.tracking import Tracking

Reports = SimpleQueue[Outcome | BaseException | None]
"""Outcomes of an instrument, then None; or what broke it."""


@dataclass(frozen=True, slots=True, eq=False)
class Updater:
    """Brings series up to date: asks for what is missing, stores it, judges it.

    Idempotent: a retry is the same call, and a second call with nothing new sends no request.

    Attributes:
        at_once: so many instruments.
        retry_waits: seconds before each further attempt of a request that failed.
    """

    store: BarStore
    catalog: Catalog
    tracking: Tracking
    judge: Judge
    providers: Sequence[Provider]
    clock: Clock
    flights: Flights
    at_once: int = 3
    retry_waits: tuple[float, ...] = WAITS
    dice: random.Random = field(default_factory=random.Random)

    def update(self, series: Series, wanted: TimeRange | None = None) -> Outcome:
        """Bring one series up to date, its base first; errors are in the outcome."""
        (outcome,) = self.update_many([series], wanted)
        return outcome

    def update_many(
        self,
        series: Sequence[Series],
        wanted: TimeRange | None = None,
        *,
        errand: Errand = Errand(),  # noqa: B008 - frozen
        ends_within: timedelta | None = None,
        failure_share: float = 1.0,
    ) -> Generator[Outcome]:
        """Bring many series up to date, ``at_once`` instruments at a time; yields as they finish.

        Once a provider has no turn within the time allowed, what still needs one fails with the
        same error. An instrument that another run is at is waited for, and then only what is still
        missing is asked for. Closing the iterator stops before the next series.

        Args:
            series: what to update.
            wanted: None: each as far back as it is tracked, or its timeframe's usual depth.
            errand: with the id of Dagster's run, for what is stored and logged, and the priority
                of the newest window of each series; older ones come after those of others.
            ends_within: the time after which no further series is begun, and those under way wait
                neither for a turn nor for another attempt; None: there is none. The error of those
                that are left is NotDone: nothing is noted of them.
            failure_share: the same once ten series and more than this share of all that are done
                failed because of their provider.
        """
        # Every thread needs it: two that import a package at once can lock each other out. Source:
        # python/cpython issue 83065 (parent package and submodule, up to Python 3.12).
        import_module("pyarrow.parquet")
        course = Course(self.clock, ends_within, failure_share)
        load = partial(self._starts, errand=replace(errand, until=course.until or errand.until))
        batch = Batch(
            catalog=self.catalog,
            judge=self.judge,
            clock=self.clock,
            flights=self.flights,
            course=course,
            load=load,
            starts=load(series),
            since={one.instrument: one.since for one in self.tracking.all()},
            wanted=wanted,
        )
        reports: Reports = SimpleQueue()
        pool = ThreadPoolExecutor(self.at_once, thread_name_prefix="instrument")
        grouped = _by_instrument(series)
        for instrument, asked in grouped.items():
            pool.submit(batch.run, instrument, asked, reports.put)
        try:
            for _ in range(len(grouped)):
                yield from _until_none(reports)
        finally:
            batch.course.stop()
            pool.shutdown(cancel_futures=True)

    def _starts(self, series: Sequence[Series], errand: Errand) -> dict[Instrument, Start]:
        """What is known of every instrument, read in a constant number of queries."""
        seen = self.flights.ended({one.instrument for one in series})  # before all else
        works = self._works(series, errand)
        known = [one for work in works.values() for one in work.stored]
        kept = self.judge.verdicts.of_all(known)
        return {one: Start(work, kept, seen[one]) for one, work in works.items()}

    def _works(self, series: Sequence[Series], errand: Errand) -> dict[Instrument, InstrumentWork]:
        everything = {one for asked in series for one in (asked, asked.base) if one is not None}
        coverage: dict[Instrument, dict[Series, Coverage]] = defaultdict(dict)
        for one, spans in self.store.coverage(everything).items():
            coverage[one.instrument][one] = spans
        stored: dict[Instrument, dict[Series, SeriesSummary]] = defaultdict(dict)
        for summary in self.catalog.summaries(everything):
            stored[summary.series.instrument][summary.series] = summary
        actions, facts = self.catalog.known_actions(coverage), self.catalog.facts(coverage)
        retries = Retries(self.clock, self.retry_waits, self.dice)
        return {
            one: InstrumentWork(
                instrument=one,
                providers=self.providers,
                store=self.store,
                clock=self.clock,
                stored=stored[one],
                coverage=coverage[one],
                acts=Acts(actions[one].actions, actions[one].covered),
                first_trade=facts[one].first_trade,
                currency=facts[one].currency,
                errand=errand,
                retries=retries,
            )
            for one in coverage
        }


def _by_instrument(series: Sequence[Series]) -> dict[Instrument, list[Series]]:
    """Every series once, an instrument's together, in the order given."""
    grouped: dict[Instrument, list[Series]] = defaultdict(list)
    for one in dict.fromkeys(series):
        grouped[one.instrument].append(one)
    return grouped


def _until_none(reports: Reports) -> Iterator[Outcome]:
    while (one := reports.get()) is not None:
        if isinstance(one, BaseException):
            raise one
        yield one
