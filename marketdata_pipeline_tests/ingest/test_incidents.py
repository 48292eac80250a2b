"""Many series that lack the same sessions are one incident, which heals by itself."""

from datetime import date, timedelta

import pytest
from sqlalchemy import update

from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.closures import Closure
from marketdata_pipeline.domain.coverage import Span, SpanKind
from marketdata_pipeline.domain.incident import Ending, IncidentKind, IncidentStatus
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange, deadline_of, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.ingest.closing import Closing
from marketdata_pipeline.ingest.incidents import Incidents
from marketdata_pipeline.store.tracking import Tracked
from marketdata_pipeline_tests.ingest.many import Market, at
from marketdata_pipeline_tests.ingest.world import World, day

LOST = ("2024-03-13", "2024-03-14")
SOON = timedelta(minutes=20)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def test_two_lost_sessions_are_one_incident_and_heal_in_one_cycle_once_they_are_back(
    world: World,
) -> None:
    _lost_and_found(Market.of(world, 20, lost=LOST, losers=18), every=timedelta(hours=12))


@pytest.mark.proof
def test_the_same_for_500_series(world: World) -> None:
    _lost_and_found(Market.of(world, 520, lost=LOST, losers=500), every=HOUR)


def _lost_and_found(market: Market, every: timedelta) -> None:
    losers = len(market.provider.lost)
    market.update()
    before = market.digest(LOST)
    market.requests()
    assert market.cycle(SOON).wanted == ()
    (incident,) = market.incidents()
    assert (incident.kind, incident.status) == (IncidentKind.OUTAGE, IncidentStatus.OPEN)
    assert [str(one) for one in incident.sessions] == list(LOST)
    assert (incident.affected, incident.expected) == (losers, len(market.series))

    cycles = timedelta(days=3) // every
    for _ in range(cycles):
        market.cycle(every)
    assert 0 < market.requests() <= 3 * cycles
    assert market.holes() == losers

    market.restore()
    market.cycle(HOUR)  # a probe brings bars
    market.cycle()  # all others are asked
    assert market.holes() == 0
    assert market.requests() == losers
    market.cycle()
    (after,) = market.incidents()
    assert (after.id, after.status, after.outcome) == (
        incident.id,
        IncidentStatus.CLOSED,
        Ending.HEALED,
    )
    assert market.digest(LOST) == before
    assert len(market.world.store.read(market.series[0])) == len(
        market.provider.truth[market.series[0]]
    )
    assert market.cycle(HOUR).incidents == ()


def test_what_none_has_is_a_question(world: World) -> None:
    market = Market.of(world, 6, lost=["2024-03-13"], losers=6)
    market.update()
    market.cycle(SOON)
    (incident,) = market.incidents()
    assert incident.kind is IncidentKind.QUESTION
    assert incident.detail.startswith("was XNYS closed on 2024-03-13? none of 6 series has a bar")


def test_a_person_who_says_that_it_was_closed_ends_the_question(world: World) -> None:
    market = Market.of(world, 6, lost=["2024-03-13"], losers=6)
    market.update()
    market.cycle(SOON)
    told = Closure("XNYS", date(2024, 3, 13), None, "storm")
    Closing(world.home.engine, world.store, world.clock).put(told)
    market.requests()
    market.cycle(SOON)
    (incident,) = market.incidents()
    assert (incident.outcome, incident.closed_at) == (
        Ending.CLOSED_MARKET,
        world.clock.market,
    )
    assert market.holes() == 0
    assert market.cycle(timedelta(days=40)).incidents == ()


def test_a_few_series_are_no_incident_and_go_on_by_themselves(world: World) -> None:
    market = Market.of(world, 20, lost=LOST, losers=4)
    market.update()
    market.requests()
    market.cycle(SOON)
    assert market.incidents() == []
    market.cycle(HOUR)
    assert market.requests() == 4


def test_a_small_share_of_many_series_is_none_either(world: World) -> None:
    market = Market.of(world, 30, lost=LOST, losers=5)
    market.update()
    market.cycle(SOON)
    assert market.incidents() == []


def test_after_thirty_days_it_is_given_up_and_its_holes_go_on_by_themselves(world: World) -> None:
    market = Market.of(world, 8, lost=LOST, losers=8)
    market.update()
    market.cycle(SOON)
    market.requests()
    market.cycle(timedelta(days=30))
    (incident,) = market.incidents()
    assert incident.outcome is Ending.GIVEN_UP
    assert market.requests() == 8
    market.cycle(SOON)
    assert len(market.incidents()) == 1
    assert market.cycle(timedelta(days=40)).series == 8


def test_sessions_of_one_week_are_one_incident_others_another(world: World) -> None:
    market = Market.of(world, 12, lost=(), losers=0)
    days = {"2024-01-22": 6, "2024-03-12": 6, "2024-03-14": 12}
    for name, count in days.items():
        for one in market.series[-count:] if name == "2024-01-22" else market.series[:count]:
            market.provider.lost.setdefault(one.instrument, set()).add(date.fromisoformat(name))
    market.update()
    market.cycle(SOON)
    told = sorted([str(day) for day in one.sessions] for one in market.incidents())
    assert told == [["2024-01-22"], ["2024-03-12", "2024-03-14"]]


def test_only_one_of_two_sessions_comes_back(world: World) -> None:
    market = Market.of(world, 10, lost=LOST, losers=10)
    market.update()
    market.cycle(SOON)
    for gone in market.provider.lost.values():
        gone.discard(min(gone))
    market.cycle(HOUR)
    market.cycle(MINUTE)
    assert all(
        [hole.within.start.day for hole in one.holes()] == [14]
        for one in world.store.coverage(market.series).values()
    )
    market.cycle(MINUTE)
    (incident,) = market.incidents()
    assert (incident.status, incident.lacking) == (IncidentStatus.OPEN, 10)


def test_what_lies_before_the_first_bar_is_no_incident_where_the_listing_is_unknown(
    world: World,
) -> None:
    market = Market.of(world, 8, lost=[], losers=0)
    market.provider.first_trade = None
    for one in market.series:
        world.tracking.put(Tracked(one.instrument, (one.timeframe,), day("2024-01-02")))
    market.update()
    assert market.holes() == 8
    market.cycle(SOON)
    assert market.incidents() == []


def _minutes(world: World, holes: dict[str, list[TimeRange]]) -> list[Series]:
    """Series of minutes that were answered but for some holes, and have older bars."""
    now = world.clock.market
    found = [Series(Instrument.parse(name), Timeframe.M1) for name in holes]
    for one, lacking in zip(found, holes.values(), strict=True):
        world.tracking.put(Tracked(one.instrument, (Timeframe.M1,), now - timedelta(days=28)))
        whole = TimeRange(now - timedelta(days=29), now)
        world.store.cover(one, [Span(whole, SpanKind.ANSWERED)])
        kind, due, since = SpanKind.HOLE, now + HOUR, now - 5 * HOUR
        world.store.cover(one, [Span(each, kind, due, 1, since) for each in lacking])
    with world.home.engine.begin() as connection:
        first = to_micros(now - timedelta(days=29))
        connection.execute(update(series_table).values(first_ts=first, last_ts=to_micros(now)))
    return found


def _due_at(world: World, series: Series) -> list[timedelta]:
    holes = world.store.coverage([series])[series].holes()
    return [one.recheck_at - world.clock.market for one in holes if one.recheck_at is not None]


def test_holes_wait_no_longer_than_a_day_before_they_are_lost_and_a_part_of_a_session_does_not(
    world: World,
) -> None:
    now = world.clock.market
    session = TimeRange(at("2024-03-14T13:30"), at("2024-03-14T20:00"))
    lost = {f"Q{number:03d}": [session] for number in range(7)}
    part = TimeRange(at("2024-03-14T14:30"), at("2024-03-14T14:35"))
    *losers, stranger = _minutes(world, {**lost, "Q007": [part]})
    incidents = Incidents(world.home.engine, world.clock)
    (incident,) = incidents.look()
    assert (incident.affected, incident.parked_until) == (7, now + timedelta(days=30))
    last = deadline_of(session.start, timedelta(days=29)) - timedelta(days=1) - now
    assert [_due_at(world, one) for one in losers] == [[last]] * 7
    assert _due_at(world, stranger) == [HOUR]
    (same,) = incidents.look()
    assert (same.status, [_due_at(world, one) for one in losers]) == (
        IncidentStatus.OPEN,
        [[last]] * 7,
    )


def test_a_hole_that_is_nearly_lost_does_not_wait(world: World) -> None:
    session = TimeRange(at("2024-02-16T14:30"), at("2024-02-16T21:00"))
    losers = _minutes(world, {f"Q{number:03d}": [session] for number in range(7)})
    Incidents(world.home.engine, world.clock).look()
    assert [_due_at(world, one) for one in losers] == [[HOUR]] * 7


def test_of_many_sessions_a_look_takes_the_newest_thirty_and_the_next_the_rest(
    world: World,
) -> None:
    market = Market.of(world, 6, lost=(), losers=0)
    market.update()
    now = world.clock.market
    older = [day("2024-03-14") - timedelta(days=one) for one in range(57)]
    kind, due, since = SpanKind.HOLE, now + HOUR, now - 5 * HOUR
    for one in market.series:
        holes = [TimeRange(each, each + timedelta(days=1)) for each in older if each.weekday() < 5]
        world.store.cover(one, [Span(each, kind, due, 0, since) for each in holes])
    incidents = Incidents(world.home.engine, world.clock)
    (first,) = incidents.look()
    (second,) = incidents.look()
    assert (len(first.sessions), first.sessions[-1]) == (30, date(2024, 3, 14))
    assert second.sessions[-30:] == first.sessions
    assert len(second.sessions) == 40
