from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.config import Settings
from marketdata_pipeline.governor.backoff import CURVES, exponential, linear

WAITS = st.integers(1, 10**9)


@given(st.sampled_from(sorted(CURVES)), WAITS, st.integers(1, 10_000), WAITS)
def test_a_wait_starts_with_the_first_never_shrinks_and_stays_below_the_longest(
    name: str, first: int, failures: int, longest: int
) -> None:
    curve = CURVES[name]
    assert curve(first, 1, longest) == min(first, longest)
    assert curve(first, failures, longest) <= curve(first, failures + 1, longest) <= longest


def test_the_curves_are_what_their_names_say() -> None:
    assert [exponential(30, n, 300) for n in range(1, 7)] == [30, 60, 120, 240, 300, 300]
    assert [linear(30, n, 100) for n in range(1, 5)] == [30, 60, 90, 100]


def test_each_curve_can_be_chosen_by_setting() -> None:
    for name in CURVES:
        assert Settings(cooldown_curve=name).tuning.curve == name  # type: ignore[arg-type] # any text
