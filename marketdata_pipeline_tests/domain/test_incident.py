"""How an incident goes on, as a pure function of what a look saw."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.incident import (
    PATIENCE,
    Ending,
    Incident,
    IncidentKind,
    IncidentStatus,
    Move,
    Seen,
    after,
    are_alike,
    is_many,
    is_near,
    joined,
    opened,
    probe_after,
    range_of,
    ranges_of,
    sessions_in,
    told,
    weeks_of,
)
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.timeframe import Timeframe

START = datetime(2024, 3, 15, 21, tzinfo=UTC)
HOUR = timedelta(hours=1)
FRESH = joined(opened("XNYS", START), date(2024, 3, 14), [Timeframe.D1])
OPEN = replace(FRESH, lacking=100, affected=100, expected=120)
HEALING = replace(OPEN, status=IncidentStatus.HEALING)


def _after(incident: Incident, seen: Seen, later: timedelta = timedelta(minutes=1)) -> tuple[
    IncidentStatus, Move, Ending | None
]:  # fmt: skip
    then, move = after(incident, seen, START + later)
    return then.status, move, then.outcome


@pytest.mark.parametrize(
    ("incident", "seen", "later", "status", "move", "outcome"),
    [
        (FRESH, Seen(100, 100), 0, "open", Move.PARK, None),
        (OPEN, Seen(100, 100), 1, "open", Move.PARK, None),
        (OPEN, Seen(100, 100), 15, "open", Move.PROBE, None),
        (OPEN, Seen(110, 100), 1, "open", Move.PARK, None),
        (OPEN, Seen(99, 99), 1, "healing", Move.RELEASE, None),
        (OPEN, Seen(110, 99), 1, "healing", Move.RELEASE, None),
        (OPEN, Seen(100, 100, came_in_part=True), 1, "healing", Move.RELEASE, None),
        (OPEN, Seen(1, 1), 1, "healing", Move.RELEASE, None),
        (OPEN, Seen(0, 0), 1, "closed", Move.RELEASE, Ending.HEALED),
        (OPEN, Seen(100, 100, closed=True), 1, "closed", Move.LEAVE, Ending.CLOSED_MARKET),
        (OPEN, Seen(0, 0, closed=True), 1, "closed", Move.LEAVE, Ending.CLOSED_MARKET),
        (OPEN, Seen(100, 100), 30 * 1440, "closed", Move.RELEASE, Ending.GIVEN_UP),
        (HEALING, Seen(100, 100, waiting=True), 1, "healing", Move.LEAVE, None),
        (HEALING, Seen(90, 90), 1, "open", Move.PARK, None),
        (HEALING, Seen(0, 0), 1, "closed", Move.RELEASE, Ending.HEALED),
        (HEALING, Seen(100, 100, waiting=True), 30 * 1440, "closed", Move.RELEASE, Ending.GIVEN_UP),
    ],
)
def test_what_a_look_saw_decides_how_it_goes_on(
    incident: Incident,
    seen: Seen,
    later: int,
    status: str,
    move: Move,
    outcome: Ending | None,
) -> None:
    found = _after(incident, seen, timedelta(minutes=later))
    assert found == (IncidentStatus(status), move, outcome)


def test_less_than_one_in_a_hundred_is_none() -> None:
    large = replace(OPEN, lacking=500, affected=500)
    assert _after(large, Seen(5, 5))[2] is None
    assert _after(large, Seen(4, 4))[2] is Ending.HEALED


def test_probes_come_every_quarter_of_an_hour_then_every_hour_then_every_six() -> None:
    incident, now, waits = OPEN, START, list[timedelta]()
    while now < START + PATIENCE:
        incident, move = after(incident, Seen(100, 100), now)
        if move is Move.PROBE:
            assert incident.probed_at == now
            assert incident.probe_at is not None
            waits.append(incident.probe_at - now)
        assert incident.probe_at is not None
        now = incident.probe_at
    assert [waits.count(one) for one in (HOUR / 4, HOUR, 6 * HOUR)] == [3, 167, 92]
    assert waits == sorted(waits)


SEEN = st.builds(
    Seen,
    lacking=st.integers(0, 200),
    known=st.integers(0, 200),
    came_in_part=st.booleans(),
    waiting=st.booleans(),
    closed=st.booleans(),
)


@given(SEEN, st.integers(0, 60 * 24 * 40), st.sampled_from([FRESH, OPEN, HEALING]))
def test_the_counts_and_the_end_always_fit_together(
    seen: Seen, later: int, incident: Incident
) -> None:
    now = START + timedelta(minutes=later)
    then, move = after(incident, seen, now)
    assert then.affected >= then.lacking == seen.lacking
    assert (then.status is IncidentStatus.CLOSED) == (then.outcome is not None)
    assert (then.closed_at is None) == (then.outcome is None)
    assert then.changed_at in {incident.changed_at, now}
    if move is Move.PROBE:
        assert then.status is IncidentStatus.OPEN


@pytest.mark.parametrize(
    ("lacking", "asked", "many"),
    [(4, 4, False), (5, 5, True), (5, 25, True), (5, 26, False), (100, 501, False)],
)
def test_five_series_and_a_fifth_of_those_asked_are_many(
    lacking: int, asked: int, *, many: bool
) -> None:
    assert is_many(lacking, asked) is many


def test_near_is_within_a_week_and_alike_are_four_in_five() -> None:
    assert is_near(FRESH, date(2024, 3, 21))
    assert not is_near(FRESH, date(2024, 3, 22))
    assert are_alike(set(range(10)), set(range(2, 10)))
    assert not are_alike(set(range(10)), set(range(3, 10)))
    assert not are_alike(set(), set())


def test_it_is_told_in_a_sentence() -> None:
    days = [date(2024, 3, 11 + number) for number in range(5)]
    many = replace(OPEN, sessions=tuple(days), kind=IncidentKind.OUTAGE, lacking=7)
    assert told(many) == (
        "100 of 120 series of XNYS lacked 2024-03-11, 2024-03-12, 2024-03-13 and 2 more; 7 do now"
    )
    assert told(OPEN).startswith("was XNYS closed on 2024-03-14? none of 120 series has a bar")


# Sessions and labels

APPLE = calendar_of(Instrument.parse("AAPL"))
GOLD = calendar_of(Instrument.parse("GC=F"))


def _range(start: str, end: str) -> TimeRange:
    return TimeRange(*(datetime.fromisoformat(one).replace(tzinfo=UTC) for one in (start, end)))


def test_only_whole_sessions_lie_in_a_range() -> None:
    days = [date(2024, 3, 14), date(2024, 3, 15)]
    assert sessions_in(APPLE, Timeframe.D1, _range("2024-03-14", "2024-03-16")) == days
    whole = _range("2024-03-14T13:30", "2024-03-15T20:00")
    assert sessions_in(APPLE, Timeframe.H1, whole) == days
    part = _range("2024-03-14T14:30", "2024-03-15T20:00")
    assert sessions_in(APPLE, Timeframe.H1, part) == days[1:]


def test_neighbouring_sessions_are_one_range_with_the_weekend_between() -> None:
    friday, monday = date(2024, 3, 8), date(2024, 3, 11)
    assert ranges_of(APPLE, [monday, friday]) == [_range("2024-03-08", "2024-03-12")]
    assert len(ranges_of(APPLE, [friday, date(2024, 3, 12)])) == 2
    (evening,) = ranges_of(GOLD, [date(2024, 3, 12)])
    assert (evening.start, evening.end) == (
        datetime(2024, 3, 11, 22, tzinfo=UTC),
        datetime(2024, 3, 13, tzinfo=UTC),
    )


def test_a_session_has_a_range_at_each_timeframe() -> None:
    day = date(2024, 3, 14)
    assert range_of(APPLE, Timeframe.D1, day) == _range("2024-03-14", "2024-03-15")
    assert range_of(APPLE, Timeframe.H1, day) == _range("2024-03-14T13:30", "2024-03-14T20:00")
    assert range_of(APPLE, Timeframe.D1, date(2024, 3, 16)) is None


def test_weeks_are_whole_ones_from_monday_on() -> None:
    assert weeks_of([_range("2024-03-14", "2024-03-15")]) == [_range("2024-03-11", "2024-03-18")]
    assert weeks_of([_range("2024-03-15", "2024-03-19")]) == [_range("2024-03-11", "2024-03-25")]
    assert weeks_of([_range("2024-03-11", "2024-03-18")]) == [_range("2024-03-11", "2024-03-18")]


def test_the_wait_after_a_probe_never_ends() -> None:
    assert probe_after(timedelta(days=400)) == 6 * HOUR
