"""The instruments of one call: each updated in order, every series reported.

Not here: threads (update), the requests of one instrument (work), when it ends (course).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.errors import MarketDataError, NotDone, RateLimited
from marketdata_pipeline.governor.flights import Flight, Flights
from marketdata_pipeline.ingest.course import Course
from marketdata_pipeline.ingest.judge import Judge, Judgement, Known
from marketdata_pipeline.ingest.outcome import Outcome
from marketdata_pipeline.ingest.plan import label_floor
from marketdata_pipeline.ingest.wish import Tally, Wish
from marketdata_pipeline.ingest.work import InstrumentWork
from marketdata_pipeline.logs import bound, get_logger
from marketdata_pipeline.store.catalog import Catalog, SeriesSummary

_log = get_logger(__name__)
_GRID = list(Timeframe)


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """What was known of an instrument when it was read last.

    Attributes:
        kept: the last verdicts on its series by rule.
        seen: what ``Flights.ended`` said before.
    """

    work: InstrumentWork
    kept: Mapping[Series, Mapping[str, Verdict]]
    seen: int


@dataclass(slots=True, eq=False)
class Batch:
    """What the instruments of one call share; remembers that a provider ran out of turns.

    Attributes:
        load: reads what is known of the instruments of some series.
        starts: what it read; read again for an instrument that somebody else was at meanwhile.
        since: from when on instruments are tracked; None or absent: the usual depth.
        wanted: the range that was asked for, None: as tracked.
        limited: the error of the provider that has no turn for anybody.
    """

    catalog: Catalog
    judge: Judge
    clock: Clock
    flights: Flights
    course: Course
    load: Callable[[Sequence[Series]], dict[Instrument, Start]]
    starts: dict[Instrument, Start]
    since: Mapping[Instrument, datetime | None]
    wanted: TimeRange | None
    limited: RateLimited | None = None

    def run(
        self,
        instrument: Instrument,
        asked: list[Series],
        report: Callable[[Outcome | BaseException | None], None],
    ) -> None:
        """Update one instrument's series, the fetched ones first, the daily one before others."""
        try:
            with (
                bound(run_id=self.starts[instrument].work.run_id or "none"),
                Flight(self.flights, instrument) as flight,
            ):
                for outcome in self._outcomes(asked, flight):
                    self.course.note(outcome.error)
                    report(outcome)
            report(None)
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            report(error)

    def _outcomes(self, asked: list[Series], flight: Flight) -> Iterator[Outcome]:
        errors: dict[Series, MarketDataError] = {}
        fetched = {one for one in asked if not one.timeframe.derived}
        bases = {one.base for one in asked if one.base is not None}
        daily_first = sorted(fetched | bases, key=lambda one: -_GRID.index(one.timeframe))
        for one in daily_first:
            needed_by = [each for each in asked if one in {each, each.base}]
            outcome = self._one(self._wish(one, needed_by), errors, flight)
            if one in fetched:
                yield outcome
        for one in asked:
            if one.timeframe.derived:
                yield self._one(self._wish(one, [one]), errors, flight)

    def _wish(self, series: Series, needed_by: list[Series]) -> Wish:
        """From the earliest bar that any of those that need it starts with."""
        since = self.since.get(series.instrument)
        until: datetime | None = None
        if self.wanted is not None:
            since, until = self.wanted.start, self.wanted.end
        if since is not None:
            since = min(label_floor(each, since) for each in needed_by)
        return Wish(series, since, until)

    def _one(self, wish: Wish, errors: dict[Series, MarketDataError], flight: Flight) -> Outcome:
        started = self.clock.wall_now()
        tally = Tally()
        error = errors.get(wish.series.base) if wish.series.base else None
        if error is None:
            error = self._attempt(wish, tally, flight)
        if error is not None:
            errors[wish.series] = error
        if isinstance(error, NotDone):
            return self._outcome(wish.series, tally, None, error, 0.0)
        return self._report(wish.series, tally, error, started)

    def _attempt(self, wish: Wish, tally: Tally, flight: Flight) -> MarketDataError | None:
        try:
            self.course.go_on()
            work = self._work(wish)
            if wish.series.timeframe.derived:
                work.derive(wish, tally)
                return None
            work.let_go(wish)
            if not work.needs_requests(wish):
                return None
            if self.limited is not None:
                return self.limited
            self._alone(wish, flight)
            self._fetch(wish, tally)
        except MarketDataError as error:
            return error
        return None

    def _work(self, wish: Wish) -> InstrumentWork:
        return self.starts[wish.series.instrument].work

    def _alone(self, wish: Wish, flight: Flight) -> None:
        """Have the instrument for oneself; what another run did meanwhile is known then."""
        instrument = wish.series.instrument
        start = self.starts[instrument]
        flight.take(start.seen, self.course.go_on)
        if flight.behind:
            self.starts[instrument] = self.load(list(start.work.stored))[instrument]
            flight.behind = False

    def _fetch(self, wish: Wish, tally: Tally) -> None:
        try:
            self._work(wish).fetch_missing(wish, tally)
        except RateLimited as error:
            self.limited = error
            raise

    def _note(self, stored: SeriesSummary, error: MarketDataError | None) -> None:
        """Note the error of a series, or that an earlier one is over."""
        if error is not None:
            self.catalog.record_error(stored.series, error.category, str(error))
        elif stored.error_category is not None:
            self.catalog.clear_error(stored.series)

    def _report(
        self, series: Series, tally: Tally, error: MarketDataError | None, started: datetime
    ) -> Outcome:
        start, judgement = self.starts[series.instrument], None
        work, stored = start.work, start.work.stored[series]
        known = Known(
            since=self.since.get(series.instrument),
            first_trade=work.first_trade,
            last=stored.last,
            coverage=work.coverage[series],
            kept=start.kept.get(series, {}),
            actions=work.acts.actions,
            run_id=work.run_id,
        )
        try:
            self._note(stored, error)
            judgement = self.judge.judge(series, known=known, written=_hull(tally))
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
        return self._outcome(series, tally, judgement, error, seconds)

    def _outcome(
        self,
        series: Series,
        tally: Tally,
        judgement: Judgement | None,
        error: MarketDataError | None,
        seconds: float,
    ) -> Outcome:
        stored = self.starts[series.instrument].work.stored[series]
        return Outcome(
            series=series,
            rows_new=tally.rows_new,
            requests=tally.requests,
            written=_hull(tally),
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


def _hull(tally: Tally) -> TimeRange | None:
    """The label range of all that was written; None: nothing was."""
    if not tally.written:
        return None
    return TimeRange(min(one.start for one in tally.written), max(one.end for one in tally.written))
