"""Which series go at a look: tiers, budgets, and that nobody waits for ever."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata_pipeline.domain.gate import Turns
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.tiers import LEAST, Tier
from marketdata_pipeline.ingest.refreshes import Budget, Due, budget, going

PRIORITY, OTHER = Tier.PRIORITY, Tier.OTHER
NOON = datetime(2024, 3, 15, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def due(key: str, tier: Tier = OTHER, ago: int | None = None) -> Due:
    """A series that was asked for so many minutes before noon."""
    return Due(Series.parse(key), tier, None if ago is None else NOON - ago * MINUTE)


def turns(interval: timedelta, free: int = 0, next_in: timedelta = timedelta(0)) -> Turns:
    return Turns("yahoo", 2000, 200, interval, free, NOON + next_in, None)


def keys(series: list[Series]) -> list[str]:
    return [str(one) for one in series]


@pytest.mark.parametrize(
    ("allowed", "gone"),
    [
        (None, ["ES=F|1m", "NQ=F|1m", "AAPL|1m", "MSFT|1m"]),
        (Budget(4, 0), ["ES=F|1m", "NQ=F|1m", "AAPL|1m", "MSFT|1m"]),
        (Budget(3, 0), ["ES=F|1m", "NQ=F|1m", "AAPL|1m"]),
        (Budget(3, 2), ["ES=F|1m", "AAPL|1m", "MSFT|1m"]),
        (Budget(1, 0), ["ES=F|1m"]),
        (Budget(1, 1), ["AAPL|1m"]),
        (Budget(0, 0), []),
    ],
)
def test_the_highest_tier_goes_first_and_who_waits_longest(
    allowed: Budget | None, gone: list[str]
) -> None:
    found = [
        due("MSFT|1m", ago=10),
        due("AAPL|1m", ago=30),
        due("NQ=F|1m", PRIORITY, ago=2),
        due("ES=F|1m", PRIORITY),
    ]
    assert keys(going(found, allowed)) == gone


def test_a_derived_series_costs_no_request_and_waits_for_its_base() -> None:
    found = [due("AAPL|4h"), due("MSFT|1h", ago=1), due("MSFT|4h"), due("IBM|1h"), due("IBM|4h")]
    assert keys(going(found, Budget(1, 0))) == ["IBM|1h", "AAPL|4h", "IBM|4h"]
    assert keys(going(found, Budget(0, 0))) == ["AAPL|4h"]


def test_no_quota_is_known_before_a_provider_was_asked() -> None:
    assert budget([], 5 * MINUTE, NOON, rest=True) is None


@pytest.mark.parametrize(
    ("free", "next_in", "total"),
    [(0, 0, 150), (200, 0, 350), (0, 60, 120), (0, 300, 0), (0, 9000, 0)],
)
def test_the_budget_is_what_is_free_and_what_comes_until_the_next_look(
    free: int, next_in: int, total: int
) -> None:
    known = [turns(timedelta(seconds=2), free, timedelta(seconds=next_in))]
    found = budget(known, 5 * MINUTE, NOON, rest=False)
    assert found == Budget(total, 0)


def test_providers_add_up_and_credits_of_the_day_bound_them() -> None:
    free = turns(timedelta(seconds=2), free=10)
    paid = replace(turns(timedelta(seconds=1)), provider="tiingo", budget_left=7)
    assert budget([free, paid], 5 * MINUTE, NOON, rest=False) == Budget(160 + 7, 0)


def test_a_twentieth_is_for_the_rest_where_there_is_one() -> None:
    found = budget([turns(timedelta(seconds=3))], 5 * MINUTE, NOON, rest=True)
    assert found == Budget(100, 5)


@given(
    st.floats(0.05, 400),
    st.integers(1, 60),
    st.datetimes(datetime(2024, 1, 1), datetime(2034, 1, 1)),  # noqa: DTZ001 - hypothesis' way
)
def test_parts_of_a_request_add_up(hourly: float, minutes: int, begin: datetime) -> None:
    every, at = minutes * MINUTE, begin.replace(tzinfo=UTC)
    looks, interval = 200, timedelta(hours=1) / hourly
    total = 0
    for number in range(looks):
        now = at + number * every
        known = [Turns("yahoo", 2000, 200, interval, 0, now, None)]
        found = budget(known, every, now, rest=False)
        assert found is not None
        total += found.total
    assert abs(total - looks * (every / interval)) <= 1 + looks * 1e-5


class Bucket:
    """A provider's turns: a burst, then one every interval."""

    def __init__(self, burst: int, hourly: float) -> None:
        self.burst, self.interval = burst, timedelta(hours=1) / hourly
        self.level, self.at = float(burst), NOON

    def turns(self, now: datetime) -> Turns:
        self.level = min(self.burst, self.level + (now - self.at) / self.interval)
        self.at = now
        owed = max(0.0, -self.level) * self.interval
        return Turns(
            "y", 2000, self.burst, self.interval, max(0, int(self.level)), now + owed, None
        )


@settings(max_examples=15)
@given(st.integers(0, 20), st.integers(1, 10), st.floats(60, 600), st.integers(1, 50))
def test_hours_of_looks_never_plan_more_than_the_quota_and_nobody_waits_for_ever(
    first: int, rest: int, hourly: float, burst: int
) -> None:
    """Every series has news at every look: the worst that can be."""
    bucket, hours = Bucket(burst, hourly), 6
    tiers = {Series.parse(f"F{number}|1m"): PRIORITY for number in range(first)}
    tiers |= {Series.parse(f"R{number}|1m"): OTHER for number in range(rest)}
    asked: dict[Series, datetime] = {}
    sent, now = 0, NOON
    while now < NOON + timedelta(hours=hours):
        for tier, every in ((PRIORITY, 2), (OTHER, 5)):
            if (now - NOON) % (every * MINUTE):
                continue
            found = [
                Due(one, of, asked.get(one))
                for one, of in tiers.items()
                if tier is OTHER or of is PRIORITY
            ]
            allowed = budget([bucket.turns(now)], every * MINUTE, now, rest=True)
            gone = [one for one in going(found, allowed) if tiers[one] is tier]
            asked |= dict.fromkeys(gone, now)
            bucket.level -= len(gone)
            sent += len(gone)
        assert sent <= burst + (now - NOON + 5 * MINUTE) / bucket.interval + 2
        now += MINUTE
    if LEAST * hours * hourly > rest + 2:
        assert all(one in asked for one, tier in tiers.items() if tier is OTHER)
