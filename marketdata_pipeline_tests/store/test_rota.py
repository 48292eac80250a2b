"""Whose turn it is to be verified."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.store.rota import A_WEEK, LONGEST, turn

SUNDAY = datetime(2026, 11, 29, 3, tzinfo=UTC)
WEEK = timedelta(weeks=1)


def _series(count: int) -> list[Series]:
    return [Series.parse(f"A{number}|1d") for number in range(count)]


def test_few_series_all_have_their_turn_each_week() -> None:
    series = _series(A_WEEK)
    assert turn(series, SUNDAY) == series
    assert turn([], SUNDAY) == []


@pytest.mark.parametrize(
    ("count", "weeks"),
    [(600, 2), (3_000, 8), pytest.param(20_000, LONGEST, marks=pytest.mark.proof)],
)
def test_each_series_has_one_turn_within_the_weeks(count: int, weeks: int) -> None:
    series = _series(count)
    seen: Counter[Series] = Counter()
    for week in range(weeks):
        ours = turn(series, SUNDAY + week * WEEK)
        assert count / weeks * 0.7 < len(ours) < count / weeks * 1.3
        seen.update(ours)
    assert set(seen) == set(series)
    assert set(seen.values()) == {1}
    assert turn(series, SUNDAY) == turn(series, SUNDAY + weeks * WEEK)


def test_of_many_series_each_has_its_turn_after_the_longest_while() -> None:
    series = _series(20_000)
    ours = turn(series, SUNDAY)
    assert 20_000 / LONGEST * 0.7 < len(ours) < 20_000 / LONGEST * 1.3
    assert turn(series, SUNDAY + LONGEST * WEEK) == ours


def test_the_turn_changes_with_the_iso_week() -> None:
    series = _series(600)
    monday = SUNDAY + timedelta(days=1)
    assert turn(series, SUNDAY) == turn(series, SUNDAY - timedelta(days=6))
    assert not set(turn(series, SUNDAY)) & set(turn(series, monday))


def test_a_turn_is_not_put_off_by_new_series() -> None:
    few, many = _series(900), _series(1_900)
    seen = set(turn(few, SUNDAY))
    for week in range(1, 4):
        seen.update(turn(many, SUNDAY + week * WEEK))
    assert set(few) <= seen
