"""Replies that disagree with what is stored, from the provider to quarantine, and judging them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from typing import ClassVar

import pandas as pd
import pytest

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.bars import PRICES
from marketdata_pipeline.domain.coverage import SpanKind
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.quarantine import (
    ANSWERED_SINCE,
    Decision,
    Kept,
    QuarantineStatus,
)
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.reply import Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import QuarantinedReply, SplitContradicted
from marketdata_pipeline.ingest.release import release
from marketdata_pipeline.store.quarantine import Quarantine
from marketdata_pipeline.store.verify import Verifier
from marketdata_pipeline.store.write import State
from marketdata_pipeline_tests.ingest.world import (
    USUAL,
    TruthProvider,
    World,
    day,
    days,
    walk,
)

AAPL = Series.parse("AAPL|1d")
WEEKLY = Series.parse("AAPL|1wk")
KNOWN = days("2023-10-02", "2024-03-09")
WHOLE = days("2023-10-02", "2024-03-16")
NEWEST = days("2024-03-04", "2024-03-16")
Spoil = Callable[[Reply], Reply]


@dataclass
class Spoiling(TruthProvider):
    """Serves the truth, changed by ``spoil``."""

    spoil: Spoil = staticmethod(lambda reply: reply)  # noqa: RUF009 - a function

    def fetch(self, series: Series, window: TimeRange, errand: Errand = USUAL) -> Reply:
        return self.spoil(super().fetch(series, window, errand))


class Other(TruthProvider):
    """The next provider."""

    name: ClassVar[str] = "other"


def times(factor: float) -> Spoil:
    def spoil(reply: Reply) -> Reply:
        return replace(reply, bars=scaled(reply.bars, factor))

    return spoil


def scaled(bars: pd.DataFrame, factor: float) -> pd.DataFrame:
    return bars.assign(**{name: (bars[name] * factor).round(2) for name in PRICES})


def in_pounds(reply: Reply) -> Reply:
    return replace(reply, currency="GBP")


@pytest.fixture
def provider(world: World) -> Spoiling:
    """Three months are stored; a week is still to come, and what it overlaps."""
    made = Spoiling({AAPL: walk(AAPL, WHOLE)}, world.clock, first_trade=date(2023, 10, 2))
    world.provider = made
    assert world.updater.update(AAPL, KNOWN).error is None
    return made


def asked_again(world: World) -> None:
    """So that the next reply overlaps what is stored."""
    spans = world.store.coverage([AAPL])[AAPL].spans
    over = [replace(one, kind=SpanKind.PROVISIONAL, recheck_at=day("2024-03-10")) for one in spans]
    world.store.cover(AAPL, [replace(over[0], within=days("2024-03-04", "2024-03-09"))])


def held(world: World, *, decided: bool = False) -> list[Kept]:
    """What is in quarantine, with its bars."""
    quarantine = Quarantine(world.home.engine, world.clock)
    found = [quarantine.get(one.id) for one in quarantine.rows(decided=decided)]
    return [one for one in found if one is not None]


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(left, right, check_exact=True, check_freq=False)


def sound(world: World) -> None:
    """The store agrees with itself."""
    assert Verifier(world.home.engine, world.home.bars, world.clock).faults(AAPL) == []


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(times(100.0), "level_shift"), (in_pounds, "currency")],
    ids=["pence", "pounds"],
)
def test_a_reply_that_is_doubted_as_a_whole_changes_nothing_and_is_kept(
    world: World, provider: Spoiling, spoil: Spoil, reason: str
) -> None:
    before = world.store.read_with_fetches(AAPL)
    facts = world.catalog.facts([AAPL.instrument])
    asked_again(world)
    provider.spoil = spoil
    outcome = world.updater.update(AAPL, WHOLE)
    assert isinstance(outcome.error, QuarantinedReply)
    assert outcome.error.category == "quarantined"
    assert (outcome.rows, outcome.rows_new, outcome.written) == (len(before), 0, None)
    same(world.store.read_with_fetches(AAPL), before)
    assert world.catalog.facts([AAPL.instrument]) == facts
    (kept,) = held(world)
    assert (kept.row.reason, kept.row.times, kept.row.provider) == (reason, 1, "truth")
    assert kept.row.detail in str(outcome.error)
    expected = walk(AAPL, WHOLE).loc["2024-03-04" if reason == "level_shift" else "2024-03-11" :]
    same(kept.bars, scaled(expected, 100.0 if reason == "level_shift" else 1.0))
    holes = world.store.coverage([AAPL])[AAPL].holes()
    assert [one.within for one in holes] == [days("2024-03-11", "2024-03-16")]
    sound(world)


def test_the_next_provider_is_asked_at_once(world: World, provider: Spoiling) -> None:
    asked_again(world)
    provider.spoil = times(100.0)
    other = Other(provider.truth, world.clock, first_trade=provider.first_trade)
    outcome = world.updater_over(provider, other).update(AAPL, WHOLE)
    assert outcome.error is None
    assert (len(provider.asked), len(other.asked)) == (2, 1)
    same(world.store.read(AAPL), provider.truth[AAPL])
    assert world.store.coverage([AAPL])[AAPL].holes() == []
    (kept,) = held(world, decided=True)
    assert (kept.row.status, kept.row.decided_why) == (QuarantineStatus.DROPPED, ANSWERED_SINCE)
    sound(world)


def test_the_same_again_is_counted_and_asked_for_ever_more_rarely(
    world: World, provider: Spoiling
) -> None:
    asked_again(world)
    provider.spoil = times(100.0)
    assert isinstance(world.updater.update(AAPL, WHOLE).error, QuarantinedReply)
    requests = len(provider.asked)
    assert world.updater.update(AAPL, WHOLE).error is None, "nothing is due"
    for hours in (1, 6, 24):
        assert len(provider.asked) == requests
        world.clock.advance(timedelta(hours=hours, minutes=1))
        assert isinstance(world.updater.update(AAPL, WHOLE).error, QuarantinedReply)
        requests += 1
    (kept,) = held(world)
    assert kept.row.times == 4
    provider.spoil = lambda reply: reply
    world.clock.advance(timedelta(days=3, minutes=1))
    assert world.updater.update(AAPL, WHOLE).error is None
    same(world.store.read(AAPL), provider.truth[AAPL])
    (kept,) = held(world, decided=True)
    assert (kept.row.status, kept.row.decided_why) == (QuarantineStatus.DROPPED, ANSWERED_SINCE)
    sound(world)


def test_released_bars_are_stored_as_they_were_held_and_pass_from_then_on(
    world: World, provider: Spoiling
) -> None:
    world.updater.update(WEEKLY, KNOWN)
    asked_again(world)
    provider.spoil = times(100.0)
    world.updater.update(AAPL, WHOLE)
    (kept,) = held(world)
    before = world.store.read(AAPL)
    world.clock.advance(timedelta(days=30))
    committed = release(world.store, kept, "the units were changed", world.clock.market_now())
    assert committed.rows_new == 5
    stored = world.store.read_with_fetches(AAPL)
    same(stored.loc[kept.bars.index, kept.bars.columns], kept.bars)
    same(stored.loc[:"2024-03-01", kept.bars.columns], before.loc[:"2024-03-01"])
    assert set(stored.loc[kept.bars.index, "state"]) == {State.FINAL}
    assert committed.coverage.holes() == []
    (told,) = held(world, decided=True)
    assert (told.row.status, told.row.decided_why) == (
        QuarantineStatus.RELEASED,
        "the units were changed",
    )
    journal = world.store.restatements(AAPL)
    finals = [one for one in journal if "the units were changed" in one.reason]
    assert len(finals) == len(journal) <= 5
    sound(world)
    before = world.store.read(AAPL)
    outcome = world.updater.update(WEEKLY, WHOLE)
    assert outcome.error is None
    week = world.store.read(WEEKLY)["close"].to_numpy()[-1]
    assert week == before["close"].to_numpy()[-6] == kept.bars["close"].to_numpy()[4], "it follows"
    asked_again(world)
    assert world.updater.update(AAPL, WHOLE).error is None
    same(world.store.read(AAPL), before)
    assert len(held(world, decided=True)) == 1


def test_dropped_bars_stay_out_without_a_question(world: World, provider: Spoiling) -> None:
    asked_again(world)
    before = world.store.read(AAPL)
    provider.spoil = times(100.0)
    world.updater.update(AAPL, WHOLE)
    (kept,) = held(world)
    decision = Decision(kept.row.id, QuarantineStatus.DROPPED, "pence")
    assert Quarantine(world.home.engine, world.clock).decide(decision)
    world.clock.advance(timedelta(hours=1, minutes=1))
    assert world.updater.update(AAPL, WHOLE).error is None
    assert len(provider.asked) == 3
    same(world.store.read(AAPL), before)
    (told,) = held(world, decided=True)
    assert (told.row.status, told.row.times) == (QuarantineStatus.DROPPED, 2)
    holes = world.store.coverage([AAPL])[AAPL].holes()
    assert [(one.within, one.tries) for one in holes] == [(days("2024-03-11", "2024-03-16"), 1)]
    sound(world)


def test_a_payment_that_cannot_be_is_kept_apart_and_the_bars_are_stored(
    world: World, provider: Spoiling
) -> None:
    paid = Action(date(2024, 3, 12), ActionKind.DIVIDEND, Fraction(500))
    provider.actions = (paid,)
    assert world.updater.update(AAPL, WHOLE).error is None
    same(world.store.read(AAPL), provider.truth[AAPL])
    known = world.catalog.known_actions([AAPL.instrument])[AAPL.instrument].actions
    assert known == ()
    (kept,) = held(world)
    assert (kept.row.reason, kept.row.rows) == ("impossible_dividend", 0)
    assert kept.row.actions == (paid,)
    release(world.store, kept, "a liquidation", world.clock.market_now())
    known = world.catalog.known_actions([AAPL.instrument])[AAPL.instrument].actions
    assert known == (paid,)
    same(world.store.read(AAPL), provider.truth[AAPL])
    sound(world)


def test_a_contradicted_split_is_kept_apart_once_stored_bars_were_asked_again(
    world: World,
) -> None:
    split = Action(date(2024, 2, 15), ActionKind.SPLIT, Fraction(4))
    truth = walk(AAPL, days("2023-10-02", "2024-03-16"), split)
    provider = Spoiling({AAPL: truth}, world.clock, (split,), date(2023, 10, 2))
    world.provider = provider
    world.updater.update(AAPL, days("2024-01-02", "2024-03-16"))
    before = world.store.read_with_fetches(AAPL)
    provider.unsplit = True
    other = Other({AAPL: truth}, world.clock, (split,), provider.first_trade)
    outcome = world.updater.update(AAPL)
    assert isinstance(outcome.error, SplitContradicted)
    assert len(provider.asked) == 3, "the second time with what is stored"
    same(world.store.read_with_fetches(AAPL), before)
    (kept,) = held(world)
    assert (kept.row.reason, kept.row.evidence["ratio"]) == ("split_contradicted", "4")
    assert kept.bars.index[0] == day("2023-10-02")
    sound(world)
    world.clock.advance(timedelta(hours=2))
    assert world.updater_over(provider, other).update(AAPL).error is None
    same(world.store.read(AAPL), truth)
    sound(world)
