"""Which series can have news."""

from datetime import UTC, datetime, timedelta

import pytest

from marketdata_pipeline.domain.coverage import Coverage, Span, SpanKind
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.ingest.due import due_series, resting
from marketdata_pipeline_tests.ingest.world import FRIDAY_CLOSE, day, days

DAILY, HOURLY = Series.parse("AAPL|1d"), Series.parse("AAPL|1h")
CRYPTO, FX = Series.parse("BTC-USD|1h"), Series.parse("EURUSD=X|1h")
DELAY = timedelta(minutes=30)
SATURDAY = datetime(2024, 3, 16, 12, 40, tzinfo=UTC)


def _covered(until: datetime) -> Coverage:
    return Coverage((Span(TimeRange(day("2024-01-02"), until), SpanKind.ANSWERED),))


def _due(coverage: dict[Series, Coverage], now: datetime) -> list[Series]:
    return due_series(list(coverage), coverage, now, delay=DELAY)


def test_a_series_that_was_never_asked_for_is_due() -> None:
    assert _due({DAILY: Coverage()}, SATURDAY) == [DAILY]


def test_a_daily_series_is_due_half_an_hour_after_the_close_and_not_before() -> None:
    known = {DAILY: _covered(day("2024-03-15"))}
    assert _due(known, FRIDAY_CLOSE + timedelta(minutes=29)) == []
    assert _due(known, FRIDAY_CLOSE + timedelta(minutes=30)) == [DAILY]


def test_an_hourly_series_is_due_while_its_session_is_open() -> None:
    known = {HOURLY: _covered(FRIDAY_CLOSE - timedelta(hours=2, minutes=30))}
    closed = FRIDAY_CLOSE - timedelta(hours=1, minutes=30)
    assert _due(known, closed + timedelta(minutes=4)) == []
    assert _due(known, closed + timedelta(minutes=5)) == [HOURLY]


def test_a_closed_market_has_no_news_crypto_has() -> None:
    fx_close = datetime(2024, 3, 15, 21, tzinfo=UTC)
    known = {
        DAILY: _covered(day("2024-03-16")),
        HOURLY: _covered(FRIDAY_CLOSE),
        FX: _covered(fx_close),
        CRYPTO: _covered(fx_close),
    }
    assert _due(known, SATURDAY) == [CRYPTO]


@pytest.mark.parametrize(("late", "due"), [(-1, []), (0, [DAILY])])
def test_a_hole_is_due_when_its_time_has_come(late: int, due: list[Series]) -> None:
    hole = Span(days("2024-02-14", "2024-02-15"), SpanKind.HOLE, SATURDAY, 0)
    known = {DAILY: _covered(day("2024-03-16")).overlay([hole])}
    assert _due(known, SATURDAY + timedelta(minutes=late)) == due


def test_an_unknown_symbol_rests_for_a_day() -> None:
    assert resting({DAILY: SATURDAY - timedelta(hours=23)}, SATURDAY) == {DAILY}
    assert resting({DAILY: SATURDAY - timedelta(hours=25)}, SATURDAY) == set()
    assert resting({}, SATURDAY) == set()


def test_a_hole_that_is_out_of_depth_by_now_makes_nothing_due() -> None:
    minutes = Series.parse("AAPL|1m")
    old = Span(days("2024-02-14", "2024-02-15"), SpanKind.HOLE, SATURDAY, 0)
    known = {minutes: _covered(FRIDAY_CLOSE).overlay([old])}
    assert _due(known, SATURDAY) == []
