from datetime import UTC, datetime, timedelta

import pytest

from marketdata_pipeline.domain.actions import ActionKind
from marketdata_pipeline.simulator.ask import Ask, parse
from marketdata_pipeline.simulator.wire import Answer
from marketdata_pipeline_tests.simulator.histories import error

NOW = datetime(2024, 3, 15, 18, 30, tzinfo=UTC)
ZONE = "America/New_York"


def asked(**params: str) -> Ask:
    found = parse(params, NOW, ZONE)
    assert isinstance(found, Ask), found
    return found


def refused(**params: str) -> tuple[int, str, str]:
    found = parse(params, NOW, ZONE)
    assert isinstance(found, Answer), found
    return error(found)


def ago(**span: float) -> str:
    return str(int((NOW - timedelta(**span)).timestamp()))


def test_periods_are_unix_seconds() -> None:
    found = asked(period1="-2208988800", period2="1709251200", interval="1d")
    assert (found.start, found.end, found.sessions) == (-2208988800, 1709251200, 0)


def test_an_interval_that_yahoo_does_not_have_is_refused_with_its_list() -> None:
    status, code, text = refused(interval="7m")
    assert (status, code) == (400, "Bad Request")
    assert text == (
        "Invalid input - interval=7m is not supported. Valid intervals: [1m, 2m, 5m, 15m, 30m, "
        "60m, 90m, 1h, 4h, 1d, 5d, 1wk, 1mo, 3mo]"
    )


@pytest.mark.parametrize(
    ("interval", "days"),
    [("1m", 30), ("2m", 60), ("5m", 60), ("15m", 60), ("30m", 60), ("1h", 730), ("60m", 730)],
)
def test_each_interval_reaches_back_only_so_far(interval: str, days: int) -> None:
    until = ago(days=days - 1)
    assert asked(interval=interval, period1=ago(days=days), period2=until).interval == interval
    start = ago(days=days, seconds=1)
    text = (
        f"{interval} data not available for startTime={start} and endTime={until}. "
        f"The requested range must be within the last {days} days."
    )
    found = refused(interval=interval, period1=start, period2=until)
    assert found == (422, "Unprocessable Entity", text)


def test_days_reach_back_for_ever() -> None:
    assert asked(interval="1d", period1="-9999999999").start == -9999999999


def test_a_request_for_minutes_spans_eight_days_at_most() -> None:
    end = ago(days=0)
    assert asked(interval="1m", period1=ago(days=8), period2=end).interval == "1m"
    start = ago(days=8, seconds=1)
    text = (
        f"1m data not available for startTime={start} and endTime={end}. Only 8 days worth of 1m "
        "granularity data are allowed to be fetched per request."
    )
    found = refused(interval="1m", period1=start, period2=end)
    assert found == (422, "Unprocessable Entity", text)


def test_a_start_after_the_end_is_refused() -> None:
    assert asked(period1="100", period2="100").end == 100
    status, _, text = refused(period1="200", period2="100")
    assert status == 400
    assert text.endswith("startDate = 200, endDate = 100")


@pytest.mark.parametrize("bad", ["", "soon", "1e9", "9" * 20])
def test_a_period_that_is_no_number_is_refused(bad: str) -> None:
    assert refused(period1=bad)[0] == 400


@pytest.mark.parametrize(
    ("spelled", "start", "sessions"),
    [
        ("1d", "2024-03-14T18:30", 1),
        ("5d", "2024-03-10T18:30", 5),
        ("7d", "2024-03-08T19:30", 7),
        ("2wk", "2024-03-01T19:30", 0),
        ("1mo", "2024-02-15T19:30", 0),
        ("2y", "2022-03-15T18:30", 0),
        ("ytd", "2024-01-01T05:00", 0),
    ],
)
def test_ranges_count_in_the_time_of_the_exchange(spelled: str, start: str, sessions: int) -> None:
    found = asked(range=spelled)
    assert datetime.fromtimestamp(found.start, UTC) == datetime.fromisoformat(start + "Z")
    assert (found.end, found.sessions) == (int(NOW.timestamp()), sessions)
    assert found.spelled_range == spelled


def test_max_is_all_there_is() -> None:
    assert asked(range="max").start < -(10**9)


@pytest.mark.parametrize("bad", ["0d", "d", "1h", "soon", "5D"])
def test_a_range_that_is_none_is_refused(bad: str) -> None:
    assert refused(range=bad)[0] == 400


def test_without_a_range_it_is_the_last_day() -> None:
    assert asked().sessions == 1
    assert asked().interval == "1d"


@pytest.mark.parametrize("spelled", ["div,splits,capitalGains", "div|split|earn|capitalGains"])
def test_both_spellings_of_events_are_read(spelled: str) -> None:
    assert asked(events=spelled).events == frozenset(ActionKind)


def test_no_events_are_asked_for_by_saying_nothing() -> None:
    assert asked().events == asked(events="").events == frozenset()
