"""Wished and real interval of each tier: what the quotas carry of the wishes."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain.tiers import LEAST, Tier, Wishes, carried, paces
from marketdata_pipeline.domain.timeframe import Timeframe

PRIORITY, OTHER = Tier.PRIORITY, Tier.OTHER
M1, H1, H4, D1, W1 = (Timeframe.parse(one) for one in ("1m", "1h", "4h", "1d", "1wk"))
MINUTE = timedelta(minutes=1)
REQUESTS = st.floats(0, 1e6).map(lambda number: round(number, 3))


@pytest.mark.parametrize(
    ("priority", "other", "allowed", "given"),
    [
        (100.0, 200.0, None, (100.0, 200.0)),
        (100.0, 200.0, 300.0, (100.0, 200.0)),
        (100.0, 200.0, 200.0, (100.0, 100.0)),
        (100.0, 200.0, 110.0, (100.0, 10.0)),
        (100.0, 200.0, 100.0, (95.0, 5.0)),
        (100.0, 200.0, 50.0, (47.5, 2.5)),
        (100.0, 1.0, 50.0, (49.0, 1.0)),
        (100.0, 0.0, 50.0, (50.0, 0.0)),
        (0.0, 200.0, 50.0, (0.0, 50.0)),
    ],
)
def test_the_first_tier_keeps_its_wish_as_long_as_the_quotas_carry_it(
    priority: float, other: float, allowed: float | None, given: tuple[float, float]
) -> None:
    found = carried({PRIORITY: priority, OTHER: other}, allowed)
    assert (found[PRIORITY], found[OTHER]) == given


@given(REQUESTS, REQUESTS, st.floats(0.01, 1e6))
def test_never_more_is_given_than_allowed_and_never_nothing(
    priority: float, other: float, allowed: float
) -> None:
    found = carried({PRIORITY: priority, OTHER: other}, allowed)
    assert sum(found.values()) <= allowed * (1 + 1e-9)
    assert found[PRIORITY] <= priority
    assert min(other, LEAST * allowed) <= found[OTHER] + 1e-6
    assert found[OTHER] <= other
    if priority + other <= allowed:
        assert found == {PRIORITY: priority, OTHER: other}


def test_where_the_wish_fits_it_is_what_happens() -> None:
    series = {PRIORITY: {M1: 2, H1: 2, H4: 2}, OTHER: {H1: 10, D1: 10, W1: 10}}
    first, rest = paces(series, Wishes(), 2000.0)
    assert (first.tier, first.series, first.wished, first.real) == (
        PRIORITY, 6, 2 * MINUTE, 2 * MINUTE,
    )  # fmt: skip
    assert first.requests == 2 * 30 + 2
    assert (rest.tier, rest.series, rest.wished, rest.real) == (OTHER, 30, 5 * MINUTE, 5 * MINUTE)
    assert rest.requests == pytest.approx(10 + 10 / 24)
    assert (first.stretch, rest.stretch) == (1, 1)


def test_what_does_not_fit_is_stretched_from_the_bars_that_close_most_often() -> None:
    (rest,) = paces({OTHER: {H1: 4000, H4: 4000}}, Wishes(), 1000.0)
    assert (rest.wished, rest.real) == (5 * MINUTE, timedelta(hours=4))
    (rest,) = paces({OTHER: {M1: 1000}}, Wishes(), 6000.0)
    assert (rest.wished, rest.real) == (5 * MINUTE, 10 * MINUTE)


def test_derived_series_cost_nothing() -> None:
    (only,) = paces({PRIORITY: {H4: 9000, W1: 9000}, OTHER: {}}, Wishes(), 1.0)
    assert (only.requests, only.real) == (0.0, 2 * MINUTE)


def test_a_bar_is_not_asked_for_before_it_can_close() -> None:
    wishes = Wishes()
    assert wishes.every(PRIORITY, M1) == 2 * MINUTE
    assert wishes.every(PRIORITY, H1) == timedelta(hours=1)
    assert wishes.requests(OTHER, M1, 3) == 36.0
