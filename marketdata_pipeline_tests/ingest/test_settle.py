"""From a reply to stored bars."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import pandas as pd
import pytest

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.bars import BadRow
from marketdata_pipeline.domain.coverage import SpanKind
from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.reply import Basis, Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import MalformedReply
from marketdata_pipeline.ingest.raw import splits_in_effect, to_raw
from marketdata_pipeline.ingest.settle import (
    Listing,
    actions_only,
    settle,
)
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.write import Committed, State, Write
from marketdata_pipeline_tests.ingest.world import FRIDAY_CLOSE, World, day, days, walk

AAPL = Series.parse("AAPL|1d")
FEBRUARY = days("2024-02-01", "2024-03-01")
MARCH = days("2024-03-01", "2024-03-16")
NEWEST = days("2024-03-13", "2024-03-16")
SPLIT = Action(date(2024, 3, 15), ActionKind.SPLIT, Fraction(2))


@pytest.fixture
def reply(world: World) -> Reply:
    world.provider.truth = {AAPL: walk(AAPL, FEBRUARY)}
    return world.provider.fetch(AAPL, FEBRUARY)


@pytest.fixture
def fresh(world: World) -> Reply:
    """The last three sessions, which are not settled yet."""
    world.provider.truth = {AAPL: walk(AAPL, MARCH)}
    return world.provider.fetch(AAPL, NEWEST)


def _settle(
    world: World, reply: Reply, parts: Sequence[TimeRange] = (FEBRUARY,), *known: Action
) -> Committed:
    return settle(world.store, reply, parts, known, listing=Listing())


def _moved(reply: Reply, cents: float, *, later: timedelta = timedelta(0)) -> Reply:
    columns = {name: reply.bars[name] + cents for name in ("open", "high", "low", "close")}
    bars = reply.bars.assign(**columns)
    return replace(reply, bars=bars, basis=Basis.RAW, fetched_at=reply.fetched_at + later)


def _with_volume(reply: Reply, share: float) -> Reply:
    """The same with less volume on its eighth day."""
    bars = reply.bars.copy()
    bars.loc[bars.index[7], "volume"] *= share
    return replace(reply, bars=bars)


def test_only_the_missing_parts_of_a_reply_are_stored(world: World, reply: Reply) -> None:
    stored = _settle(world, reply, [days("2024-02-05", "2024-02-07")])
    assert stored.rows_new == 2
    assert [one.within for one in stored.coverage.spans] == [days("2024-02-05", "2024-02-07")]
    assert list(world.store.read(AAPL).index) == [day("2024-02-05"), day("2024-02-06")]


def test_among_provisional_bars_the_later_fetch_wins_whoever_commits_last(
    world: World, fresh: Reply
) -> None:
    late = _moved(fresh, 1.0, later=timedelta(seconds=5))
    _settle(world, late, (NEWEST,))
    _settle(world, _moved(fresh, 2.0), (NEWEST,))
    pd.testing.assert_frame_equal(world.store.read(AAPL), late.bars)
    _settle(world, _moved(fresh, 3.0, later=timedelta(seconds=9)), (NEWEST,))
    assert world.store.read(AAPL)["close"].iloc[0] == fresh.bars["close"].iloc[0] + 3.0
    assert world.store.restatements(AAPL) == []


def test_writers_at_once_lose_nothing_and_the_latest_fetch_wins(world: World, fresh: Reply) -> None:
    replies = [_moved(fresh, n / 16, later=timedelta(seconds=n)) for n in range(12)]
    with ThreadPoolExecutor(4) as pool:
        both_ways = replies[::-1] + replies
        done = list(pool.map(lambda one: _settle(world, one, (NEWEST,)), both_ways))
    assert sum(one.rows_new for one in done) == 3
    pd.testing.assert_frame_equal(world.store.read(AAPL), replies[-1].bars)


def test_the_same_bars_again_are_not_written_again(world: World, fresh: Reply) -> None:
    first = _settle(world, fresh, (NEWEST,))
    later = fresh.fetched_at + timedelta(minutes=1)
    again = _settle(world, replace(fresh, fetched_at=later), (NEWEST,))
    assert (first.brought, again.brought, again.version) == (True, False, first.version)


def test_what_is_past_its_settlement_is_final_and_what_is_not_is_due_again(
    world: World, fresh: Reply
) -> None:
    world.provider.truth = {AAPL: walk(AAPL, MARCH)}
    _settle(world, world.provider.fetch(AAPL, MARCH), (MARCH,))
    found = world.store.read_with_fetches(AAPL)
    assert list(found.index[found["state"] == State.PROVISIONAL]) == list(fresh.bars.index)
    spans = world.store.coverage([AAPL])[AAPL].spans
    monday = FRIDAY_CLOSE + timedelta(days=3)
    assert [(one.within.start, one.recheck_at) for one in spans] == [
        (MARCH.start, None),
        (day("2024-03-13"), monday),
        (day("2024-03-14"), monday + timedelta(days=1)),
        (day("2024-03-15"), monday),
    ]


def test_bars_asked_again_after_their_settlement_are_final_with_the_last_values(
    world: World, fresh: Reply
) -> None:
    _settle(world, fresh, (NEWEST,))
    world.clock.advance(timedelta(days=5))
    settled = _moved(fresh, 1.0, later=timedelta(days=5))
    _settle(world, replace(settled, market_at=world.clock.market_now()), (NEWEST,))
    found = world.store.read_with_fetches(AAPL)
    assert set(found["state"]) == {State.FINAL}
    assert found["close"].iloc[0] == fresh.bars["close"].iloc[0] + 1.0
    assert {one.kind for one in world.store.coverage([AAPL])[AAPL].spans} == {SpanKind.ANSWERED}
    assert world.store.restatements(AAPL) == []


@pytest.mark.parametrize("lost", ["bar", "volume"])
def test_a_bar_that_is_not_told_at_its_settlement_stays_provisional_and_is_due_again(
    world: World, fresh: Reply, lost: str
) -> None:
    _settle(world, fresh, (NEWEST,))
    first = fresh.bars.index[0]
    bars = fresh.bars.copy()
    if lost == "bar":
        bars = bars.drop(first)
    else:
        bars.loc[first, "volume"] = 0.0
    world.clock.advance(timedelta(days=5))
    told = _told_now(world, replace(fresh, bars=bars))
    _settle(world, told, (NEWEST,))
    found = world.store.read_with_fetches(AAPL)
    assert [State(one) for one in found["state"]] == [State.PROVISIONAL, State.FINAL, State.FINAL]
    pd.testing.assert_frame_equal(found[fresh.bars.columns], world.store.read(AAPL))
    coverage = world.store.coverage([AAPL])[AAPL]
    assert coverage.holes() == []
    (waiting,) = [one for one in coverage.spans if one.kind is SpanKind.PROVISIONAL]
    assert (waiting.within, waiting.tries) == (days("2024-03-13", "2024-03-14"), 1)
    world.clock.advance(timedelta(days=1))
    _settle(world, _told_now(world, fresh), (NEWEST,))
    assert set(world.store.read_with_fetches(AAPL)["state"]) == {State.FINAL}
    assert {one.kind for one in world.store.coverage([AAPL])[AAPL].spans} == {SpanKind.ANSWERED}


def _told_now(world: World, reply: Reply) -> Reply:
    return replace(reply, market_at=world.clock.market_now(), fetched_at=world.clock.wall_now())


def test_a_final_bar_that_its_provider_tells_otherwise_is_restated_with_the_reason(
    world: World, reply: Reply
) -> None:
    _settle(world, reply)
    bars = reply.bars.copy()
    bars.loc[bars.index[7], "volume"] *= 0.71
    other = replace(_moved(reply, 0.0, later=timedelta(days=9)), bars=bars)
    _settle(world, other, [days("2024-02-05", "2024-02-06")])
    (told,) = world.store.restatements(AAPL)
    assert (told.ts, told.new[4]) == (bars.index[7], bars["volume"].iloc[7])
    assert told.reason == "truth tells it otherwise by now"
    assert world.store.read_with_fetches(AAPL)["state"].iloc[7] == State.FINAL


def test_rounding_restates_nothing_nor_does_another_provider(world: World, reply: Reply) -> None:
    _settle(world, reply)
    before = world.store.read(AAPL)
    _settle(world, _moved(reply, 0.0001, later=timedelta(days=9)))
    other = _moved(reply, 0.0, later=timedelta(days=9))
    bars = other.bars.copy()
    bars.iloc[7] *= 1.01
    _settle(world, replace(other, bars=bars, provider="another"))
    pd.testing.assert_frame_equal(world.store.read(AAPL), before)
    assert world.store.restatements(AAPL) == []


def test_a_reply_that_would_restate_much_restates_nothing_and_is_kept_apart(
    world: World, reply: Reply
) -> None:
    _settle(world, reply)
    before = world.store.read(AAPL)
    other = _moved(reply, 0.0, later=timedelta(days=9))
    other = replace(other, bars=other.bars.assign(volume=other.bars["volume"] * 0.9))
    _settle(world, other)
    _settle(world, other)
    pd.testing.assert_frame_equal(world.store.read(AAPL), before)
    assert world.store.restatements(AAPL) == []
    (kept,) = world.store.quarantined(AAPL)
    assert (kept.row.reason, kept.row.times) == ("at_odds", 2)
    pd.testing.assert_frame_equal(kept.bars, other.bars)


def test_a_reply_that_arrived_before_what_is_stored_restates_nothing(
    world: World, reply: Reply
) -> None:
    _settle(world, reply)
    old = _with_volume(reply, 0.8)
    _settle(world, _with_volume(_moved(reply, 0.0, later=timedelta(days=9)), 0.7))
    _settle(world, replace(old, fetched_at=reply.fetched_at + timedelta(days=1)))
    (told,) = world.store.restatements(AAPL)
    assert told.new[4] == reply.bars["volume"].iloc[7] * 0.7


def test_what_the_gate_doubts_restates_no_final_bar_beside_what_was_asked(
    world: World, reply: Reply
) -> None:
    hole = days("2024-02-05", "2024-02-06")
    _settle(world, replace(reply, bars=reply.bars.drop([day("2024-02-05")])))
    before = world.store.read(AAPL)
    odd = _moved(reply, 0.0, later=timedelta(days=9))
    bars = odd.bars.copy()
    bars.iloc[12] = bars.iloc[12] * [100, 100, 100, 100, 1]
    _settle(world, replace(odd, bars=bars), [hole])
    after = world.store.read(AAPL)
    assert len(after) == len(before) + 1
    pd.testing.assert_frame_equal(after.loc[before.index], before)


def test_an_emptier_reply_takes_nothing_away(world: World, reply: Reply) -> None:
    _settle(world, reply)
    before = world.store.read(AAPL)
    idle = replace(_moved(reply, 1.0, later=timedelta(minutes=1)))
    _settle(world, replace(idle, bars=idle.bars.assign(volume=0.0)))
    pd.testing.assert_frame_equal(world.store.read(AAPL), before)


def test_a_shrunken_reply_takes_nothing_away(world: World, reply: Reply) -> None:
    _settle(world, reply)
    before = world.store.read(AAPL)
    world.clock.advance(timedelta(minutes=1))
    _settle(world, replace(reply, bars=reply.bars.iloc[:3], fetched_at=world.clock.wall_now()))
    pd.testing.assert_frame_equal(world.store.read(AAPL), before)
    assert not world.store.coverage([AAPL])[AAPL].holes()


def test_an_empty_reply_makes_holes_of_what_was_expected(world: World, reply: Reply) -> None:
    stored = _settle(world, replace(reply, bars=reply.bars.iloc[:0]))
    assert stored.rows_new == 0
    assert sum(one.within.length.days for one in stored.coverage.holes()) == 29
    assert world.store.read(AAPL).empty


def test_dropped_rows_are_recorded_with_their_rule(reply: Reply) -> None:
    bars = reply.bars.copy()
    bars.loc[bars.index[3], "high"] = 0.5
    settled = to_raw(replace(reply, bars=bars), ())
    assert [(one.ts, one.rule) for one in settled.dropped] == [(bars.index[3], "low_high")]
    assert len(settled.bars) == len(bars) - 1


def test_doubted_rows_are_dropped_with_their_rule_each_once(reply: Reply) -> None:
    bars = reply.bars.copy()
    bars.loc[bars.index[3], "high"] = 0.5
    labels = [one.to_pydatetime() for one in bars.index]
    one = replace(reply, bars=bars, doubted=(BadRow(labels[3], "unit"),))
    settled = to_raw(one, ())
    assert [(row.ts, row.rule) for row in settled.dropped] == [(labels[3], "low_high")]
    other = replace(reply, doubted=(BadRow(labels[5], "unit"),))
    settled = to_raw(other, ())
    assert [(row.ts, row.rule) for row in settled.dropped] == [(labels[5], "unit")]
    assert list(settled.bars.index) == [ts for ts in reply.bars.index if ts != labels[5]]
    both = tuple(BadRow(ts, "unit") for ts in labels[5:7])
    with pytest.raises(MalformedReply, match=r"2 of 20 rows .* \(first unit at 2024-02-08"):
        to_raw(replace(reply, doubted=both), ())


def test_two_bad_rows_of_twenty_refuse_the_reply(world: World, reply: Reply) -> None:
    bars = reply.bars.copy()
    bars.loc[bars.index[3:5], "high"] = 0.5
    with pytest.raises(MalformedReply, match="2 of 20 rows from truth break a hard rule"):
        _settle(world, replace(reply, bars=bars))
    assert world.store.read(AAPL).empty


def test_a_split_is_in_effect_from_the_open_of_its_first_session(reply: Reply) -> None:
    opening = FRIDAY_CLOSE - timedelta(hours=6, minutes=30)
    before, at = (replace(reply, market_at=opening - one) for one in (timedelta(1), timedelta(0)))
    assert splits_in_effect(before, [SPLIT]) == []
    assert splits_in_effect(at, [SPLIT]) == [SPLIT]


def test_raw_replies_stay_as_they_are(reply: Reply) -> None:
    raw = replace(reply, basis=Basis.RAW)
    pd.testing.assert_frame_equal(to_raw(raw, [SPLIT]).bars, raw.bars)


def test_a_reply_for_actions_keeps_them_and_no_bars(world: World, reply: Reply) -> None:
    actions_only(world.store, replace(reply, actions=(SPLIT,)), Listing())
    known = world.catalog.known_actions([AAPL.instrument])[AAPL.instrument]
    assert known.actions == (SPLIT,)
    assert known.covered[0].start == FEBRUARY.start
    assert world.store.read(AAPL).empty
    assert not world.store.coverage([AAPL])[AAPL].spans


def test_holes_are_judged_again_when_another_writer_filled_them_meanwhile(
    world: World, reply: Reply
) -> None:
    empty = replace(reply, bars=reply.bars.iloc[:0])
    commit = world.store.commit
    filled: list[Committed] = []

    class Raced(BarStore):
        def commit(self, write: Write, *, expected_version: int | None) -> Committed:
            if not filled:
                filled.append(_settle(world, reply))
            return commit(write, expected_version=expected_version)

    raced = Raced(world.home.engine, world.home.bars, world.clock)
    stored = settle(raced, empty, [FEBRUARY], (), listing=Listing())
    assert not stored.coverage.holes()
    assert len(world.store.read(AAPL)) == 20


def test_what_the_provider_says_an_instrument_is_comes_with_the_bars(
    world: World, reply: Reply
) -> None:
    known = []
    for told in (None, AssetClass.ETF, AssetClass.CRYPTO):
        _settle(world, replace(reply, asset_class=told))
        known.append(world.catalog.facts([AAPL.instrument])[AAPL.instrument].asset_class)
    assert known == [AssetClass.EQUITY, AssetClass.ETF, AssetClass.ETF]


def test_a_reply_for_actions_alone_tells_the_class_too(world: World, reply: Reply) -> None:
    actions_only(world.store, replace(reply, asset_class=AssetClass.ETF), Listing())
    assert world.catalog.classes() == {AAPL.instrument: AssetClass.ETF}
