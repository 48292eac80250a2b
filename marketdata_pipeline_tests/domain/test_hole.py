"""What ends a hole, what makes it due again, and when it counts as exhausted."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.coverage import RECHECK_AFTER, Coverage, Span, SpanKind
from marketdata_pipeline.domain.hole import (
    LADDER,
    beyond_depth,
    given_up,
    is_exhausted,
    made_due,
    was_tried_enough,
)
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.series import Series

HOURS = Series.parse("AAPL|1h")
DAYS = Series.parse("AAPL|1d")
DAY = timedelta(days=1)
NOW = datetime(2024, 3, 15, 21, tzinfo=UTC)
WEEK = TimeRange(datetime(2024, 3, 4, tzinfo=UTC), datetime(2024, 3, 9, tzinfo=UTC))


def labels(series: Series = HOURS) -> list[datetime]:
    grid = calendar_of(series.instrument).grid(series.timeframe, WEEK)
    return [from_micros(one) for one in grid.labels.tolist()]


def present(without: list[datetime], series: Series = HOURS) -> np.ndarray:
    kept = [to_micros(one) for one in labels(series) if one not in without]
    return np.array(kept, dtype=np.int64)


def answered(times: int, gap: TimeRange, *, every: timedelta = 2 * DAY) -> Coverage:
    """A week answered so often without a part of it, the last time now."""
    coverage = Coverage()
    for number in range(times):
        coverage = coverage.after(WEEK, [gap], NOW - (times - 1 - number) * every)
    return coverage


def kinds(coverage: Coverage) -> set[SpanKind]:
    return {one.kind for one in coverage.spans}


def test_a_bar_absent_again_after_its_volume_settled_was_not_traded() -> None:
    gap = labels()[3:5]
    within = TimeRange(gap[0], gap[1] + timedelta(hours=1))
    once = given_up(HOURS, answered(1, within), present(gap), NOW)
    assert once == answered(1, within)
    again = given_up(HOURS, answered(2, within), present(gap), NOW)
    (span,) = [one for one in again.spans if one.kind is SpanKind.NO_TRADE]
    assert (span.within, span.since, span.recheck_at) == (within, NOW - 2 * DAY, None)
    assert again.missing([WEEK], NOW + 9999 * DAY) == []


def test_a_session_without_any_bar_stays_a_hole_however_often_it_is_asked_for() -> None:
    gap = labels()[:7]  # all of Monday
    within = TimeRange(gap[0], gap[-1] + timedelta(minutes=30))
    coverage = answered(9, within)
    assert given_up(HOURS, coverage, present(gap), NOW) == coverage


def test_of_a_run_over_two_sessions_only_the_traded_one_is_given_up() -> None:
    gap = labels()[5:14]  # the end of Monday, all of Tuesday
    within = TimeRange(gap[0], gap[-1] + timedelta(minutes=30))
    after = given_up(HOURS, answered(4, within), present(gap), NOW)
    (hole,) = after.holes()
    assert hole.within.start == labels()[6] + timedelta(minutes=30)
    assert kinds(after) == {SpanKind.ANSWERED, SpanKind.HOLE, SpanKind.NO_TRADE}


def test_a_day_is_never_called_one_without_trade() -> None:
    gap = labels(DAYS)[1]
    coverage = answered(9, TimeRange(gap, gap + DAY))
    assert given_up(DAYS, coverage, present([gap], DAYS), NOW) == coverage


def test_a_bar_of_today_is_given_up_after_three_tries_over_three_days_only() -> None:
    gap = labels()[-1]
    within = TimeRange(gap, gap + timedelta(minutes=30))
    closes = within.end
    first = Coverage().after(WEEK, [within], closes)
    quick = first
    for hours in (1, 2, 3, 4):
        quick = quick.after(WEEK, [within], closes + timedelta(hours=hours))
    at = closes + timedelta(hours=4)
    assert given_up(HOURS, quick, present([gap]), at) == quick
    assert kinds(given_up(HOURS, quick, present([gap]), closes + 3 * DAY)) == {
        SpanKind.ANSWERED,
        SpanKind.NO_TRADE,
    }


def hole(tries: int, age: timedelta, recheck_in: timedelta = DAY) -> Span:
    return Span(WEEK, SpanKind.HOLE, NOW + recheck_in, tries, NOW - age)


@pytest.mark.parametrize(
    ("tries", "age", "exhausted"),
    [(LADDER, 30, True), (LADDER, 29, False), (LADDER - 1, 300, False), (LADDER + 5, 300, True)],
)
def test_exhausted_is_what_is_30_days_old_and_was_asked_up_the_ladder(
    tries: int, age: int, *, exhausted: bool
) -> None:
    assert is_exhausted(hole(tries, age * DAY), NOW) is exhausted


def test_one_of_an_older_catalog_is_as_old_as_its_tries_took() -> None:
    waited = sum(RECHECK_AFTER[: LADDER + 2], timedelta(0))
    old = Span(WEEK, SpanKind.HOLE, NOW, LADDER + 1, None)
    assert is_exhausted(old, NOW) is (waited >= timedelta(days=30))
    assert not is_exhausted(Span(WEEK, SpanKind.HOLE, NOW + 30 * DAY, LADDER, None), NOW)
    assert not was_tried_enough(Span(WEEK, SpanKind.HOLE, NOW, 0, None), NOW)


def test_what_is_made_due_is_missing_at_once_and_the_rest_is_as_it_was() -> None:
    coverage = Coverage().after(WEEK, [WEEK], NOW - timedelta(minutes=5))
    part = TimeRange(WEEK.start + DAY, WEEK.start + 2 * DAY)
    due = made_due(coverage, [part], NOW)
    assert due.missing([WEEK], NOW) == [part]
    assert {one.since for one in due.holes()} == {NOW - timedelta(minutes=5)}
    assert {one.tries for one in due.holes()} == {0}


@pytest.mark.parametrize(
    "span", [hole(LADDER, 40 * DAY), Span(WEEK, SpanKind.NO_TRADE, None, 4, NOW - 40 * DAY)]
)
def test_what_was_given_up_climbs_the_ladder_anew_once_it_is_reopened(span: Span) -> None:
    (opened,) = made_due(Coverage((span,)), [WEEK], NOW).spans
    assert (opened.kind, opened.tries, opened.since) == (SpanKind.HOLE, 0, span.since)
    (again,) = Coverage((opened,)).after(WEEK, [WEEK], NOW).holes()
    assert (again.tries, again.since) == (1, span.since)
    assert again.recheck_at == NOW + RECHECK_AFTER[1]


def test_a_hole_that_is_served_no_more_is_out_of_depth_and_keeps_its_history() -> None:
    coverage = Coverage((hole(3, 9 * DAY),))
    edge = WEEK.start + 2 * DAY
    deep, left = beyond_depth(coverage, edge).spans
    assert (deep.kind, deep.tries, deep.since) == (SpanKind.OUT_OF_DEPTH, 3, NOW - 9 * DAY)
    assert (deep.within.end, left.within.start) == (edge, edge)
    assert left.kind is SpanKind.HOLE
    assert beyond_depth(coverage, WEEK.start) == coverage


@given(st.integers(0, 40), st.integers(1, 60))
def test_a_hole_is_asked_for_once_more_on_the_day_before_its_deadline(age: int, depth: int) -> None:
    """However far up the ladder it is, as long as that day is still to come."""
    start, limit = WEEK.start, timedelta(days=depth)
    now, last = start + age * DAY, start + limit - DAY
    coverage = Coverage()
    for _ in range(5):
        coverage = coverage.after(WEEK, [WEEK], now, depth=limit)
        (found,) = coverage.holes()
        assert found.recheck_at is not None
        assert found.recheck_at > now
        if now < last:
            assert found.recheck_at <= last
        now = found.recheck_at
