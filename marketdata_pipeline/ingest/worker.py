"""A process of its own that does what the queue holds, and looks for news: without Dagster.

Not here: the queue (queue), the updates (update), and how a person starts it (cli.worker).
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

from marketdata_pipeline.domain.backfill import Backfill
from marketdata_pipeline.domain.errand import Errand, Priority
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.governor.waits import Waits
from marketdata_pipeline.ingest.at_work import Part, at_rows
from marketdata_pipeline.ingest.events import Events
from marketdata_pipeline.ingest.outcome import Outcome
from marketdata_pipeline.ingest.progress import Leftover, Progress, RunLog, SeriesDone
from marketdata_pipeline.ingest.queue import Queue
from marketdata_pipeline.ingest.runs import batches
from marketdata_pipeline.ingest.update import Updater

MOST = 20
"""Rows of the queue that are taken at once: what is more urgent than they waits for them.

Of urgent ones only as many as are done at once, so that another worker has its share."""
_LONGEST_WAIT = timedelta(seconds=5)
"""Until the queue is looked at again: a new row tells nobody that it is there."""
_DAY = timedelta(days=1)
_SHORTEST_WAIT = timedelta(seconds=0.1)


@dataclass(frozen=True, slots=True)
class Done:
    """What one turn of work came to."""

    series: int = 0
    new: int = 0
    requests: int = 0
    failed: int = 0

    def and_then(self, other: "Done") -> "Done":
        """Both together."""
        return Done(
            self.series + other.series,
            self.new + other.new,
            self.requests + other.requests,
            self.failed + other.failed,
        )


Told = SeriesDone | Progress | Leftover


@dataclass(slots=True, eq=False)
class Worker:
    """Processes transactions, takes rows of the queue and does them; between those it refreshes.

    Attributes:
        waits: of its requests for their turns.
        tell: hears how far it is.
        run_time: after it a batch begins no further series, unless somebody waits for it.
        failure_share: the same above this share of failures.
        look: which series can have news; None: nobody looks.
        every: how long from one look to the next.
        tend: clears away what is done with, once a day; None: nobody does.
    """

    events: Events
    queue: Queue
    updater: Updater
    waits: Waits
    tell: Callable[[Told], None]
    run_time: timedelta | None = None
    failure_share: float = 1.0
    look: Callable[[], Sequence[Series]] | None = None
    every: timedelta = timedelta(minutes=15)
    tend: Callable[[], object] | None = None
    _name: str = field(default_factory=lambda: f"worker-{uuid4().hex[:12]}")
    _runs: int = 0
    _looked_at: datetime | None = None
    _tended_at: datetime | None = None
    _news: list[list[Series]] = field(default_factory=list)

    def step(self) -> Done | None:
        """Do what is most urgent; None: nothing is due now.

        Whoever is told to end in the middle of it finishes the requests under way, and what is
        left is given back.

        Raises:
            StoreError: the catalog does not answer.
        """
        self._runs += 1
        while (done := self.events.process()).left and done.seen:
            pass
        self.queue.free_lost()
        self._tend_daily()
        rows = self.queue.take(MOST, self._run_id, urgent=self.updater.at_once)
        if rows:
            return self._do(rows)
        news = self._next_news()
        return self._told(len(news), self._update(news)) if news else None

    def wait(self) -> None:
        """Sleep until something may be due, five seconds at most."""
        due = self.queue.until_due()
        wait = _LONGEST_WAIT if due is None else min(max(due, _SHORTEST_WAIT), _LONGEST_WAIT)
        self.queue.clock.sleep(wait.total_seconds())

    def pause(self) -> None:
        """Sleep for five seconds, whatever the queue holds."""
        self.queue.clock.sleep(_LONGEST_WAIT.total_seconds())

    def _do(self, rows: Sequence[Backfill]) -> Done:
        def update(part: Part) -> Generator[Outcome]:
            return self._update(part.series, part.wanted, part.priority)

        with at_rows(self.queue, rows, self._run_id) as work:
            outcomes = work.updates(update, self.queue.clock.market_now())
            done = self._told(len(work.series), outcomes)
            self.events.recount(work.done)  # splits and currencies are known now
            return done

    def _update(
        self,
        series: Sequence[Series],
        wanted: TimeRange | None = None,
        priority: Priority = Priority.TRACKED,
    ) -> Generator[Outcome]:
        """What somebody waits for is not cut off."""
        return self.updater.update_many(
            series,
            wanted,
            errand=Errand(priority, run_id=self._run_id),
            ends_within=None if priority is Priority.URGENT else self.run_time,
            failure_share=self.failure_share,
        )

    def _told(self, total: int, updates: Generator[Outcome]) -> Done:
        log, done = RunLog(total, self.queue.clock, self.waits), Done()
        with closing(updates) as outcomes:
            for outcome in outcomes:
                for line in log.lines(outcome):
                    self.tell(line)
                done = done.and_then(_done(outcome))
        for last in log.last():
            self.tell(last)
        return done

    def _tend_daily(self) -> None:
        now = self.queue.clock.wall_now()
        if self.tend and (self._tended_at is None or now >= self._tended_at + _DAY):
            self.tend()
            self._tended_at = now  # only now: what was in somebody's way loses no day

    def _next_news(self) -> list[Series]:
        """One part of what can have news, so that the queue is looked at in between."""
        now = self.queue.clock.wall_now()
        over = self._looked_at is None or now >= self._looked_at + self.every
        if self.look is not None and over and not self._news:
            self._looked_at = now
            self._news = list(batches(self.look()))
        return self._news.pop(0) if self._news else []

    @property
    def _run_id(self) -> str:
        return f"{self._name}-{self._runs}"


def _done(outcome: Outcome) -> Done:
    failed = outcome.error is not None and not outcome.not_done
    return Done(int(not outcome.not_done), outcome.rows_new, outcome.requests, int(failed))
