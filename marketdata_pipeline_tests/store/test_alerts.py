"""Rows of alerts: one open row a key, what is claimed is nobody else's, what is over."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine

from marketdata_pipeline.database.engine import reading, writing
from marketdata_pipeline.domain.alert import Alert, Condition, Severity
from marketdata_pipeline.store import alerts
from marketdata_pipeline.store.alerts import Alerts, Ended, Worth
from marketdata_pipeline_tests.fakes import FrozenClock

NOW = FrozenClock().wall
MINUTE = timedelta(minutes=1)
FULL = Condition("disk", "disk", Severity.WARNING, "nearly full", "2 GB free", 3.0)


def begun(engine: Engine, *conditions: Condition, at: datetime = NOW) -> None:
    with writing(engine) as connection:
        alerts.begin(connection, conditions, at)


def rows(engine: Engine) -> list[Alert]:
    with reading(engine) as connection:
        return alerts.unsettled(connection)


def claimed(engine: Engine, *wanted: Alert) -> list[int]:
    with writing(engine) as connection:
        return alerts.claim(connection, wanted, [NOW + MINUTE] * len(wanted))


def ended(engine: Engine, *, became: str = "", silent: bool = False) -> None:
    with writing(engine) as connection:
        alerts.end(connection, [Ended(1, became, silent)], NOW + MINUTE)


def told(engine: Engine, begun: list[int], over: list[int]) -> None:
    with writing(engine) as connection:
        alerts.told(connection, begun, over, 7)


def test_what_has_begun_is_a_row_with_all_that_is_known(engine: Engine) -> None:
    begun(engine, FULL)
    assert rows(engine) == [
        Alert(1, "disk", "disk", Severity.WARNING, "nearly full", "2 GB free", 3.0, NOW, NOW)
    ]


def test_a_key_is_open_once(engine: Engine) -> None:
    begun(engine, FULL)
    begun(engine, replace(FULL, title="again"), at=NOW + MINUTE)
    assert [one.title for one in rows(engine)] == ["nearly full"]
    ended(engine, silent=True)
    begun(engine, FULL, at=NOW + 2 * MINUTE)
    assert [one.open for one in rows(engine)] == [True]
    begun(engine)
    assert len(rows(engine)) == 1


def test_what_one_claims_another_that_read_the_same_does_not_get(engine: Engine) -> None:
    begun(engine, FULL)
    (found,) = rows(engine)
    assert claimed(engine, found) == [found.id]
    assert claimed(engine, found) == []
    (after,) = rows(engine)
    assert (after.attempts, after.retry_at) == (1, NOW + MINUTE)
    assert claimed(engine, after) == [found.id], "it was read anew"


def test_what_is_over_meanwhile_is_not_claimed_as_begun(engine: Engine) -> None:
    begun(engine, FULL)
    (found,) = rows(engine)
    ended(engine)
    assert claimed(engine, found) == []


def test_what_was_told_is_settled_once_it_is_over_and_told(engine: Engine) -> None:
    begun(engine, FULL)
    claimed(engine, *rows(engine))
    told(engine, [1], [])
    (found,) = rows(engine)
    assert found.told_at is not None
    assert (found.attempts, found.retry_at) == (0, None)
    ended(engine, became="well again")
    (over,) = rows(engine)
    assert (over.body, over.ended_at, over.lasted) == ("well again", NOW + MINUTE, MINUTE)
    told(engine, [], [1])
    assert rows(engine) == []


def test_the_end_of_what_was_never_told_says_all_of_it(engine: Engine) -> None:
    begun(engine, FULL)
    ended(engine)
    told(engine, [], [1])
    with reading(engine) as connection:
        (found,) = alerts.latest(connection, 5)
    assert found.told_at is not None
    assert found.told_at == found.ended_told_at


@pytest.mark.parametrize("again", [True, False])
def test_a_change_keeps_the_first_instant_and_may_ask_to_be_told_again(
    engine: Engine, *, again: bool
) -> None:
    begun(engine, FULL)
    worse = replace(FULL, severity=Severity.CRITICAL, title="full", weight=4.0)
    with writing(engine) as connection:
        alerts.change(connection, [Worth(1, worse, again)], NOW + MINUTE)
    (found,) = rows(engine)
    assert (found.severity, found.title, found.weight) == (Severity.CRITICAL, "full", 4.0)
    assert (found.raised_at, found.seen_at) == (NOW, NOW + MINUTE)
    assert found.retry_at == (NOW + MINUTE if again else None)


def test_the_open_ones_come_first_and_so_many_in_all(engine: Engine) -> None:
    begun(engine, FULL)
    ended(engine, silent=True)
    for number in range(3):
        one = replace(FULL, key=f"check:{number}", kind="check")
        begun(engine, one, at=NOW - number * MINUTE)
    catalog = Alerts(engine, FrozenClock())
    keys = [one.key for one in catalog.latest()]
    assert keys == ["check:0", "check:1", "check:2", "disk"]
    assert len(catalog.latest(2)) == 2
    assert catalog.counts() == {Severity.WARNING: 3}
