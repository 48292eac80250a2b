from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain.gate import Budget
from marketdata_pipeline.domain.ranges import to_micros
from marketdata_pipeline.governor.budget import Day

NOON = to_micros(datetime(2026, 11, 24, 12, tzinfo=UTC))


def test_credits_are_used_up_and_come_back_at_midnight_of_the_zone() -> None:
    day = Day(Budget(2, "America/New_York"))
    for left in (2, 1):
        assert day.left(NOON) == left
        assert day.earliest(NOON, 1) == NOON
        day = day.taken(NOON, 1)
    midnight = to_micros(datetime(2026, 11, 25, 5, tzinfo=UTC))
    assert (day.left(NOON), day.earliest(NOON, 1)) == (0, midnight)
    assert (day.left(midnight), day.earliest(midnight, 2)) == (2, midnight)


@pytest.mark.parametrize(
    ("at", "hours"),
    [(datetime(2026, 3, 8, 12, tzinfo=UTC), 23), (datetime(2026, 11, 1, 12, tzinfo=UTC), 25)],
)
def test_a_day_on_which_clocks_change_is_as_long_as_it_is(at: datetime, hours: int) -> None:
    first = Day(Budget(1, "America/New_York")).taken(to_micros(at - timedelta(days=1)), 1)
    second = first.taken(first.until, 1)
    assert second.until - first.until == hours * 3_600_000_000


@given(st.integers(1, 20), st.lists(st.tuples(st.integers(0, 30), st.integers(1, 20)), max_size=60))
def test_no_day_ever_sees_more_than_its_credits(credit: int, asked: list[tuple[int, int]]) -> None:
    day, now, spent = Day(Budget(credit)), NOON, dict[int, int]()
    for hours, weight in asked:
        if weight > credit:
            continue
        now = day.earliest(now + hours * 3_600_000_000, weight)
        day = day.taken(now, weight)
        date = now // 86_400_000_000
        spent[date] = spent.get(date, 0) + weight
    assert all(one <= credit for one in spent.values())
