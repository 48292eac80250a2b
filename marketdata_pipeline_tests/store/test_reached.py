"""How far series are covered, as the database sums it up."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from sqlalchemy import Engine, event

from marketdata_pipeline.domain.coverage import Coverage, Reached, Span, SpanKind
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline_tests.store.writes import COIN, START, STOCK

NOW = START + timedelta(days=100)


def _day(number: int) -> datetime:
    return START + timedelta(days=number)


def _span(first: int, end: int, kind: SpanKind, recheck_at: datetime | None = None) -> Span:
    return Span(TimeRange(_day(first), _day(end)), kind, recheck_at)


def _hole(first: int, end: int, recheck_at: datetime) -> Span:
    return _span(first, end, SpanKind.HOLE, recheck_at)


def _summed(coverage: Coverage, market_now: datetime) -> Reached:
    """The same from every span."""
    waited = [one.within.end for one in coverage.holes() if (one.recheck_at or NOW) <= market_now]
    ends = [one.within.end for one in coverage.spans]
    return Reached(max(ends, default=None), max(waited, default=None))


def test_nothing_is_reached_of_a_series_that_nobody_asked_for(store: BarStore) -> None:
    store.cover(STOCK, [])
    assert store.reached([COIN, STOCK], NOW) == {COIN: Reached(), STOCK: Reached()}
    assert store.reached([], NOW) == {}


def test_a_series_is_covered_up_to_the_end_of_its_last_span_whatever_that_is(
    store: BarStore,
) -> None:
    store.cover(COIN, [_span(0, 5, SpanKind.OUT_OF_DEPTH)])
    store.cover(STOCK, [_span(0, 5, SpanKind.ANSWERED), _hole(5, 6, NOW + timedelta(days=1))])
    found = store.reached([COIN, STOCK], NOW)
    assert found == {COIN: Reached(_day(5)), STOCK: Reached(_day(6))}


@pytest.mark.parametrize(("late", "due"), [(-1, None), (0, _day(8)), (1, _day(8))])
def test_a_hole_is_due_from_its_time_on(store: BarStore, late: int, due: datetime | None) -> None:
    store.cover(COIN, [_span(0, 7, SpanKind.ANSWERED), _hole(7, 8, NOW)])
    store.cover(COIN, [_span(8, 9, SpanKind.ANSWERED)])
    now = NOW + timedelta(microseconds=late)
    assert store.reached([COIN], now) == {COIN: Reached(_day(9), due)}


def test_the_newest_of_the_due_holes_counts(store: BarStore) -> None:
    waiting = NOW + timedelta(days=1)
    holes = [_hole(1, 2, NOW), _hole(3, 4, NOW), _hole(5, 6, waiting)]
    store.cover(COIN, [*holes, _span(6, 9, SpanKind.ANSWERED)])
    assert store.reached([COIN], NOW)[COIN].due == _day(4)
    assert store.reached([COIN], waiting)[COIN].due == _day(6)


def _covered_at_random(dice: np.random.Generator) -> Sequence[Span]:
    edges = np.unique(dice.integers(0, 99, 12)).tolist()
    kinds = list(SpanKind)
    found = []
    for first, end in pairwise(edges):
        kind = kinds[int(dice.integers(len(kinds)))]
        recheck_at = NOW + timedelta(days=int(dice.integers(-3, 4)))
        waits = kind in {SpanKind.HOLE, SpanKind.PROVISIONAL}
        found.append(_span(first, end, kind, recheck_at if waits else None))
    return found


def test_the_database_sums_up_what_the_spans_say(engine: Engine, store: BarStore) -> None:
    dice = np.random.default_rng(7)
    series = [Series.parse(f"A{number}|1d") for number in range(40)]
    for one in series[:-1]:
        store.cover(one, _covered_at_random(dice))
    coverage = store.coverage(series)
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    for now in (NOW, NOW + timedelta(days=2)):
        found = store.reached(series, now)
        assert found == {one: _summed(coverage[one], now) for one in series}
        assert list(found) == series
    assert len([one for one in asked if not one.startswith("BEGIN")]) == 2
