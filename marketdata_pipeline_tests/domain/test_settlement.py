"""When closed bars are settled."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.coverage import Coverage, SpanKind
from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.settlement import settlement_of, unsettled

AAPL = Series.parse("AAPL|1d")
MINUTES = Series.parse("AAPL|1m")
BITCOIN = Series.parse("BTC-USD|1d")
SERIES = [AAPL, MINUTES, BITCOIN, Series.parse("EURUSD=X|1h"), Series.parse("7203.T|5m")]
_INSTANTS = st.datetimes(datetime(2013, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants them so


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def told(series: Series, market_at: datetime) -> list[tuple[str, str]]:
    return [
        (f"{one.within.start:%m-%d %H:%M}", f"{one.recheck_at:%m-%d %H:%M}")
        for one in unsettled(series, market_at)
    ]


def test_days_are_due_after_one_session_and_after_three() -> None:
    assert told(AAPL, at("2024-03-14T21:00")) == [
        ("03-12 00:00", "03-15 20:00"),
        ("03-13 00:00", "03-18 20:00"),
        ("03-14 00:00", "03-15 20:00"),
        ("03-15 00:00", "03-18 20:00"),
    ]


def test_intraday_bars_are_due_with_their_session() -> None:
    assert told(MINUTES, at("2024-03-14T15:00")) == [
        ("03-11 13:30", "03-14 20:00"),
        ("03-12 13:30", "03-15 20:00"),
        ("03-13 13:30", "03-14 20:00"),
        ("03-14 13:30", "03-15 20:00"),
    ]


def test_round_the_clock_it_takes_one_day() -> None:
    assert told(BITCOIN, at("2024-03-16T12:00")) == [
        ("03-15 00:00", "03-17 00:00"),
        ("03-16 00:00", "03-18 00:00"),
    ]


@pytest.mark.parametrize("kind", list(AssetClass))
def test_prices_settle_no_later_than_volume(kind: AssetClass) -> None:
    one = settlement_of(kind)
    assert 1 <= one.prices <= one.volume


@given(series=st.sampled_from(SERIES), market_at=_INSTANTS)
def test_each_bar_is_asked_again_at_most_twice_and_is_final_then(
    series: Series, market_at: datetime
) -> None:
    calendar = calendar_of(series.instrument)
    closed = calendar.closed_until(series.timeframe, market_at)
    assert closed is not None
    last = calendar.grid(series.timeframe, TimeRange(closed - timedelta(days=20), closed))
    label = from_micros(int(last.labels[-1]))
    asked = 0
    while True:
        spans = [
            one
            for one in unsettled(series, market_at)
            if one.within.start <= label < one.within.end
        ]
        if not spans:
            break
        (one,) = spans
        assert one.recheck_at is not None
        assert one.recheck_at > market_at
        market_at, asked = one.recheck_at, asked + 1
    assert 1 <= asked <= 2


@given(series=st.sampled_from(SERIES), market_at=_INSTANTS)
def test_the_spans_follow_each_other_and_reach_beyond_the_last_closed_bar(
    series: Series, market_at: datetime
) -> None:
    spans = unsettled(series, market_at)
    for left, right in pairwise(spans):
        assert left.within.end == right.within.start
    closed = calendar_of(series.instrument).closed_until(series.timeframe, market_at)
    assert closed is not None
    labels = calendar_of(series.instrument).grid(
        series.timeframe, TimeRange(closed - timedelta(days=20), closed)
    )
    assert to_micros(spans[-1].within.end) > int(labels.labels[-1])


def test_an_answer_is_provisional_where_it_is_not_settled() -> None:
    market_at = at("2024-03-14T21:00")
    asked = TimeRange(at("2024-03-01"), at("2024-03-15"))
    hole = TimeRange(at("2024-03-13"), at("2024-03-14"))
    found = Coverage().after(asked, [hole], market_at, unsettled(AAPL, market_at))
    assert [(one.within.start.day, one.kind) for one in found.spans] == [
        (1, SpanKind.ANSWERED),
        (12, SpanKind.PROVISIONAL),
        (13, SpanKind.HOLE),
        (14, SpanKind.PROVISIONAL),
    ]
    assert found.missing([asked], market_at) == []
    assert found.missing([asked], at("2024-03-15T20:00")) == [
        TimeRange(at("2024-03-12"), at("2024-03-15"))
    ]
    assert [one.since for one in found.holes()] == [market_at]
