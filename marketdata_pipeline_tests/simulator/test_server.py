from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from marketdata_pipeline.domain.clock import ReplayClock, SystemClock
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.simulator.faults import Fault, Target
from marketdata_pipeline.simulator.server import HEADER, Simulator, running
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


def test_its_own_page_says_what_it_serves() -> None:
    with running(HISTORY, clock()) as simulator:
        get(simulator, CHART)
        assert get(simulator, "/simulator").json() == {
            "history": "recorded",
            "market_now": "2024-03-16T00:00:00+00:00",
            "wall_now": "2026-01-02T00:00:00+00:00",
            "market_start": None,
            "wall_start": None,
            "requests": 1,
            "charts": 1,
            "instruments": ["AAPL", "MSFT"],
        }


def test_a_replay_says_which_pair_of_instants_it_runs_on() -> None:
    wall = datetime.now(UTC) - timedelta(hours=1)
    with running(HISTORY, ReplayClock(market_start=SATURDAY, wall_start=wall)) as simulator:
        page = get(simulator, "/simulator").json()
    assert page["wall_start"] == wall.isoformat()
    assert page["market_start"] == SATURDAY.isoformat()
    passed = datetime.fromisoformat(page["market_now"]) - SATURDAY
    assert timedelta(hours=1) <= passed < timedelta(hours=1, minutes=1)


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


def test_faults_are_switched_over_http_while_it_runs() -> None:
    with running(HISTORY, clock()) as simulator:
        page = simulator.url + "/simulator/faults"
        limit = {"kind": "status", "status": 429, "retry_after": 13, "times": 1, "symbol": "AAPL"}
        listed = requests.post(page, json=[limit, {"kind": "html"}], timeout=5).json()["faults"]
        assert [one["kind"] for one in listed] == ["status", "html"]
        assert requests.delete(page, timeout=5).json() == {"faults": []}
        requests.post(page, json=limit, timeout=5)
        limited = get(simulator, CHART)
        assert (limited.status_code, limited.headers["Retry-After"]) == (429, "13")
        assert get(simulator, CHART).status_code == 200
        assert simulator.faults.active() == ()


def test_a_malformed_fault_is_refused_in_one_sentence() -> None:
    with running(HISTORY, clock()) as simulator:
        refused = requests.post(simulator.url + "/simulator/faults", data="{", timeout=5)
        assert refused.status_code == 400
        assert "that is no fault" in refused.json()["error"]
        assert simulator.faults.active() == ()


def test_cookie_and_crumb_have_faults_of_their_own() -> None:
    with running(HISTORY, clock()) as simulator:
        simulator.faults.add(Fault("status", target=Target.CRUMB, status=429))
        simulator.faults.add(Fault("status", target=Target.COOKIE, status=502))
        assert get(simulator, "/v1/test/getcrumb").status_code == 429
        assert get(simulator, "/").status_code == 502
        assert get(simulator, CHART).status_code == 200


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


def test_it_ends_at_once_though_a_slow_answer_is_on_its_way() -> None:
    begun = SystemClock().wall_now()
    with running(HISTORY, clock()) as simulator:
        simulator.faults.add(Fault("slow", seconds=30))
        with pytest.raises(requests.Timeout):
            requests.get(simulator.url + CHART, timeout=0.2)
    assert SystemClock().wall_now() - begun < timedelta(seconds=5)
    with pytest.raises(requests.ConnectionError):
        get(simulator, CHART)


def test_a_taken_port_is_one_sentence_that_names_the_setting() -> None:
    with running(HISTORY, clock()) as simulator:
        text = f"port {simulator.port} of 127.0.0.1 is taken; set MARKETDATA_SIMULATOR_PORT"
        with pytest.raises(BadInput, match=text):
            Simulator(HISTORY, clock(), simulator.port).serve()
