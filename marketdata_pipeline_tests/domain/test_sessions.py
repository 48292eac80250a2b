"""Arithmetic on schedules: weeks, grids and buckets of hand-made days and segments."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain.ranges import from_micros
from marketdata_pipeline.domain.sessions import DAY, WEEK, Days, Micros, Segments, monday_of

HOUR = DAY // 24


def micros(*hours: float) -> Micros:
    return np.array([int(hour * HOUR) for hour in hours], dtype=np.int64)


def days_at(labels: list[int]) -> Days:
    label = np.array(labels, dtype=np.int64) * DAY
    return Days(label, label + 9 * HOUR, label + 16 * HOUR)


NIGHT = Segments(micros(9, 13, 33), micros(9, 13, 33), micros(12, 15.5, 40))


@given(st.integers(-40_000, 60_000))
def test_the_monday_of_a_day_is_the_last_one_that_is_not_after_it(day: int) -> None:
    monday = from_micros(int(monday_of(np.array([day * DAY]))[0]))
    here = from_micros(day * DAY)
    assert monday.weekday() == 0
    assert monday <= here
    assert (here - monday).days < 7


@given(st.sets(st.integers(-30, 60), max_size=30))
def test_a_week_opens_with_its_first_day_and_closes_with_its_last(chosen: set[int]) -> None:
    days = days_at(sorted(chosen))
    weeks = days.weeks()
    expected: dict[int, tuple[int, int]] = {}
    for label, opened, closed in zip(days.label, days.open, days.close, strict=True):
        monday = int(monday_of(np.array([label]))[0])
        first, _ = expected.get(monday, (int(opened), 0))
        expected[monday] = (first, int(closed))
    found = zip(weeks.label.tolist(), weeks.open.tolist(), weeks.close.tolist(), strict=True)
    assert {label: (opened, closed) for label, opened, closed in found} == expected
    assert np.all(weeks.label % WEEK == 4 * DAY)


def test_no_days_are_no_weeks() -> None:
    weeks = days_at([]).weeks()
    assert (len(weeks.label), len(weeks.open), len(weeks.close)) == (0, 0, 0)


def test_days_between_are_chosen_by_label_half_open() -> None:
    days = days_at([3, 4, 5, 8])
    assert days.between(4 * DAY, 8 * DAY).label.tolist() == [4 * DAY, 5 * DAY]
    assert days.between(4 * DAY + 1, 8 * DAY + 1).label.tolist() == [5 * DAY, 8 * DAY]
    assert days.between(8 * DAY, 4 * DAY).label.tolist() == []


def test_the_last_bar_of_a_segment_may_be_short_and_closes_with_it() -> None:
    labels, closes = NIGHT.grid(2 * HOUR)
    assert labels.tolist() == micros(9, 11, 13, 15, 33, 35, 37, 39).tolist()
    assert closes.tolist() == micros(11, 12, 15, 15.5, 35, 37, 39, 40).tolist()


def test_a_segment_cut_at_its_start_keeps_the_grid_of_its_anchor() -> None:
    cut = Segments(micros(0), micros(21), micros(24))
    labels, closes = cut.grid(4 * HOUR)
    assert labels.tolist() == micros(20).tolist()
    assert closes.tolist() == micros(24).tolist()


def test_no_segments_have_no_grid_and_hold_nothing() -> None:
    none = Segments.of([Segments(micros(), micros(), micros())])
    labels, closes = none.grid(HOUR)
    assert (len(labels), len(closes)) == (0, 0)
    assert not none.holds(0)
    assert none.bucket(micros(1, 2), HOUR).tolist() == [-1, -1]


@given(st.lists(st.integers(8 * 60, 42 * 60), max_size=20), st.sampled_from([1, 5, 15, 60, 240]))
def test_an_instant_falls_into_the_bar_that_holds_it(minutes: list[int], step: int) -> None:
    instants = micros(*(minute / 60 for minute in minutes))
    labels, closes = NIGHT.grid(step * HOUR // 60)
    for instant, found in zip(instants, NIGHT.bucket(instants, step * HOUR // 60), strict=True):
        inside = labels[(labels <= instant) & (instant < closes)]
        assert found == (inside[0] if len(inside) else -1)
        assert NIGHT.holds(int(instant)) == (len(inside) > 0)


def test_the_close_of_a_segment_is_in_no_bar() -> None:
    edges = micros(9, 12, 13, 15.5, 33, 40)
    expected = micros(9, -1, 13, -1, 33, -1)
    expected[expected < 0] = -1
    assert NIGHT.bucket(edges, HOUR).tolist() == expected.tolist()
    assert [NIGHT.holds(int(edge)) for edge in edges] == [True, False] * 3


def test_an_instant_falls_into_the_day_that_holds_it() -> None:
    days = days_at([3, 4])
    instants = micros(0, 3 * 24 + 8, 3 * 24 + 9, 3 * 24 + 15.9, 3 * 24 + 16, 4 * 24 + 10, 200)
    assert days.bucket(instants).tolist() == [-1, -1, 3 * DAY, 3 * DAY, -1, 4 * DAY, -1]
    assert days_at([]).bucket(micros(1)).tolist() == [-1]


def test_segments_of_parts_are_sorted_by_open() -> None:
    mornings = Segments(micros(9, 33), micros(9, 33), micros(12, 36))
    afternoons = Segments(micros(13, 37), micros(13, 37), micros(16, 40))
    both = Segments.of([mornings, afternoons])
    assert both.open.tolist() == micros(9, 13, 33, 37).tolist()
    assert both.close.tolist() == micros(12, 16, 36, 40).tolist()
    assert both.anchor.tolist() == both.open.tolist()
