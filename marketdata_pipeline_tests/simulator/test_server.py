import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.simulator.fault import Fault, Target
from marketdata_pipeline.simulator.limits import Limits
from marketdata_pipeline.simulator.listening import listen
from marketdata_pipeline.simulator.quota import Quota
from marketdata_pipeline.simulator.sending import HEADER
from marketdata_pipeline.simulator.server import Simulator, running
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.simulator.histories import SATURDAY, history, listing

CHART = "/v8/finance/chart/AAPL?interval=1d&range=5d"
HISTORY = history(listing(), listing("MSFT"))


def clock() -> FrozenClock:
    return FrozenClock(market=SATURDAY, wall=datetime(2026, 1, 2, tzinfo=UTC))


def get(simulator: Simulator, path: str, **more: Any) -> requests.Response:
    return requests.get(simulator.url + path, timeout=5, **more)


def test_each_reply_says_that_it_is_simulated() -> None:
    with running(HISTORY, clock()) as simulator:
        simulator.faults.add(Fault("status", symbol="MSFT", status=500))
        for path in (CHART, "/", "/v1/test/getcrumb", "/nowhere", "/simulator", "/simulator/faults",
                     "/v8/finance/chart/NOSUCH", "/v8/finance/chart/MSFT"):  # fmt: skip
            assert get(simulator, path).headers[HEADER] == "recorded", path


def test_both_of_yahoos_hosts_are_served_on_loopback_only() -> None:
    with running(HISTORY, clock()) as simulator:
        assert simulator.url == f"http://127.0.0.1:{simulator.port}"
        for host in ("query1.finance.yahoo.com", "query2.finance.yahoo.com"):
            assert get(simulator, CHART, headers={"Host": host}).status_code == 200
        assert [seen.host for seen in simulator.charts()] == [
            "query1.finance.yahoo.com",
            "query2.finance.yahoo.com",
        ]


def test_it_counts_what_providers_were_asked_and_not_its_own_page() -> None:
    with running(HISTORY, clock()) as simulator:
        get(simulator, CHART)
        get(simulator, "/v8/finance/chart/NOSUCH")
        get(simulator, "/nowhere")
        get(simulator, "/simulator")
        seen = [(one.path, one.status) for one in simulator.requests]
        assert seen == [
            ("/v8/finance/chart/AAPL", 200),
            ("/v8/finance/chart/NOSUCH", 404),
            ("/nowhere", 404),
        ]
        assert simulator.requests[0].params == {"interval": "1d", "range": "5d"}
        assert len(simulator.charts()) == 2


def test_market_time_moves_on_while_it_runs() -> None:
    moving = FrozenClock(market=datetime(2024, 3, 13, 12, tzinfo=UTC))
    with running(HISTORY, moving) as simulator:
        before = get(simulator, CHART).json()["chart"]["result"][0]["timestamp"]
        moving.advance(timedelta(days=1))
        after = get(simulator, CHART).json()["chart"]["result"][0]["timestamp"]
    assert len(after) == len(before) + 1


def test_symbols_are_served_however_they_are_written() -> None:
    with running(history(listing("EURUSD=X"), listing("^GSPC")), clock()) as simulator:
        for path in ("EURUSD=X", "eurusd%3Dx", "%5EGSPC", "^gspc"):
            found = get(simulator, f"/v8/finance/chart/{path}").status_code
            assert found == 200, path


def test_nobody_reaches_it_by_another_address_of_this_machine() -> None:
    with running(HISTORY, clock()) as simulator:
        for address in ("127.0.0.2", "::1"):
            with pytest.raises(OSError, match=r"."):
                socket.create_connection((address, simulator.port), timeout=2).close()


def test_a_request_that_the_quota_refuses_uses_up_no_fault() -> None:
    with running(HISTORY, clock()) as simulator:
        simulator.limits = Limits.of(Quota(1, 60))
        get(simulator, CHART)
        simulator.faults.add(Fault("html", times=1))
        assert get(simulator, CHART).status_code == 429
        assert simulator.faults.active() == (Fault("html", times=1),)


def test_cookie_and_crumb_have_faults_of_their_own() -> None:
    with running(HISTORY, clock()) as simulator:
        simulator.faults.add(Fault("status", target=Target.CRUMB, status=429))
        simulator.faults.add(Fault("status", target=Target.COOKIE, status=502))
        assert get(simulator, "/v1/test/getcrumb").status_code == 429
        assert get(simulator, "/").status_code == 502
        assert get(simulator, CHART).status_code == 200


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip, deflate, br, zstd", True),
        ("br, GZIP", True),
        ("identity", False),
        ("gzip;q=0", False),
        ("", False),
    ],
)
def test_a_body_is_packed_for_whoever_accepts_it(accepted: str, packed: bool) -> None:  # noqa: FBT001 - a case
    with running(HISTORY, clock()) as simulator:
        plain = get(simulator, CHART, headers={"Accept-Encoding": "identity"})
        found = get(simulator, CHART, headers={"Accept-Encoding": accepted})
        assert found.content == plain.content
        assert (found.headers.get("Content-Encoding") == "gzip") is packed
        assert (int(found.headers["Content-Length"]) < len(plain.content)) is packed
        assert [one.packed for one in simulator.requests] == [False, packed]


def test_what_has_no_body_is_not_packed() -> None:
    with running(HISTORY, clock()) as simulator:
        simulator.faults.add(Fault("empty"))
        found = get(simulator, CHART, headers={"Accept-Encoding": "gzip"})
        assert (found.content, found.headers["Content-Length"]) == (b"", "0")


def test_it_tells_requests_over_one_connection_from_others() -> None:
    with running(HISTORY, clock()) as simulator:
        with requests.Session() as kept:
            for _ in range(2):
                kept.get(simulator.url + CHART, timeout=5)
        get(simulator, CHART)
        first, second, other = (one.connection for one in simulator.requests)
        assert first == second != other


@pytest.mark.parametrize("status", [599, 600, 999])
def test_statuses_that_no_standard_knows_are_sent_too(status: int) -> None:
    with running(HISTORY, clock()) as simulator:
        simulator.faults.add(Fault("status", status=status))
        assert get(simulator, CHART).status_code == status


def test_a_truncated_body_ends_before_its_length() -> None:
    with running(HISTORY, clock()) as simulator:
        simulator.faults.add(Fault("truncated", times=1))
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
            get(simulator, CHART)
        assert get(simulator, CHART).status_code == 200


def test_a_reset_connection_has_no_reply() -> None:
    with running(HISTORY, clock()) as simulator:
        simulator.faults.add(Fault("reset", times=1))
        with pytest.raises(requests.ConnectionError, match="reset by peer"):
            get(simulator, CHART)
        assert get(simulator, CHART).status_code == 200
        assert [seen.status for seen in simulator.charts()] == [0, 200]


def test_a_body_may_be_reset_midway() -> None:
    with running(HISTORY, clock()) as simulator:
        simulator.faults.add(Fault("reset_midway", times=1))
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="reset by peer"):
            get(simulator, CHART)
        assert get(simulator, CHART).status_code == 200
        assert [seen.status for seen in simulator.charts()] == [200, 200]


def test_a_dripping_body_is_whole_in_the_end_and_takes_its_time() -> None:
    with running(HISTORY, clock()) as simulator:
        whole = get(simulator, CHART).content
        simulator.faults.add(Fault("drip", seconds=0.5))
        begun = SystemClock().wall_now()
        assert get(simulator, CHART).content == whole
        assert SystemClock().wall_now() - begun >= timedelta(seconds=0.5)


def test_a_connection_that_hangs_says_nothing_until_the_client_leaves() -> None:
    with running(HISTORY, clock()) as simulator:
        simulator.faults.add(Fault("hang", times=1))
        with pytest.raises(requests.ReadTimeout):
            requests.get(simulator.url + CHART, timeout=0.2)
        assert get(simulator, CHART).status_code == 200
        assert [seen.status for seen in simulator.charts()] == [0, 200]


def test_for_a_while_the_system_refuses_every_new_connection() -> None:
    with running(HISTORY, clock()) as simulator, requests.Session() as before:
        assert before.get(f"{simulator.url}/simulator", timeout=5).ok
        simulator.faults.add(Fault("refused", times=1, seconds=0.5))
        with pytest.raises(requests.ConnectionError, match="reset by peer"):
            get(simulator, CHART)
        for path in (CHART, "/", "/simulator"):
            with pytest.raises(requests.ConnectionError, match="Connection refused"):
                get(simulator, path)
        assert before.get(f"{simulator.url}/simulator", timeout=5).ok, "what is open stays open"
        SystemClock().sleep(0.7)
        assert get(simulator, CHART).status_code == 200
        assert len(simulator.charts()) == 2, "the refused ones never reached it"


def test_it_ends_while_it_refuses_connections() -> None:
    with running(HISTORY, clock()) as simulator:
        simulator.faults.add(Fault("refused", seconds=0.2))
        with pytest.raises(requests.ConnectionError):
            get(simulator, CHART)
    SystemClock().sleep(0.4)
    with pytest.raises(requests.ConnectionError, match="Connection refused"):
        get(simulator, CHART)


def test_a_port_that_somebody_took_meanwhile_is_listened_at_once_he_ends() -> None:
    with running(HISTORY, clock()) as simulator:
        simulator.faults.add(Fault("refused", times=1, seconds=0.5))
        with pytest.raises(requests.ConnectionError):
            get(simulator, CHART)
        with listen(simulator.port):
            SystemClock().sleep(0.8)
        SystemClock().sleep(0.3)
        assert get(simulator, CHART).status_code == 200


@pytest.mark.parametrize("kind", ["slow", "hang", "drip"])
def test_it_ends_at_once_though_an_answer_is_on_its_way(kind: str) -> None:
    begun = SystemClock().wall_now()
    with running(HISTORY, clock()) as simulator:
        simulator.faults.add(Fault(kind, seconds=30))
        with pytest.raises((requests.Timeout, requests.ConnectionError)):
            requests.get(simulator.url + CHART, timeout=0.2)
    assert SystemClock().wall_now() - begun < timedelta(seconds=5)
    with pytest.raises(requests.ConnectionError):
        get(simulator, CHART)


def test_a_taken_port_is_one_sentence_that_names_the_setting() -> None:
    with running(HISTORY, clock()) as simulator:
        text = f"port {simulator.port} of 127.0.0.1 is taken; set MARKETDATA_SIMULATOR_PORT"
        with pytest.raises(BadInput, match=text):
            Simulator(HISTORY, clock(), simulator.port).serve()
