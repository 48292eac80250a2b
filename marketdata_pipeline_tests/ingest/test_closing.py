"""Closing a day: nothing asks for it any more, and taking that back brings the wish back."""

from datetime import UTC, date, datetime, timedelta

import pytest

from marketdata_pipeline.domain.closures import Closure, Closures, put_in_force
from marketdata_pipeline.domain.coverage import Coverage, Span, SpanKind
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.reconsider import reconsidered
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.closing import Closing
from marketdata_pipeline.store.closures import heed, read_closures
from marketdata_pipeline.store.verify import Verifier
from marketdata_pipeline_tests.ingest.world import World, day, days, walk

DAILY, HOURLY, FOUR, WEEKLY = (Series.parse(f"0700.HK|{one}") for one in ("1d", "1h", "4h", "1wk"))
TYPHOON = Closure("XHKG", date(2023, 9, 8), None, "typhoon")
FRIDAY = days("2023-09-08", "2023-09-09")


@pytest.fixture(autouse=True)
def _nobody_has_that_friday(world: World) -> None:
    world.clock.market = world.clock.wall = day("2023-09-15") + timedelta(hours=20)
    within = days("2023-08-14", "2023-09-16")
    for series in (DAILY, HOURLY):
        truth = walk(series, within)
        friday = (truth.index >= FRIDAY.start) & (truth.index < FRIDAY.end)
        world.provider.truth = {**world.provider.truth, series: truth}
        world.provider.lacking |= set(truth.index[friday])
    world.provider.first_trade = date(2023, 8, 14)
    assert not [one.error for one in world.updater.update_many([DAILY, HOURLY, FOUR, WEEKLY])
                if one.error]  # fmt: skip


def closing(world: World) -> Closing:
    return Closing(world.home.engine, world.store, world.clock)


def holes(world: World) -> list[str]:
    coverage = world.store.coverage([DAILY, HOURLY, FOUR, WEEKLY])
    return [str(one) for one, known in coverage.items() if known.holes()]


def test_the_holes_of_a_day_go_when_it_is_closed_and_nothing_asks_for_it(world: World) -> None:
    assert {"0700.HK|1d", "0700.HK|1h"} <= set(holes(world))
    done = closing(world).put(TYPHOON)
    assert holes(world) == []
    assert done.evidence.startswith("of the calendar's series 2 lack it, 0 have bars")
    assert read_closures(world.home.engine).rows == (done,)
    world.clock.advance(timedelta(days=40))
    before = len(world.provider.asked)
    world.updater.update(DAILY, TimeRange(day("2023-08-14"), day("2023-09-16")))
    later = [window for _, window in world.provider.asked[before:]]  # what settles, perhaps
    assert [one for one in later if one.intersect(FRIDAY)] == []


def test_taking_it_back_makes_the_day_missing_again_and_it_is_fetched(world: World) -> None:
    made = closing(world)
    made.put(TYPHOON)
    made.forget("xhkg", date(2023, 9, 8))
    assert read_closures(world.home.engine) == Closures()
    now = world.clock.market_now()
    for series in (DAILY, HOURLY):
        known = world.store.coverage([series])[series]
        assert known.missing([FRIDAY], now), series
    world.provider.lacking.clear()
    for series in (DAILY, HOURLY, FOUR, WEEKLY):
        assert world.updater.update(series).error is None
    assert len(world.store.read(DAILY, FRIDAY)) == 1
    assert len(world.store.read(HOURLY, FRIDAY)) == 6
    assert len(world.store.read(FOUR, FRIDAY)) == 2
    assert holes(world) == []


def test_a_session_of_the_afternoon_wants_only_the_afternoon(world: World) -> None:
    hours = TimeRange(
        day("2023-09-08") + timedelta(hours=5), day("2023-09-08") + timedelta(hours=8)
    )
    closing(world).put(Closure("XHKG", date(2023, 9, 8), hours, "typhoon until noon"))
    known = world.store.coverage([HOURLY])[HOURLY]
    (hole,) = known.holes()
    assert hole.within == hours
    assert [str(one.within) for one in world.store.coverage([DAILY])[DAILY].holes()] == [
        str(FRIDAY)
    ]


def test_a_session_on_a_saturday_is_missing_from_then_on(world: World) -> None:
    saturday = day("2023-09-09")
    hours = TimeRange(saturday + timedelta(hours=1.5), saturday + timedelta(hours=8))
    closing(world).put(Closure("XHKG", date(2023, 9, 9), hours, "made up for"))
    within = days("2023-09-09", "2023-09-10")
    known = world.store.coverage([DAILY])[DAILY]
    assert known.missing([within], world.clock.market_now()) == [within]
    closing(world).forget("XHKG", date(2023, 9, 9))
    world.updater.update(DAILY)
    assert holes(world).count("0700.HK|1d") == 1  # the Friday's


def test_a_day_with_trades_is_closed_by_force_only_and_its_bars_stay(world: World) -> None:
    monday = Closure("XHKG", date(2023, 9, 11), None, "by mistake")
    with pytest.raises(BadInput, match=r"0700\.HK\|1d, 0700\.HK\|1h have bars with trades"):
        closing(world).put(monday)
    assert read_closures(world.home.engine) == Closures()
    closing(world).put(monday, force=True)
    assert len(world.store.read(DAILY, days("2023-09-11", "2023-09-12"))) == 1
    outcome = world.updater.update(DAILY)
    assert outcome.error is None
    found = world.verdicts.kept("bars_contract", [DAILY])[DAILY].verdict
    assert found.passed, found.detail
    verifier = Verifier(world.home.engine, world.home.bars, world.clock)
    assert verifier.faults(DAILY) == []


def test_hours_that_leave_out_trades_need_force(world: World) -> None:
    at = datetime(2023, 9, 7, 5, 30, tzinfo=UTC)
    hours = TimeRange(at, at + timedelta(hours=2, minutes=30))
    afternoon = Closure("XHKG", date(2023, 9, 7), hours, "by mistake")
    with pytest.raises(BadInput, match=r"0700.HK\|1h have bars with trades on 2023-09-07 outside"):
        closing(world).put(afternoon)
    assert read_closures(world.home.engine).rows == ()
    before = len(world.store.read(HOURLY))
    assert closing(world).put(afternoon, force=True).hours == hours
    assert len(world.store.read(HOURLY)) == before


def test_hours_that_hold_all_trades_need_none(world: World) -> None:
    whole = TimeRange(
        day("2023-09-07") + timedelta(hours=1), day("2023-09-07") + timedelta(hours=9)
    )
    longer = Closure("XHKG", date(2023, 9, 7), whole, "longer than usual")
    assert closing(world).put(longer).hours == whole


def test_rows_of_a_closed_day_are_left_out_and_no_fault_of_the_reply(world: World) -> None:
    series = Series.parse("0005.HK|1h")
    truth = walk(series, days("2023-09-04", "2023-09-12"))
    world.provider.truth = {**world.provider.truth, series: truth}
    world.provider.lacking.clear()
    world.provider.first_trade = date(2023, 9, 4)
    closing(world).put(TYPHOON)
    assert world.updater.update(series, days("2023-09-04", "2023-09-12")).error is None
    assert len(world.store.read(series)) == len(truth) - 6
    assert len(world.store.read(series, FRIDAY)) == 0


def test_closing_is_the_same_twice_and_forgetting_only_once(world: World) -> None:
    made = closing(world)
    first = made.put(TYPHOON)
    again = made.put(TYPHOON)
    assert (again.session, again.hours, again.reason) == (first.session, None, "typhoon")
    made.forget("XHKG", date(2023, 9, 8))
    with pytest.raises(BadInput, match="nothing was said"):
        made.forget("XHKG", date(2023, 9, 8))


def test_another_process_heeds_it_when_it_looks(world: World) -> None:
    closing(world).put(TYPHOON)
    put_in_force(Closures())  # as in a process that opened its home before
    heed(world.home.engine)
    known = world.store.coverage([DAILY])[DAILY]
    assert known.holes() == []
    assert world.updater.update(DAILY).error is None
    assert world.store.coverage([DAILY])[DAILY].holes() == []


def test_what_is_out_of_depth_stays_so(world: World) -> None:
    del world
    old = Span(days("2023-09-01", "2023-09-10"), SpanKind.OUT_OF_DEPTH)
    assert reconsidered(Coverage((old,)), [], [FRIDAY]) == Coverage((old,))
