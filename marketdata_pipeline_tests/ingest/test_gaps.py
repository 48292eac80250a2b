"""What is due comes back as one row an instrument; what is soon lost comes first."""

from datetime import date, datetime, timedelta

import pandas as pd
import pytest

from marketdata_pipeline.domain.backfill import Backfill, Status
from marketdata_pipeline.domain.coverage import Coverage, Span, SpanKind
from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange, depth_edge
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.governor.waits import Waits
from marketdata_pipeline.ingest.events import Events
from marketdata_pipeline.ingest.gaps import Gaps, wanted_of
from marketdata_pipeline.ingest.queue import Queue
from marketdata_pipeline.ingest.track import Keeping
from marketdata_pipeline.ingest.worker import Worker
from marketdata_pipeline.providers.base import Capability
from marketdata_pipeline.store.gaps import DueHoles
from marketdata_pipeline.store.tracking import Tracked
from marketdata_pipeline_tests.ingest.world import FRIDAY_CLOSE, World, day, days, walk

AAPL, MSFT = Instrument("AAPL"), Instrument("MSFT")
DAYS, HOURS, WEEKS = (Series(AAPL, one) for one in (Timeframe.D1, Timeframe.H1, Timeframe.W1))
MINUTES = Series(AAPL, Timeframe.M1)
OTHER = Series(MSFT, Timeframe.D1)
NOW = FRIDAY_CLOSE
HOUR = timedelta(hours=1)
WHOLE = TimeRange(day("1900-01-01"), NOW)


def _gaps(world: World) -> Gaps:
    queue = Queue(world.home.engine, world.clock)
    return Gaps(world.tracking, world.catalog, world.store, queue, rest=timedelta(0))


def _cover(world: World, series: Series, *holes: Span) -> None:
    """Tracked and answered, but for some holes."""
    kept = world.tracking.get(series.instrument)
    frames = {series.timeframe, *(kept.timeframes if kept else ())}
    grid = tuple(one for one in Timeframe if one in frames)
    world.tracking.put(Tracked(series.instrument, grid))
    world.store.cover(series, [Span(WHOLE, SpanKind.ANSWERED)])
    world.store.cover(series, holes)


def _hole(start: str, end: str, due_in: timedelta = -HOUR) -> Span:
    return Span(days(start, end), SpanKind.HOLE, NOW + due_in, 1, NOW - 5 * HOUR)


def _rows(world: World) -> list[Backfill]:
    return Queue(world.home.engine, world.clock).rows([Status.PENDING])


def test_holes_of_an_instrument_are_one_row_over_all_that_is_due(world: World) -> None:
    _cover(world, DAYS, _hole("2024-03-05", "2024-03-06"), _hole("2024-03-12", "2024-03-13"))
    _cover(world, WEEKS, _hole("2024-03-04", "2024-03-11"))
    _cover(world, OTHER, _hole("2024-03-05", "2024-03-06", HOUR))
    brought = _gaps(world).look()
    assert brought.series == 2
    (row,) = _rows(world)
    assert (row.instrument, row.timeframes) == (AAPL, (Timeframe.D1, Timeframe.W1))
    assert (row.start, row.end) == (day("2024-03-04"), day("2024-03-13"))
    assert _gaps(world).look().wanted == ()
    assert len(_rows(world)) == 1


def test_a_hole_comes_back_exactly_when_it_is_due(world: World) -> None:
    _cover(world, OTHER, _hole("2024-03-05", "2024-03-06", HOUR))
    world.clock.advance(HOUR - timedelta(microseconds=1))
    assert _gaps(world).look().wanted == ()
    world.clock.advance(timedelta(microseconds=1))
    assert [one.instrument for one in _gaps(world).look().wanted] == [MSFT]


def test_nobody_asks_for_what_is_not_tracked(world: World) -> None:
    _cover(world, DAYS, _hole("2024-03-05", "2024-03-06"))
    world.store.cover(HOURS, [_hole("2024-03-05", "2024-03-06")])  # a timeframe that is not
    assert [one.timeframes for one in _gaps(world).look().wanted] == [(Timeframe.D1,)]
    world.tracking.remove(AAPL)
    assert _gaps(world).look().wanted == ()


def test_a_hole_in_which_no_bar_is_expected_any_more_is_answered(world: World) -> None:
    weekend = _hole("2024-03-09", "2024-03-11")
    _cover(world, DAYS, weekend)
    assert _gaps(world).look().wanted == ()
    (span,) = world.store.coverage([DAYS])[DAYS].spans
    assert span.kind is SpanKind.ANSWERED


def test_a_hole_that_is_served_no_more_is_out_of_depth_with_its_history(world: World) -> None:
    edge = depth_edge(NOW, timedelta(days=29))
    old = TimeRange(edge - timedelta(days=3), edge - timedelta(days=2))
    _cover(world, MINUTES, Span(old, SpanKind.HOLE, NOW - HOUR, 4, NOW - 9 * HOUR))
    assert _gaps(world).look().wanted == ()
    found = [one for one in world.store.coverage([MINUTES])[MINUTES].spans if one.within == old]
    assert [(one.kind, one.tries, one.since) for one in found] == [
        (SpanKind.OUT_OF_DEPTH, 4, NOW - 9 * HOUR)
    ]


def _uncovered(world: World, start: datetime, end: datetime) -> None:
    """Minutes of which one part was never asked for."""
    world.tracking.put(Tracked(AAPL, (Timeframe.M1,)))
    parts = [TimeRange(WHOLE.start, start), TimeRange(end, NOW)]
    world.store.cover(MINUTES, [Span(one, SpanKind.ANSWERED) for one in parts])


def test_what_was_never_asked_for_and_is_soon_lost_goes_before_all_else(world: World) -> None:
    edge = depth_edge(NOW, timedelta(days=29))
    _uncovered(world, edge, edge + timedelta(days=1))
    _cover(world, OTHER, _hole("2024-03-05", "2024-03-06"))
    _gaps(world).look()
    first, second = _rows(world)
    assert (first.instrument, first.priority) == (AAPL, Priority.HELD)
    assert (first.start, first.end) == (edge, edge + timedelta(days=1))
    assert (second.instrument, second.priority) == (MSFT, Priority.TRACKED)


def test_what_was_never_asked_for_and_is_served_for_long_yet_waits_its_turn(world: World) -> None:
    edge = depth_edge(NOW, timedelta(days=29))
    _uncovered(world, edge + timedelta(days=4), edge + timedelta(days=5))
    assert _gaps(world).look().wanted == ()


def test_what_is_soon_lost_is_looked_for_in_the_first_minutes_of_an_hour(world: World) -> None:
    edge = depth_edge(NOW, timedelta(days=29))
    _uncovered(world, edge, edge + timedelta(days=1))
    world.clock.advance(timedelta(minutes=2))
    assert _gaps(world).look().wanted == ()
    world.clock.advance(timedelta(minutes=58))
    assert _gaps(world).look().series == 1


def test_of_one_row_the_range_holds_everything_and_the_priority_is_the_highest() -> None:
    def due(series: Series, start: str, end: str, *, held: bool = False) -> DueHoles:
        return DueHoles(series, days(start, end), held=held)

    (first, second) = wanted_of(
        [
            due(OTHER, "2024-03-05", "2024-03-06"),
            due(DAYS, "2024-03-05", "2024-03-06"),
            due(HOURS, "2024-03-07", "2024-03-08", held=True),
        ],
        [],
    )
    assert (first.instrument, first.priority) == (AAPL, Priority.HELD)
    assert (first.start, first.end) == (day("2024-03-05"), day("2024-03-08"))
    assert first.timeframes == (Timeframe.H1, Timeframe.D1)
    assert (second.instrument, second.priority) == (MSFT, Priority.TRACKED)


# Due holes that no plan asks for


def _looks(world: World, count: int = 3) -> list[int]:
    """How many series each look brings; its rows are done at once."""
    queue, found = Queue(world.home.engine, world.clock), list[int]()
    for _ in range(count):
        found.append(_gaps(world).look().series)
        worker = Worker(
            Events(world.home.engine, world.clock, Keeping()),
            queue,
            world.updater,
            Waits(),
            lambda _: None,
        )
        while worker.step() is not None:
            pass
        world.clock.advance(timedelta(minutes=6))
    return found


def test_a_due_hole_before_the_listing_is_answered_and_comes_back_no_more(world: World) -> None:
    world.provider.truth = {DAYS: walk(DAYS, days("2024-01-02", "2024-03-16"))}
    world.provider.first_trade = date(2024, 2, 1)
    world.tracking.put(Tracked(AAPL, (Timeframe.D1,), day("2024-01-02")))
    world.updater.update(DAYS)
    world.store.cover(DAYS, [_hole("2024-01-10", "2024-01-12"), _hole("2024-01-30", "2024-02-02")])
    world.provider.asked.clear()
    assert _looks(world) == [1, 0, 0]
    assert world.store.coverage([DAYS])[DAYS].holes() == []
    assert len(world.provider.asked) == 1  # for the first of February


def test_a_due_hole_that_no_provider_serves_any_more_is_out_of_depth_with_its_history(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _cover(world, HOURS, _hole("2024-01-10", "2024-01-12"))
    short = {**world.provider.timeframes, Timeframe.H1: Capability(None, timedelta(days=30))}
    monkeypatch.setattr(type(world.provider), "timeframes", short)
    assert _looks(world) == [1, 0, 0]
    kept = [one for one in world.store.coverage([HOURS])[HOURS].spans if one.tries]
    assert [(one.kind, one.tries, one.since) for one in kept] == [
        (SpanKind.OUT_OF_DEPTH, 1, NOW - 5 * HOUR)
    ]
    assert world.provider.asked == []


# Holes that an answer leaves


@pytest.fixture
def hours(world: World) -> World:
    """An hour on Tuesday that the provider never has."""
    month = days("2024-02-20", "2024-03-16")
    world.provider.truth = {HOURS: walk(HOURS, month)}
    world.provider.first_trade = date(2024, 2, 20)
    world.provider.lacking = {datetime.fromisoformat("2024-02-27T16:30+00:00")}
    return world


def _kinds(world: World) -> dict[SpanKind, list[TimeRange]]:
    found: Coverage = world.store.coverage([HOURS])[HOURS]
    return {kind: [one.within for one in found.spans if one.kind is kind] for kind in SpanKind}


def test_an_hour_that_a_second_answer_lacks_had_no_trade_and_is_asked_for_no_more(
    hours: World,
) -> None:
    hours.updater.update(HOURS)
    (hole,) = _kinds(hours)[SpanKind.HOLE]
    hours.clock.advance(HOUR)
    hours.updater.update(HOURS)
    kinds = _kinds(hours)
    assert (kinds[SpanKind.HOLE], kinds[SpanKind.NO_TRADE]) == ([], [hole])
    hours.provider.asked.clear()
    hours.clock.advance(timedelta(days=1) - HOUR)
    hours.updater.update(HOURS, TimeRange(hole.start, hole.end))
    assert hours.provider.asked == []


def test_a_row_that_comes_and_is_dropped_is_no_lack_of_trade(hours: World) -> None:
    (at,) = hours.provider.lacking
    hours.provider.lacking = set()
    truth = hours.provider.truth[HOURS].copy()
    truth.loc[pd.Timestamp(at), "high"] = 1.0
    hours.provider.truth = {HOURS: truth}
    for _ in range(4):
        hours.updater.update(HOURS)
        hours.clock.advance(timedelta(days=2))
    kinds = _kinds(hours)
    assert kinds[SpanKind.NO_TRADE] == []
    assert at in [one.start for one in kinds[SpanKind.HOLE]]
