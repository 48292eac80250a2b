"""Real yfinance over the session: what is sent, what is never sent, and what comes out."""

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from marketdata_pipeline.domain.errand import Errand, Priority
from marketdata_pipeline.domain.gate import Attempt, Ending
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import (
    Blocked,
    HomeError,
    MalformedReply,
    ProviderError,
    ProviderTimeout,
    RateLimited,
    Unavailable,
    UnknownSymbol,
)
from marketdata_pipeline.logs import bound
from marketdata_pipeline.providers.yahoo import Yahoo
from marketdata_pipeline.providers.yahoo.endpoint import Endpoint
from marketdata_pipeline_tests.fakes import FrozenClock, Lines, OpenGate
from marketdata_pipeline_tests.providers.yahoo.canned import (
    DAY_1,
    Canned,
    Length,
    chart_body,
    complaint,
    serving,
)

AAPL = Series.parse("AAPL|1d")
WEEK = TimeRange(datetime(2024, 3, 11, tzinfo=UTC), datetime(2024, 3, 16, tzinfo=UTC))
PAST = TimeRange(datetime(2023, 3, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC))
GOOD = Canned(chart_body())


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


def test_a_chart_costs_one_request_and_one_turn(clock: FrozenClock) -> None:
    gate = OpenGate()
    with serving(GOOD) as server:
        reply = server.yahoo(clock, gate).fetch(AAPL, WEEK)
    assert len(reply.bars) == 2
    assert (reply.requests, len(server.seen), gate.turns) == (1, 1, 1)


def test_the_request_is_for_rows_and_all_events_and_names_no_crumb(clock: FrozenClock) -> None:
    with serving(GOOD) as server:
        server.yahoo(clock).fetch(AAPL, PAST)
    path, params = server.seen[0]
    assert path == "/v8/finance/chart/AAPL"
    assert params == {
        "period1": "1677646800",
        "period2": "1704085200",
        "interval": "1d",
        "includePrePost": "false",
        "events": "div,splits,capitalGains",
    }


def test_no_cookie_is_kept(clock: FrozenClock) -> None:
    baked = Canned(chart_body(), headers={"Set-Cookie": "A3=d=1; Domain=.yahoo.com; Path=/"})
    with serving(baked) as server:
        yahoo = server.yahoo(clock)
        for _ in range(2):
            yahoo.fetch(AAPL, WEEK)
    assert server.cookies == [None, None]


def test_the_same_past_window_is_asked_again_each_time(clock: FrozenClock) -> None:
    with serving(GOOD, Canned(chart_body([DAY_1]))) as server:
        yahoo = server.yahoo(clock)
        assert [len(yahoo.fetch(AAPL, WEEK).bars) for _ in range(2)] == [2, 1]
        for _ in range(2):
            yahoo.fetch(AAPL, PAST)
    assert len(server.seen) == 4


def test_an_outage_is_forgotten_once_it_is_over(clock: FrozenClock) -> None:
    with serving(Canned(b"<html>", 503), Canned(b"no json"), GOOD) as server:
        yahoo = server.yahoo(clock)
        with pytest.raises(Unavailable):
            yahoo.fetch(AAPL, PAST)
        with pytest.raises(MalformedReply):
            yahoo.fetch(AAPL, PAST)
        assert yahoo.fetch(AAPL, PAST).requests == 1
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("header", "seconds"), [({"Retry-After": "13"}, 13), ({"retry-AFTER": "soon"}, 30), ({}, 30)]
)
def test_a_429_stops_everybody_until_the_time_it_names(
    clock: FrozenClock, header: dict[str, str], seconds: int
) -> None:
    gate = OpenGate()
    with (
        serving(Canned(b"Too Many Requests", 429, header)) as server,
        pytest.raises(RateLimited) as caught,
    ):
        server.yahoo(clock, gate).fetch(AAPL, WEEK)
    assert caught.value.retry_at == clock.wall + timedelta(seconds=seconds)
    assert (caught.value.provider, caught.value.series) == ("yahoo", "AAPL|1d")
    (told,) = gate.attempts
    assert (told.ending, told.status) == (Ending.RATE_LIMITED, 429)
    assert told.retry_after == (timedelta(seconds=13) if seconds == 13 else None)
    assert len(server.seen) == 1


def test_an_outage_that_says_how_long_it_lasts_is_told_to_all(clock: FrozenClock) -> None:
    gate = OpenGate()
    with (
        serving(Canned(b"busy", 503, {"Retry-After": "40"})) as server,
        pytest.raises(Unavailable),
    ):
        server.yahoo(clock, gate).fetch(AAPL, WEEK)
    assert [one.retry_after for one in gate.attempts] == [timedelta(seconds=40)]


def test_without_a_turn_nothing_is_sent(clock: FrozenClock) -> None:
    gate = OpenGate(shut=RateLimited("no turn", retry_at=clock.wall))
    with serving(GOOD) as server, pytest.raises(RateLimited, match="no turn") as caught:
        server.yahoo(clock, gate).fetch(AAPL, WEEK)
    assert server.seen == []
    assert gate.reported == []
    assert caught.value.requests == 0


def test_a_reply_from_the_other_world_is_refused(clock: FrozenClock) -> None:
    unmarked = Canned(chart_body(), marked=False)
    with serving(unmarked) as server, pytest.raises(HomeError, match="is not a simulator"):
        server.yahoo(clock).fetch(AAPL, WEEK)


def test_a_429_from_the_other_world_cools_nothing_down(clock: FrozenClock) -> None:
    gate = OpenGate()
    with (
        serving(Canned(b"", 429, {"Retry-After": "9"}, marked=False)) as server,
        pytest.raises(HomeError),
    ):
        server.yahoo(clock, gate).fetch(AAPL, WEEK)
    assert gate.attempts == [Attempt(Ending.ABANDONED, 429)]


def test_a_turn_is_taken_for_the_errand_and_the_series_and_reported_once(
    clock: FrozenClock,
) -> None:
    gate, errand = OpenGate(), Errand(Priority.HELD, attempt=3, run_id="f00")
    with serving(GOOD) as server:
        server.yahoo(clock, gate).fetch(AAPL, WEEK, errand)
    ((turn, attempt),) = gate.reported
    assert (turn.errand, turn.series) == (errand, AAPL)
    assert attempt == Attempt(Ending.ANSWERED, 200)


def test_no_data_in_the_range_is_an_answer_too(clock: FrozenClock) -> None:
    gate = OpenGate()
    said = complaint("Bad Request", "Data doesn't exist for startDate = 1, endDate = 2")
    with serving(Canned(said, 400)) as server:
        assert server.yahoo(clock, gate).fetch(AAPL, WEEK).bars.empty
    assert gate.attempts == [Attempt(Ending.ANSWERED, 400)]


def test_what_is_reported_took_from_sending_to_the_whole_reply() -> None:
    class Ticking(FrozenClock):
        def wall_now(self) -> datetime:
            self.advance(timedelta(seconds=1))
            return self.wall

    gate = OpenGate()
    with serving(Canned(b"", 500), GOOD) as server:
        yahoo = server.yahoo(Ticking(), gate)
        with pytest.raises(Unavailable):
            yahoo.fetch(AAPL, WEEK)
        yahoo.fetch(AAPL, WEEK)
    assert [one.took for one in gate.attempts] == [timedelta(seconds=1)] * 2


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_request_is_abandoned(
    clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    from marketdata_pipeline.providers.yahoo import faults

    def interrupted(*_: object) -> None:
        raise stop

    monkeypatch.setattr(faults, "chart_in", interrupted)
    gate = OpenGate()
    with serving(GOOD) as server, pytest.raises(stop):
        server.yahoo(clock, gate).fetch(AAPL, WEEK)
    assert gate.attempts == [Attempt(Ending.ABANDONED, 200)]


def test_nobody_is_followed_elsewhere(clock: FrozenClock) -> None:
    with (
        serving(Canned(b"", 302, {"Location": "https://consent.yahoo.com/"})) as server,
        pytest.raises(Blocked, match=r"HTTP 302 to consent\.yahoo\.com .*from another address"),
    ):
        server.yahoo(clock).fetch(AAPL, WEEK)
    assert len(server.seen) == 1


def test_a_dead_simulator_says_how_to_start_it(clock: FrozenClock) -> None:
    with serving(GOOD) as server:
        yahoo = server.yahoo(clock)
    sentence = f"the simulator at {server.url} does not answer; start it with: marketdata simulate"
    with pytest.raises(Unavailable, match=re.escape(sentence)):
        yahoo.fetch(AAPL, WEEK)


def test_a_proxy_is_never_asked_for_a_simulator(
    clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serving(GOOD) as server:
        assert server.yahoo(clock).fetch(AAPL, WEEK).requests == 1


def test_a_silent_server_is_left_in_time(clock: FrozenClock) -> None:
    with serving(Canned(delay=1.5)) as server:
        yahoo = server.yahoo(clock, timeout=0.1)
        began = time.monotonic()
        with pytest.raises(ProviderTimeout):
            yahoo.fetch(AAPL, WEEK)
        assert time.monotonic() - began < 1.4


@pytest.mark.parametrize("length", list(Length))
@pytest.mark.parametrize("encoding", ["", "gzip"])
@pytest.mark.parametrize(("cut", "kind"), [(40, MalformedReply), (0, Unavailable)])
def test_a_broken_connection_is_told_from_a_short_reply(
    clock: FrozenClock, cut: int, kind: type[Exception], encoding: str, length: Length
) -> None:
    short = Canned(chart_body(), cut=cut, encoding=encoding, length=length)
    with serving(short) as server, pytest.raises(kind) as caught:
        server.yahoo(clock).fetch(AAPL, WEEK)
    assert type(caught.value) is kind


@pytest.mark.parametrize("length", list(Length))
@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_a_whole_reply_is_one_however_its_end_is_told(
    clock: FrozenClock, encoding: str, length: Length
) -> None:
    whole = Canned(chart_body(), encoding=encoding, length=length)
    with serving(whole) as server:
        assert len(server.yahoo(clock).fetch(AAPL, WEEK).bars) == 2


def test_errors_come_out_whatever_somebody_else_has_set(clock: FrozenClock) -> None:
    import yfinance

    with serving(GOOD, Canned(b"", 500)) as server:
        yahoo = server.yahoo(clock)
        yahoo.fetch(AAPL, WEEK)
        yfinance.config.debug.hide_exceptions = True
        with pytest.raises(Unavailable):
            yahoo.fetch(AAPL, WEEK)


def test_what_keeps_yfinance_from_asking_is_an_outage(clock: FrozenClock) -> None:
    import yfinance

    with serving(GOOD) as server:
        yahoo = server.yahoo(clock)
        yahoo.fetch(AAPL, WEEK)
        yfinance.config.network.proxy = 5
        try:
            with pytest.raises(Unavailable, match=r"yfinance does not ask for AAPL\|1d: \w+Error"):
                yahoo.fetch(AAPL, WEEK)
        finally:
            yfinance.config.network.proxy = None
    assert len(server.seen) == 1


def test_an_intraday_chart_without_trading_hours_is_malformed(clock: FrozenClock) -> None:
    hourly = Canned(chart_body(dataGranularity="1h"))
    with serving(hourly) as server, pytest.raises(MalformedReply, match="does not tell the hours"):
        server.yahoo(clock).fetch(Series.parse("AAPL|1h"), WEEK)


def test_an_isin_is_refused_before_it_is_looked_up(clock: FrozenClock) -> None:
    with serving(GOOD) as server, pytest.raises(UnknownSymbol, match="is an ISIN"):
        server.yahoo(clock).fetch(Series.parse("US0378331005|1d"), WEEK)
    assert server.seen == []


def test_yfinance_cannot_use_the_session_for_anything_else(clock: FrozenClock) -> None:
    import yfinance

    with serving(GOOD) as server:
        server.yahoo(clock).fetch(AAPL, WEEK)
        with pytest.raises(Unavailable, match="outside of any fetch"):
            yfinance.Ticker("MSFT").history(period="5d")
    assert len(server.seen) == 1


def test_nothing_but_charts_is_ever_sent(clock: FrozenClock) -> None:
    from marketdata_pipeline.providers.yahoo.endpoint import Timeouts
    from marketdata_pipeline.providers.yahoo.session import Call, YahooSession, calling

    session = YahooSession(Endpoint.live(), OpenGate(), clock, Timeouts(), 1)
    for url in (
        "https://query2.finance.yahoo.com/v10/finance/quoteSummary/AAPL",
        "https://example.com/v8/finance/chart/AAPL",
        "http://query2.finance.yahoo.com/v8/finance/chart/AAPL",
    ):
        with calling(Call(session, AAPL)), pytest.raises(Unavailable, match="only charts"):
            session.get(url, params={"period1": 1})


def test_two_adapters_in_one_process_do_not_mix(clock: FrozenClock) -> None:
    """yfinance keeps one session for all threads; the last one given would serve both."""
    ready = threading.Barrier(2)
    with serving(GOOD) as left, serving(Canned(chart_body([DAY_1]))) as right:

        def sizes(yahoo: Yahoo) -> set[int]:
            ready.wait()
            return {len(yahoo.fetch(AAPL, WEEK).bars) for _ in range(10)}

        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(sizes, [left.yahoo(clock), right.yahoo(clock)]))
    assert found == [{2}, {1}]
    assert (len(left.seen), len(right.seen)) == (10, 10)


def test_a_request_is_one_line_of_the_log(clock: FrozenClock, log_lines: Lines) -> None:
    with bound(run_id="f00"), serving(GOOD) as server:
        server.yahoo(clock).fetch(AAPL, WEEK)
    (line,) = log_lines("request")
    expected = {
        "level": "debug",
        "provider": "yahoo",
        "series": "AAPL|1d",
        "run_id": "f00",
        "attempt": 1,
        "priority": "tracked",
        "status": 200,
        "ms": 0,
        "ending": "answered",
    }
    assert {key: line[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("reply", "status", "category"),
    [
        (Canned(chart_body(), cut=0), 0, "unavailable"),
        (Canned(b"", 500), 500, "unavailable"),
        (Canned(b"", 429), 429, "rate_limited"),
    ],
)
def test_a_request_that_fails_is_one_line_too_and_is_counted(
    clock: FrozenClock, log_lines: Lines, reply: Canned, status: int, category: str
) -> None:
    with serving(reply) as server, pytest.raises(ProviderError) as caught:
        server.yahoo(clock).fetch(AAPL, WEEK)
    (line,) = log_lines("request")
    assert (line["status"], line["ending"]) == (status, category)
    assert (caught.value.requests, caught.value.category) == (1, category)
