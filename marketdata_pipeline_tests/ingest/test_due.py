"""Which series can have news."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from marketdata_pipeline.domain.coverage import Reached
from marketdata_pipeline.domain.ranges import MICROSECOND
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.ingest.due import due_series, resting, with_holes
from marketdata_pipeline_tests.ingest.world import FRIDAY_CLOSE, day

DAILY, HOURLY = Series.parse("AAPL|1d"), Series.parse("AAPL|1h")
CRYPTO, FX = Series.parse("BTC-USD|1h"), Series.parse("EURUSD=X|1h")
DELAY = timedelta(minutes=30)
SATURDAY = datetime(2024, 3, 16, 12, 40, tzinfo=UTC)


def _due(reached: dict[Series, Reached], now: datetime) -> list[Series]:
    return due_series(list(reached), reached, now, delay=DELAY)


def test_a_series_that_was_never_asked_for_is_due() -> None:
    assert _due({DAILY: Reached()}, SATURDAY) == [DAILY]
    assert due_series([DAILY], {}, SATURDAY, delay=DELAY) == [DAILY]


def test_a_daily_series_is_due_half_an_hour_after_the_close_and_not_before() -> None:
    known = {DAILY: Reached(day("2024-03-15"))}
    assert _due(known, FRIDAY_CLOSE + timedelta(minutes=29)) == []
    assert _due(known, FRIDAY_CLOSE + timedelta(minutes=30)) == [DAILY]


def test_an_hourly_series_is_due_while_its_session_is_open() -> None:
    known = {HOURLY: Reached(FRIDAY_CLOSE - timedelta(hours=2, minutes=30))}
    closed = FRIDAY_CLOSE - timedelta(hours=1, minutes=30)
    assert _due(known, closed + timedelta(minutes=4)) == []
    assert _due(known, closed + timedelta(minutes=5)) == [HOURLY]


def test_a_closed_market_has_no_news_crypto_has() -> None:
    fx_close = datetime(2024, 3, 15, 21, tzinfo=UTC)
    known = {
        DAILY: Reached(day("2024-03-16")),
        HOURLY: Reached(FRIDAY_CLOSE),
        FX: Reached(fx_close),
        CRYPTO: Reached(fx_close),
    }
    assert _due(known, SATURDAY) == [CRYPTO]


def test_a_hole_whose_time_has_come_makes_due_what_is_answered_in_full() -> None:
    answered = Reached(day("2024-03-16"))
    assert _due({DAILY: answered}, SATURDAY) == []
    assert _due({DAILY: replace(answered, due=day("2024-02-15"))}, SATURDAY) == [DAILY]


def test_an_unknown_symbol_rests_for_a_day() -> None:
    assert resting({DAILY: SATURDAY - timedelta(hours=23)}, SATURDAY) == {DAILY}
    assert resting({DAILY: SATURDAY - timedelta(hours=25)}, SATURDAY) == set()
    assert resting({}, SATURDAY) == set()


@pytest.mark.parametrize(
    ("frame", "oldest"), [("1m", "2024-02-16"), ("5m", "2024-01-17"), ("1d", "2024-01-17")]
)
def test_a_hole_that_is_out_of_depth_by_now_makes_nothing_due(frame: str, oldest: str) -> None:
    one = Series.parse(f"AAPL|{frame}")
    answered = Reached(FRIDAY_CLOSE if one.timeframe.intraday else day("2024-03-16"))
    edge = day(oldest) + (timedelta(hours=20) if one.timeframe.intraday else timedelta())
    assert _due({one: replace(answered, due=edge)}, SATURDAY) == []
    assert _due({one: replace(answered, due=edge + MICROSECOND)}, SATURDAY) == [one]


def test_each_of_many_series_is_judged_by_its_own_calendar_and_timeframe() -> None:
    monday = datetime(2024, 3, 18, 15, 5, tzinfo=UTC)
    weekend = Reached(day("2024-03-16"))
    reached = {
        Series.parse(f"{instrument}|{frame}"): weekend
        for instrument in ("AAPL", "AZN.L", "7203.T", "BTC-USD")
        for frame in ("1h", "1d")
    }
    assert [str(one) for one in _due(reached, monday)] == [
        "AAPL|1h", "AZN.L|1h", "7203.T|1h", "7203.T|1d", "BTC-USD|1h", "BTC-USD|1d"
    ]  # fmt: skip


def test_only_holes_that_are_due_and_not_too_old_are_holes_to_fill() -> None:
    until = day("2024-03-16")
    known = {
        DAILY: Reached(until, due=day("2024-03-05")),
        Series.parse("MSFT|1d"): Reached(until),
        Series.parse("IBM|1d"): Reached(until, due=day("2023-03-05")),
        Series.parse("F|1d"): Reached(),
    }
    asked = [*known, Series.parse("GM|1d")]
    assert with_holes(asked, known, SATURDAY, delay=DELAY) == [DAILY]
