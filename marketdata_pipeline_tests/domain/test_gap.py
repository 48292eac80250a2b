"""Each missing bar has one reason, and each reason its place in the order."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.coverage import Coverage, Span, SpanKind
from marketdata_pipeline.domain.gap import Facts, GapState, gaps_of, state_of
from marketdata_pipeline.domain.hole import LADDER
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, merge
from marketdata_pipeline.domain.series import Series

DAYS = Series.parse("AAPL|1d")
DAY = timedelta(days=1)
START = datetime(2024, 3, 4, tzinfo=UTC)
NOW = START + 30 * DAY
WANTED = TimeRange(START, START + 26 * DAY)
ONE = TimeRange(START, START + DAY)
USUAL = Facts(NOW, closed_until=WANTED.end)


def hole(tries: int = 0, age: float = 0.5, recheck_in: timedelta = DAY) -> Span:
    return Span(ONE, SpanKind.HOLE, NOW + recheck_in, tries, NOW - age * DAY)


@pytest.mark.parametrize(
    ("span", "facts", "state"),
    [
        (None, USUAL, GapState.NEVER_ASKED),
        (None, replace(USUAL, closed_until=START), GapState.NOT_CLOSED_YET),
        (None, replace(USUAL, closed_until=None), GapState.NOT_CLOSED_YET),
        (None, replace(USUAL, first_trade=date(2024, 3, 5)), GapState.NOT_LISTED),
        (None, replace(USUAL, depth=timedelta(days=29)), GapState.OUT_OF_DEPTH),
        (None, replace(USUAL, held=(ONE,)), GapState.QUARANTINED),
        (Span(ONE, SpanKind.ANSWERED), USUAL, None),
        (Span(ONE, SpanKind.PROVISIONAL, NOW), USUAL, None),
        (Span(ONE, SpanKind.NO_TRADE), USUAL, GapState.NO_TRADE),
        (Span(ONE, SpanKind.OUT_OF_DEPTH), USUAL, GapState.OUT_OF_DEPTH),
        (hole(), USUAL, GapState.NEW),
        (hole(), replace(USUAL, closed=(ONE,)), GapState.MARKET_CLOSED),
        (hole(), replace(USUAL, held=(ONE,)), GapState.QUARANTINED),
        (hole(), replace(USUAL, outages=(ONE,)), GapState.OUTAGE),
        (hole(), replace(USUAL, depth=timedelta(days=30)), GapState.OUT_OF_DEPTH),
        (hole(), replace(USUAL, depth=timedelta(days=31)), GapState.NEW),
        (hole(1), USUAL, GapState.RETRYABLE),
        (hole(3, age=2.9), USUAL, GapState.RETRYABLE),
        (hole(3, age=3), USUAL, GapState.PROVIDER_HOLE),
        (hole(LADDER, age=29), USUAL, GapState.PROVIDER_HOLE),
        (hole(LADDER, age=30), USUAL, GapState.EXHAUSTED),
        (hole(0, age=40, recheck_in=-40 * DAY), USUAL, GapState.REOPENED),
        (hole(0, age=40, recheck_in=-39 * DAY), USUAL, GapState.NEW),
    ],
)
def test_a_missing_bar_has_the_first_reason_that_holds(
    span: Span | None, facts: Facts, state: GapState | None
) -> None:
    assert state_of(span, START, facts) is state


RANGE = st.tuples(st.integers(0, 20), st.integers(1, 8)).map(
    lambda pair: TimeRange(START + pair[0] * DAY, START + sum(pair) * DAY)
)
RANGES = st.lists(RANGE, max_size=2).map(tuple)
SPANS = st.sampled_from(
    [
        Span(ONE, SpanKind.ANSWERED),
        Span(ONE, SpanKind.PROVISIONAL, NOW),
        Span(ONE, SpanKind.OUT_OF_DEPTH),
        Span(ONE, SpanKind.NO_TRADE, None, 3, NOW - 9 * DAY),
        hole(),
        hole(2),
        hole(LADDER, age=90),
    ]
)
FACTS = st.builds(
    Facts,
    market_now=st.just(NOW),
    closed_until=st.none() | st.integers(0, 30).map(lambda days: START + days * DAY),
    first_trade=st.none() | st.integers(0, 20).map(lambda days: (START + days * DAY).date()),
    depth=st.none() | st.integers(1, 40).map(lambda days: days * DAY),
    closed=RANGES,
    outages=RANGES,
    held=RANGES,
)


@st.composite
def coverages(draw: st.DrawFn) -> Coverage:
    coverage = Coverage()
    for within, span in draw(st.lists(st.tuples(RANGE, SPANS), max_size=6)):
        coverage = coverage.overlay([replace(span, within=within)])
    return coverage


@given(coverages(), FACTS)
def test_every_expected_bar_is_answered_or_in_just_one_gap_of_its_own_reason(
    coverage: Coverage, facts: Facts
) -> None:
    gaps = gaps_of(DAYS, coverage, WANTED, facts)
    grid = calendar_of(DAYS.instrument).grid(DAYS.timeframe, WANTED)
    counted = 0
    for label in map(from_micros, grid.labels.tolist()):
        at = TimeRange(label, label + DAY)
        span = next((one for one in coverage.spans if one.within.intersect(at)), None)
        found = [one for one in gaps if one.within.start <= label < one.within.end]
        state = state_of(span, label, facts)
        assert [one.state for one in found] == ([] if state is None else [state])
        counted += len(found)
    assert sum(one.bars for one in gaps) == counted
    ranges = [one.within for one in gaps]
    assert ranges == sorted(ranges)
    assert sum((one.length for one in merge(ranges)), timedelta(0)) == sum(
        (one.length for one in ranges), timedelta(0)
    )


@given(coverages(), FACTS)
def test_only_what_is_asked_for_by_itself_has_a_next_try(coverage: Coverage, facts: Facts) -> None:
    for one in gaps_of(DAYS, coverage, WANTED, facts):
        assert one.next_try is None or one.state.retried
        assert (one.deadline is None) is (facts.depth is None)


def test_nights_and_weekends_are_no_gap() -> None:
    weekend = TimeRange(START + 5 * DAY, START + 7 * DAY)
    assert gaps_of(DAYS, Coverage(), weekend, USUAL) == []


def test_a_gap_says_since_when_how_often_and_when_next() -> None:
    (gap,) = gaps_of(DAYS, Coverage((hole(2),)), ONE, replace(USUAL, depth=60 * DAY))
    assert (gap.bars, gap.tries, gap.since) == (1, 2, NOW - 0.5 * DAY)
    assert (gap.next_try, gap.deadline) == (NOW + DAY, START + 60 * DAY)
    assert (str(gap.state), gap.state.retried, gap.state.absent) == ("retryable", True, True)
