"""A worker: what is urgent first, one part of the refresh at a time, nothing left behind."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from marketdata_pipeline import errors
from marketdata_pipeline.database.engine import Busy
from marketdata_pipeline.domain.backfill import Status
from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.governor.waits import Waits
from marketdata_pipeline.ingest import runs
from marketdata_pipeline.ingest.events import Events, Processed
from marketdata_pipeline.ingest.queue import Queue
from marketdata_pipeline.ingest.track import Keeping
from marketdata_pipeline.ingest.worker import Done, Told, Worker
from marketdata_pipeline_tests.ingest.world import World, days, walk
from marketdata_pipeline_tests.store.queued import all_rows

KNOWN = [Series.parse(f"{name}|1d") for name in ("AAPL", "MSFT", "IBM")]
MONTH = days("2024-02-15", "2024-03-16")
NOW = timedelta(0)


@dataclass
class Desk:
    """A worker on a world, and what it told."""

    world: World
    told: list[Told] = field(default_factory=list)
    looked: int = 0

    @property
    def queue(self) -> Queue:
        return Queue(self.world.home.engine, self.world.clock)

    def worker(self, news: Sequence[Series] | None = None) -> Worker:
        """One that finds that news whenever it looks; None: it does not look."""

        def look() -> Sequence[Series]:
            self.looked += 1
            return news or []

        return Worker(
            Events(self.world.home.engine, self.world.clock, Keeping()),
            self.queue,
            self.world.updater,
            Waits(),
            self.told.append,
            run_time=timedelta(minutes=5),
            look=None if news is None else look,
        )

    def want(self, series: Series, priority: Priority = Priority.TRACKED) -> int:
        return self.queue.enqueue(series.instrument, [series.timeframe], MONTH, priority=priority)


@pytest.fixture
def desk(world: World) -> Desk:
    world.provider.truth = {one: walk(one, MONTH) for one in KNOWN}
    return Desk(world)


def test_the_queue_is_done_by_urgency_until_nothing_is_due(desk: Desk) -> None:
    for one, priority in zip(KNOWN, (Priority.CATALOG, Priority.URGENT, Priority.CATALOG),
                             strict=True):  # fmt: skip
        desk.want(one, priority)
    worker = desk.worker()
    first, second = worker.step(), worker.step()
    assert first == Done(1, 21, 1, 0)
    assert second is not None
    assert (second.series, second.failed) == (2, 0)
    assert worker.step() is None
    asked = [(str(series), str(errand.priority)) for (series, _), errand in
             zip(desk.world.provider.asked, desk.world.provider.errands, strict=True)]  # fmt: skip
    assert asked[0] == ("MSFT|1d", "urgent")
    assert {one.status for one in desk.queue.rows()} == {Status.COMPLETED}
    assert str(desk.told[0]) == "1/1 series=MSFT|1d new=21 stored=21 requests=1"


def test_each_batch_is_a_run_of_its_own(desk: Desk) -> None:
    desk.want(KNOWN[0], Priority.URGENT)
    desk.want(KNOWN[1])
    worker = desk.worker()
    worker.step()
    worker.step()
    names = {one.run_id for one in all_rows(desk.queue.engine)}
    assert len(names) == 2
    assert {one.run_id for one in desk.world.provider.errands} == names
    assert desk.worker()._name != worker._name  # noqa: SLF001 - two workers are told apart


def test_what_fails_goes_back_and_is_due_later(desk: Desk) -> None:
    desk.want(KNOWN[0])
    desk.world.provider.failures = [errors.UnknownSymbol("who", provider="truth")]
    worker = desk.worker()
    assert worker.step() == Done(1, 0, 0, 1)
    assert worker.step() is None
    (row,) = desk.queue.rows()
    assert (row.status, row.error_category) == (Status.PENDING, "unknown_symbol")


def test_lost_rows_are_freed(desk: Desk) -> None:
    number = desk.want(KNOWN[0])
    assert desk.queue.take(1, "a run that dies")
    worker = desk.worker()
    if desk.queue.engine.dialect.name == "sqlite":
        for _ in range(2):
            assert worker.step() is None
            desk.world.clock.advance(desk.queue.lease + timedelta(seconds=1))
        assert worker.step() == Done(1, 21, 1, 0)
        row = desk.queue.task(number)
        assert row is not None
        assert (row.status, row.launch) == (Status.COMPLETED, 1)


def test_news_are_looked_for_when_the_queue_is_empty_and_not_too_often(desk: Desk) -> None:
    worker = desk.worker(KNOWN[:1])
    desk.want(KNOWN[1])
    worker.step()
    assert desk.looked == 0
    worker.step()
    assert (desk.looked, worker.step()) == (1, None)
    desk.world.clock.advance(timedelta(minutes=14))
    assert (worker.step(), desk.looked) == (None, 1)
    desk.world.clock.advance(timedelta(minutes=1))
    worker.step()
    assert desk.looked == 2


def test_the_queue_is_looked_at_between_the_parts_of_a_refresh(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "BATCH", 2)
    many = [Series(Instrument(f"I{number}"), Timeframe.D1) for number in range(3)]
    worker = desk.worker(many)
    first = worker.step()
    desk.want(KNOWN[0], Priority.URGENT)
    second, third = worker.step(), worker.step()
    assert [one and one.series for one in (first, second, third)] == [2, 1, 1]
    assert second is not None
    assert second.new == 21
    assert desk.looked == 1


def test_it_sleeps_until_something_is_due_and_five_seconds_at_most(desk: Desk) -> None:
    worker = desk.worker()
    worker.wait()
    desk.want(KNOWN[0])
    worker.wait()
    desk.world.provider.failures = [errors.UnknownSymbol("who", provider="truth")]
    worker.step()
    worker.wait()
    worker.pause()
    assert desk.world.clock.slept[-4:] == [5, 0.1, 5, 5]


class AtWork(Events):
    """One whose only row somebody sends again just now."""

    looks = 0

    def process(self, limit: int = 500) -> Processed:
        """Sees nothing, and leaves one of at most ``limit``."""
        self.looks += 1
        assert self.looks < 3
        return Processed(left=min(1, limit))


def test_a_transaction_that_somebody_is_at_keeps_nobody_waiting(desk: Desk) -> None:
    worker = desk.worker()
    worker.events = AtWork(desk.world.home.engine, desk.world.clock, Keeping())
    assert worker.step() is None
    assert worker.events.looks == 1


def test_what_is_done_with_is_cleared_away_once_a_day(desk: Desk) -> None:
    cleared: list[str] = []
    worker = desk.worker()
    worker.tend = lambda: cleared.append("once more")
    for hours, times in ((0, 1), (1, 1), (23, 2), (1, 2)):
        desk.world.clock.advance(timedelta(hours=hours))
        worker.step()
        assert len(cleared) == times


def test_what_could_not_be_cleared_away_is_tried_again_at_the_next_step(desk: Desk) -> None:
    tried: list[str] = []

    def busy_once() -> None:
        tried.append("once more")
        if len(tried) == 1:
            raise Busy("somebody is at it")

    worker = desk.worker()
    worker.tend = busy_once
    with pytest.raises(Busy):
        worker.step()
    worker.step()
    worker.step()
    assert len(tried) == 2
