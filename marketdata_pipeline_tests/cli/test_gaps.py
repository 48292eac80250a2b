"""`gaps`: incidents on top, a line a state, a line a gap; and the same as JSON."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.coverage import Span, SpanKind
from marketdata_pipeline.domain.incident import joined, opened, told
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.ingest.track import track
from marketdata_pipeline.store import incidents
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.tracking import Tracking
from marketdata_pipeline_tests.cli.terminal import Terminal

ONE = Series.parse("AAPL|1d")
HOLE = TimeRange(datetime(2024, 3, 13, tzinfo=UTC), datetime(2024, 3, 14, tzinfo=UTC))


@pytest.fixture
def now(home: Home) -> datetime:
    """A home with a hole that was asked for four times; all else was answered."""
    at = home.clock.market_now()
    track(
        Tracking(home.engine, home.clock), home.clock, [ONE.instrument], timeframes=[Timeframe.D1]
    )
    whole = TimeRange(datetime(1900, 1, 1, tzinfo=UTC), at + timedelta(days=10))
    hole = Span(HOLE, SpanKind.HOLE, at + timedelta(days=2), 4, at - timedelta(days=9))
    store = BarStore(home.engine, home.bars, home.clock)
    store.cover(ONE, [Span(whole, SpanKind.ANSWERED)])
    store.cover(ONE, [hole])
    return at


@pytest.mark.usefixtures("home")
def test_a_home_without_anything_has_no_gap(marketdata: Terminal) -> None:
    assert marketdata("gaps").out == "no gap in 0 series\n"


def test_a_gap_is_told_with_all_that_is_known_of_it(marketdata: Terminal, now: datetime) -> None:
    lines = [one.split() for one in marketdata("gaps").out.splitlines()]
    assert lines[0] == ["state", "series", "gaps", "bars"]
    assert lines[1] == ["provider_hole", "1", "1", "1"]
    assert lines[3][:4] == ["AAPL|1d", "2024-03-13..2024-03-14", "1", "provider_hole"]
    assert lines[3][4:7] == [*f"{now - timedelta(days=9):%Y-%m-%d %H:%M}".split(), "4"]
    unknown = marketdata("gaps", "MSFT")
    assert unknown.code == 2
    assert unknown.sentence() == "not kept here: MSFT; run: marketdata track MSFT"
    assert marketdata("gaps", "--state", "new").out == "no gap in 1 series\n"
    assert marketdata("gaps", "-t", "1wk").out == "no gap in 0 series\n"


def test_the_same_as_json(marketdata: Terminal, now: datetime) -> None:
    found = json.loads(marketdata("gaps", "aapl", "--json").out)
    assert found["states"] == {"provider_hole": {"series": 1, "gaps": 1, "bars": 1}}
    (gap,) = found["gaps"]
    assert (gap["series"], gap["state"], gap["tries"]) == ("AAPL|1d", "provider_hole", 4)
    assert gap["start"] == "2024-03-13T00:00:00+00:00"
    assert gap["next_try"] == (now + timedelta(days=2)).isoformat()


@pytest.mark.usefixtures("now")
def test_an_incident_stands_on_top(marketdata: Terminal, home: Home) -> None:
    at = home.clock.market_now()
    made = joined(opened("XNYS", at), HOLE.start.date(), [Timeframe.D1])
    made = replace(made, expected=7)
    made = replace(made, detail=told(made))
    retry.write(home.engine, home.clock, lambda connection: incidents.put(connection, made))
    first = marketdata("gaps").out.splitlines()[0]
    assert first.startswith("incident 1  question, open: was XNYS closed on 2024-03-13? none of 7")
    assert json.loads(marketdata("gaps", "--json").out)["incidents"][0]["sessions"] == [
        "2024-03-13"
    ]


@pytest.mark.usefixtures("home")
def test_a_word_that_is_no_state_is_refused(marketdata: Terminal) -> None:
    found = marketdata("gaps", "--state", "lost")
    assert found.code == 2
    assert "'lost' is no state of a gap; give some of never_asked, new, retryable" in found.err
