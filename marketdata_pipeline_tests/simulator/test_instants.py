"""Instants in sliding windows."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.simulator.instants import Instants

STEPS = st.lists(st.integers(0, 30), max_size=60)


def of(steps: Sequence[int]) -> tuple[Instants, list[int]]:
    instants, at, all_of_them = Instants(), 1_700_000_000, []
    for step in steps:
        at += step
        instants.add(at)
        all_of_them.append(at)
    return instants, all_of_them


@given(STEPS, st.integers(1, 100), st.integers(-5, 60))
def test_a_window_holds_what_is_in_it_and_nothing_at_its_start(
    steps: list[int], seconds: int, later: int
) -> None:
    instants, known = of(steps)
    until = (known[-1] if known else 0) + later
    assert instants.within(seconds, until) == sum(until - seconds < one <= until for one in known)


def test_the_newest_are_counted_from_the_end() -> None:
    instants, known = of([1, 2, 3])
    assert [instants.newest(number) for number in (1, 2, 3)] == known[::-1]


def test_a_clock_that_was_set_back_does_not_disorder_them() -> None:
    instants = Instants()
    for at in (10.0, 5.0, 11.0):
        instants.add(at)
    assert instants.within(1, 10) == 2


def test_what_is_too_old_is_forgotten_and_the_rest_is_not() -> None:
    instants = Instants(kept=100)
    for at in range(50_000):
        instants.add(at)
    assert instants.within(100, 49_999) == 100
    assert instants.within(50_000, 49_999) < 5_000
