"""Which windows are asked for."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.coverage import Coverage, Span, SpanKind
from marketdata_pipeline.domain.ranges import TimeRange, depth_edge, merge, subtract
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.ingest.plan import (
    DAWN,
    Plan,
    bars_before,
    never_asked,
    plan,
    wanted_range,
)
from marketdata_pipeline.providers.base import Capability
from marketdata_pipeline.store.catalog import SeriesSummary
from marketdata_pipeline_tests.ingest.world import FRIDAY_CLOSE, day, days

DAILY = Series.parse("AAPL|1d")
MINUTES = Series.parse("AAPL|1m")
WEEKLY = Series.parse("AAPL|1wk")
WEEK = Capability(timedelta(days=7), timedelta(days=29))


def _plan(
    wanted: TimeRange,
    coverage: Coverage | None = None,
    *,
    series: Series = DAILY,
    capability: Capability | None = None,
    first_trade: date | None = None,
) -> Plan:
    return plan(
        series,
        wanted,
        coverage or Coverage(),
        capability or Capability(),
        first_trade=first_trade,
        market_now=FRIDAY_CLOSE,
    )


def _answered(*ranges: TimeRange) -> Coverage:
    return Coverage(tuple(Span(one, SpanKind.ANSWERED) for one in ranges))


def test_without_a_purchase_a_daily_series_reaches_back_to_all_there_is() -> None:
    assert wanted_range(DAILY, None, None, FRIDAY_CLOSE) == TimeRange(DAWN, day("2024-03-16"))


def test_without_a_purchase_a_minute_series_reaches_back_29_days() -> None:
    wanted = wanted_range(MINUTES, None, None, FRIDAY_CLOSE)
    assert wanted == TimeRange(day("2024-02-16"), FRIDAY_CLOSE)


def test_a_purchase_at_noon_wants_that_days_bar_and_that_weeks() -> None:
    noon = datetime(2024, 2, 14, 17, tzinfo=UTC)
    daily, weekly = (wanted_range(one, noon, None, FRIDAY_CLOSE) for one in (DAILY, WEEKLY))
    assert daily == days("2024-02-14", "2024-03-16")
    assert weekly == days("2024-02-12", "2024-03-18")


def test_the_forming_bar_is_not_wanted() -> None:
    during = FRIDAY_CLOSE - timedelta(minutes=1)
    wanted = wanted_range(DAILY, day("2024-03-01"), None, during)
    assert wanted == days("2024-03-01", "2024-03-15")


def test_nothing_is_wanted_before_the_first_bar_can_be_closed() -> None:
    assert wanted_range(DAILY, day("2024-03-16"), None, FRIDAY_CLOSE) is None


def test_what_is_covered_is_not_asked_for() -> None:
    assert not _plan(
        days("2024-02-01", "2024-03-01"), _answered(days("2024-01-01", "2024-03-01"))
    ).asks


def test_only_the_expected_part_of_what_is_missing_is_asked_for() -> None:
    asks = _plan(days("2024-02-01", "2024-02-13"), _answered(days("2024-02-01", "2024-02-10"))).asks
    assert [one.window for one in asks] == [days("2024-02-12", "2024-02-13")]


def test_a_closed_market_is_not_asked_for() -> None:
    assert not _plan(days("2024-02-17", "2024-02-20")).asks


def test_two_gaps_share_one_request_when_a_window_can_span_them() -> None:
    known = _answered(days("2024-02-02", "2024-02-12"), days("2024-02-14", "2024-02-20"))
    (ask,) = _plan(days("2024-02-01", "2024-02-21"), known).asks
    assert ask.window == days("2024-02-01", "2024-02-21")
    expected = [
        days("2024-02-01", "2024-02-02"),
        days("2024-02-12", "2024-02-14"),
        days("2024-02-20", "2024-02-21"),
    ]
    assert list(ask.parts) == expected


def test_two_gaps_far_apart_are_two_requests_when_a_window_is_short() -> None:
    known = _answered(days("2024-02-21", "2024-03-14"))
    asks = _plan(days("2024-02-20", "2024-03-15"), known, series=MINUTES, capability=WEEK).asks
    assert [one.window.start.date().isoformat() for one in asks] == ["2024-03-14", "2024-02-20"]


def test_what_lies_beyond_the_depth_is_named_and_not_asked_for() -> None:
    todo = _plan(days("2024-01-01", "2024-03-15"), series=MINUTES, capability=WEEK)
    edge = depth_edge(FRIDAY_CLOSE, timedelta(days=29))
    assert todo.out_of_depth == TimeRange(day("2024-01-01"), edge)
    assert min(one.window.start for one in todo.asks) >= edge


def test_a_wish_that_is_wholly_too_old_asks_nothing() -> None:
    todo = _plan(days("2023-01-01", "2023-02-01"), series=MINUTES, capability=WEEK)
    assert (todo.asks, todo.out_of_depth) == ((), days("2023-01-01", "2023-02-01"))


def test_nothing_is_asked_before_the_listing() -> None:
    (ask,) = _plan(days("2024-01-01", "2024-03-01"), first_trade=date(2024, 2, 7)).asks
    assert ask.window.start == day("2024-02-07")


def test_the_years_before_calendars_begin_are_asked_as_they_are() -> None:
    (ask,) = _plan(days("1962-01-02", "1962-02-01")).asks
    assert ask.window == days("1962-01-02", "1962-02-01")


_DAYS = st.integers(0, 70).map(lambda n: day("2024-01-02") + timedelta(days=n))
_RANGES = st.lists(
    st.tuples(_DAYS, st.integers(1, 20)).map(
        lambda pair: TimeRange(pair[0], pair[0] + timedelta(days=pair[1]))
    ),
    max_size=6,
)


@given(known=_RANGES, longest=st.sampled_from([None, 1, 3, 7]))
@pytest.mark.parametrize("series", [DAILY, Series.parse("BTC-USD|1d")], ids=str)
def test_asks_bring_every_missing_expected_bar_and_no_covered_one(
    series: Series, known: list[TimeRange], longest: int | None
) -> None:
    wanted = days("2024-01-02", "2024-03-15")
    capability = Capability(None if longest is None else timedelta(days=longest))
    coverage = _answered(*merge(known))
    asks = _plan(wanted, coverage, series=series, capability=capability).asks
    grid = calendar_of(series.instrument).grid
    asked = {
        label for one in asks for part in one.parts for label in grid(series.timeframe, part).labels
    }
    missing = subtract([wanted], merge(known))
    due = {label for part in missing for label in grid(series.timeframe, part).labels}
    assert asked == due
    assert all(longest is None or one.window.length <= timedelta(days=longest) for one in asks)
    assert [one.window for one in asks] == sorted((one.window for one in asks), reverse=True)
    assert merge(part for one in asks for part in one.parts) == merge(
        part for part in missing if len(grid(series.timeframe, part).labels)
    )


def test_bars_that_are_older_than_all_known_actions_came_without_theirs() -> None:
    known = [days("2021-01-01", "2022-01-01"), days("2023-01-01", "2024-01-01")]
    stored = [
        SeriesSummary(DAILY, first=day("1998-01-02")),
        SeriesSummary(MINUTES, first=day("2019-01-02")),
        SeriesSummary(WEEKLY),
    ]
    assert bars_before(known, stored) == day("1998-01-02")
    assert bars_before(known, stored[1:]) == day("2019-01-02")
    assert bars_before(known, [SeriesSummary(DAILY, first=day("2021-01-01"))]) is None
    assert bars_before(known, []) is None
    assert bars_before([], stored) is None  # a reply's own are known by then


def test_a_due_hole_is_let_go_before_the_listing_and_beyond_the_depth_of_all_providers() -> None:
    hole = Span(days("2024-01-10", "2024-03-12"), SpanKind.HOLE, FRIDAY_CLOSE, 3, FRIDAY_CLOSE)
    short, long = timedelta(days=10), timedelta(days=30)
    found = never_asked([hole], [short, long], date(2024, 1, 20), FRIDAY_CLOSE)
    assert [(one.within, one.kind, one.tries) for one in found] == [
        (days("2024-01-10", "2024-01-20"), SpanKind.ANSWERED, 0),
        (TimeRange(day("2024-01-20"), depth_edge(FRIDAY_CLOSE, long)), SpanKind.OUT_OF_DEPTH, 3),
    ]
    assert never_asked([hole], [short, None], None, FRIDAY_CLOSE) == []
