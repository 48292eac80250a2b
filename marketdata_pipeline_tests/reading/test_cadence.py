"""Wished and real cadence, and the quota against the wish."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain.gate import Turns
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.tiers import Tier, Wishes
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.reading.cadence import (
    Cadence,
    Load,
    cadences,
    load_of,
    median,
    paces_of,
    requests_of,
)
from marketdata_pipeline.store.totals import NewestGroup, Totals, TrackedGroup, UpdatedGroup

M1, M15, H1, H4, D1, W1 = (Timeframe.parse(one) for one in ("1m", "15m", "1h", "4h", "1d", "1wk"))
AAPL, COIN, AZN = (Instrument.parse(one) for one in ("AAPL", "BTC-USD", "AZN.L"))
NOON = datetime(2024, 3, 15, 16, tzinfo=UTC)
"""A Friday: New York trades since 13:30 UTC, London until 16:30."""
SATURDAY = datetime(2024, 3, 16, 12, tzinfo=UTC)
DELAY = timedelta(minutes=30)
HOUR = timedelta(hours=1)
LOOK = timedelta(minutes=5)


def group(instrument: Instrument, *timeframes: Timeframe, count: int = 1) -> TrackedGroup:
    return TrackedGroup(instrument.asset_class, instrument, timeframes, count)


def first(one: TrackedGroup, count: int) -> TrackedGroup:
    return replace(one, first=count)


def turns(interval: timedelta) -> Turns:
    return Turns("yahoo", 2000, 200, interval, 200, NOON, None)


def only(found: Sequence[Cadence]) -> Cadence:
    (one,) = found
    return one


def behind(
    instrument: Instrument, timeframe: Timeframe, last: datetime | None, now: datetime
) -> timedelta | None:
    totals = Totals(
        now,
        tracked=(group(instrument, timeframe),),
        newest=(NewestGroup(instrument, timeframe, last, 1),),
    )
    return only(cadences(totals, now, DELAY)).behind


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("timeframe", "wished", "requests"),
    [
        (M1, LOOK, 12.0),
        (M15, timedelta(minutes=15), 4.0),
        (H1, HOUR, 1.0),
        (H4, 4 * HOUR, 0.0),
        (D1, 24 * HOUR, 1 / 24),
        (W1, 7 * 24 * HOUR, 0.0),
    ],
)
def test_a_series_is_wished_at_each_look_but_not_before_its_next_bar(
    timeframe: Timeframe, wished: timedelta, requests: float
) -> None:
    tracked = (group(AAPL, timeframe, count=3),)
    (found,) = cadences(Totals(NOON, tracked=tracked), NOON, DELAY)
    assert found.wished == wished
    assert found.requests == pytest.approx(3 * requests)
    assert requests_of(tracked, timeframe, Wishes()) == found.requests


def test_the_first_tier_is_wished_more_often() -> None:
    tracked = (first(group(AAPL, M1, count=3), 1), first(group(COIN, M15, count=2), 2))
    found = cadences(Totals(NOON, tracked=tracked), NOON, DELAY)
    assert [(one.wished, one.requests) for one in found] == [
        (LOOK, 2 * 12.0 + 30.0),
        (timedelta(minutes=15), 2 * 4.0),
    ]
    (only_first,) = cadences(
        Totals(NOON, tracked=(first(group(AAPL, M1), 1),)), NOON, DELAY, Wishes()
    )
    assert only_first.wished == timedelta(minutes=2)


def test_only_tracked_timeframes_have_a_cadence_finest_first() -> None:
    totals = Totals(NOON, tracked=(group(AAPL, H1, D1, count=2), group(AZN, M1, D1)))
    found = cadences(totals, NOON, DELAY)
    assert [(one.timeframe, one.series) for one in found] == [(M1, 1), (H1, 2), (D1, 3)]
    assert cadences(Totals(NOON), NOON, DELAY) == []


@pytest.mark.parametrize(("now", "opened"), [(NOON, 5), (at("2024-03-15T17:00"), 3), (SATURDAY, 1)])
def test_series_count_as_open_by_the_calendar_of_their_venue(now: datetime, opened: int) -> None:
    tracked = (group(AAPL, H1, count=2), group(AZN, H1, count=2), group(COIN, H1))
    found = only(cadences(Totals(now, tracked=tracked), now, DELAY))
    assert (found.series, found.open) == (5, opened)
    assert (found.requests, found.requests_now) == (5.0, float(opened))


def test_days_are_asked_for_whether_a_session_is_open_or_not() -> None:
    found = only(cadences(Totals(SATURDAY, tracked=(group(AAPL, D1, count=48),)), SATURDAY, DELAY))
    assert (found.requests, found.requests_now) == (2.0, 2.0)


@pytest.mark.parametrize(
    ("instrument", "timeframe", "last", "now", "late"),
    [
        # New York: 13:30 14:30 15:30 ... in UTC; five minutes after a close nothing is asked yet
        (AAPL, H1, "2024-03-15T14:30", "2024-03-15T16:00", 0),
        (AAPL, H1, "2024-03-15T13:30", "2024-03-15T15:34", 0),
        (AAPL, H1, "2024-03-15T13:30", "2024-03-15T15:36", 1),
        (AAPL, H1, "2024-03-14T19:30", "2024-03-15T15:36", 2),
        (AAPL, H1, "2024-03-15T19:30", "2024-03-17T12:00", 0),
        # The night between is no delay, half an hour after the close neither
        (AAPL, D1, "2024-03-14T00:00", "2024-03-15T20:29", 0),
        (AAPL, D1, "2024-03-14T00:00", "2024-03-15T20:31", 1),
        (AAPL, D1, "2024-03-15T00:00", "2024-03-18T12:00", 0),
        (AAPL, D1, "2024-03-13T00:00", "2024-03-18T12:00", 2),
        (AAPL, W1, "2024-03-11T00:00", "2024-03-18T12:00", 0),
        (AAPL, W1, "2024-03-04T00:00", "2024-03-18T12:00", 1),
        (COIN, M15, "2024-03-16T11:00", "2024-03-16T12:06", 3),
        # Nobody looks further back than sixty days
        (AAPL, D1, "2001-01-02T00:00", "2024-03-18T12:00", 40),
    ],
)
def test_how_far_data_is_behind_is_trading_time(
    instrument: Instrument, timeframe: Timeframe, last: str, now: str, late: int
) -> None:
    assert behind(instrument, timeframe, at(last), at(now)) == late * timeframe.length


def test_a_series_without_bars_is_behind_for_ever() -> None:
    assert behind(AAPL, D1, None, NOON) is None


def test_half_of_the_series_say_how_far_all_are_behind() -> None:
    """Two up to date, one a day late, two without any bar or never asked for."""
    days = [at("2024-03-14T00:00"), at("2024-03-13T00:00"), None]
    totals = Totals(
        NOON,
        tracked=(group(AAPL, D1, count=5),),
        newest=tuple(
            NewestGroup(AAPL, D1, day, count) for day, count in zip(days, (2, 1, 1), strict=True)
        ),
    )
    assert only(cadences(totals, NOON, DELAY)).behind == timedelta(days=1)


def test_venues_with_calendars_of_their_own_are_looked_at_apart() -> None:
    """At 17:00 UTC London's day is over and wanted, New York's is not."""
    now, thursday = at("2024-03-15T17:00"), at("2024-03-14T00:00")
    totals = Totals(
        now,
        tracked=(group(AAPL, D1), group(AZN, D1, count=2)),
        newest=(NewestGroup(AAPL, D1, thursday, 1), NewestGroup(AZN, D1, thursday, 2)),
    )
    assert only(cadences(totals, now, DELAY)).behind == timedelta(days=1)


@pytest.mark.parametrize(
    ("timeframe", "now", "late", "minutes"),
    [(M1, SATURDAY, 6, 3), (M1, at("2024-03-15T21:00"), 6, 3), (D1, NOON, 0, 90)],
)
def test_series_that_are_closed_do_not_hide_how_late_the_open_ones_are(
    timeframe: Timeframe, now: datetime, late: int, minutes: int
) -> None:
    """One coin, which always trades; London and its day of three are up to date."""
    newest = {M1: now - timedelta(minutes=12), D1: at("2024-03-14T00:00")}
    totals = Totals(
        now,
        tracked=(group(COIN, timeframe), group(AZN, timeframe, count=3)),
        newest=(
            NewestGroup(COIN, timeframe, newest[timeframe], 1),
            NewestGroup(AZN, timeframe, now, 3),
        ),
        updated=(
            UpdatedGroup(COIN, timeframe, now - timedelta(minutes=3), 1),
            UpdatedGroup(AZN, timeframe, now - timedelta(minutes=90), 3),
        ),
    )
    found = only(cadences(totals, now, DELAY))
    assert (found.behind, found.updated) == (late * timeframe.length, timedelta(minutes=minutes))


def test_the_age_of_updates_is_wall_time_and_never_negative() -> None:
    wall = at("2030-01-01T00:00:20")
    minutes = (at("2029-12-31T23:50"), at("2030-01-01T00:01"), None)
    totals = Totals(
        wall,
        tracked=(group(AAPL, D1, count=3),),
        updated=tuple(UpdatedGroup(AAPL, D1, one, 1) for one in minutes),
    )
    found = only(cadences(totals, NOON, DELAY))
    assert found.updated == timedelta(minutes=10, seconds=20)


@pytest.mark.parametrize(
    ("values", "of", "expected"),
    [
        ([], 0, None),
        ([], 1, None),
        ([(3, 1)], 1, 3),
        ([(3, 1), (1, 1)], 2, 1),
        ([(5, 1), (1, 1), (3, 1)], 3, 3),
        ([(5, 10), (1, 1)], 11, 5),
        ([(1, 1)], 3, None),
        ([(1, 2)], 3, 1),
    ],
)
def test_a_median_counts_those_without_a_value(
    values: list[tuple[int, int]], of: int, expected: int | None
) -> None:
    told = [(timedelta(seconds=value), count) for value, count in values]
    assert median(told, of=of) == (None if expected is None else timedelta(seconds=expected))


@given(st.lists(st.integers(0, 99), min_size=1, max_size=30))
def test_a_median_is_the_one_in_the_middle(values: list[int]) -> None:
    found = median([(timedelta(value), 1) for value in values], of=len(values))
    assert found == timedelta(sorted(values)[(len(values) - 1) // 2])


@pytest.mark.parametrize(
    ("tracked", "interval", "expected"),
    [
        ([], 2, Load(0.0, 1800.0, None, None)),
        ([group(AAPL, H4, W1)], 2, Load(0.0, 1800.0, None, None)),
        ([group(AAPL, M1, count=150)], 2, Load(1800.0, 1800.0, M1, None)),
        ([group(AAPL, M1, count=300)], 2, Load(3600.0, 1800.0, M1, timedelta(minutes=10))),
        ([group(AAPL, H1, count=2700)], 2, Load(2700.0, 1800.0, H1, timedelta(minutes=90))),
        ([group(AAPL, D1, count=24)], None, Load(1.0, None, D1, None)),
    ],
)
def test_a_wish_that_the_quota_does_not_carry_is_stretched(
    tracked: list[TrackedGroup], interval: int | None, expected: Load
) -> None:
    known = [] if interval is None else [turns(timedelta(seconds=interval))]
    assert load_of(tracked, known) == expected


def test_quotas_of_several_providers_add_up() -> None:
    quotas = [turns(timedelta(seconds=2)), turns(timedelta(seconds=4))]
    assert load_of([group(AAPL, D1)], quotas).allowed == 2700.0


def test_the_rest_is_stretched_where_the_first_tier_keeps_its_wish() -> None:
    tracked = [first(group(AAPL, M1, D1, count=130), 30)]
    found = {one.tier: one for one in paces_of(tracked, [turns(timedelta(seconds=2))])}
    assert found[Tier.PRIORITY].series == 60
    assert found[Tier.PRIORITY].wished == found[Tier.PRIORITY].real == timedelta(minutes=2)
    rest = found[Tier.OTHER]
    given = 1800 - found[Tier.PRIORITY].requests
    assert rest.real == LOOK * (rest.requests / given) > LOOK
    load = load_of(tracked, [turns(timedelta(seconds=2))])
    assert load.stretched == rest.real


def test_a_home_without_the_first_tier_has_one_pace() -> None:
    assert [one.tier for one in paces_of([group(AAPL, D1)], [])] == [Tier.OTHER]
    assert paces_of([], []) == []
