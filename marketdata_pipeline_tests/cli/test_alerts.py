"""`alerts`: what is wrong, a test message, looking once, muting; and its line in `status`."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._daemon.types import DaemonHeartbeat

from marketdata_pipeline.database.engine import writing
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.alert import Condition, Severity
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.ingest.queue import Queue
from marketdata_pipeline.store import alerts as rows
from marketdata_pipeline.store.alerts import Alerts
from marketdata_pipeline_tests.alerts.receiver import TOKEN, Receiver, receiving
from marketdata_pipeline_tests.cli.terminal import Terminal
from marketdata_pipeline_tests.ingest.troubled import change_rows

HOUR = timedelta(hours=1)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver that the settings name."""
    with receiving() as made:
        monkeypatch.setenv("MARKETDATA_ALERT_URLS", made.url)
        yield made


def begin(
    home: Home, key: str, severity: Severity = Severity.WARNING, ago: timedelta = HOUR
) -> None:
    one = Condition(key, key.partition(":")[0], severity, f"{key} is wrong", "so it is", 12.5)
    with writing(home.engine) as connection:
        rows.begin(connection, [one], home.clock.wall_now() - ago)


@pytest.mark.usefixtures("home")
def test_a_home_where_nothing_is_wrong_says_so(marketdata: Terminal) -> None:
    for words in (["alerts"], ["alerts", "list"]):
        assert marketdata(*words).out == "nothing is wrong, as far as was looked\n"
    told = json.loads(marketdata("alerts", "--json").out)
    assert (told["alerts"], told["mutes"]) == ([], [])


def test_what_is_wrong_is_listed_and_what_was(home: Home, marketdata: Terminal) -> None:
    begin(home, "check:completeness")
    begin(home, "disk", Severity.CRITICAL)
    with writing(home.engine) as connection:
        rows.end(connection, [rows.Ended(2, "", silent=True)], home.clock.wall_now())
    lines = marketdata("alerts").out.splitlines()
    assert lines[0].split() == ["severity", "key", "since", "weight", "told", "what"]
    said = ["warning", "check:completeness", "1 h ago", "12", "not yet"]
    assert [one for one in said if one not in lines[1]] == []
    assert lines[1].rstrip().endswith("check:completeness is wrong")
    assert lines[2] == "over  disk  disk is wrong; for 1 h"
    told = json.loads(marketdata("alerts", "list", "--json").out)
    assert [(one["key"], one["open"]) for one in told["alerts"]] == [
        ("check:completeness", True),
        ("disk", False),
    ]


def test_a_look_finds_what_is_wrong_and_tells_it(
    home: Home, receiver: Receiver, marketdata: Terminal
) -> None:
    queue = Queue(home.engine, home.clock)
    for number in range(11):
        queue.enqueue(Instrument(f"I{number}"), [Timeframe.D1])
    change_rows(home.engine, status="failed")
    found = marketdata("alerts", "look")
    assert (found.code, found.out) == (0, "begun: failed_jobs\ntold: failed_jobs\n")
    assert receiver.titles == ["marketdata: warning: 11 backfills have failed"]
    assert marketdata("alerts", "look").out == ""
    assert json.loads(marketdata("alerts", "look", "--json").out)["begun"] == []


def test_a_look_from_outside_sees_a_dead_daemon(home: Home, marketdata: Terminal) -> None:
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        at = (datetime.now(UTC) - HOUR).timestamp()
        instance.add_daemon_heartbeat(DaemonHeartbeat(at, "SCHEDULER", "id"))
    assert marketdata("alerts", "look").out == "begun: daemon\n"


@pytest.mark.usefixtures("home")
def test_a_test_message_says_who_took_it(receiver: Receiver, marketdata: Terminal) -> None:
    assert marketdata("alerts", "test").out == "receiver 1 json: taken\n"
    assert receiver.titles == ["marketdata: test"]
    told = json.loads(marketdata("alerts", "test", "--json").out)
    assert told == {"taken": ["1 json"], "failed": {}}


@pytest.mark.usefixtures("home")
def test_a_test_message_that_is_not_taken_fails_without_a_secret(
    receiver: Receiver, marketdata: Terminal
) -> None:
    receiver.status = 401
    found = marketdata("alerts", "test")
    assert found.code == 1
    assert found.sentence().startswith("receiver 1 json did not take it: ")
    assert "error=401" in found.err
    assert TOKEN not in found.err


@pytest.mark.usefixtures("home")
def test_without_a_receiver_a_test_says_what_to_set(marketdata: Terminal) -> None:
    found = marketdata("alerts", "test")
    assert found.code == 2
    assert found.sentence().startswith("nobody would be told: set MARKETDATA_ALERT_URLS")


def test_a_key_is_muted_and_told_again(home: Home, marketdata: Terminal) -> None:
    words = ("alerts", "mute", "check:spikes", "--until", "2999-01-31", "--why", "known")
    assert marketdata(*words).out == "check:spikes is muted until 2999-01-31 00:00 UTC\n"
    assert "muted  check:spikes until 2999-01-31 00:00 UTC: known" in marketdata("alerts").out
    told = json.loads(marketdata("alerts", "--json").out)
    assert told["mutes"] == [
        {"name": "check:spikes", "until": "2999-01-31T00:00:00+00:00", "why": "known"}
    ]
    assert marketdata("alerts", "unmute", "check:spikes").out == "check:spikes is told again\n"
    assert Alerts(home.engine, home.clock).mutes() == []


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("mute disk --until 2020-01-31", "2020-01-31 is over; give --until an instant in the"),
        ("mute disk --until soon", "'soon' is no date"),
        ("mute disc --until 2999-01-31", "'disc' is no alert; its kind is one of check, late"),
        ("mute check:nonsense --until 2999-01-31", "'nonsense' is no rule; write check: and one"),
        ("mute check: --until 2999-01-31", "'' is no rule"),
        ("unmute disk", "disk is not muted; see marketdata alerts"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(marketdata: Terminal, words: str, said: str) -> None:
    found = marketdata("alerts", *words.split())
    assert found.code == 2
    assert found.sentence().startswith(said)


def test_status_has_a_line_where_something_is_wrong(home: Home, marketdata: Terminal) -> None:
    assert "alerts" not in marketdata("status").out
    begin(home, "check:completeness")
    begin(home, "check:spikes")
    begin(home, "daemon", Severity.CRITICAL)
    lines = marketdata("status").out.splitlines()
    assert "alerts: 1 critical, 2 warning; see marketdata alerts" in lines
    told = json.loads(marketdata("status", "--json").out)
    assert told["alerts"] == {"critical": 1, "warning": 2}


def test_a_worker_that_does_what_is_due_looks_at_the_end(
    home: Home, receiver: Receiver, marketdata: Terminal
) -> None:
    for number in range(11):
        Queue(home.engine, home.clock).enqueue(Instrument(f"I{number}"), [Timeframe.D1])
    change_rows(home.engine, status="failed")
    assert marketdata("worker", "--once").code == 0
    assert receiver.titles == ["marketdata: warning: 11 backfills have failed"]
