"""What a person released is stored as it was held, in the place of what is there, and once."""

from datetime import timedelta

import pandas as pd
import pytest

from marketdata_pipeline.domain.bars import COLUMNS, PRICES
from marketdata_pipeline.domain.coverage import Span, SpanKind
from marketdata_pipeline.domain.quarantine import Kept, QuarantineStatus, Suspect
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.verdict import Finding
from marketdata_pipeline.ingest.release import release
from marketdata_pipeline.ingest.settle import Listing, settle
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.quarantine import Quarantine
from marketdata_pipeline.store.verify import Verifier
from marketdata_pipeline.store.write import Apart, Committed, Fetch, FetchKind, State, Write
from marketdata_pipeline_tests.ingest.world import FRIDAY_CLOSE, World, day, days, walk

DAILY, HOURLY = Series.parse("AAPL|1d"), Series.parse("AAPL|1h")
MONTH = days("2024-02-12", "2024-03-16")


def filled(world: World, series: Series, *lacking: str) -> pd.DataFrame:
    """A month of bars but for some sessions, which are holes; all that was traded."""
    truth = walk(series, MONTH)
    world.provider.truth = {series: truth}
    index = pd.DatetimeIndex(truth.index)
    gone = index.normalize().isin([day(one) for one in lacking])
    world.provider.lacking = set(index[gone].to_pydatetime())
    settle(world.store, world.provider.fetch(series, MONTH), [MONTH], (), Listing())
    return truth


def hold(world: World, bars: pd.DataFrame, series: Series) -> Kept:
    """Bars in quarantine, as a reply of three hours ago brought them."""
    window = TimeRange(bars.index[0].to_pydatetime(), MONTH.end)
    at = FRIDAY_CLOSE - timedelta(hours=3)
    fetch = Fetch(
        kind=FetchKind.REPLY,
        provider="other",
        origin="simulator:recorded",
        window=window,
        basis=world.provider.fetch(series, window).basis,
        currency="USD",
        market_at=at,
        fetched_at=at,
        requests=1,
    )
    suspect = Suspect(Finding("level_shift", window, "odd"), bars, (), "USD")
    world.store.commit(Write(series, fetch, apart=Apart((suspect,))), expected_version=None)
    kept = world.store.quarantined(series)[-1]
    assert kept.held
    return kept


def released(world: World, kept: Kept, why: str = "it was so") -> Committed:
    return release(world.store, kept, why, world.clock.market_now())


def sound(world: World, series: Series) -> None:
    assert Verifier(world.home.engine, world.home.bars, world.clock).faults(series) == []


def doubled(bars: pd.DataFrame) -> pd.DataFrame:
    return bars.assign(**{name: bars[name] * 2 for name in PRICES})


@pytest.mark.parametrize("series", [DAILY, HOURLY], ids=str)
def test_the_holes_that_released_bars_fill_are_closed_and_others_are_not(
    world: World, series: Series
) -> None:
    truth = filled(world, series, "2024-02-15", "2024-02-16", "2024-02-20", "2024-02-28")
    lost = truth.loc["2024-02-15":"2024-02-20"]
    done = released(world, hold(world, lost, series))
    assert done.rows_new == len(lost)
    pd.testing.assert_frame_equal(
        world.store.read(series), truth.drop(truth.loc["2024-02-28":"2024-02-28"].index)
    )
    (hole,) = done.coverage.holes()
    assert hole.within.start.date() == day("2024-02-28").date()
    found = world.store.read_with_fetches(series).loc[lost.index]
    assert set(found["state"]) == {State.FINAL}
    (source,) = set(found["fetch_id"])
    assert source == done.fetch_id
    assert (done.fetch.provider, done.fetch.requests) == ("other", 0)
    sound(world, series)


def test_final_bars_are_changed_through_the_journal_with_the_words_of_whoever_judged(
    world: World,
) -> None:
    truth = filled(world, DAILY)
    news = doubled(truth.loc["2024-03-06":"2024-03-15"])
    released(world, hold(world, news, DAILY), "two for one, undone")
    stored = world.store.read_with_fetches(DAILY)
    pd.testing.assert_frame_equal(stored.loc[news.index, list(COLUMNS)], news)
    journal = world.store.restatements(DAILY)
    assert [one.ts for one in journal] == list(truth.loc["2024-03-06":"2024-03-12"].index)
    assert {one.reason for one in journal} == {"released from quarantine: two for one, undone"}
    assert journal[0].old == tuple(truth.loc["2024-03-06"])
    states = stored.loc["2024-03-12":, "state"].tolist()
    assert states == [State.FINAL, *[State.PROVISIONAL] * 3], "what is not settled stays so"
    sound(world, DAILY)


def test_released_twice_is_stored_once(world: World) -> None:
    truth = filled(world, DAILY, "2024-02-15")
    kept = hold(world, doubled(truth.loc["2024-02-15":"2024-02-20"]), DAILY)
    released(world, kept)
    before = world.store.read_with_fetches(DAILY)
    again = released(world, kept)
    assert not again.brought
    pd.testing.assert_frame_equal(world.store.read_with_fetches(DAILY), before)
    assert len(world.store.restatements(DAILY)) == 2
    (row,) = Quarantine(world.home.engine, world.clock).rows(decided=True)
    assert (row.status, row.decided_why) == (QuarantineStatus.RELEASED, "it was so")
    sound(world, DAILY)


def test_another_writer_comes_first_and_what_is_released_wins(world: World) -> None:
    truth = filled(world, DAILY, "2024-03-14")
    kept = hold(world, doubled(truth.loc["2024-03-14":"2024-03-14"]), DAILY)

    class Raced(BarStore):
        first = True

        def commit(self, write: Write, *, expected_version: int | None) -> Committed:
            if Raced.first:
                Raced.first = False
                world.provider.lacking = set()
                world.clock.advance(timedelta(seconds=1))
                reply = world.provider.fetch(DAILY, MONTH)
                settle(world.store, reply, [MONTH], (), Listing())
            return super().commit(write, expected_version=expected_version)

    raced = Raced(world.home.engine, world.home.bars, world.clock)
    release(raced, kept, "it was so", world.clock.market_now())
    stored = world.store.read(DAILY)
    pd.testing.assert_frame_equal(stored.loc[kept.bars.index], kept.bars)
    pd.testing.assert_frame_equal(stored.drop(kept.bars.index), truth.drop(kept.bars.index))
    sound(world, DAILY)


def test_what_was_never_asked_is_answered_where_bars_are_released(world: World) -> None:
    truth = filled(world, DAILY)
    early = walk(DAILY, days("2024-01-02", "2024-01-06"))
    done = released(world, hold(world, early, DAILY))
    first = done.coverage.spans[0]
    assert first == Span(days("2024-01-02", "2024-01-06"), SpanKind.ANSWERED)
    assert len(world.store.read(DAILY)) == len(truth) + len(early)
    sound(world, DAILY)
