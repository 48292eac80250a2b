"""The adapter against the simulator: true bars, and every fault as the error that fits it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from threading import Lock

import pandas as pd
import pytest

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import (
    adjust_for_splits,
    raw_from_split_adjusted,
    splits_of,
)
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.gate import Attempt, Ending, Turn
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import (
    Blocked,
    MalformedReply,
    MarketDataError,
    OutOfDepth,
    ProviderError,
    ProviderTimeout,
    RateLimited,
    Unavailable,
    UnknownSymbol,
)
from marketdata_pipeline.providers.yahoo import Yahoo
from marketdata_pipeline.providers.yahoo.endpoint import Endpoint, Timeouts
from marketdata_pipeline.simulator.fault import Fault, Page, Target
from marketdata_pipeline.simulator.faults import KINDS
from marketdata_pipeline.simulator.recorded import recorded_history, replay_start
from marketdata_pipeline.simulator.server import Simulator, running
from marketdata_pipeline.simulator.wire import RetryAfter
from marketdata_pipeline_tests.fakes import FrozenClock, OpenGate
from marketdata_pipeline_tests.simulator.histories import MONDAY, WEEK, history, listing

AAPL = Series.parse("AAPL|1d")
EVER = TimeRange(datetime(1900, 1, 1, tzinfo=UTC), datetime(2013, 3, 2, tzinfo=UTC))
BEFORE_SPLIT = TimeRange(datetime(2004, 1, 1, tzinfo=UTC), datetime(2005, 2, 1, tzinfo=UTC))
SPOILED = (date(2004, 3, 1),)
BAD_STATUS = {302, 400, 401, 403, 404, 418, 422, 451, *range(500, 505), 599, 999}


class RealWall(FrozenClock):
    """Market time stands; wall time is the machine's, for what a request takes."""

    def wall_now(self) -> datetime:
        return datetime.now(UTC)


@pytest.fixture(scope="module")
def recorded() -> Iterator[Simulator]:
    history_ = recorded_history()
    with running(history_, FrozenClock(market=replay_start(history_))) as simulator:
        yield simulator


@pytest.fixture
def simulator(recorded: Simulator) -> Iterator[Simulator]:
    recorded.requests.clear()
    yield recorded
    recorded.faults.clear()


def yahoo_at(simulator: Simulator, gate: OpenGate | None = None, *, timeout: float = 10.0) -> Yahoo:
    endpoint = Endpoint.simulator(simulator.url)
    clock = RealWall(market=simulator.clock.market_now())
    return Yahoo(gate or OpenGate(), clock, endpoint, Timeouts(timeout, timeout))


def truth(simulator: Simulator, series: Series) -> pd.DataFrame:
    listed = simulator.history.listing(series.instrument, simulator.clock.market_now())
    assert listed is not None
    return listed.bars[series.timeframe]


def test_all_of_a_stock_is_one_request_and_equals_what_was_traded(simulator: Simulator) -> None:
    reply = yahoo_at(simulator).fetch(AAPL, EVER)
    raw = raw_from_split_adjusted(reply.bars, AAPL, reply.actions)
    expected = truth(simulator, AAPL)
    pd.testing.assert_frame_equal(raw, expected.loc[: raw.index[-1]], check_exact=True)
    contract.validate(raw, AAPL, reply.market_at)
    assert len(raw) == 3261  # up to the instant of the replay
    assert raw.index[-1] == pd.Timestamp("2013-02-15", tz="UTC")
    assert len(simulator.requests) == reply.requests == 1


def test_a_reply_says_what_it_is(simulator: Simulator) -> None:
    reply = yahoo_at(simulator).fetch(AAPL, EVER)
    assert (reply.provider, reply.origin, reply.currency) == ("yahoo", "simulator:recorded", "USD")
    assert reply.first_trade == date(2000, 3, 1)
    assert [one.ex_date for one in splits_of(reply.actions)] == [
        date(2000, 6, 21),
        date(2005, 2, 28),
    ]
    assert reply.actions_within == TimeRange(EVER.start, reply.market_at)


def test_a_window_before_a_split_is_divided_by_it_and_does_not_tell(simulator: Simulator) -> None:
    yahoo = yahoo_at(simulator)
    reply = yahoo.fetch(AAPL, BEFORE_SPLIT)
    assert reply.actions == ()
    assert reply.actions_within == BEFORE_SPLIT
    splits = splits_of(yahoo.fetch(AAPL, EVER).actions)
    raw = raw_from_split_adjusted(reply.bars, AAPL, splits)
    expected = truth(simulator, AAPL).loc["2004-01-01":"2005-01-31"]
    pd.testing.assert_frame_equal(raw, expected, check_exact=True)
    assert (reply.bars["close"] < adjust_for_splits(raw, AAPL, [])["close"]).all()


def test_a_delisted_or_unknown_symbol_is_remembered_as_such(simulator: Simulator) -> None:
    with pytest.raises(UnknownSymbol, match="does not know ZZZZ"):
        yahoo_at(simulator).fetch(Series.parse("ZZZZ|1d"), EVER)
    assert len(simulator.requests) == 1


def test_what_yahoo_does_not_go_back_to_is_out_of_depth(simulator: Simulator) -> None:
    with pytest.raises(OutOfDepth, match="within the last 730 days"):
        yahoo_at(simulator).fetch(Series.parse("AAPL|1h"), BEFORE_SPLIT)
    assert len(simulator.requests) == 1


def test_the_lookbacks_and_windows_are_within_yahoos() -> None:
    now = MONDAY + timedelta(days=4)
    everything = history(listing("AAPL", *Yahoo.timeframes))
    with running(everything, FrozenClock(market=now)) as simulator:
        yahoo = yahoo_at(simulator)
        for timeframe, able in Yahoo.timeframes.items():
            oldest = EVER.start if able.depth is None else now - able.depth
            end = now if able.longest_window is None else oldest + able.longest_window
            series = Series.parse(f"AAPL|{timeframe}")
            assert yahoo.fetch(series, TimeRange(oldest, end)).requests == 1


HTTP_OF: dict[str, int] = {"block": 403, "reset": 0, "slow": 0, "hang": 0, "refused": 0}
"""The status that comes with a fault, where that is not 200; 0: not even a status line."""
BLOCKS = {401, 403, 451, 999}
BROKEN: list[tuple[Fault, type[ProviderError]]] = [
    (Fault("truncated"), MalformedReply),
    (Fault("invalid_json"), MalformedReply),
    (Fault("empty"), MalformedReply),
    (Fault("wrong_symbol"), MalformedReply),
    (Fault("html"), Unavailable),
    (Fault("reset"), Unavailable),
    (Fault("reset_midway"), Unavailable),
    (Fault("block"), Blocked),
    (Fault("block", page=Page.CLOUDFLARE), Blocked),
    (Fault("slow", seconds=1.0), ProviderTimeout),
    (Fault("drip", seconds=10.0), ProviderTimeout),
    (Fault("hang"), ProviderTimeout),
    (Fault("status", status=429), RateLimited),
    (Fault("status", status=429, retry_after=13), RateLimited),
    *[
        (Fault("status", status=status), Blocked if status in BLOCKS else Unavailable)
        for status in sorted(BAD_STATUS)
    ],
]
SERVED = {
    "drop": 271,
    "null": 271,
    "bad_ohlc": 272,
    "nan": 272,
    "x100": 272,
    "split_not_applied": 272,
    "duplicate": 272,
    "unsorted": 272,
    "future": 272,
    "forming": 272,
}
"""Faults of the data, and how many bars still come: judging those is not the adapter's."""


def is_for_people(sentence: str) -> bool:
    """One sentence that says of whom it speaks, and nothing that only a program understands."""
    foreign = ("curl", "Error", "Traceback", "None", "<", "{")
    named = "Yahoo" in sentence or "simulator" in sentence
    return named and len(sentence) < 250 and not any(one in sentence for one in (*foreign, "\n"))


@pytest.mark.parametrize(("fault", "kind"), BROKEN, ids=lambda one: getattr(one, "kind", None))
def test_each_fault_is_one_request_one_report_and_one_of_our_errors(
    simulator: Simulator, fault: Fault, kind: type[ProviderError]
) -> None:
    simulator.faults.add(fault)
    late = kind is ProviderTimeout
    gate = OpenGate()
    with pytest.raises(Exception, match=r".") as caught:
        yahoo_at(simulator, gate, timeout=0.2 if late else 10.0).fetch(AAPL, EVER)
    assert type(caught.value) is kind
    assert is_for_people(str(caught.value))
    assert len(simulator.requests) == 1
    ((turn, told),) = gate.reported
    assert gate.given == [turn]
    assert told.ending == kind.category
    assert told.status == (fault.status if fault.kind == "status" else HTTP_OF.get(fault.kind, 200))
    assert told.retry_after == (None if fault.retry_after is None else timedelta(seconds=13))
    assert timedelta(seconds=0.38 if late else 0) <= told.took < timedelta(seconds=5)


@pytest.mark.parametrize("kind", ["hang", "drip", "slow"])
def test_a_later_attempt_is_given_more_time_and_not_without_end(
    simulator: Simulator, kind: str
) -> None:
    """Of 0.1 s to connect and 0.1 s to read: curl takes the sum for the whole request."""
    simulator.faults.add(Fault(kind, seconds=30.0))
    gate = OpenGate()
    yahoo = yahoo_at(simulator, gate, timeout=0.1)
    for attempt in (1, 4):
        with pytest.raises(ProviderTimeout):
            yahoo.fetch(AAPL, EVER, Errand(attempt=attempt))
    first, fourth = (one.took.total_seconds() for one in gate.attempts)
    assert 0.19 <= first < 2
    assert 0.67 <= fourth < 3


def test_a_connection_is_used_again_by_all_threads_and_bodies_are_packed(
    simulator: Simulator,
) -> None:
    yahoo, threads = yahoo_at(simulator), 3
    for _ in range(3):  # each time with threads of its own, as each update has
        with ThreadPoolExecutor(threads) as pool:
            replies = list(pool.map(lambda _: yahoo.fetch(AAPL, BEFORE_SPLIT), range(6)))
        assert {len(one.bars) for one in replies} == {272}
    seen = simulator.charts()
    assert len(seen) == 18
    assert len({one.connection for one in seen}) <= threads
    assert all(one.packed for one in seen)


def test_a_connection_outlives_a_refusal(simulator: Simulator) -> None:
    yahoo = yahoo_at(simulator)
    for status in (404, 503, 429, 403):
        simulator.faults.add(Fault("status", status=status, times=1))
        with pytest.raises(ProviderError):
            yahoo.fetch(AAPL, EVER)
    yahoo.fetch(AAPL, EVER)
    assert len({one.connection for one in simulator.requests}) == 1


def test_a_kept_connection_that_is_dead_is_replaced_within_the_same_turn(
    simulator: Simulator,
) -> None:
    """As when a server closes it at the very moment that it is used again."""
    gate = OpenGate()
    yahoo = yahoo_at(simulator, gate)
    yahoo.fetch(AAPL, BEFORE_SPLIT)
    simulator.faults.add(Fault("reset", times=1))
    assert len(yahoo.fetch(AAPL, BEFORE_SPLIT).bars) == 272
    assert [one.ending for one in gate.attempts] == [Ending.ANSWERED] * 2
    assert [one.status for one in simulator.requests] == [200, 0, 200]


def test_no_more_requests_are_under_way_than_there_may_be_connections(
    simulator: Simulator,
) -> None:
    under_way, most, lock = 0, 0, Lock()

    class Counting(OpenGate):
        def turn(self, errand: Errand, series: Series | None = None, *, weight: int = 1) -> Turn:
            nonlocal under_way, most
            with lock:
                under_way += 1
                most = max(most, under_way)
            return super().turn(errand, series, weight=weight)

        def report(self, turn: Turn, attempt: Attempt) -> None:
            nonlocal under_way
            with lock:
                under_way -= 1
            super().report(turn, attempt)

    simulator.faults.add(Fault("slow", seconds=0.05))
    gate = Counting()
    endpoint = Endpoint.simulator(simulator.url)
    clock = RealWall(market=simulator.clock.market_now())
    yahoo = Yahoo(gate, clock, endpoint, Timeouts(), connections=2)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: yahoo.fetch(AAPL, BEFORE_SPLIT), range(6)))
    assert most == 2, "turns are taken by those that have a connection"
    assert len({one.connection for one in simulator.charts()}) <= 2


@pytest.mark.parametrize("kind", SERVED)
def test_spoiled_data_is_handed_up_as_it_came(simulator: Simulator, kind: str) -> None:
    fault = Fault(kind) if kind == "split_not_applied" else Fault(kind, dates=SPOILED)
    simulator.faults.add(fault)
    gate = OpenGate()
    assert len(yahoo_at(simulator, gate).fetch(AAPL, BEFORE_SPLIT).bars) == SERVED[kind]
    assert [(one.ending, one.status) for one in gate.attempts] == [(Ending.ANSWERED, 200)]


def test_a_server_that_is_gone_for_a_while_is_unavailable_and_then_there_again() -> None:
    gate = OpenGate()
    with running(history(listing()), FrozenClock()) as away:
        yahoo = yahoo_at(away, gate)
        away.faults.add(Fault("refused", times=1, seconds=0.5))
        with pytest.raises(Unavailable, match="Connection reset by peer"):
            yahoo.fetch(AAPL, WEEK)
        with pytest.raises(Unavailable, match="does not answer; start it"):
            yahoo.fetch(AAPL, WEEK)
        SystemClock().sleep(0.7)
        assert len(yahoo.fetch(AAPL, WEEK).bars) == 5
    told = [(one.ending, one.status) for one in gate.attempts]
    assert told == [(Ending.UNAVAILABLE, 0), (Ending.UNAVAILABLE, 0), (Ending.ANSWERED, 200)]


def test_a_body_that_drips_in_time_is_whole(simulator: Simulator) -> None:
    simulator.faults.add(Fault("drip", seconds=0.2))
    assert len(yahoo_at(simulator).fetch(AAPL, BEFORE_SPLIT).bars) == 272


def test_bars_a_hundred_times_too_dear_are_doubted(simulator: Simulator) -> None:
    yahoo = yahoo_at(simulator)
    simulator.faults.add(Fault("x100", dates=SPOILED, times=1))
    doubted = yahoo.fetch(AAPL, BEFORE_SPLIT).doubted
    assert [one.ts.date() for one in doubted] == list(SPOILED)
    simulator.faults.add(Fault("x100", times=1))
    assert len(yahoo.fetch(AAPL, BEFORE_SPLIT).doubted) == 272, "of all the bars, by Yahoo's words"
    assert yahoo.fetch(AAPL, BEFORE_SPLIT).doubted == ()


def test_every_fault_of_the_simulator_is_tried() -> None:
    tried = {"refused", *SERVED, *(fault.kind for fault, _ in BROKEN)}
    assert tried == set(KINDS)


def test_the_same_window_comes_once_the_fault_is_over(simulator: Simulator) -> None:
    yahoo = yahoo_at(simulator)
    for fault, kind in BROKEN[:5]:
        simulator.faults.add(Fault(fault.kind, times=1))
        with pytest.raises(kind):
            yahoo.fetch(AAPL, BEFORE_SPLIT)
    assert len(yahoo.fetch(AAPL, BEFORE_SPLIT).bars) == 272
    assert len(simulator.requests) == 6


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [(RetryAfter.SECONDS, 13, 13), (RetryAfter.DATE, 12, 14), (RetryAfter.OFF, None, None)],
)
def test_retry_after_reaches_the_gate_however_it_is_spelled(
    simulator: Simulator, said: RetryAfter, least: int | None, most: int | None
) -> None:
    simulator.clock = RealWall(market=simulator.clock.market_now())
    gate = OpenGate()
    simulator.faults.add(Fault("status", status=429, retry_after=13, retry_as=said))
    with pytest.raises(RateLimited) as caught:
        yahoo_at(simulator, gate).fetch(AAPL, EVER)
    (told,) = gate.attempts
    wait = caught.value.retry_at - datetime.now(UTC)
    if least is None or most is None:
        assert told.retry_after is None
        assert wait == pytest.approx(timedelta(seconds=30), abs=timedelta(seconds=1))
    else:
        assert told.retry_after is not None
        assert timedelta(seconds=least) <= told.retry_after <= timedelta(seconds=most)
        assert wait == pytest.approx(told.retry_after, abs=timedelta(seconds=1))


def test_three_threads_get_their_own_replies(simulator: Simulator) -> None:
    gate, symbols = OpenGate(), ("AAPL", "MSFT", "IBM", "GOOGL", "META")
    yahoo = yahoo_at(simulator, gate)
    series = [Series.parse(f"{symbol}|1d") for symbol in symbols] * 4

    def same(one: Series) -> bool:
        reply = yahoo.fetch(one, EVER)
        raw = raw_from_split_adjusted(reply.bars, one, reply.actions)
        expected = truth(simulator, one).loc[: raw.index[-1]]
        return reply.series == one and reply.requests == 1 and raw.equals(expected)

    with ThreadPoolExecutor(3) as pool:
        assert all(pool.map(same, series))
    assert len(simulator.requests) == gate.turns == len(series)


CLASSES = (
    "AAPL|1m",
    "AAPL|1h",
    "AZN.L|15m",
    "7203.T|1h",
    "0700.HK|1h",
    "BTC-USD|1h",
    "EURUSD=X|5m",
    "ES=F|1h",
    "AZN.L|1d",
    "7203.T|1d",
    "BTC-USD|1d",
    "EURUSD=X|1d",
    "ES=F|1d",
)


@pytest.fixture(scope="module")
def classes() -> Iterator[Simulator]:
    frames: dict[str, list[Timeframe]] = {}
    for one in map(Series.parse, CLASSES):
        frames.setdefault(one.instrument.key, []).append(one.timeframe)
    listings = [listing(symbol, *timeframes) for symbol, timeframes in frames.items()]
    with running(history(*listings), FrozenClock()) as simulator:
        yield simulator


@pytest.mark.parametrize("hours", [0.0, 57.28, 61.0, 93.9])
@pytest.mark.parametrize("series", [Series.parse(one) for one in CLASSES], ids=str)
def test_at_any_moment_the_bars_are_those_that_are_closed(
    classes: Simulator, series: Series, hours: float
) -> None:
    """Of every class of instrument; intraday without the one that still grows at Yahoo."""
    now = MONDAY + timedelta(hours=hours)
    classes.clock = FrozenClock(market=now)
    reply = yahoo_at(classes).fetch(series, WEEK)
    whole = truth(classes, series)
    bad = contract.bad_rows(whole, series, now)
    closed = whole[~whole.index.isin([row.ts for row in bad])]
    pd.testing.assert_frame_equal(reply.bars, closed, check_exact=True, check_freq=False)


def test_only_one_of_our_errors_ever_leaves(simulator: Simulator) -> None:
    """Whatever comes: cookies and crumbs that fail as well, several faults at a time."""
    yahoo = yahoo_at(simulator)
    for target in (Target.COOKIE, Target.CRUMB):
        simulator.faults.add(Fault("status", status=429, target=target))
    for pair in combinations(["status", "truncated", "invalid_json", "empty", "reset"], 2):
        simulator.faults.add(*[Fault(kind, times=1) for kind in pair])
        with suppress(MarketDataError):
            yahoo.fetch(AAPL, BEFORE_SPLIT)
    assert {seen.path for seen in simulator.requests} == {"/v8/finance/chart/AAPL"}
