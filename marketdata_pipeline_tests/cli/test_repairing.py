"""`repair`: holes are asked for now; a dry run says what that would send and changes nothing."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.database.metadata import coverage
from marketdata_pipeline.domain.coverage import Coverage, Span, SpanKind
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.ingest.track import track
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.tracking import Tracking
from marketdata_pipeline_tests.cli.stand_in import StandIn
from marketdata_pipeline_tests.cli.terminal import Terminal

ONE, OTHER = Series.parse("AAPL|1d"), Series.parse("AAPL|1h")
FULL = Series.parse("MSFT|1d")
HOLE = TimeRange(datetime(2024, 3, 13, tzinfo=UTC), datetime(2024, 3, 14, tzinfo=UTC))


@pytest.fixture
def store(home: Home) -> BarStore:
    """Two tracked series of which one has an exhausted hole, and one that has none."""
    at = home.clock.market_now()
    tracking = Tracking(home.engine, home.clock)
    for one in (ONE, OTHER, FULL):
        track(tracking, home.clock, [one.instrument], timeframes=[one.timeframe])
    whole = TimeRange(datetime(1900, 1, 1, tzinfo=UTC), at + timedelta(days=10))
    made = BarStore(home.engine, home.bars, home.clock)
    for one in (ONE, OTHER, FULL):
        made.cover(one, [Span(whole, SpanKind.ANSWERED)])
    made.cover(ONE, [Span(HOLE, SpanKind.HOLE, at + timedelta(days=9), 8, at - timedelta(days=99))])
    traded = at - timedelta(days=5)
    quiet = TimeRange(traded, traded + timedelta(days=3))
    made.cover(OTHER, [Span(quiet, SpanKind.NO_TRADE, None, 2, at - timedelta(days=4))])
    return made


def _coverage(store: BarStore) -> Coverage:
    return store.coverage([ONE])[ONE]


def _rows(home: Home) -> list[object]:
    with reading(home.engine) as connection:
        return list(connection.execute(select(coverage).order_by(*coverage.primary_key)))


def test_a_hole_is_due_and_updated_at_once(
    marketdata: Terminal, store: BarStore, stand_in: StandIn
) -> None:
    found = marketdata("repair")
    assert (found.code, found.err) == (0, "")
    (call,) = stand_in.calls()
    assert call["series"] == ["AAPL|1d"]
    (hole,) = _coverage(store).holes()
    assert (hole.tries, hole.recheck_at) == (0, hole.since)  # reopened


def test_of_a_named_instrument_what_had_no_trade_is_asked_for_as_well(
    marketdata: Terminal, store: BarStore, stand_in: StandIn
) -> None:
    assert marketdata("repair", "AAPL", "--from", "2024-01-01").code == 0
    (call,) = stand_in.calls()
    assert (call["series"], call["start"]) == (
        ["AAPL|1h", "AAPL|1d"],
        "2024-01-01T00:00:00+00:00",
    ) or call["series"] == ["AAPL|1d", "AAPL|1h"]
    assert {one.kind for one in store.coverage([OTHER])[OTHER].spans} == {
        SpanKind.ANSWERED,
        SpanKind.HOLE,
    }


def test_only_what_lies_in_the_range_is_asked_for(
    marketdata: Terminal, store: BarStore, stand_in: StandIn
) -> None:
    before = _coverage(store)
    found = marketdata("repair", "--from", "2024-03-01", "--to", "2024-03-13")
    assert found.out == "no hole to ask for; see marketdata gaps\n"
    assert (stand_in.calls(), _coverage(store)) == ([], before)


def test_a_dry_run_says_what_would_be_asked_and_why_and_changes_nothing(
    marketdata: Terminal, store: BarStore, home: Home, stand_in: StandIn
) -> None:
    del store
    before = _rows(home)
    lines = marketdata("repair", "--dry-run").out.splitlines()
    assert lines[1].split() == ["yahoo", "AAPL|1d", str(HOLE), str(HOLE), "exhausted"]
    assert lines[2] == "requests: 1 of yahoo; nothing was sent or written"
    told = json.loads(marketdata("repair", "--dry-run", "--json").out)
    assert told["requests_by_provider"] == {"yahoo": 1}
    (request,) = told["requests"]
    assert (request["series"], request["start"]) == ("AAPL|1d", "2024-03-13T00:00:00+00:00")
    assert (_rows(home), stand_in.calls()) == (before, [])


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("--json",), "--json needs --dry-run"),
        (("--to", "2024-01-01"), "--to needs --from"),
        (("A|B",), "A|B"),
        (("NOPE", "--dry-run"), "not kept here: NOPE; run: marketdata track NOPE"),
        (("NOPE",), "not kept here: NOPE"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    marketdata: Terminal, typed: tuple[str, ...], said: str
) -> None:
    found = marketdata("repair", *typed)
    assert found.code == 2
    assert said in found.err
    assert marketdata("repair", "--dry-run").out == "requests: none; nothing was sent or written\n"


def test_the_grid_of_timeframes_can_be_named(
    marketdata: Terminal, store: BarStore, stand_in: StandIn
) -> None:
    del store
    assert marketdata("repair", "-t", str(Timeframe.H1)).out.startswith("no hole to ask for")
    assert stand_in.calls() == []
