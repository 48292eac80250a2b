"""The one call behind backfill, refresh, repair and the command line.

Not here: the work on one instrument (work), deciding what to ask (plan), storing (settle).
"""

import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from itertools import groupby

import structlog

from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import MarketDataError, RateLimited
from marketdata_pipeline.ingest.judge import Judge
from marketdata_pipeline.ingest.outcome import Outcome
from marketdata_pipeline.ingest.plan import label_floor
from marketdata_pipeline.ingest.work import InstrumentWork, Tally, Wish
from marketdata_pipeline.providers.base import Provider
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.catalog import Catalog
from marketdata_pipeline.store.tracking import Tracking

_log = structlog.get_logger("marketdata_pipeline.ingest")
_GRID = list(Timeframe)


@dataclass(frozen=True, slots=True, eq=False)
class Updater:
    """Brings series up to date: asks for what is missing, stores it, judges it.

    Idempotent: a retry is the same call, and a second call with nothing new sends no request.
    """

    store: BarStore
    catalog: Catalog
    tracking: Tracking
    judge: Judge
    providers: Sequence[Provider]
    clock: Clock
    at_once: int = 3

    def update(self, series: Series, wanted: TimeRange | None = None) -> Outcome:
        """Bring one series up to date, its base first; errors are in the outcome."""
        return next(self.update_many([series], wanted))

    def update_many(
        self,
        series: Sequence[Series],
        wanted: TimeRange | None = None,
        *,
        run_id: str | None = None,
    ) -> Iterator[Outcome]:
        """Bring many series up to date, ``at_once`` instruments at a time; yields as they finish.

        ``wanted`` None: each as far back as it is tracked, or its timeframe's usual depth. Once a
        provider has no turn within the time allowed, what still needs one fails with the same
        error. Closing the iterator stops before the next instrument.
        """
        _import_before_threads()
        batch = _Batch(self, self._works(series, run_id), wanted)
        done: queue.SimpleQueue[Outcome | BaseException | None] = queue.SimpleQueue()
        pool = ThreadPoolExecutor(self.at_once, thread_name_prefix="instrument")
        grouped = _by_instrument(series)
        for instrument, asked in grouped.items():
            pool.submit(batch.run, instrument, asked, done)
        try:
            for _ in range(len(grouped)):
                yield from _until_none(done)
        finally:
            batch.stopped = True
            pool.shutdown(cancel_futures=True)

    def _works(
        self, series: Sequence[Series], run_id: str | None
    ) -> dict[Instrument, InstrumentWork]:
        """What is known of every instrument, read in a constant number of queries."""
        everything = {one for asked in series for one in (asked, asked.base) if one is not None}
        coverage = self.store.coverage(everything)
        instruments = {one.instrument for one in series}
        actions = self.catalog.known_actions(instruments)
        facts = self.catalog.facts(instruments)
        return {
            one: InstrumentWork(
                instrument=one,
                providers=self.providers,
                store=self.store,
                catalog=self.catalog,
                clock=self.clock,
                coverage={each: coverage[each] for each in everything if each.instrument == one},
                actions=actions[one].actions,
                actions_known=list(actions[one].covered),
                first_trade=facts[one].first_trade,
                run_id=run_id,
            )
            for one in instruments
        }


def _import_before_threads() -> None:
    """Load what every thread needs: two that import a package at once can lock each other out.

    Source: python/cpython issue 83065 (parent package and submodule, up to Python 3.12).
    """
    for name in ("marketdata_pipeline.domain.contract", "pyarrow.parquet"):
        import_module(name)


def _by_instrument(series: Sequence[Series]) -> dict[Instrument, list[Series]]:
    ordered = sorted(dict.fromkeys(series), key=lambda one: one.instrument)
    grouped = groupby(ordered, key=lambda one: one.instrument)
    order = dict.fromkeys(one.instrument for one in series)
    found = {instrument: list(asked) for instrument, asked in grouped}
    return {instrument: found[instrument] for instrument in order}


def _until_none(
    done: "queue.SimpleQueue[Outcome | BaseException | None]",
) -> Iterator[Outcome]:
    while (one := done.get()) is not None:
        if isinstance(one, BaseException):
            raise one
        yield one


class _Batch:
    """The instruments of one call; remembers that a provider ran out of turns."""

    def __init__(
        self,
        updater: Updater,
        works: dict[Instrument, InstrumentWork],
        wanted: TimeRange | None,
    ) -> None:
        self._updater = updater
        self._works = works
        self._wanted = wanted
        self._since = {one.instrument: one.since for one in updater.tracking.all()}
        self._limited: RateLimited | None = None
        self.stopped = False

    def run(
        self,
        instrument: Instrument,
        asked: list[Series],
        done: "queue.SimpleQueue[Outcome | BaseException | None]",
    ) -> None:
        """Update one instrument's series, the fetched ones first, the daily one before others."""
        if self.stopped:
            return
        try:
            for outcome in self._outcomes(self._works[instrument], asked):
                done.put(outcome)
            done.put(None)
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            done.put(error)

    def _outcomes(self, work: InstrumentWork, asked: list[Series]) -> Iterator[Outcome]:
        errors: dict[Series, MarketDataError] = {}
        fetched = {one for one in asked if not one.timeframe.derived}
        bases = {one.base for one in asked if one.base is not None}
        daily_first = sorted(fetched | bases, key=lambda one: -_GRID.index(one.timeframe))
        for one in daily_first:
            needed_by = [each for each in asked if one in {each, each.base}]
            wish = self._wish(one, needed_by)
            outcome = self._one(work, wish, errors)
            if one in fetched:
                yield outcome
        for one in asked:
            if one.timeframe.derived:
                yield self._one(work, self._wish(one, [one]), errors)

    def _wish(self, series: Series, needed_by: list[Series]) -> Wish:
        """From the earliest bar that any of those that need it starts with."""
        since = self._since.get(series.instrument)
        until: datetime | None = None
        if self._wanted is not None:
            since, until = self._wanted.start, self._wanted.end
        if since is not None:
            since = min(label_floor(each, since) for each in needed_by)
        return Wish(series, since, until)

    def _one(
        self, work: InstrumentWork, wish: Wish, errors: dict[Series, MarketDataError]
    ) -> Outcome:
        started = self._updater.clock.wall_now()
        tally = Tally()
        error = errors.get(wish.series.base) if wish.series.base else None
        if error is None:
            error = self._attempt(work, wish, tally)
        if error is not None:
            errors[wish.series] = error
            self._updater.catalog.record_error(
                wish.series, getattr(error, "category", "error"), str(error)
            )
        return self._report(work, wish, tally, error, started)

    def _attempt(self, work: InstrumentWork, wish: Wish, tally: Tally) -> MarketDataError | None:
        try:
            if wish.series.timeframe.derived:
                work.derive(wish, tally)
            elif self._limited is not None and work.needs_requests(wish):
                return self._limited
            else:
                work.fetch_missing(wish, tally)
        except RateLimited as error:
            self._limited = error
            return error
        except MarketDataError as error:
            return error
        return None

    def _report(
        self,
        work: InstrumentWork,
        wish: Wish,
        tally: Tally,
        error: MarketDataError | None,
        started: datetime,
    ) -> Outcome:
        series = wish.series
        since = self._since.get(series.instrument)
        written = None
        if tally.written:
            written = TimeRange(
                min(one.start for one in tally.written), max(one.end for one in tally.written)
            )
        stored = self._updater.catalog.summaries([series])[0]
        judgement = self._updater.judge.judge(
            series,
            since=since,
            first_trade=work.first_trade,
            last=stored.last,
            coverage=work.coverage[series],
            written=written,
        )
        seconds = (self._updater.clock.wall_now() - started).total_seconds()
        _log.info(
            "updated",
            series=str(series),
            rows=tally.rows_new,
            requests=tally.requests,
            seconds=round(seconds, 3),
            error=None if error is None else getattr(error, "category", "error"),
        )
        return Outcome(
            series=series,
            rows_new=tally.rows_new,
            requests=tally.requests,
            written=written,
            rows=stored.rows,
            first=stored.first,
            last=stored.last,
            provider=stored.provider,
            origin=stored.origin,
            judgement=judgement,
            error=error,
            seconds=seconds,
        )
