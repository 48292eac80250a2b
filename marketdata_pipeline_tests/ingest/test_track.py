"""From when on an instrument's series are kept."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import DEFAULT_TIMEFRAMES, Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.track import (
    Decision,
    Keeping,
    decide,
    months_before,
    series_of,
    track,
)
from marketdata_pipeline.store.backfills import Wanted
from marketdata_pipeline.store.holdings import Need
from marketdata_pipeline.store.tracking import Standing
from marketdata_pipeline_tests.ingest.world import World, day

AAPL, BTC = Instrument.parse("AAPL"), Instrument.parse("BTC-USD")


def test_an_instrument_is_kept_at_the_default_timeframes(world: World) -> None:
    (kept,) = track(world.tracking, world.clock, [AAPL])
    assert (kept.instrument, kept.timeframes, kept.since) == (AAPL, DEFAULT_TIMEFRAMES, None)


def test_tracking_again_adds_timeframes_and_only_reaches_further_back(world: World) -> None:
    daily = [Timeframe.D1]
    track(world.tracking, world.clock, [AAPL], timeframes=daily, since=day("2024-01-10"))
    track(world.tracking, world.clock, [AAPL], timeframes=[Timeframe.M5], since=day("2024-02-01"))
    (kept,) = track(world.tracking, world.clock, [AAPL], timeframes=daily, since=day("2023-12-01"))
    assert (kept.timeframes, kept.since) == ((Timeframe.M5, Timeframe.D1), day("2023-12-01"))


def test_series_come_in_the_order_of_tracking_and_of_the_grid(world: World) -> None:
    frames = [Timeframe.W1, Timeframe.D1]
    kept = track(world.tracking, world.clock, [BTC, AAPL], timeframes=frames)
    spelled = [str(one) for one in series_of(kept)]
    assert spelled == ["BTC-USD|1d", "BTC-USD|1wk", "AAPL|1d", "AAPL|1wk"]


def test_a_start_in_the_future_is_refused_and_nothing_is_kept(world: World) -> None:
    tomorrow = world.clock.market_now() + timedelta(days=1)
    with pytest.raises(BadInput, match="is in the future"):
        track(world.tracking, world.clock, [AAPL], since=tomorrow)
    assert world.tracking.all() == []


def test_nothing_to_track_is_refused(world: World) -> None:
    with pytest.raises(BadInput, match="at least one"):
        track(world.tracking, world.clock, [])
    with pytest.raises(BadInput, match="at least one"):
        track(world.tracking, world.clock, [AAPL], timeframes=[])


NOW, BOUGHT = day("2024-03-15"), day("2021-03-01")
KEEPING = Keeping((Timeframe.D1, Timeframe.W1))
HELD = Standing(AAPL, KEEPING.timeframes, day("2020-03-01"), BOUGHT, BOUGHT, holders=1)


def whole(priority: Priority = Priority.URGENT) -> tuple[Wanted, ...]:
    return (Wanted(AAPL, KEEPING.timeframes, None, None, priority),)


@pytest.mark.parametrize(
    ("need", "before", "decision"),
    [
        (Need(), None, Decision()),
        (
            Need(2, BOUGHT),
            None,
            Decision(
                replace(HELD, first_tracked_at=NOW, last_tracked_at=NOW, holders=2),
                whole(),
                fresh=True,
            ),
        ),
        (
            Need(0, BOUGHT),
            None,
            Decision(
                replace(
                    HELD, first_tracked_at=NOW, last_tracked_at=NOW, holders=0, released_at=NOW
                ),
                whole(Priority.HELD),
                fresh=True,
            ),
        ),
        (Need(1, BOUGHT), HELD, Decision()),
        (Need(1, NOW), HELD, Decision()),
        (Need(2, BOUGHT), HELD, Decision(replace(HELD, holders=2, last_tracked_at=NOW))),
        (Need(0, BOUGHT), HELD, Decision(replace(HELD, holders=0, released_at=NOW))),
        (Need(), HELD, Decision(replace(HELD, holders=0, released_at=NOW))),
        (
            Need(1, day("2019-01-31")),
            HELD,
            Decision(
                replace(HELD, since=day("2018-01-31"), last_tracked_at=NOW),
                (Wanted(AAPL, KEEPING.timeframes, day("2018-01-31"), HELD.since, Priority.URGENT),),
            ),
        ),
        (Need(), replace(HELD, holders=0, released_at=BOUGHT), Decision()),
        (Need(0, BOUGHT), replace(HELD, holders=0, untracked_at=BOUGHT), Decision()),
        (
            Need(1, BOUGHT),
            replace(HELD, holders=0, released_at=BOUGHT),
            Decision(replace(HELD, last_tracked_at=NOW), whole()),
        ),
        (
            Need(1, BOUGHT),
            replace(HELD, holders=0, released_at=BOUGHT, untracked_at=BOUGHT),
            Decision(replace(HELD, first_tracked_at=NOW, last_tracked_at=NOW), whole(), fresh=True),
        ),
        (
            Need(1, BOUGHT),
            replace(HELD, holders=0, by_hand=True, since=None, timeframes=(Timeframe.D1,)),
            Decision(replace(HELD, by_hand=True, since=None, last_tracked_at=NOW), whole()),
        ),
        (
            Need(1, BOUGHT),
            replace(HELD, timeframes=(Timeframe.M5, Timeframe.D1)),
            Decision(
                replace(
                    HELD,
                    timeframes=(Timeframe.M5, Timeframe.D1, Timeframe.W1),
                    last_tracked_at=NOW,
                ),
                (Wanted(AAPL, (Timeframe.W1,), None, None, Priority.URGENT),),
            ),
        ),
    ],
)
def test_what_follows_from_who_needs_it(
    need: Need, before: Standing | None, decision: Decision
) -> None:
    assert decide(AAPL, need, before, KEEPING, NOW) == decision


_INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2024, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants them so
_NEEDS = st.builds(Need, st.integers(0, 3), _INSTANTS) | st.just(Need())


@given(st.lists(_NEEDS, min_size=1, max_size=8))
def test_a_decision_made_again_changes_nothing_and_since_only_moves_back(
    needs: list[Need],
) -> None:
    row: Standing | None = None
    for need in needs:
        before = row
        row = decide(AAPL, need, row, KEEPING, NOW).standing or row
        later = NOW + timedelta(days=1)
        assert decide(AAPL, need, row, KEEPING, later) == Decision()
        if before is not None and row is not None:
            assert row.since is not None
            assert before.since is not None
            assert row.since <= before.since
        assert row is None or (row.holders > 0) == (row.released_at is None)


@pytest.mark.parametrize(
    ("at", "months", "since"),
    [
        ("2021-03-01T23:59", 12, "2020-03-01"),
        ("2024-02-29", 12, "2023-02-28"),
        ("2024-03-31", 1, "2024-02-29"),
        ("2024-01-15", 1, "2023-12-15"),
        ("2024-12-15", 12, "2023-12-15"),
        ("2024-01-15", 0, "2024-01-15"),
        ("1900-01-01", 1200, "1800-01-01"),
    ],
)
def test_months_are_those_of_the_calendar(at: str, months: int, since: str) -> None:
    instant = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert months_before(instant, months) == day(since)


def test_a_portfolio_is_reckoned_in_its_own_currency_before_all_others() -> None:
    keeping = Keeping(base_currency="EUR", portfolio_currencies={"us": "USD"})
    assert [keeping.currency_of(one, "CHF") for one in ("us", "main")] == ["USD", "EUR"]
    assert Keeping().currency_of("main", "CHF") == "CHF"
    assert Keeping().currency_of("main", None) is None
