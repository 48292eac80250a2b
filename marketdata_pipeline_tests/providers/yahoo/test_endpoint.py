"""Which addresses an endpoint takes, and whose replies it takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.errors import BadInput, HomeError
from marketdata_pipeline.providers.yahoo.endpoint import (
    LONGEST_CONNECT,
    LONGEST_READ,
    MARK,
    Endpoint,
    Timeouts,
)

CHART = "https://query2.finance.yahoo.com/v8/finance/chart/AAPL"


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:8090",
        "http://127.0.0.1",
        "http://10.0.0.1:8090",
        "http://example.com:8090",
        "http://127.0.0.1.example.com:8090",
        "http://127.0.0.1:8090/path",
        "http://user@127.0.0.1:8090",
        "http://127.0.0.1:x",
        "http://[::1:8090",
        "ftp://127.0.0.1:8090",
        "127.0.0.1:8090",
        "",
    ],
)
def test_a_simulator_is_on_this_machine_and_plain(url: str) -> None:
    with pytest.raises(BadInput, match="is no address of a simulator"):
        Endpoint.simulator(url)


@pytest.mark.parametrize(
    ("url", "spelled"),
    [
        ("http://127.0.0.1:8090", "http://127.0.0.1:8090"),
        ("http://localhost:8090/", "http://127.0.0.1:8090"),
        ("http://127.9.9.9:1", "http://127.9.9.9:1"),
        ("http://[::1]:8090", "http://[::1]:8090"),
    ],
)
def test_a_loopback_address_is_taken(url: str, spelled: str) -> None:
    assert str(Endpoint.simulator(url)) == spelled


def test_a_live_request_goes_where_yfinance_sends_it_by_https() -> None:
    assert Endpoint.live().locate(CHART) == CHART


def test_a_simulated_request_keeps_the_name_of_the_host() -> None:
    located = Endpoint.simulator("http://127.0.0.1:8090").locate(CHART)
    assert located == "http://query2.finance.yahoo.com:8090/v8/finance/chart/AAPL"


def test_the_origin_says_which_history_a_simulator_serves() -> None:
    endpoint = Endpoint.simulator("http://127.0.0.1:8090")
    assert endpoint.origin({MARK.lower(): "recorded"}) == "simulator:recorded"
    assert Endpoint.live().origin({"content-type": "application/json"}) == "yahoo"


def test_a_live_endpoint_refuses_a_simulators_reply() -> None:
    with pytest.raises(HomeError, match="a simulator answered instead of Yahoo"):
        Endpoint.live().origin({MARK.upper(): "recorded"})


@pytest.mark.parametrize("headers", [{}, {MARK: ""}, {MARK: "x" * 40}, {MARK: "a b"}])
def test_a_simulators_endpoint_refuses_any_other_reply(headers: dict[str, str]) -> None:
    with pytest.raises(HomeError, match="is not a simulator"):
        Endpoint.simulator("http://127.0.0.1:8090").origin(headers)


def test_a_dead_simulator_is_told_from_no_internet() -> None:
    dead = Endpoint.simulator("http://127.0.0.1:8090").unanswered()
    assert dead == (
        "the simulator at http://127.0.0.1:8090 does not answer; start it with: marketdata simulate"
    )
    assert "internet" in Endpoint.live().unanswered()


def test_each_attempt_is_given_half_as_much_time_again_up_to_a_bound() -> None:
    usual = Timeouts()
    assert usual.escalated(1) == usual == Timeouts(8, 25)
    assert usual.escalated(2) == Timeouts(12, 37.5)
    assert usual.escalated(3) == Timeouts(18, 56.25)
    assert usual.escalated(4) == usual.escalated(1_000_000) == Timeouts(20, 60)


@given(st.floats(0.01, 120), st.floats(0.01, 600), st.integers(1, 50))
def test_time_limits_never_shrink_and_only_a_setting_goes_beyond_the_bounds(
    connect: float, read: float, attempt: int
) -> None:
    first = Timeouts(connect, read)
    one, next_one = first.escalated(attempt), first.escalated(attempt + 1)
    assert first.connect <= one.connect <= next_one.connect <= max(connect, LONGEST_CONNECT)
    assert first.read <= one.read <= next_one.read <= max(read, LONGEST_READ)
