"""Splits that come after the bars, and those that were none."""

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.action_change import ChangeReason
from marketdata_pipeline.domain.actions import Action, ActionKind, Adjust
from marketdata_pipeline.domain.bars import labels_of
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.ingest.settle import Listing, actions_only
from marketdata_pipeline.reading.data import DataManager
from marketdata_pipeline.store.actions import ActionJournal
from marketdata_pipeline_tests.ingest.world import World, day, days, walk

AAPL = Series.parse("AAPL|1d")
YEAR = days("2023-03-15", "2024-03-19")
PAID = Action(date(2023, 8, 11), ActionKind.DIVIDEND, Fraction(24, 100))
TEN = Action(date(2024, 3, 18), ActionKind.SPLIT, Fraction(10))
PHANTOM = Action(date(2023, 11, 1), ActionKind.SPLIT, Fraction(4))


def _close(world: World, adjust: Adjust) -> pd.Series:
    reader = DataManager(
        world.store, world.catalog, world.tracking, world.updater.judge.verdicts, world.clock
    )
    return reader.bars(AAPL, adjust=adjust)["close"]


def test_a_split_announced_after_ingest_is_taken_out_on_read_without_a_refetch(
    world: World,
) -> None:
    world.provider.actions = (PAID,)
    truth = walk(AAPL, YEAR, TEN)
    world.provider.truth = {AAPL: truth}
    world.provider.first_trade = YEAR.start.date()
    world.updater.update(AAPL)
    before, asked = _close(world, Adjust.NONE), len(world.provider.asked)
    world.provider.actions = (PAID, TEN)
    world.clock.advance(timedelta(days=3))  # the first session after it
    world.updater.update(AAPL)
    settling = day("2024-03-13")
    assert [window.start for _, window in world.provider.asked[asked:]] == [settling]
    pd.testing.assert_series_equal(_close(world, Adjust.NONE)[: len(before)], before)
    raw = truth["close"].to_numpy()
    dates = labels_of(truth).astype("datetime64[us]").astype("datetime64[D]")
    paid_on = np.searchsorted(dates, np.datetime64(PAID.ex_date))
    told_by_provider = raw / np.where(dates < np.datetime64(TEN.ex_date), 10.0, 1.0)
    told_by_provider[:paid_on] *= 1 - float(PAID.value) / raw[paid_on - 1]
    np.testing.assert_allclose(_close(world, Adjust.ALL), told_by_provider, rtol=1e-4)


def test_a_split_that_was_none_is_forgotten_with_a_line_in_the_journal(world: World) -> None:
    """Its provider lists it no more, and the prices never fell."""
    world.provider.actions = (PAID,)
    truth = walk(AAPL, YEAR)
    world.provider.truth = {AAPL: truth}
    world.provider.lacking = {day("2023-10-31"), day("2023-11-01")}
    world.updater.update(AAPL)
    _hear_of(world, PHANTOM)
    world.provider.lacking = set()
    world.clock.advance(timedelta(hours=2))
    outcome = world.updater.update(AAPL)
    assert outcome.error is None
    pd.testing.assert_series_equal(_close(world, Adjust.SPLITS), truth["close"][:-1])
    late, gone = (one.change for one in ActionJournal(world.home.engine).of(AAPL.instrument))
    assert (late.reason, late.new) == (ChangeReason.LATE, PHANTOM)
    assert (gone.reason, gone.old, gone.new) == (ChangeReason.CONTRADICTED, PHANTOM, None)


def test_a_split_that_is_still_listed_is_believed_and_the_reply_refused(world: World) -> None:
    world.provider.truth = {AAPL: walk(AAPL, YEAR)}
    world.provider.lacking = {day("2023-10-31"), day("2023-11-01")}
    world.updater.update(AAPL)
    world.provider.actions = (PHANTOM,)
    world.provider.unsplit = True
    world.provider.lacking = set()
    world.clock.advance(timedelta(hours=2))
    outcome = world.updater.update(AAPL)
    assert outcome.error is not None
    assert outcome.error.category == "split_contradicted"
    assert ActionJournal(world.home.engine).of(AAPL.instrument) == []


def _hear_of(world: World, split: Action) -> None:
    """An earlier reply listed it."""
    world.provider.actions = (*world.provider.actions, split)
    told = world.provider.fetch(AAPL, days("2023-10-30", "2023-11-03"))
    actions_only(world.store, told, Listing())
    world.provider.actions = world.provider.actions[:-1]


def test_an_impossible_payment_of_a_list_of_actions_is_kept_apart(world: World) -> None:
    world.provider.truth = {AAPL: walk(AAPL, YEAR)}
    impossible = Action(date(2023, 8, 11), ActionKind.DIVIDEND, Fraction(500))
    told = replace(world.provider.fetch(AAPL, YEAR), actions=(impossible,))
    actions_only(world.store, told, Listing(), told.actions)
    assert world.catalog.known_actions([AAPL.instrument])[AAPL.instrument].actions == ()
    (kept,) = world.store.quarantined(AAPL)
    assert kept.row.actions == (impossible,)
