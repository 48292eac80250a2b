"""Derived series follow their base."""

from datetime import date, timedelta

import pandas as pd
import pytest

from marketdata_pipeline.domain.coverage import Coverage, Span, SpanKind
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.reply import Basis
from marketdata_pipeline.domain.resample import derive
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.ingest.derive import Base, aligned, due_parts, write_derived
from marketdata_pipeline.ingest.track import track
from marketdata_pipeline.store.write import Fetch, FetchKind, State, Write
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.ingest.world import FRIDAY_CLOSE, World, day, days, walk

DAILY, WEEKLY = Series.parse("AAPL|1d"), Series.parse("AAPL|1wk")
HOURLY, FOUR = Series.parse("AAPL|1h"), Series.parse("AAPL|4h")
WANTED = days("2024-01-01", "2024-03-18")
CLOCK = FrozenClock(FRIDAY_CLOSE, FRIDAY_CLOSE)


def _base(*spans: Span, changed: TimeRange | None = None) -> Base:
    return Base(Coverage(spans), "simulator:recorded", 1, (), changed)


def _full(start: str = "2024-01-01", end: str = "2024-03-18") -> Span:
    return Span(days(start, end), SpanKind.ANSWERED)


@pytest.mark.parametrize(
    ("series", "given", "whole"),
    [
        (WEEKLY, days("2024-02-14", "2024-02-15"), days("2024-02-12", "2024-02-19")),
        (WEEKLY, days("2024-02-12", "2024-02-19"), days("2024-02-12", "2024-02-19")),
        (WEEKLY, days("2024-02-16", "2024-02-20"), days("2024-02-12", "2024-02-26")),
        (
            FOUR,
            TimeRange(
                day("2024-02-14") + timedelta(hours=15), day("2024-02-14") + timedelta(hours=16)
            ),
            TimeRange(
                day("2024-02-14") + timedelta(hours=14, minutes=30),
                day("2024-02-14") + timedelta(hours=18, minutes=30),
            ),
        ),
        (FOUR, days("2024-02-14", "2024-02-15"), days("2024-02-14", "2024-02-15")),
    ],
)
def test_a_range_is_widened_to_whole_bars(
    series: Series, given: TimeRange, whole: TimeRange
) -> None:
    assert aligned(series, given) == whole


def test_everything_is_due_once_the_base_is_there() -> None:
    assert due_parts(WEEKLY, WANTED, Coverage(), _base(_full()), CLOCK) == [WANTED]


def test_nothing_is_due_while_the_base_is_not_there() -> None:
    assert due_parts(WEEKLY, WANTED, Coverage(), _base(), CLOCK) == []


def test_a_week_of_which_a_session_was_not_answered_is_not_due() -> None:
    base = _base(_full("2024-01-01", "2024-02-14"), _full("2024-02-15", "2024-03-18"))
    parts = due_parts(WEEKLY, WANTED, Coverage(), base, CLOCK)
    assert parts == [days("2024-01-01", "2024-02-12"), days("2024-02-19", "2024-03-18")]


def test_a_week_whose_base_lacks_only_a_weekend_is_due() -> None:
    base = _base(_full("2024-01-01", "2024-02-17"), _full("2024-02-19", "2024-03-18"))
    assert due_parts(WEEKLY, WANTED, Coverage(), base, CLOCK) == [WANTED]


def test_only_what_changed_is_derived_again() -> None:
    known = Coverage((Span(WANTED, SpanKind.ANSWERED),))
    base = _base(_full(), changed=days("2024-02-14", "2024-02-15"))
    parts = due_parts(WEEKLY, WANTED, known, base, CLOCK)
    assert parts == [days("2024-02-12", "2024-02-19")]
    assert due_parts(WEEKLY, WANTED, known, _base(_full()), CLOCK) == []


def test_what_changed_is_derived_again_wherever_it_was_derived_before() -> None:
    """But not where it never was, nor that part of a wish that no derivation can meet."""
    known = Coverage((Span(days("2024-01-01", "2024-02-19"), SpanKind.ANSWERED),))
    base = _base(_full(), changed=days("2024-01-10", "2024-03-13"))
    for wanted in (days("2024-02-26", "2024-03-04"), days("2024-02-26", "2024-03-06")):
        assert due_parts(WEEKLY, wanted, known, base, CLOCK) == [
            days("2024-01-08", "2024-02-19"),
            days("2024-02-26", "2024-03-04"),
        ]
    no_whole_week = days("2024-02-27", "2024-02-28")
    parts = due_parts(WEEKLY, no_whole_week, known, base, CLOCK)
    assert parts == [days("2024-01-08", "2024-02-19")]


def test_four_hour_bars_that_reach_out_of_depth_are_not_made(world: World) -> None:
    truth = walk(HOURLY, days("2022-03-10", "2024-03-16"))
    world.provider.truth = {HOURLY: truth}
    track(world.tracking, world.clock, [HOURLY.instrument], since=day("2022-03-10"))
    outcomes = list(world.updater.update_many([HOURLY, FOUR]))
    assert [one.error for one in outcomes] == [None, None]
    expected = derive(truth.loc["2022-03-18":], FOUR, [])
    pd.testing.assert_frame_equal(world.store.read(FOUR), expected)
    spans = world.store.coverage([FOUR])[FOUR].spans
    assert [one.kind for one in spans] == [
        SpanKind.OUT_OF_DEPTH,
        SpanKind.ANSWERED,
        *[SpanKind.PROVISIONAL] * 3,
    ]


def test_a_second_look_writes_nothing(world: World) -> None:
    world.provider.truth = {DAILY: walk(DAILY, days("2024-01-02", "2024-03-16"))}
    world.provider.first_trade = date(2024, 1, 2)
    world.updater.update(WEEKLY)
    version = world.store.versions([WEEKLY])
    again = world.updater.update(WEEKLY)
    assert (again.rows_new, again.written) == (0, None)
    assert world.store.versions([WEEKLY]) == version


def test_derived_bars_name_their_base_as_origin(world: World) -> None:
    world.provider.truth = {DAILY: walk(DAILY, days("2024-01-02", "2024-03-16"))}
    outcome = world.updater.update(WEEKLY)
    assert (outcome.provider, outcome.origin) == ("derived", "simulator:recorded")


def _rewrite(world: World, within: TimeRange) -> None:
    """Another writer puts other volumes into daily bars that are stored."""
    stored = world.store.read(DAILY, within)
    fetch = Fetch(
        kind=FetchKind.REPLY,
        provider="another",
        origin="another",
        window=within,
        basis=Basis.RAW,
        currency=None,
        market_at=world.clock.market_now(),
        fetched_at=world.clock.wall_now() + timedelta(hours=1),
    )
    final = State.FINAL
    write = Write(DAILY, fetch, stored.assign(volume=1.0), state=final, reason="another says so")
    world.store.commit(write, expected_version=world.store.versions([DAILY])[DAILY])


def test_a_wish_for_the_newest_leaves_nothing_derived_from_an_older_base(world: World) -> None:
    world.provider.truth = {DAILY: walk(DAILY, days("2021-01-04", "2024-03-16"))}
    world.provider.first_trade = date(2021, 1, 4)
    world.updater.update(WEEKLY)
    _rewrite(world, days("2021-03-03", "2021-03-04"))
    _rewrite(world, days("2023-06-07", "2023-06-08"))
    outcome = world.updater.update(WEEKLY, days("2023-01-02", "2024-03-16"))
    truth = derive(world.store.read(DAILY), WEEKLY, [])
    pd.testing.assert_frame_equal(world.store.read(WEEKLY), truth)
    assert outcome.written == days("2021-03-01", "2023-06-12")
    assert world.updater.update(WEEKLY).written is None


def test_what_others_write_to_the_base_meanwhile_is_derived_the_next_time(world: World) -> None:
    world.provider.truth = {DAILY: walk(DAILY, days("2024-01-02", "2024-03-16"))}
    world.provider.first_trade = date(2024, 1, 2)
    world.updater.update(WEEKLY)
    known = world.catalog.summaries([DAILY])[0].version
    _rewrite(world, days("2024-02-14", "2024-02-15"))
    base = Base(Coverage((_full(),)), "simulator:recorded", known, (), None)
    another_week = [days("2024-03-04", "2024-03-11")]
    write_derived(world.store, WEEKLY, another_week, base, world.clock, None)
    world.updater.update(WEEKLY)
    truth = derive(world.store.read(DAILY), WEEKLY, [])
    pd.testing.assert_frame_equal(world.store.read(WEEKLY), truth)
