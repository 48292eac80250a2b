"""The instruments of one call: each updated in order, every series reported.

Not here: threads (update), the requests of one instrument (work).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.errors import MarketDataError, RateLimited
from marketdata_pipeline.ingest.judge import Judge, Known
from marketdata_pipeline.ingest.outcome import Outcome
from marketdata_pipeline.ingest.plan import label_floor
from marketdata_pipeline.ingest.work import InstrumentWork, Tally, Wish
from marketdata_pipeline.logs import bound, get_logger
from marketdata_pipeline.store.catalog import Catalog, SeriesSummary

_log = get_logger(__name__)
_GRID = list(Timeframe)


@dataclass(slots=True, eq=False)
class Batch:
    """What the instruments of one call share; remembers that a provider ran out of turns.

    Attributes:
        works: one for each instrument.
        contract: the last verdict on each series' bars, where there is one.
        since: from when on instruments are tracked; None or absent: the usual depth.
        wanted: the range that was asked for, None: as tracked.
        stopped: no further instrument is begun.
        limited: the error of the provider that has no turn for anybody.
    """

    catalog: Catalog
    judge: Judge
    clock: Clock
    works: Mapping[Instrument, InstrumentWork]
    contract: Mapping[Series, Verdict]
    since: Mapping[Instrument, datetime | None]
    wanted: TimeRange | None
    stopped: bool = False
    limited: RateLimited | None = None

    def run(
        self,
        instrument: Instrument,
        asked: list[Series],
        report: Callable[[Outcome | BaseException | None], None],
    ) -> None:
        """Update one instrument's series, the fetched ones first, the daily one before others."""
        if self.stopped:
            return
        work = self.works[instrument]
        try:
            with bound(run_id=work.run_id or "none"):
                for outcome in self._outcomes(work, asked):
                    report(outcome)
            report(None)
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            report(error)

    def _outcomes(self, work: InstrumentWork, asked: list[Series]) -> Iterator[Outcome]:
        errors: dict[Series, MarketDataError] = {}
        fetched = {one for one in asked if not one.timeframe.derived}
        bases = {one.base for one in asked if one.base is not None}
        daily_first = sorted(fetched | bases, key=lambda one: -_GRID.index(one.timeframe))
        for one in daily_first:
            if self.stopped:
                return
            needed_by = [each for each in asked if one in {each, each.base}]
            wish = self._wish(one, needed_by)
            outcome = self._one(work, wish, errors)
            if one in fetched:
                yield outcome
        for one in asked:
            if one.timeframe.derived and not self.stopped:
                yield self._one(work, self._wish(one, [one]), errors)

    def _wish(self, series: Series, needed_by: list[Series]) -> Wish:
        """From the earliest bar that any of those that need it starts with."""
        since = self.since.get(series.instrument)
        until: datetime | None = None
        if self.wanted is not None:
            since, until = self.wanted.start, self.wanted.end
        if since is not None:
            since = min(label_floor(each, since) for each in needed_by)
        return Wish(series, since, until)

    def _one(
        self, work: InstrumentWork, wish: Wish, errors: dict[Series, MarketDataError]
    ) -> Outcome:
        started = self.clock.wall_now()
        tally = Tally()
        error = errors.get(wish.series.base) if wish.series.base else None
        if error is None:
            error = self._attempt(work, wish, tally)
        if error is not None:
            errors[wish.series] = error
        return self._report(work, wish, tally, error, started)

    def _attempt(self, work: InstrumentWork, wish: Wish, tally: Tally) -> MarketDataError | None:
        try:
            if wish.series.timeframe.derived:
                work.derive(wish, tally)
            elif self.limited is not None and work.needs_requests(wish):
                return self.limited
            else:
                work.fetch_missing(wish, tally)
        except RateLimited as error:
            self.limited = error
            return error
        except MarketDataError as error:
            return error
        return None

    def _note(self, stored: SeriesSummary, error: MarketDataError | None) -> None:
        """Note the error of a series, or that an earlier one is over."""
        if error is not None:
            self.catalog.record_error(stored.series, error.category, str(error))
        elif stored.error_category is not None:
            self.catalog.clear_error(stored.series)

    def _report(
        self,
        work: InstrumentWork,
        wish: Wish,
        tally: Tally,
        error: MarketDataError | None,
        started: datetime,
    ) -> Outcome:
        series = wish.series
        written = None
        if tally.written:
            written = TimeRange(
                min(one.start for one in tally.written), max(one.end for one in tally.written)
            )
        stored, judgement = work.stored[series], None
        known = Known(
            since=self.since.get(series.instrument),
            first_trade=work.first_trade,
            last=stored.last,
            coverage=work.coverage[series],
            contract=self.contract.get(series),
        )
        try:
            self._note(stored, error)
            judgement = self.judge.judge(series, known=known, written=written)
        except MarketDataError as failure:
            error = error or failure
        seconds = (self.clock.wall_now() - started).total_seconds()
        _log.info(
            "updated",
            series=str(series),
            provider=getattr(error, "provider", "") or stored.provider or None,
            rows=tally.rows_new,
            requests=tally.requests,
            seconds=round(seconds, 3),
            error=None if error is None else error.category,
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
            version=stored.version,
            shown=stored.shown,
        )
