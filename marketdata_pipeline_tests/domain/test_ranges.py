"""Range algebra against a model in which a range is the set of its minutes."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain.ranges import (
    EPOCH,
    TimeRange,
    cut,
    from_micros,
    intersect,
    merge,
    parse_instant,
    parts_inside,
    parts_outside,
    span,
    subtract,
    to_micros,
)
from marketdata_pipeline.errors import BadInput

MINUTE = timedelta(minutes=1)
ORIGIN = datetime(2024, 3, 10, 6, tzinfo=UTC)


def minutes(first: int, after: int) -> TimeRange:
    return TimeRange(ORIGIN + first * MINUTE, ORIGIN + after * MINUTE)


def as_set(ranges: list[TimeRange]) -> set[int]:
    return {
        minute
        for one in ranges
        for minute in range((one.start - ORIGIN) // MINUTE, (one.end - ORIGIN) // MINUTE)
    }


def apart(ranges: list[TimeRange]) -> bool:
    return all(left.end < right.start for left, right in pairwise(ranges))


RANGE = st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda p: minutes(p[0], p[0] + p[1]))
RANGES = st.lists(RANGE, max_size=8)


@given(RANGES)
def test_merging_keeps_the_instants_and_leaves_ranges_apart(ranges: list[TimeRange]) -> None:
    merged = merge(ranges)
    assert as_set(merged) == as_set(ranges)
    assert apart(merged)
    assert merge(merged) == merged


@given(RANGES, RANGES)
def test_subtracting_is_the_difference_of_sets(
    left: list[TimeRange], right: list[TimeRange]
) -> None:
    rest = subtract(left, right)
    assert as_set(rest) == as_set(left) - as_set(right)
    assert apart(rest)


@given(RANGES, RANGES)
def test_intersecting_is_the_common_part_of_sets(
    left: list[TimeRange], right: list[TimeRange]
) -> None:
    both = intersect(left, right)
    assert as_set(both) == as_set(left) & as_set(right)
    assert both == intersect(right, left)
    assert apart(both)


@given(RANGE, RANGES)
def test_the_parts_inside_and_outside_make_the_whole(
    one: TimeRange, others: list[TimeRange]
) -> None:
    merged = merge(others)
    inside, outside = list(parts_inside(one, merged)), list(parts_outside(one, merged))
    assert as_set(inside) == as_set([one]) & as_set(others)
    assert merge([*inside, *outside]) == [one]
    assert not intersect(inside, outside)


@given(RANGE, RANGE)
def test_two_ranges_meet_where_both_have_minutes(left: TimeRange, right: TimeRange) -> None:
    common = left.intersect(right)
    assert as_set([common] if common else []) == as_set([left]) & as_set([right])


def test_ranges_that_touch_do_not_intersect_and_do_merge() -> None:
    left, right = minutes(0, 5), minutes(5, 9)
    assert left.intersect(right) is None
    assert merge([right, left]) == [minutes(0, 9)]


@given(RANGE, st.one_of(st.none(), st.integers(1, 25)))
def test_windows_follow_each_other_and_the_newest_is_a_full_one(
    one: TimeRange, longest: int | None
) -> None:
    windows = cut(one, None if longest is None else longest * MINUTE)
    assert windows[0].start == one.start
    assert windows[-1].end == one.end
    assert all(a.end == b.start for a, b in pairwise(windows))
    if longest is not None:
        assert all(window.length == longest * MINUTE for window in windows[1:])
        assert windows[0].length <= longest * MINUTE


def test_an_odd_remainder_is_the_oldest_window() -> None:
    assert cut(minutes(0, 10), 4 * MINUTE) == [minutes(0, 2), minutes(2, 6), minutes(6, 10)]
    assert cut(minutes(0, 10), None) == [minutes(0, 10)]


@given(st.integers(-(10**16), 10**17))
def test_microseconds_and_instants_are_the_same_thing(micros: int) -> None:
    assert to_micros(from_micros(micros)) == micros


def test_microseconds_are_counted_through_any_zone() -> None:
    there = datetime(2024, 7, 1, 9, 30, 0, 1, tzinfo=ZoneInfo("America/New_York"))
    assert from_micros(to_micros(there)) == there
    assert from_micros(to_micros(there)).tzinfo is UTC


def test_a_range_in_another_zone_is_the_same_range_in_utc() -> None:
    east = timezone(timedelta(hours=9))
    one = TimeRange(datetime(2024, 1, 1, 9, tzinfo=east), datetime(2024, 1, 2, 9, tzinfo=east))
    assert one == TimeRange(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC))
    assert hash(one) == hash(TimeRange(one.start, one.end))


def test_london_in_winter_is_not_taken_for_utc() -> None:
    london = ZoneInfo("Europe/London")
    winter = TimeRange(datetime(2024, 1, 1, tzinfo=london), datetime(2024, 3, 1, tzinfo=london))
    assert winter.start.tzinfo is UTC
    assert winter.end.tzinfo is UTC
    across = TimeRange(datetime(2024, 3, 30, tzinfo=london), datetime(2024, 4, 1, tzinfo=london))
    assert across.length == timedelta(hours=47)


def test_the_hour_that_comes_twice_is_told_apart() -> None:
    new_york = ZoneInfo("America/New_York")
    twice = datetime(2024, 11, 3, 1, 30, tzinfo=new_york)
    one = TimeRange(twice, twice.replace(fold=1))
    assert one.length == timedelta(hours=1)


def test_timestamps_of_pandas_become_plain_instants() -> None:
    one = TimeRange(pd.Timestamp("2024-01-01", tz="UTC"), pd.Timestamp("2024-01-02", tz="UTC"))
    assert type(one.start) is datetime
    assert one.start.tzinfo is UTC


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (ORIGIN, ORIGIN),
        (ORIGIN + MINUTE, ORIGIN),
        (ORIGIN.replace(tzinfo=None), ORIGIN + MINUTE),
        (ORIGIN, (ORIGIN + MINUTE).replace(tzinfo=None)),
        (pd.NaT, ORIGIN),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))), ORIGIN),
        (ORIGIN, datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5)))),
    ],
)
def test_a_range_without_zone_length_or_year_is_refused(start: datetime, end: datetime) -> None:
    with pytest.raises(BadInput):
        TimeRange(start, end)


def test_a_span_without_length_is_none() -> None:
    assert span(ORIGIN, ORIGIN) is None
    assert span(ORIGIN + MINUTE, ORIGIN) is None
    assert span(ORIGIN, ORIGIN + MINUTE) == minutes(0, 1)


def test_a_range_is_spelled_by_its_dates_or_instants() -> None:
    assert str(TimeRange(EPOCH, EPOCH + timedelta(days=1))) == "1970-01-01..1970-01-02"
    assert str(minutes(0, 90)) == "2024-03-10T06:00:00Z..2024-03-10T07:30:00Z"


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-01-31", datetime(2024, 1, 31, tzinfo=UTC)),
        ("2024-01-31T09:30", datetime(2024, 1, 31, 9, 30, tzinfo=UTC)),
        ("2024-01-31T09:30Z", datetime(2024, 1, 31, 9, 30, tzinfo=UTC)),
        ("2024-01-31T09:30-05:00", datetime(2024, 1, 31, 14, 30, tzinfo=UTC)),
        (datetime(2024, 1, 31, tzinfo=UTC).date(), datetime(2024, 1, 31, tzinfo=UTC)),
    ],
)
def test_an_iso_date_or_instant_is_read_as_utc(text: str, instant: datetime) -> None:
    assert parse_instant(text) == instant
    assert parse_instant(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2024-02-30", "31.01.2024", "0001-01-01T00:00+14:00", "1\n2"]
)
def test_what_is_no_date_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_instant(text)
    assert "\n" not in str(refused.value)
