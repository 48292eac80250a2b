"""The scorecard: worst first, freshness as it is now, rules that are off left out."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.instrument import AssetClass, Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.thresholds import Thresholds
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.reading.quality import read_reports, read_scorecard
from marketdata_pipeline.reading.scorecard_page import Told, render_scorecard
from marketdata_pipeline.reading.worst import pictured
from marketdata_pipeline.store.tracking import Tracked
from marketdata_pipeline_tests.ingest.world import World
from marketdata_pipeline_tests.reading.homes import stocked

AAPL, BITCOIN = Series.parse("AAPL|1d"), Series.parse("BTC-USD|1d")
BAD = Verdict(passed=False, score=0.25, detail="odd <b>bars</b>")


def at(world: World) -> Home:
    """The world's home with the clock of the test."""
    return replace(world.home, clock=world.clock)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = stocked(
        tmp_path, f"sqlite:///{tmp_path / 'home' / 'catalog.sqlite'}", "AAPL|1d", "BTC-USD|1d"
    )
    yield made
    made.home.engine.dispose()


def test_the_worst_comes_first_and_what_was_never_judged_last(world: World) -> None:
    world.tracking.put(Tracked(Instrument.parse("MSFT"), (Timeframe.D1,)))
    world.verdicts.put(BITCOIN, {"spikes": BAD})
    card = read_scorecard(at(world), Thresholds())
    assert [str(one.series) for one in card.graded] == ["BTC-USD|1d", "AAPL|1d", "MSFT|1d"]
    worst, good, never = card.graded
    assert (worst.failing, worst.is_valid, worst.asset_class) == (
        ["spikes"], False, AssetClass.CRYPTO,
    )  # fmt: skip
    assert (good.is_valid, good.score) == (True, 1.0)
    assert (never.score, never.is_valid, never.verdicts) == (None, False, {})
    assert (card.valid, len(card.judged), sum(card.spread)) == (1, 2, 2)
    assert card.scores[0] < card.mean < 1
    assert card.rules()["spikes"].worst == ((BITCOIN, BAD),)


def test_freshness_of_what_is_tracked_is_that_of_now(world: World) -> None:
    world.tracking.put(Tracked(AAPL.instrument, (Timeframe.D1,)))
    world.clock.advance(timedelta(days=30))
    (card,) = read_scorecard(at(world), Thresholds(), [AAPL.instrument]).graded
    assert card.failing == ["freshness"]
    (untracked,) = read_scorecard(at(world), Thresholds(), [BITCOIN.instrument]).graded
    assert untracked.is_valid


def test_weights_and_switches_count(world: World) -> None:
    world.verdicts.put(BITCOIN, {"spikes": BAD})
    heavy = Thresholds(weights={"spikes": 100})
    (one,) = read_scorecard(at(world), heavy, [BITCOIN.instrument]).graded
    assert one.score is not None
    assert one.score < 0.5
    off = Thresholds(off=frozenset({"spikes"}))
    (one,) = read_scorecard(at(world), off, [BITCOIN.instrument]).graded
    assert (one.score, "spikes" in one.verdicts) == (1.0, False)


def test_what_is_not_kept_is_refused(world: World) -> None:
    with pytest.raises(BadInput, match="not kept here: IBM"):
        read_scorecard(at(world), Thresholds(), [Instrument.parse("IBM")])
    assert read_scorecard(at(world), Thresholds(), timeframes=[Timeframe.H1]).graded == ()


def test_completeness_is_told_by_class_and_timeframe(world: World) -> None:
    found = read_scorecard(at(world), Thresholds()).completeness()
    assert found == {
        (AssetClass.EQUITY, Timeframe.D1): (1.0, 1),
        (AssetClass.CRYPTO, Timeframe.D1): (1.0, 1),
    }


def test_the_page_shows_the_worst_and_takes_no_text_for_markup(world: World) -> None:
    world.verdicts.put(BITCOIN, {"spikes": BAD})
    card = read_scorecard(at(world), Thresholds())
    told = Told("a home <here>", world.clock.wall_now())
    page = render_scorecard(card, pictured(at(world), card), told)
    assert "odd &lt;b&gt;bars&lt;/b&gt;" in page
    assert "a home &lt;here&gt;" in page
    assert page.count("<article>") == 1
    assert "BTC-USD|1d, as traded: 90 bars" in page
    assert '<td class="full"' in page


def test_a_page_of_sound_series_says_so(world: World) -> None:
    card = read_scorecard(at(world), Thresholds())
    page = render_scorecard(card, pictured(at(world), card), Told("home", world.clock.wall_now()))
    assert "Every series is valid." in page


def test_reports_are_read_for_many_at_once(world: World) -> None:
    found = read_reports(at(world), [AAPL, BITCOIN])
    assert set(found) == {AAPL, BITCOIN}
    assert all(one.is_valid for one in found.values())
