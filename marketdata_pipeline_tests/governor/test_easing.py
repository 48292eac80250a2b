from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.governor.easing import CUT, growth, refused_at, spacing_at

PLATEAU = 35_000_000
AGES = st.integers(0, 10**9)


@given(AGES, AGES)
def test_the_rate_never_falls_while_nothing_is_refused(age: int, later: int) -> None:
    assert growth(age, PLATEAU) <= growth(age + later, PLATEAU)
    assert spacing_at(10**6, age + later, PLATEAU) <= spacing_at(10**6, age, PLATEAU)


def test_it_starts_a_tenth_below_what_was_refused_stays_around_it_and_then_leaves_it() -> None:
    shares = [round(growth(n * PLATEAU, PLATEAU), 6) for n in range(5)]
    assert shares == [1 - CUT, 1, 1 + CUT, 1.8, 3.7]


@given(st.integers(1, 10**8), st.integers(0, 1000), st.integers(0, 10**9))
def test_a_refusal_never_makes_it_faster_and_at_most_four_times_slower(
    spacing: int, granted: int, elapsed: int
) -> None:
    assert spacing <= refused_at(spacing, granted, elapsed) <= 4 * spacing


def test_what_was_granted_since_the_last_refusal_tells_the_quota() -> None:
    assert refused_at(500_000, 30, 60_000_000) == 2_000_000
    assert refused_at(500_000, 4, 60_000_000) == 500_000, "four requests say nothing"
    assert refused_at(0, 30, 60_000_000) == 2_000_000, "no spacing is configured"
