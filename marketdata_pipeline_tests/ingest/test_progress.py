"""How far a run is: which lines its log gets, and that they are read as they were written."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import NotDone, Unavailable
from marketdata_pipeline.governor.waits import Waits
from marketdata_pipeline.ingest.outcome import Outcome
from marketdata_pipeline.ingest.progress import SMALL, Leftover, Progress, RunLog, SeriesDone
from marketdata_pipeline_tests.fakes import FrozenClock

DONE = Outcome(
    series=Series.parse("AAPL|1d"),
    rows_new=250,
    requests=2,
    written=None,
    rows=253,
    first=None,
    last=None,
    provider="truth",
    origin="truth",
    judgement=None,
    error=None,
    seconds=1.0,
)
FAILED = replace(DONE, rows_new=0, rows=3, error=Unavailable("truth is down"))
LEFT = replace(DONE, rows_new=0, requests=0, error=NotDone("not begun within 300 s: late"))


def log_of(total: int) -> tuple[RunLog, FrozenClock, Waits]:
    clock, waits = FrozenClock(), Waits()
    return RunLog(total, clock, waits), clock, waits


def at(total: int) -> list[int]:
    """After how many series a run of so many gets a line of progress."""
    log, _, _ = log_of(total)
    return [one.done for _ in range(total) for one in log.lines(DONE) if isinstance(one, Progress)]


def test_a_run_of_twenty_series_has_a_line_for_each_and_no_other() -> None:
    log, _, _ = log_of(SMALL)
    lines = [str(one) for _ in range(SMALL) for one in log.lines(DONE)]
    assert len(lines) == SMALL
    assert lines[0] == "1/20 series=AAPL|1d new=250 stored=253 requests=2"


@pytest.mark.parametrize("total", [21, 100, 700, 1999, 2001, 5000])
def test_a_larger_run_has_a_line_for_every_5_percent_or_100_series_and_the_last(total: int) -> None:
    lines = at(total)
    assert lines[-1] == total
    gaps = [after - before for before, after in zip([0, *lines], lines, strict=False)]
    assert max(gaps) <= min(100, total / 20 + 1)
    assert len(lines) <= max(21, total / 100 + 1)


def test_each_series_that_fails_has_its_line_with_the_reason_at_once() -> None:
    log, _, _ = log_of(700)
    assert log.lines(DONE) == []
    (line,) = log.lines(FAILED)
    assert str(line) == ("2/700 series=AAPL|1d new=0 stored=3 requests=2 failed: truth is down")


def test_a_line_of_progress_tells_what_came_and_how_fast() -> None:
    log, clock, waits = log_of(400)
    waits.add(7.25)
    for _ in range(19):
        clock.advance(timedelta(seconds=3))
        assert log.lines(DONE) == []
    clock.advance(timedelta(seconds=3))
    series, progress = log.lines(FAILED)
    assert str(series).startswith("20/400 series=AAPL|1d new=0 ")
    assert str(progress) == (
        "20/400 new=4750 requests=40 failed=1 series_a_minute=20.0 requests_a_minute=40.0 "
        "waits=1 waited=7.2 left=0:19:00"
    )


def test_the_pace_is_that_of_the_last_quarter_and_not_of_the_burst_before() -> None:
    log, clock, _ = log_of(100)
    found = []
    for number in range(100):
        clock.advance(timedelta(seconds=0.01 if number < 50 else 6))
        found += log.lines(DONE)
    paces = [round(one.series_a_minute) for one in found if isinstance(one, Progress)]
    assert paces[9] == 6000
    assert set(paces[14:]) == {10}


def test_nobody_can_tell_what_is_left_while_the_clock_stands() -> None:
    log, _, _ = log_of(21)
    log.lines(DONE)
    (line,) = log.lines(DONE)
    assert isinstance(line, Progress)
    assert line.left is None
    assert str(line).endswith(" left=-")


def test_nothing_is_left_at_the_end() -> None:
    log, clock, _ = log_of(21)
    for _ in range(20):
        log.lines(DONE)
    clock.advance(timedelta(seconds=1))
    (line,) = log.lines(DONE)
    assert str(line).endswith(" left=0:00:00")


def test_series_that_a_run_ended_before_share_its_last_line() -> None:
    log, clock, _ = log_of(40)
    clock.advance(timedelta(minutes=5))
    lines = [str(one) for _ in range(3) for one in log.lines(DONE)]
    lines += [str(one) for one in log.lines(FAILED)]
    lines += [str(one) for one in log.lines(DONE)]
    for key in ("MSFT|1d", "BTC-USD|1h"):
        assert log.lines(replace(LEFT, series=Series.parse(key))) == []
    progress, leftover = log.last()
    assert str(progress).startswith("5/40 new=1000 requests=10 failed=1 ")
    assert str(leftover) == "not done: 2 of 40, not begun within 300 s: late: MSFT|1d,BTC-USD|1h"


def test_what_the_last_line_of_progress_told_is_not_told_again() -> None:
    log, _, _ = log_of(40)
    told = [line for _ in range(4) for line in log.lines(DONE)]
    assert [str(one).split()[0] for one in told] == ["2/40", "4/40"]
    log.lines(LEFT)
    assert [type(one) for one in log.last()] == [Leftover]


def test_a_small_run_that_left_some_has_one_line_more() -> None:
    log, _, _ = log_of(2)
    assert [str(one)[:3] for one in log.lines(DONE)] == ["1/2"]
    log.lines(LEFT)
    (line,) = log.last()
    assert line == Leftover(2, ("AAPL|1d",), "not begun within 300 s: late")


def test_a_run_that_did_everything_has_no_further_line() -> None:
    log, _, _ = log_of(1)
    log.lines(FAILED)
    assert log.last() == []


counts = st.integers(0, 10**9)
amounts = st.integers(0, 10**7).map(lambda tenths: tenths / 10)
reasons = st.none() | st.text("abc |=:/0123456789", min_size=1)


series_lines = st.builds(
    SeriesDone, counts, counts, st.just("AAPL|1d"), counts, counts, counts, reasons
)
progress_lines = st.builds(
    Progress, counts, counts, counts, counts, counts, amounts, amounts, counts, amounts
)


leftover_lines = st.builds(
    Leftover,
    counts,
    st.lists(st.sampled_from(["AAPL|1d", "^GSPC|1wk", "ES=F|1m", "AZN.L|4h"]), min_size=1).map(
        tuple
    ),
    st.text("abc |=:/0123456789", min_size=1),
)


@given(leftover_lines)
def test_a_line_of_what_is_left_is_read_as_it_was_written(one: Leftover) -> None:
    assert Leftover.parse(f"2026-11-24 - dagster - WARNING - ohlcv - {one}\n") == one
    assert SeriesDone.parse(str(one)) is None
    assert Progress.parse(str(one)) is None


@given(series_lines)
def test_a_line_of_a_series_is_read_as_it_was_written(one: SeriesDone) -> None:
    assert SeriesDone.parse(f"2026-11-24 - dagster - INFO - ohlcv - {one}\n") == one
    assert Progress.parse(str(one)) is None
    assert Leftover.parse(str(one)) is None


@given(progress_lines)
def test_a_line_of_progress_is_read_as_it_was_written(one: Progress) -> None:
    assert Progress.parse(f"2026-11-24 - dagster - INFO - ohlcv - {one}\n") == one
    assert SeriesDone.parse(str(one)) is None
    assert Leftover.parse(str(one)) is None


def test_other_lines_tell_of_nothing() -> None:
    line = "2026-11-24T11:35:43Z [info] updated rows=0 requests=1 seconds=6.6 series=ZZ1|1d"
    assert SeriesDone.parse(line) is None
    assert Progress.parse(line) is None
    assert Leftover.parse(line) is None
