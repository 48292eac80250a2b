"""When an alert begins, gets worse, ends, and when somebody is told."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.alerts.deciding import (
    Decision,
    Policy,
    Quiet,
    Seen,
    decide,
    due,
    wait_after,
)
from marketdata_pipeline.alerts.kinds import KINDS
from marketdata_pipeline.domain.alert import Alert, Condition, Mute, Severity

NOW = datetime(2024, 3, 15, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
INFO, WARNING, CRITICAL = Severity
USUAL = Policy()


def present(kind: str = "check", of: str = "", severity: Severity = WARNING) -> Condition:
    return Condition(f"{kind}:{of}" if of else kind, kind, severity, f"{kind} title", "body", 5.0)


def alert(kind: str = "check", of: str = "", severity: Severity = WARNING, **more: object) -> Alert:
    one = present(kind, of, severity)
    made = Alert(
        1, one.key, kind, severity, one.title, one.body, one.weight, NOW - HOUR, NOW - HOUR
    )
    return replace(made, **more)  # type: ignore[arg-type]


def told(one: Alert) -> Alert:
    return replace(one, told_at=NOW - HOUR)


def test_what_is_new_begins_and_what_is_known_does_not() -> None:
    new, old = present(of="completeness"), present(of="spikes")
    found = decide([alert(of="spikes")], Seen([new, old]), NOW, USUAL)
    assert found.begun == (new,)
    assert [(one.alert.key, one.now, one.worse) for one in found.changed] == [
        ("check:spikes", old, False)
    ]
    assert found.ended == ()


@pytest.mark.parametrize(
    ("before", "after", "worse"),
    [(WARNING, CRITICAL, True), (CRITICAL, WARNING, False), (WARNING, WARNING, False)],
)
def test_an_alert_gets_worse_where_its_severity_rises(
    before: Severity, after: Severity, *, worse: bool
) -> None:
    known = told(alert("disk", severity=before))
    (found,) = decide([known], Seen([present("disk", severity=after)]), NOW, USUAL).changed
    assert found.worse is worse
    assert found.now.severity is max(before, after, key=lambda one: one.rank)


def test_what_holds_no_longer_ends_once_it_is_gone_for_its_calm() -> None:
    calm = KINDS["check"].calm
    assert calm > timedelta(0)
    known = told(alert())
    early = replace(known, seen_at=NOW - calm + MINUTE)
    assert decide([early], Seen([]), NOW, USUAL) == Decision()
    (ended,) = decide([replace(known, seen_at=NOW - calm)], Seen([]), NOW, USUAL).ended
    assert (ended.alert.key, ended.silent, ended.became) == ("check", False, "")


def test_a_closed_incident_ends_at_once_and_says_what_became_of_it() -> None:
    known = told(alert("outage", "7", seen_at=NOW))
    seen = Seen([], became={"outage:7": "healed"})
    (ended,) = decide([known], seen, NOW, USUAL).ended
    assert ended.became == "healed"


def test_what_a_look_could_not_see_stays_open() -> None:
    known = [told(alert("daemon")), told(alert("check"))]
    found = decide(known, Seen([], unseen={"daemon"}), NOW, USUAL)
    assert [one.alert.kind for one in found.ended] == ["check"]


@pytest.mark.parametrize("cause", KINDS["late"].behind)
def test_an_effect_does_not_begin_beside_its_cause_but_stays_if_it_was_there(cause: str) -> None:
    both = Seen([present(cause), present("late")])
    assert [one.kind for one in decide([], both, NOW, USUAL).begun] == [cause]
    known = [told(alert("late"))]
    assert not decide(known, both, NOW, USUAL).ended
    # The cause is still open within its calm, though it holds no longer.
    lasting = [alert(cause, seen_at=NOW)]
    assert not decide(lasting, Seen([present("late")]), NOW, USUAL).begun


def test_what_nobody_is_told_of_ends_without_a_word() -> None:
    muted = Policy(mutes=[Mute("check", NOW + HOUR)])
    for policy in (muted, Policy(reaches=False), Policy(least=CRITICAL), Policy(weight=6.0)):
        (ended,) = decide([alert()], Seen([]), NOW, policy).ended
        assert ended.silent, policy


def test_an_alert_is_told_once_while_it_is_open() -> None:
    assert due([alert()], NOW, USUAL)
    assert due([told(alert())], NOW, USUAL) == []


def test_one_that_got_worse_is_told_again() -> None:
    again = replace(told(alert("disk", severity=CRITICAL)), retry_at=NOW)
    assert due([again], NOW, USUAL) == [again]


def test_its_end_is_told_once() -> None:
    over = replace(told(alert()), ended_at=NOW)
    assert due([over], NOW, USUAL) == [over]
    assert due([replace(over, ended_told_at=NOW)], NOW, USUAL) == []


def test_what_failed_to_be_sent_is_due_when_its_wait_is_over() -> None:
    waits = replace(alert(), attempts=1, retry_at=NOW)
    assert due([waits], NOW - MINUTE, USUAL) == []
    assert due([waits], NOW, USUAL) == [waits]


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        (Policy(), True),
        (Policy(reaches=False), False),
        (Policy(least=WARNING), True),
        (Policy(least=CRITICAL), False),
        (Policy(weight=5.0), True),
        (Policy(weight=5.1), False),
        (Policy(mutes=[Mute("check:x", NOW + MINUTE)]), False),
        (Policy(mutes=[Mute("check", NOW + MINUTE)]), False),
        (Policy(mutes=[Mute("check:y", NOW + MINUTE)]), True),
        (Policy(mutes=[Mute("check:x", NOW)]), True),
    ],
)
def test_a_person_says_what_to_be_told_of(policy: Policy, *, wanted: bool) -> None:
    assert bool(due([alert(of="x")], NOW, policy)) is wanted


def test_a_least_weight_is_no_bound_for_what_is_not_weighed_by_money() -> None:
    assert due([alert("silent", severity=CRITICAL, weight=0.0)], NOW, Policy(weight=1e9))


NIGHT = Quiet(time(22), time(7), "Europe/Berlin")


@pytest.mark.parametrize(
    ("at", "quiet"),
    [
        ("2024-01-15T20:59", False),  # 21:59 in Berlin
        ("2024-01-15T21:00", True),
        ("2024-01-16T05:59", True),
        ("2024-01-16T06:00", False),
        ("2024-07-15T19:59", False),  # summer time
        ("2024-07-15T20:00", True),
        ("2024-07-16T05:00", False),
    ],
)
def test_quiet_hours_are_those_of_a_clock_on_the_wall(at: str, *, quiet: bool) -> None:
    assert NIGHT.holds(datetime.fromisoformat(at).replace(tzinfo=UTC)) is quiet


def test_quiet_hours_may_end_on_the_same_day() -> None:
    noon = Quiet(time(12), time(13))
    assert noon.holds(NOW)
    assert not noon.holds(NOW + HOUR)


def test_in_quiet_hours_warnings_wait_and_critical_alerts_do_not() -> None:
    night = Quiet(time(12), time(13))
    warning, grave = alert(), alert("silent", severity=CRITICAL)
    assert due([warning, grave], NOW, Policy(quiet=night)) == [grave]
    assert due([warning, grave], NOW, Policy(quiet=night, wakes=False)) == []
    assert due([warning, grave], NOW + HOUR, Policy(quiet=night)) == [grave, warning]


def test_the_gravest_comes_first_then_what_weighs_most_and_last_what_is_over() -> None:
    light, heavy = alert(of="a", weight=1.0), alert(of="b", weight=9.0)
    grave = alert("silent", severity=CRITICAL, weight=0.0)
    over = replace(told(alert(of="c", weight=99.0)), ended_at=NOW)
    assert due([over, light, heavy, grave], NOW, USUAL) == [grave, heavy, light, over]


@given(st.integers(0, 10_000))
def test_waits_grow_up_to_a_quarter_of_an_hour(attempts: int) -> None:
    assert MINUTE <= wait_after(attempts) <= wait_after(attempts + 1) <= 15 * MINUTE


def test_the_first_wait_is_a_minute_and_doubles() -> None:
    assert [wait_after(one) / MINUTE for one in (1, 2, 3, 4, 5)] == [1, 2, 4, 8, 15]
