"""Incidents in the catalog come back as they were put in."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Engine, insert

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.doubting import closures
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.domain.incident import (
    Ending,
    Incident,
    IncidentKind,
    IncidentStatus,
    joined,
    opened,
)
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.store import incidents
from marketdata_pipeline_tests.fakes import FrozenClock

NOW = datetime(2024, 3, 15, 21, tzinfo=UTC)
ONE = replace(
    joined(opened("XNYS", NOW), date(2024, 3, 14), [Timeframe.D1, Timeframe.H1]),
    affected=9,
    lacking=7,
    expected=30,
    detail="9 of 30",
)
ENDED = replace(ONE, status=IncidentStatus.CLOSED, closed_at=NOW, probe_at=None)


def _put(engine: Engine, incident: Incident) -> Incident:
    clock = FrozenClock()
    return retry.write(engine, clock, lambda connection: incidents.put(connection, incident))


def test_it_comes_back_as_it_was_put_in_with_an_id_of_its_own(engine: Engine) -> None:
    first, second = _put(engine, ONE), _put(engine, replace(ONE, calendar="XHKG"))
    assert (first, first.timeframes) == (replace(ONE, id=1), (Timeframe.H1, Timeframe.D1))
    with reading(engine) as connection:
        assert incidents.open_ones(connection) == [first, second]
        assert incidents.newest(connection, 1) == [second]


def test_what_changes_is_the_same_row(engine: Engine) -> None:
    first = _put(engine, ONE)
    later = joined(first, date(2024, 3, 13), [])
    later = replace(later, kind=IncidentKind.OUTAGE, lacking=8, probed_at=NOW + timedelta(hours=1))
    _put(engine, later)
    with reading(engine) as connection:
        assert incidents.open_ones(connection) == [later]
    ended = replace(later, status=IncidentStatus.CLOSED, closed_at=NOW, outcome=Ending.HEALED)
    _put(engine, ended)
    with reading(engine) as connection:
        assert incidents.open_ones(connection) == []
        assert incidents.newest(connection, 9) == [ended]


def test_sessions_that_did_not_heal_are_left_alone(engine: Engine) -> None:
    _put(engine, ONE)
    _put(engine, replace(ENDED, sessions=(date(2024, 1, 2),), outcome=Ending.HEALED))
    _put(engine, replace(ENDED, sessions=(date(2024, 1, 3),), outcome=Ending.GIVEN_UP))
    _put(engine, replace(ENDED, sessions=(date(2024, 1, 4),), outcome=Ending.CLOSED_MARKET))
    with reading(engine) as connection:
        found = incidents.left_alone(connection)
    assert found == {"XNYS": {date(2024, 1, 3), date(2024, 1, 4)}}


def test_days_with_other_hours_are_not_closed(engine: Engine) -> None:
    row = {"calendar": "XHKG", "reason": "typhoon", "evidence": "news", "made_at": 1}
    with engine.begin() as connection:
        connection.execute(insert(closures).values(**row, session="2023-09-08"))
        connection.execute(insert(closures).values(**row, session="2023-09-01", opens=1, closes=2))
    with reading(engine) as connection:
        assert incidents.closed_days(connection) == {"XHKG": {date(2023, 9, 8)}}
        assert incidents.closed_days(connection, ["XNYS"]) == {}
