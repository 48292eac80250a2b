"""Each trouble is told once, and once that it is over; nothing is lost, no secret is kept."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from marketdata_pipeline import logs
from marketdata_pipeline.alerts.deciding import Policy, Quiet
from marketdata_pipeline.alerts.kinds import KINDS
from marketdata_pipeline.alerts.message import Message
from marketdata_pipeline.alerts.sending import Delivery, Sender
from marketdata_pipeline.database.doubting import alerts, incidents, quarantine
from marketdata_pipeline.database.engine import reading, writing
from marketdata_pipeline.database.happening import backfill_queue
from marketdata_pipeline.database.machine import Disk
from marketdata_pipeline.domain.alert import Alert, Severity
from marketdata_pipeline.domain.gate import Ending
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.queue import Queue
from marketdata_pipeline.ingest.seeing import Bounds
from marketdata_pipeline.store.alerts import Alerts
from marketdata_pipeline_tests.alerts.receiver import TOKEN, Receiver, receiving
from marketdata_pipeline_tests.ingest.troubled import (
    AAPL,
    BAD,
    EMPTY,
    FULL,
    GOOD,
    MINUTE,
    SITUATIONS,
    Situation,
    Troubled,
)
from marketdata_pipeline_tests.ingest.world import World

LATER = 11 * MINUTE
FULLER = Disk(size=100 * 10**9, free=10**8)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def it(world: World, receiver: Receiver) -> Troubled:
    return Troubled(world, receiver)


def test_each_kind_has_a_situation_that_raises_it() -> None:
    assert list(SITUATIONS) == list(KINDS)


@pytest.mark.parametrize(("kind", "situation"), SITUATIONS.items(), ids=list(SITUATIONS))
def test_a_trouble_is_told_once_and_once_that_it_is_over(
    it: Troubled, kind: str, situation: Situation
) -> None:
    assert it.look().begun == ()
    situation.begin(it)
    (key,) = it.look().told
    assert key.partition(":")[0] == ("incident" if kind in {"outage", "question"} else kind)
    assert it.look().told == ()
    (title,) = it.receiver.titles
    severity = KINDS[kind].severity
    assert title.startswith(f"marketdata: {severity}: {situation.title}")
    assert KINDS[kind].advice in it.receiver.bodies[0]
    it.pass_time(LATER)
    assert it.look().told == ()
    situation.end(it)
    it.look()
    it.pass_time(LATER)
    it.look()
    assert it.look().told == ()
    _, over = it.receiver.titles
    assert over.startswith(f"marketdata: over: {situation.title}")
    assert {one.key: one.open for one in _all(it)} == {key: False}


def _all(it: Troubled) -> list[Alert]:
    return Alerts(it.world.home.engine, it.world.clock).latest()


def test_a_trouble_that_comes_back_after_its_end_is_another_alert(it: Troubled) -> None:
    for disk in (FULL, EMPTY, FULL):
        it.disk = disk
        it.look()
        it.pass_time(LATER)
        it.look()
    assert len(it.receiver.messages) == 3
    assert [one.open for one in _all(it)] == [True, False]


def test_what_comes_and_goes_within_minutes_is_one_alert(it: Troubled) -> None:
    for disk in (FULL, EMPTY, FULL, EMPTY, FULL):
        it.disk = disk
        it.look()
        it.pass_time(2 * MINUTE)
    assert len(it.receiver.messages) == 1


def test_one_that_gets_worse_is_told_again_once(it: Troubled) -> None:
    it.disk = FULL
    it.look()
    it.disk = FULLER
    assert it.look().told == ("disk",)
    assert it.look().told == ()
    it.disk = FULL
    assert it.look().told == (), "better is no news"
    assert it.receiver.titles == [
        "marketdata: warning: the home's disk is nearly full",
        "marketdata: critical: the home's disk is nearly full",
    ]


def test_what_swings_between_two_severities_is_told_of_twice(it: Troubled) -> None:
    for disk in (FULL, FULLER, FULL, FULLER, FULL):
        it.disk = disk
        it.look()
        it.pass_time(MINUTE)
    assert len(it.receiver.messages) == 2
    assert [one.severity for one in _all(it)] == [Severity.CRITICAL]


def test_a_look_at_which_nothing_is_new_waits_for_no_writer(it: Troubled) -> None:
    with writing(it.world.home.engine):
        assert it.look().begun == ()


def test_several_at_once_are_one_message_and_the_gravest_comes_first(it: Troubled) -> None:
    it.disk = FULL
    for kind in ("check", "transactions", "silent"):
        SITUATIONS[kind].begin(it)
    it.look()
    assert it.receiver.titles == ["marketdata: 4 alerts (1 critical)"]
    firsts = [part.splitlines()[0] for part in it.receiver.bodies[0].split("\n\n")]
    assert [one.partition(":")[0] for one in firsts] == ["critical"] + 3 * ["warning"]


def test_series_that_are_late_since_nothing_runs_are_no_second_alert(it: Troubled) -> None:
    SITUATIONS["late"].begin(it)
    SITUATIONS["silent"].begin(it)
    _age_all_signs(it)
    assert it.look().told == ("silent",)


def _age_all_signs(it: Troubled) -> None:
    from marketdata_pipeline.database.governing import requests
    from marketdata_pipeline.database.metadata import series, tracked_instruments

    old = it.ago(timedelta(days=6))
    it.change(requests, ended_at=old)
    it.change(series, updated_at=old)
    it.change(tracked_instruments, last_update=old, last_tracked_at=old)


def test_a_receiver_that_is_down_gets_it_when_it_is_back(it: Troubled) -> None:
    it.receiver.status = 503
    it.disk = FULL
    for _ in range(3):
        assert it.look().told == ()
        it.pass_time(16 * MINUTE)
    (waiting,) = _all(it)
    assert (waiting.attempts, waiting.told_at) == (3, None)
    it.receiver.status = 200
    assert it.look().told == ("disk",)
    assert len(it.receiver.messages) == 1
    (told,) = _all(it)
    assert (told.attempts, told.retry_at) == (0, None)


def test_it_is_not_tried_again_at_every_look(it: Troubled) -> None:
    it.receiver.status = 503
    it.disk = FULL
    tries = []
    for _ in range(10):
        tries.append(it.look().delivery is not None)
        it.pass_time(MINUTE)
    assert tries == [True, True, False, True, False, False, False, True, False, False]


def test_what_was_over_before_anybody_could_be_told_is_told_as_a_whole(it: Troubled) -> None:
    it.receiver.status = 503
    it.disk = FULL
    it.look()
    it.disk = EMPTY
    it.pass_time(LATER)
    it.look()
    it.receiver.status = 200
    it.pass_time(LATER)
    it.look()
    assert it.look().told == ()
    assert it.receiver.titles == ["marketdata: over: the home's disk is nearly full"]
    (body,) = it.receiver.bodies
    assert body.startswith("it is no longer so; it was:\n2.0 GB of 100.0 GB free")


def test_what_was_being_sent_when_its_process_died_is_sent_again(it: Troubled) -> None:
    it.disk = FULL
    dying = replace(it.alerting, sender=_Dying(it.alerting.sender))
    with pytest.raises(KeyboardInterrupt):
        dying.look()
    assert it.look().told == (), "it may still be under way"
    it.pass_time(MINUTE)
    assert it.look().told == ("disk",)


class _Dying(Sender):
    def __init__(self, of: Sender) -> None:
        super().__init__(of._urls)  # noqa: SLF001 - the same receivers

    def send(self, message: Message) -> Delivery:
        raise KeyboardInterrupt(message.title)


def test_two_that_look_at_once_send_one_message(it: Troubled) -> None:
    it.disk = FULL
    second = it.alerting

    class Meanwhile(_Dying):
        def send(self, message: Message) -> Delivery:
            assert second.look().told == ()
            return Sender.send(self, message)

    first = replace(it.alerting, sender=Meanwhile(it.alerting.sender))
    assert first.look().told == ("disk",)
    assert len(it.receiver.messages) == 1


def test_in_quiet_hours_warnings_wait_for_the_morning(it: Troubled) -> None:
    hour = it.now.hour
    night = Quiet(time(hour), time((hour + 1) % 24))
    it.policy = Policy(quiet=night)
    it.disk = FULL
    SITUATIONS["daemon"].begin(it)
    assert it.look().told == ("daemon",)
    it.policy = Policy(quiet=Quiet(time((hour + 2) % 24), time((hour + 3) % 24)))
    assert it.look().told == ("disk",)


def test_a_muted_key_is_recorded_and_told_when_the_mute_ends(it: Troubled) -> None:
    catalog = Alerts(it.world.home.engine, it.world.clock)
    catalog.mute("disk", it.now + timedelta(hours=1), "being enlarged")
    it.disk = FULL
    assert it.look().begun == ("disk",)
    assert it.receiver.messages == []
    assert [one.key for one in _all(it)] == ["disk"], "a mute is no alert"
    assert [(one.name, one.why) for one in catalog.mutes()] == [("disk", "being enlarged")]
    it.pass_time(timedelta(hours=2))
    assert it.look().told == ("disk",)
    assert catalog.mutes() == []


def test_what_is_muted_ends_without_a_word_and_a_mute_can_be_lifted(it: Troubled) -> None:
    catalog = Alerts(it.world.home.engine, it.world.clock)
    for hours in (1, 48):
        catalog.mute("disk", it.now + timedelta(hours=hours))
    assert len(catalog.mutes()) == 1
    it.disk = FULL
    it.look()
    it.disk = EMPTY
    it.pass_time(LATER)
    assert it.look().ended == ("disk",)
    catalog.mute("disk", None)
    it.look()
    assert it.receiver.messages == []
    it.disk = FULL
    assert it.look().told == ("disk",)


def test_without_a_receiver_all_is_recorded_and_told_once_there_is_one(it: Troubled) -> None:
    it.urls = []
    it.disk = FULL
    SITUATIONS["check"].begin(it)
    assert it.look().begun == ("check:completeness", "disk")
    SITUATIONS["check"].end(it)
    it.pass_time(LATER)
    assert it.look().ended == ("check:completeness",)
    it.urls = None
    assert it.look().told == ("disk",)


def test_a_url_that_cannot_be_used_is_said_and_all_is_recorded(it: Troubled) -> None:
    it.urls = [f"tgram://{TOKEN}"]
    it.disk = FULL
    with pytest.raises(BadInput, match="receiver 1 tgram"):
        it.look()
    assert [(one.key, one.attempts) for one in _all(it)] == [("disk", 0)]


def test_no_secret_is_kept_in_the_catalog_or_in_a_log_line(
    it: Troubled, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_secrets", set())
    logs.redact([TOKEN])
    caplog.set_level(logging.DEBUG)
    it.disk = FULL
    it.urls = [it.receiver.url, f"json://u:{TOKEN}@127.0.0.1:9/"]
    it.receiver.status = 500
    it.look()
    it.receiver.status = 200
    it.pass_time(LATER)
    it.look()
    assert "a receiver did not take an alert" in caplog.text
    assert TOKEN not in caplog.text
    with reading(it.world.home.engine) as connection:
        assert TOKEN not in str(connection.execute(select(alerts)).all())
    assert TOKEN not in str(it.receiver.messages)


def test_money_at_risk_is_what_is_held_at_the_last_close(it: Troubled) -> None:
    it.fill()
    it.hold(quantity=-3.0)
    it.judge(BAD)
    it.look()
    (found,) = _all(it)
    close = float(it.world.store.tail(AAPL, 1)["close"].iloc[0])
    assert found.weight == pytest.approx(3 * close)
    assert f"money at risk: {3 * close:,.0f}\n" in it.receiver.bodies[0]


def test_a_least_weight_keeps_silent_what_nobody_holds(it: Troubled) -> None:
    it.policy = Policy(weight=1.0)
    it.fill()
    it.judge(BAD)
    assert it.look().told == ()
    it.hold()
    assert it.look().told == ("check:completeness",)


def test_lateness_weighs_by_its_sessions(it: Troubled) -> None:
    it.hold(quantity=2.0)
    SITUATIONS["late"].begin(it)
    it.look()
    (found,) = _all(it)
    close = float(it.world.store.tail(AAPL, 1)["close"].iloc[0])
    assert found.weight == pytest.approx(3 * 2 * close)
    assert "AAPL|1d: 3 sessions late" in it.receiver.bodies[0]


def test_the_worst_series_are_named_first_those_with_most_money(it: Troubled) -> None:
    it.fill()
    for number in range(8):
        it.track(f"I{number}")
        it.judge(replace(BAD, score=number / 100), Series.parse(f"I{number}|1d"))
    it.judge(BAD)
    it.judge(GOOD, rule="spikes")
    it.hold()
    it.look()
    (body,) = it.receiver.bodies
    named = [line.partition("|")[0] for line in body.splitlines() if "|1d: " in line]
    assert named == ["AAPL", "I0", "I1", "I2", "I3"]
    assert it.receiver.titles == ["marketdata: warning: completeness fails for 9 series"]


def test_what_is_tracked_no_longer_and_what_nobody_holds_is_no_alert(it: Troubled) -> None:
    it.track()
    it.judge(BAD)
    it.world.tracking.remove(AAPL.instrument)
    it.keep_apart()
    assert it.look().begun == ()


def test_bars_kept_apart_for_two_reasons_are_two_alerts(it: Troubled) -> None:
    it.hold()
    it.keep_apart(reason="level_shift")
    it.keep_apart(reason="stale_repeat")
    it.keep_apart(Series.parse("AAPL|1h"), reason="stale_repeat")
    assert set(it.look().begun) == {"quarantine:level_shift", "quarantine:stale_repeat"}
    it.change(quarantine, status="released", decided_at=0)
    it.pass_time(LATER)
    assert len(it.look().ended) == 2


def test_an_incidents_end_says_what_became_of_it(it: Troubled) -> None:
    it.incident("outage")
    it.incident("question")
    it.look()
    it.close_incidents("given_up")
    it.look()
    assert it.receiver.titles == ["marketdata: 2 alerts", "marketdata: 2 over"]
    assert "given up: 400 series still lack it" in it.receiver.bodies[1]


def test_a_question_that_turns_out_to_be_an_outage_is_one_alert(it: Troubled) -> None:
    it.incident("question")
    assert it.look().told == ("incident:1",)
    it.change(incidents, kind="outage")
    assert it.look().told == ()
    assert [(one.kind, one.open) for one in _all(it)] == [("outage", True)]


def test_series_that_are_late_by_an_incident_are_no_second_alert(it: Troubled) -> None:
    SITUATIONS["late"].begin(it)
    it.hold()
    it.incident("outage")
    assert it.look().begun == ("incident:1",)
    it.change(incidents, calendar="XHKG")
    assert it.look().begun == ("late",)


def test_a_rule_that_is_off_is_no_alert(it: Troubled) -> None:
    SITUATIONS["check"].begin(it)
    it.bounds = Bounds(off=frozenset({"completeness"}))
    assert it.look().begun == ()


def test_an_incident_weighs_what_is_held_of_its_calendar_times_its_sessions(it: Troubled) -> None:
    it.fill()
    it.hold(quantity=2.0)
    it.incident("outage")
    it.look()
    close = float(it.world.store.tail(AAPL, 1)["close"].iloc[0])
    assert [one.weight for one in _all(it)] == [pytest.approx(2 * 2 * close)]


def test_ten_failed_backfills_are_not_more_than_ten(it: Troubled) -> None:
    queue = Queue(it.world.home.engine, it.world.clock)
    for number in range(10):
        queue.enqueue(Instrument(f"I{number}"), [Timeframe.D1])
    it.change(backfill_queue, status="failed")
    assert it.look().begun == ()


def test_a_backfill_that_is_not_due_yet_does_not_wait(it: Troubled) -> None:
    Queue(it.world.home.engine, it.world.clock).enqueue(AAPL.instrument, [Timeframe.D1])
    it.change(backfill_queue, retry_after=it.ago(-MINUTE), created_at=it.ago(timedelta(days=3)))
    assert it.look().begun == ()


def test_an_old_verdict_on_freshness_is_no_alert(it: Troubled) -> None:
    it.track()
    it.judge(BAD, rule="freshness")
    assert it.look().begun == ()


def test_a_breaker_that_opened_a_moment_ago_is_no_alert(it: Troubled) -> None:
    SITUATIONS["breaker"].begin(it)
    assert it.look().begun == ("breaker:yahoo",)
    it.ended(Ending.ANSWERED, 10 * MINUTE)
    it.ended(Ending.UNAVAILABLE, 9 * MINUTE)
    it.pass_time(LATER)
    assert it.look().ended == ("breaker:yahoo",)


def test_what_is_over_for_long_is_removed(it: Troubled) -> None:
    it.disk = FULL
    it.look()
    it.disk = EMPTY
    it.pass_time(LATER)
    it.look()
    it.pass_time(timedelta(days=89))
    it.look()
    assert len(_all(it)) == 1
    it.pass_time(timedelta(days=2))
    SITUATIONS["daemon"].begin(it)
    it.look()
    assert [one.key for one in _all(it)] == ["daemon"]


def test_open_alerts_are_counted_by_severity(it: Troubled) -> None:
    catalog = Alerts(it.world.home.engine, it.world.clock)
    assert catalog.counts() == {}
    it.disk = FULL
    SITUATIONS["daemon"].begin(it)
    it.look()
    assert catalog.counts() == {Severity.WARNING: 1, Severity.CRITICAL: 1}


def test_a_look_that_sees_nothing_of_dagster_leaves_its_alerts_open(it: Troubled) -> None:
    SITUATIONS["daemon"].begin(it)
    it.look()
    it.pass_time(LATER)
    it.alerting.look()
    assert [one.open for one in _all(it)] == [True]


def test_a_home_that_cannot_be_looked_at_is_no_healthy_one(tmp_path: Path) -> None:
    from marketdata_pipeline.alerting import _disk

    found = _disk(tmp_path / "gone")
    assert found is not None
    assert found.severity is Severity.CRITICAL
