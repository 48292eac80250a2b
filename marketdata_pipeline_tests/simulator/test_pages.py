"""The simulator's own pages, and who may use them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from marketdata_pipeline.domain.clock import ReplayClock
from marketdata_pipeline.simulator.server import Simulator, running
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.simulator.histories import SATURDAY, history, listing

CHART = "/v8/finance/chart/AAPL?interval=1d&range=5d"
HISTORY = history(listing(), listing("MSFT"))
WALL = datetime(2026, 1, 2, tzinfo=UTC)


def clock() -> FrozenClock:
    return FrozenClock(market=SATURDAY, wall=WALL)


def get(simulator: Simulator, path: str, **more: Any) -> requests.Response:
    return requests.get(simulator.url + path, timeout=5, **more)


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


def test_counters_tell_routes_windows_and_clients() -> None:
    with running(HISTORY, clock()) as simulator:
        requests.post(f"{simulator.url}/simulator/limits", json={"quota": "1/60"}, timeout=5)
        for client in ("one", "two"):
            get(simulator, CHART, headers={"X-Client": client})
        get(simulator, "/nowhere")
        told = get(simulator, "/simulator/counters").json()
        assert told["now"] == WALL.timestamp()
        assert set(told["routes"]) == {"chart", "elsewhere"}
        chart = told["routes"]["chart"]
        assert (chart["granted"], chart["refused"]) == (1, 1)
        assert chart["most_granted"] == {"1": 1, "60": 1, "3600": 1}
        assert [chart["clients"][one]["granted"] for one in ("one", "two")] == [1, 0]


def test_requests_are_told_one_by_one_from_an_instant_on() -> None:
    now = clock()
    with running(HISTORY, now) as simulator:
        get(simulator, CHART)
        now.advance(timedelta(seconds=1))
        get(simulator, CHART, headers={"X-Client": "one"})
        get(simulator, "/nowhere")
        since = WALL.timestamp() + 0.5
        told = get(simulator, f"/simulator/counters/requests?since={since}&route=chart").json()
        assert told == {
            "at": [WALL.timestamp() + 1],
            "route": ["chart"],
            "client": ["one"],
            "status": [200],
            "granted": [True],
            "inside_retry_after": [False],
        }
        assert len(get(simulator, "/simulator/counters/requests").json()["at"]) == 3
        wrong = get(simulator, "/simulator/counters/requests?since=soon")
        assert wrong.status_code == 400
        assert "unix seconds" in wrong.json()["error"]


def test_counters_are_cleared_over_http() -> None:
    with running(HISTORY, clock()) as simulator:
        get(simulator, CHART)
        page = f"{simulator.url}/simulator/counters"
        assert requests.delete(page, timeout=5).json()["routes"] == {}
        assert get(simulator, "/simulator").json()["charts"] == 1, "of all since the start"


@pytest.mark.parametrize("path", ["", "/faults", "/limits", "/counters", "/counters/requests"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "query1.finance.yahoo.com"},
        {"Host": "evil.example:8765"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "[::1"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
    ids=lambda one: "".join(one.values()),
)
def test_a_page_of_the_web_may_neither_look_nor_switch(path: str, headers: dict[str, str]) -> None:
    with running(HISTORY, clock()) as simulator:
        refused = get(simulator, f"/simulator{path}", headers=headers)
        assert refused.status_code == 403
        assert "programs on this machine" in refused.json()["error"]
        if path == "/faults":
            for send in (requests.post, requests.delete):
                fault = {"kind": "html"}
                answer = send(
                    f"{simulator.url}/simulator/faults", json=fault, headers=headers, timeout=5
                )
                assert answer.status_code == 403
            assert simulator.faults.active() == ()


def test_this_machine_may_be_called_by_its_name() -> None:
    with running(HISTORY, clock()) as simulator:
        for host in ("localhost", f"localhost:{simulator.port}", "127.0.0.1"):
            headers = {"Host": host, "Origin": simulator.url}
            assert get(simulator, "/simulator/faults", headers=headers).ok
