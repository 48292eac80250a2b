"""The gaps of a home, each with its reason, next try and deadline."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from marketdata_pipeline.database.doubting import quarantine
from marketdata_pipeline.database.engine import writing
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.coverage import Span, SpanKind
from marketdata_pipeline.domain.gap import GapState
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.reading.gaps import kept_series, read_gaps
from marketdata_pipeline.store import identity
from marketdata_pipeline.store.tracking import Tracked
from marketdata_pipeline_tests.ingest.many import QUARTER, Market
from marketdata_pipeline_tests.ingest.world import World, day, days, make_world

SOON = timedelta(minutes=20)
HOUR = Series.parse("Q000|1h")


@pytest.fixture
def world(tmp_path: Path, catalog_url: str) -> Iterator[World]:
    made = make_world(tmp_path, catalog_url)
    yield made
    made.home.engine.dispose()


def _home(world: World) -> Home:
    """The home at the world's time."""
    return replace(world.home, clock=world.clock)


def test_a_home_without_gaps_says_how_many_series_were_looked_at(world: World) -> None:
    market = Market.of(world, 3, lost=(), losers=0)
    market.update()
    report = read_gaps(_home(world))
    assert (report.looked_at, report.gaps, report.states, report.incidents) == (3, (), [], ())


def test_a_hole_is_new_then_retryable_with_its_next_try(world: World) -> None:
    market = Market.of(world, 3, lost=["2024-03-13"], losers=1)
    market.update()
    (gap,) = read_gaps(_home(world)).gaps
    seen = world.clock.market
    assert (gap.series, gap.within, gap.bars) == (
        market.series[0],
        days("2024-03-13", "2024-03-14"),
        1,
    )
    assert (gap.state, gap.since, gap.tries, gap.deadline) == (GapState.NEW, seen, 0, None)
    assert gap.next_try == seen + timedelta(hours=1)
    market.cycle(timedelta(hours=1))
    (gap,) = read_gaps(_home(world)).gaps
    assert (gap.state, gap.since, gap.tries) == (GapState.RETRYABLE, seen, 1)


def test_holes_of_an_incident_are_an_outage_and_the_incident_is_told(world: World) -> None:
    market = Market.of(world, 6, lost=["2024-03-13"], losers=6)
    market.update()
    market.cycle(SOON)
    report = read_gaps(_home(world))
    assert {one.state for one in report.gaps} == {GapState.OUTAGE}
    assert {one.next_try for one in report.gaps} == {None}
    (states,) = report.states
    assert (states.series, states.gaps, states.bars) == (6, 6, 6)
    assert [one.id for one in report.incidents] == [1]


def test_what_was_tracked_and_never_asked_for_is_a_gap_with_a_deadline(world: World) -> None:
    market = Market.of(world, 1, lost=(), losers=0)
    world.tracking.put(Tracked(HOUR.instrument, (Timeframe.H1,), QUARTER.start))
    market.update()
    (gap,) = read_gaps(_home(world), timeframes=[Timeframe.H1]).gaps
    assert (gap.state, gap.next_try) == (GapState.NEVER_ASKED, None)
    assert gap.deadline == gap.within.start.replace(hour=0, minute=0) + timedelta(days=729)


def test_only_what_was_asked_for_is_told(world: World) -> None:
    market = Market.of(world, 2, lost=["2024-03-13"], losers=2)
    market.update()
    deep = Span(days("2024-01-22", "2024-01-24"), SpanKind.OUT_OF_DEPTH)
    world.store.cover(market.series[0], [deep])
    home, named = _home(world), {market.series[0].instrument}
    assert len(read_gaps(home).gaps) == 3
    assert len(read_gaps(home, instruments=named).gaps) == 2
    assert [one.within.start for one in read_gaps(home, states=[GapState.OUT_OF_DEPTH]).gaps] == [
        day("2024-01-22")
    ]
    assert read_gaps(home, timeframes=[Timeframe.W1]).looked_at == 0


def test_a_named_instrument_is_looked_at_though_nobody_tracks_it(world: World) -> None:
    market = Market.of(world, 1, lost=["2024-03-13"], losers=1)
    market.update()
    world.tracking.remove(market.series[0].instrument)
    assert read_gaps(_home(world)).looked_at == 0
    (gap, *_) = read_gaps(
        _home(world), instruments={Instrument("Q000")}, states=[GapState.NEW]
    ).gaps
    assert gap.within.start == day("2024-03-13")


def test_a_name_of_which_nothing_is_kept_is_refused(world: World) -> None:
    Market.of(world, 1, lost=(), losers=0).update()
    wanted = {Instrument("Q000"), Instrument("NOPE")}
    with pytest.raises(BadInput, match="not kept here: NOPE; run: marketdata track NOPE"):
        kept_series(_home(world), wanted, ())


@pytest.mark.parametrize(
    ("held", "told"),
    [
        (["13 14:30 13 16:30"], ["13 14:30 13 17:30"]),
        (["13 14:30 13 14:30", "13 15:30 13 15:30"], ["13 14:30 13 16:30"]),
        (["13 14:30 13 14:30", "13 16:30 13 16:30"], ["13 14:30 13 15:30", "13 16:30 13 17:30"]),
        (["13 17:30 13 19:30"], ["13 17:30 13 20:00"]),
        (["13 18:30 13 19:30", "14 13:30 14 14:30"], ["13 18:30 14 15:30"]),
    ],
)
def test_what_is_held_ends_where_its_last_bar_does(
    world: World, held: list[str], told: list[str]
) -> None:
    world.tracking.put(Tracked(HOUR.instrument, (Timeframe.H1,), QUARTER.start))
    hole = Span(days("2024-03-13", "2024-03-15"), SpanKind.HOLE, world.clock.market)
    world.store.cover(HOUR, [hole])
    for words in held:
        hold(world, HOUR, *march(words))
    found = read_gaps(_home(world), states=[GapState.QUARANTINED]).gaps
    assert [one.within for one in found] == [TimeRange(*march(words)) for words in told]
    calendar = calendar_of(HOUR.instrument)
    for one in found:
        assert len(calendar.grid(Timeframe.H1, one.within).labels) == one.bars


def test_what_is_held_of_days_ends_a_day_after_the_last(world: World) -> None:
    one = Series(HOUR.instrument, Timeframe.D1)
    world.tracking.put(Tracked(one.instrument, (Timeframe.D1,), QUARTER.start))
    world.store.cover(
        one, [Span(days("2024-03-11", "2024-03-16"), SpanKind.HOLE, world.clock.market)]
    )
    hold(world, one, day("2024-03-12"), day("2024-03-14"))
    (gap,) = read_gaps(_home(world), states=[GapState.QUARANTINED]).gaps
    assert (gap.within, gap.bars) == (days("2024-03-12", "2024-03-15"), 3)


def march(words: str) -> tuple[datetime, datetime]:
    """Two instants of March 2024."""
    first, opens, last, closes = words.split()
    return day(f"2024-03-{first}T{opens}"), day(f"2024-03-{last}T{closes}")


def hold(world: World, series: Series, start: datetime, end: datetime) -> None:
    """Have quarantine hold bars from the one label to the other."""
    first, last = to_micros(start), to_micros(end)
    row = {
        "status": "held", "reason": "spike", "detail": "far off", "evidence": "{}", "times": 1,
        "fingerprint": str(first), "provider": "truth", "origin": "truth", "window_start": first,
        "window_end": last + 1, "currency": "USD", "market_at": 1, "fetched_at": 1, "run_id": "r",
        "rows": 1, "first_ts": first, "last_ts": last, "data": b"x", "checksum": "c",
        "actions": "[]", "held_at": 1, "seen_at": 1,
    }  # fmt: skip
    with writing(world.home.engine) as connection:
        number = identity.lock_series(connection, series)
        connection.execute(insert(quarantine), [{**row, "series_id": number}])
