"""Coverage against a model that knows of each minute what was last said of it."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain.calendars import Grid, calendar_of
from marketdata_pipeline.domain.coverage import (
    RECHECK_AFTER,
    Coverage,
    Span,
    SpanKind,
    absent_ranges,
)
from marketdata_pipeline.domain.ranges import TimeRange, merge, subtract, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe

MINUTE = timedelta(minutes=1)
ORIGIN = datetime(2024, 1, 1, tzinfo=UTC)
NOW = ORIGIN + timedelta(days=1)
HORIZON = 50
Said = tuple[SpanKind, datetime | None, int, datetime | None]


def minutes(first: int, after: int) -> TimeRange:
    return TimeRange(ORIGIN + first * MINUTE, ORIGIN + after * MINUTE)


def each(one: TimeRange) -> range:
    return range((one.start - ORIGIN) // MINUTE, (one.end - ORIGIN) // MINUTE)


def as_model(coverage: Coverage) -> dict[int, Said]:
    return {minute: as_said(span) for span in coverage.spans for minute in each(span.within)}


def well_formed(coverage: Coverage) -> bool:
    """Sorted, none overlapping, neighbours that say the same joined."""
    return all(
        left.within.end < right.within.start
        or (left.within.end == right.within.start and as_said(left) != as_said(right))
        for left, right in zip(coverage.spans, coverage.spans[1:], strict=False)
    )


def as_said(span: Span) -> Said:
    return span.kind, span.recheck_at, span.tries, span.since


RANGE = st.tuples(st.integers(0, HORIZON - 10), st.integers(1, 10)).map(
    lambda pair: minutes(pair[0], pair[0] + pair[1])
)
RANGES = st.lists(RANGE, max_size=5)
SAID = st.sampled_from(
    [
        (SpanKind.ANSWERED, None, 0, None),
        (SpanKind.OUT_OF_DEPTH, None, 0, None),
        (SpanKind.NO_TRADE, None, 3, ORIGIN),
        (SpanKind.HOLE, NOW, 0, None),
        (SpanKind.HOLE, NOW, 0, ORIGIN),
        (SpanKind.HOLE, NOW + MINUTE, 2, ORIGIN + MINUTE),
    ]
)


@st.composite
def coverages(draw: st.DrawFn) -> Coverage:
    coverage = Coverage()
    for one, said in draw(st.lists(st.tuples(RANGE, SAID), max_size=6)):
        coverage = coverage.overlay([Span(one, *said)])
    return coverage


@given(coverages(), st.lists(RANGE, max_size=4), SAID)
def test_what_is_said_last_of_a_minute_holds(
    before: Coverage, over: list[TimeRange], said: Said
) -> None:
    spans = [Span(one, *said) for one in merge(over)]
    after = before.overlay(spans)
    expected = as_model(before) | {minute: said for one in over for minute in each(one)}
    assert as_model(after) == expected
    assert well_formed(after)


@given(coverages(), RANGE, RANGES)
def test_an_answer_covers_its_range_and_its_gaps_become_holes(
    before: Coverage, answered: TimeRange, absent: list[TimeRange]
) -> None:
    after = before.after(answered, absent, NOW)
    known = as_model(before)
    expected = dict(known)
    for minute in each(answered):
        if all(minute not in each(one) for one in absent):
            expected[minute] = (SpanKind.ANSWERED, None, 0, None)
            continue
        old = known.get(minute)
        again = old is not None and old[0] is SpanKind.HOLE
        tries, since = (old[2] + 1, old[3]) if old and again else (0, NOW)
        delay = RECHECK_AFTER[min(tries, len(RECHECK_AFTER) - 1)]
        expected[minute] = (SpanKind.HOLE, NOW + delay, tries, since)
    assert as_model(after) == expected
    assert well_formed(after)


@given(coverages(), RANGES)
def test_missing_is_what_was_never_answered_and_the_holes_that_are_due(
    coverage: Coverage, wanted: list[TimeRange]
) -> None:
    known = as_model(coverage)
    expected = {
        minute
        for one in wanted
        for minute in each(one)
        if minute not in known or known[minute][:2] == (SpanKind.HOLE, NOW)
    }
    missing = coverage.missing(wanted, NOW)
    assert {minute for one in missing for minute in each(one)} == expected
    assert merge(missing) == missing


@given(coverages(), RANGE)
def test_what_was_answered_in_full_is_not_asked_again(before: Coverage, one: TimeRange) -> None:
    assert before.after(one, [], NOW).missing([one], NOW + timedelta(days=9999)) == []


def test_nothing_known_is_all_missing() -> None:
    assert Coverage().missing([minutes(0, 5), minutes(3, 9)], NOW) == [minutes(0, 9)]
    assert Coverage().holes() == []


def test_a_hole_is_asked_again_after_an_hour_then_six_then_days_up_to_thirty() -> None:
    coverage, now, delays = Coverage(), NOW, []
    for _ in range(9):
        coverage = coverage.after(minutes(0, 9), [minutes(3, 5)], now)
        (hole,) = coverage.holes()
        assert hole.recheck_at is not None
        assert coverage.missing([minutes(0, 9)], hole.recheck_at - MINUTE) == []
        assert coverage.missing([minutes(0, 9)], hole.recheck_at) == [minutes(3, 5)]
        delays.append(hole.recheck_at - now)
        now = hole.recheck_at
    assert [delay / timedelta(hours=1) for delay in delays[:2]] == [1, 6]
    assert [delay / timedelta(days=1) for delay in delays[2:]] == [1, 3, 7, 14, 30, 30, 30]


def test_a_hole_that_is_filled_is_gone() -> None:
    coverage = Coverage().after(minutes(0, 9), [minutes(3, 5)], NOW)
    filled = coverage.after(minutes(3, 5), [], NOW)
    assert filled.spans == (Span(minutes(0, 9), SpanKind.ANSWERED),)


def test_a_fresh_gap_beside_an_old_hole_waits_an_hour_only() -> None:
    old = Coverage((Span(minutes(0, 5), SpanKind.HOLE, NOW, 4),))
    fresh, again = sorted(
        old.after(minutes(0, 9), [minutes(0, 9)], NOW).holes(), key=lambda hole: hole.tries
    )
    assert (fresh.within, fresh.recheck_at) == (minutes(5, 9), NOW + timedelta(hours=1))
    assert (again.within, again.recheck_at) == (minutes(0, 5), NOW + timedelta(days=14))


def test_a_gap_outside_of_the_answer_is_no_hole() -> None:
    coverage = Coverage().after(minutes(0, 5), [minutes(4, 9), minutes(20, 30)], NOW)
    assert [hole.within for hole in coverage.holes()] == [minutes(4, 5)]
    assert coverage.missing([minutes(0, 9)], NOW) == [minutes(5, 9)]


def test_what_is_out_of_depth_is_never_missing() -> None:
    coverage = Coverage().overlay([Span(minutes(0, 5), SpanKind.OUT_OF_DEPTH)])
    assert coverage.missing([minutes(0, 9)], NOW + timedelta(days=9999)) == [minutes(5, 9)]
    assert coverage.holes() == []


def test_thousands_of_holes_cost_a_moment() -> None:
    absent = [minutes(2 * i, 2 * i + 1) for i in range(3000)]
    coverage = Coverage()
    for _ in range(3):
        coverage = coverage.after(minutes(0, 6000), absent, NOW)
    assert len(coverage.spans) == 6000


# What an answer lacks


def grid_of(name: str, start: datetime, end: datetime) -> tuple[Grid, Timeframe]:
    series = Series.parse(name)
    grid = calendar_of(series.instrument).grid(series.timeframe, TimeRange(start, end))
    return grid, series.timeframe


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def absent(name: str, start: str, end: str, without: list[str]) -> list[str]:
    grid, timeframe = grid_of(name, day(start), day(end))
    present = grid.labels[~np.isin(grid.labels, [to_micros(day(label)) for label in without])]
    assert len(present) == len(grid.labels) - len(without)
    return [str(one) for one in absent_ranges(grid, present, timeframe)]


@pytest.mark.parametrize(
    ("name", "without", "expected"),
    [
        ("AAPL|1d", [], []),
        ("AAPL|1d", ["2024-01-03"], ["2024-01-03..2024-01-04"]),
        ("AAPL|1d", ["2024-01-05", "2024-01-08"], ["2024-01-05..2024-01-09"]),
        (
            "AAPL|1d",
            ["2024-01-02", "2024-01-10"],
            ["2024-01-02..2024-01-03", "2024-01-10..2024-01-11"],
        ),
        ("AAPL|1wk", ["2024-01-08"], ["2024-01-08..2024-01-15"]),
        (
            "AAPL|1h",
            ["2024-01-03T15:30"],
            ["2024-01-03T15:30:00Z..2024-01-03T16:30:00Z"],
        ),
        (
            "AAPL|1h",
            ["2024-01-03T20:30"],
            ["2024-01-03T20:30:00Z..2024-01-03T21:00:00Z"],
        ),
        (
            "AAPL|1h",
            ["2024-01-03T20:30", "2024-01-04T14:30"],
            ["2024-01-03T20:30:00Z..2024-01-04T15:30:00Z"],
        ),
        (
            "0700.HK|1h",
            ["2024-01-03T03:30"],
            ["2024-01-03T03:30:00Z..2024-01-03T04:00:00Z"],
        ),
    ],
)
def test_runs_of_expected_bars_that_lack_are_label_ranges(
    name: str, without: list[str], expected: list[str]
) -> None:
    assert absent(name, "2024-01-01", "2024-01-15", without) == expected


def test_an_empty_grid_lacks_nothing() -> None:
    grid, timeframe = grid_of("AAPL|1d", day("2024-01-06"), day("2024-01-08"))
    assert absent_ranges(grid, np.zeros(0, dtype=np.int64), timeframe) == []


@given(st.sampled_from(["AAPL|1d", "AAPL|1wk", "AAPL|1h", "ES=F|4h"]), st.data())
def test_the_absent_ranges_hold_just_the_labels_that_are_absent(
    name: str, data: st.DataObject
) -> None:
    grid, timeframe = grid_of(name, day("2024-01-01"), day("2024-02-01"))
    lacking = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(grid.labels), max_size=len(grid.labels)))
    )
    ranges = absent_ranges(grid, grid.labels[~lacking], timeframe)
    inside = np.zeros(len(grid.labels), dtype=bool)
    for one in ranges:
        inside |= (grid.labels >= to_micros(one.start)) & (grid.labels < to_micros(one.end))
    assert np.array_equal(inside, lacking)
    assert subtract(ranges, []) == ranges
