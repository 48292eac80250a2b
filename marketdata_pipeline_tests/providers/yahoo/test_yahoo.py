"""What a fetch hands up: the reply around the bars."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline_tests.fakes import FrozenClock, Lines
from marketdata_pipeline_tests.providers.yahoo.canned import (
    DAY_1,
    Canned,
    chart_body,
    complaint,
    serving,
)

AAPL = Series.parse("AAPL|1d")
WEEK = TimeRange(datetime(2024, 3, 11, tzinfo=UTC), datetime(2024, 3, 16, tzinfo=UTC))
PAST = TimeRange(datetime(2023, 3, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC))


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(wall=datetime(2026, 1, 1, tzinfo=UTC))


def test_a_reply_tells_market_time_and_wall_time_apart(clock: FrozenClock) -> None:
    with serving(Canned(chart_body())) as server:
        reply = server.yahoo(clock).fetch(AAPL, WEEK)
    assert (reply.market_at, reply.fetched_at) == (clock.market, clock.wall)
    assert (reply.series, reply.window) == (AAPL, WEEK)
    assert reply.bars["close"].tolist() == [10.0, 11.0]


def test_actions_are_told_up_to_now_only_where_that_was_asked(clock: FrozenClock) -> None:
    days = TimeRange(WEEK.start, WEEK.end - timedelta(days=3))
    with serving(Canned(chart_body())) as server:
        yahoo = server.yahoo(clock)
        lately, past = yahoo.fetch(AAPL, days), yahoo.fetch(AAPL, PAST)
    assert lately.actions_within == TimeRange(WEEK.start, clock.market)
    assert past.actions_within == PAST


def test_a_window_after_now_tells_no_actions(clock: FrozenClock) -> None:
    later = TimeRange(clock.market + timedelta(days=1), clock.market + timedelta(days=2))
    with serving(Canned(chart_body())) as server:
        reply = server.yahoo(clock).fetch(AAPL, later)
    assert reply.actions_within is None
    assert reply.bars.equals(contract.empty())


def test_a_payment_in_another_currency_is_warned_of(clock: FrozenClock, log_lines: Lines) -> None:
    paid = {"1": {"amount": 0.5, "date": DAY_1, "currency": "EUR"}}
    body = chart_body(events={"dividends": paid})
    with serving(Canned(body)) as server:
        reply = server.yahoo(clock).fetch(AAPL, WEEK)
    assert reply.actions == ()
    (warning,) = log_lines("payments in another currency left out")
    assert (warning["series"], warning["payments"]) == ("AAPL|1d", 1)


@pytest.mark.parametrize("timeframe", ["4h", "1wk"])
def test_derived_bars_are_never_asked_for(clock: FrozenClock, timeframe: str) -> None:
    with (
        serving(Canned(chart_body())) as server,
        pytest.raises(BadInput, match="it is asked for 1m, 5m, 15m, 1h, 1d"),
    ):
        server.yahoo(clock).fetch(Series.parse(f"AAPL|{timeframe}"), WEEK)
    assert server.seen == []


def test_no_data_in_the_window_is_an_empty_reply(clock: FrozenClock) -> None:
    nothing = complaint("Bad Request", "Data doesn't exist for startDate = 1, endDate = 2")
    with serving(Canned(nothing, 400)) as server:
        reply = server.yahoo(clock).fetch(AAPL, WEEK)
    assert reply.bars.empty
    assert (reply.actions, reply.actions_within, reply.currency) == ((), None, "")
    assert (reply.requests, reply.origin, len(server.seen)) == (1, "simulator:recorded", 1)


def test_a_chart_without_rows_is_an_empty_reply_that_knows_its_currency(
    clock: FrozenClock,
) -> None:
    with serving(Canned(chart_body([], quote={}))) as server:
        reply = server.yahoo(clock).fetch(AAPL, WEEK)
    assert reply.bars.empty
    assert reply.currency == "USD"
    assert reply.actions_within == TimeRange(WEEK.start, clock.market)


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Tokyo"])
def machine_zone(request: pytest.FixtureRequest) -> Iterator[str]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield request.param
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("machine_zone")
def test_the_machines_zone_changes_nothing(clock: FrozenClock) -> None:
    with serving(Canned(chart_body())) as server:
        reply = server.yahoo(clock).fetch(AAPL, PAST)
        within = server.yahoo(clock).fetch(AAPL, WEEK)
    assert reply.bars.empty
    assert [f"{ts:%Y-%m-%d %H:%M%z}" for ts in within.bars.index] == [
        "2024-03-11 00:00+0000",
        "2024-03-12 00:00+0000",
    ]
    assert (server.seen[0][1]["period1"], server.seen[0][1]["period2"]) == (
        "1677646800",
        "1704085200",
    )
