"""Following Dagster's output: progress, failures, and what a run came to."""

import io
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from marketdata_pipeline.cli import child, progress
from marketdata_pipeline.cli.child import Follow, Update, dagster_environment, update_series
from marketdata_pipeline.cli.progress import followed, refuse_failure
from marketdata_pipeline.cli.run import Run
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import MarketDataError
from marketdata_pipeline.ingest.progress import Leftover, Progress, SeriesDone
from marketdata_pipeline_tests.cli.stand_in import StandIn

AAPL = Series.parse("AAPL|1d")
TOLD = Progress(
    done=35,
    total=700,
    new=8750,
    requests=70,
    failed=1,
    series_a_minute=420.0,
    requests_a_minute=840.0,
    waits=2,
    waited=3.4,
)
LEFT = Leftover(700, ("X|1d", "Y|1d"), "not begun within 300 s")


def _done(series: str, error: str | None = None, done: int = 1) -> SeriesDone:
    return SeriesDone(done, 2, series, new=3, stored=4, requests=5, error=error)


def _noted(*told: SeriesDone | Progress | Leftover | str) -> Run:
    run = Run(log=Path("log"))
    for one in told:
        run.note(f"2026-11-24 11:35:43 +0000 - dagster - INFO - ohlcv - {one}\n")
    return run


def test_dagster_works_on_this_home_only(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "/somewhere/else")
    env = dagster_environment(home)
    assert env["DAGSTER_HOME"] == str(home.dagster)
    assert env["MARKETDATA_HOME"] == str(home.folder)
    assert "MARKETDATA_LOG_LEVEL" not in env
    assert dagster_environment(home, debug=True)["MARKETDATA_LOG_LEVEL"] == "debug"


def test_a_log_that_cannot_be_written_is_said_in_one_line(home: Home) -> None:
    (home.dagster / "last-run.log").mkdir()
    with pytest.raises(MarketDataError, match=r"last-run.log cannot be written: Is a directory"):
        update_series(home, Update([AAPL]), lambda _: None)


def test_a_small_run_is_the_sum_of_its_lines() -> None:
    run = _noted(_done("A|1d", done=1), _done("B|1d", "down", done=2), "Failure: 1 of 2 failed")
    assert (run.done, run.total, run.new, run.requests) == (2, 2, 6, 10)
    assert [one.series for one in run.failed] == ["B|1d"]
    assert run.requests_of_each == {"A|1d": 5, "B|1d": 5}
    assert run.reason == "1 of 2 failed"
    assert not run.broke_off


def test_a_larger_run_is_what_its_last_line_of_progress_says() -> None:
    run = _noted(SeriesDone(7, 700, "B|1d", 0, 4, 5, "down"), TOLD)
    assert (run.done, run.total, run.new, run.requests) == (35, 700, 8750, 70)
    assert [one.error for one in run.failed] == ["down"]
    assert run.requests_of_each is None, "its log does not tell"
    assert run.broke_off


def test_a_run_that_said_nothing_broke_off_unless_it_succeeded() -> None:
    assert Run().broke_off
    assert not Run(succeeded=True).broke_off
    assert (Run().done, Run().total, Run().new, Run().requests) == (0, 0, 0, 0)


def test_a_run_that_says_what_it_left_did_not_break_off() -> None:
    whole = _noted(_done("A|1d"), Leftover(2, ("B|1d",), "late"))
    assert (whole.done, whole.total, whole.left) == (1, 2, frozenset({"B|1d"}))
    assert not whole.broke_off, "though it did not succeed"
    assert not whole.brought_nothing
    part = _noted(_done("A|1d"), LEFT)
    assert part.broke_off, "697 are neither done nor left"


def test_a_run_brought_nothing_where_it_left_some_and_all_others_failed() -> None:
    assert _noted(Leftover(2, ("A|1d", "B|1d"), "late")).brought_nothing
    assert _noted(_done("A|1d", "down"), Leftover(2, ("B|1d",), "late")).brought_nothing
    assert not _noted(_done("A|1d"), Leftover(2, ("B|1d",), "late")).brought_nothing
    assert not _noted(_done("A|1d", "down"), _done("B|1d", "down", done=2)).brought_nothing


def _failing(*series: SeriesDone, succeeded: bool = False, reason: str | None = None) -> Run:
    return Run(log=Path("log"), series=list(series), succeeded=succeeded, reason=reason)


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ([_failing()], "the run failed"),
        ([_failing(reason="no home at x")], "no home at x"),
        ([_failing(_done("A|1d"))], "the run broke off after 1 of 2 series"),
        (
            [_failing(_done("A|1d", "down"), reason="killed")],
            "the run broke off after 1 of 2 series: killed",
        ),
        (
            [_failing(_done("A|1d", "down"), _done("B|1d", done=2))],
            "1 of 2 series failed: down",
        ),
        (
            [_failing(_done("A|1d", "down"), _done("B|1d", "down", done=2))],
            "2 of 2 series failed: down",
        ),
        (
            [_failing(_done("A|1d", "down"), _done("B|1d", "up", done=2), succeeded=True)],
            "2 of 2 series failed: down (and 1 other reasons)",
        ),
        (
            [
                _failing(_done("A|1d", "down"), _done("B|1d", done=2), succeeded=True),
                _failing(_done("C|1d", "up"), _done("D|1d", done=2), succeeded=True),
            ],
            "2 of 4 series failed: down (and 1 other reasons)",
        ),
        (
            [_failing(_done("A|1d", "down"), _done("B|1d", done=2)), _failing(_done("C|1d"))],
            "run 2 broke off after 1 of 2 series",
        ),
        (
            [_noted(_done("A|1d", "down"), Leftover(2, ("B|1d",), "late"))],
            "1 of 1 series failed: down; 1 series are not done, the last run brought nothing: late",
        ),
        (
            [
                _noted(_done("A|1d"), Leftover(2, ("B|1d",), "it ended")),
                _failing(_done("B|1d", done=2), succeeded=True),
            ],
            "the run failed",
        ),
        (
            [_noted(_done("A|1d"), Leftover(2, ("B|1d",), "it ended"))],
            "1 series are not done: it ended",
        ),
        ([_failing(_done("A|1d", done=2), reason="a check is red")], "a check is red"),
        ([_failing(_done("A|1d", done=2))], "the run failed"),
    ],
)
def test_a_failure_is_one_sentence_that_names_the_log(runs: list[Run], said: str) -> None:
    with pytest.raises(MarketDataError) as found:
        refuse_failure(*runs)
    assert str(found.value) == f"{said}; its log is log"


def test_a_run_that_succeeded_is_no_failure() -> None:
    refuse_failure(Run(succeeded=True, series=[_done("A|1d", done=2)]))


def _telling(*told: SeriesDone | Progress | Leftover) -> Callable[[Follow], Run]:
    def start(follow: Follow) -> Run:
        for one in told:
            follow(one)
        return Run()

    return start


def test_progress_is_a_line_a_series_where_nobody_watches(
    capsys: pytest.CaptureFixture[str],
) -> None:
    followed(_telling(_done("AAPL|1d"), _done("[b]|1d", "it is [down]")), total=2)
    assert capsys.readouterr().out.splitlines() == [
        "  1/2  AAPL|1d             3 new bars,      4 stored, 5 requests",
        "  1/2  [b]|1d         failed: it is [down]",
    ]


def test_progress_of_a_larger_run_is_what_its_log_tells(
    capsys: pytest.CaptureFixture[str],
) -> None:
    still = Progress(700, 700, 9, 0, 0, 0.0, 0.0, 0, 0.0)
    followed(_telling(TOLD, still), total=700)
    first, last = capsys.readouterr().out.splitlines()
    assert first == (
        "   35/700  8,750 new bars, 70 requests, 1 failed, waited 3 s for 2 turns, "
        "420 series and 840 requests a minute, 0:01:35 left"
    )
    assert last == "  700/700  9 new bars, 0 requests, 0 failed"


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal, and what it was sent."""
    sent = io.StringIO()
    shown = Console(file=sent, force_terminal=True, width=80, markup=False, highlight=False)
    monkeypatch.setattr(progress, "console", lambda: shown)
    return sent


def test_a_terminal_shows_a_bar_and_a_line_for_each_series(screen: io.StringIO) -> None:
    followed(_telling(_done("AAPL|1d"), _done("MSFT|1d", "down", done=2)), total=2)
    assert "1/2  AAPL|1d             3 new bars" in screen.getvalue()
    assert "2/2  MSFT|1d        failed: down" in screen.getvalue()
    assert "MSFT|1d" in _bar(screen)
    assert " 2/2 " in _bar(screen)


def test_what_a_run_left_is_said_in_a_line(
    screen: io.StringIO, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    followed(_telling(_done("AAPL|1d"), LEFT), total=2)
    said = "  2 of 700 series not done: not begun within 300 s"
    assert said in screen.getvalue()
    assert " 1/2 " in _bar(screen)
    monkeypatch.undo()
    followed(_telling(LEFT), total=700)
    assert capsys.readouterr().out == f"{said}\n"


def test_a_terminal_shows_of_a_larger_run_the_bar_and_what_failed(screen: io.StringIO) -> None:
    lost = SeriesDone(7, 700, "MSFT|1d", 0, 4, 5, "down")
    followed(_telling(lost, TOLD), total=700, title="run 2/3")
    shown = screen.getvalue()
    assert "  7/700  MSFT|1d        failed: down" in shown
    assert "8,750 new bars" not in shown, "the bar tells it"
    assert "run 2/3 1 failed, 420 a minute, 0:01:35 left" in _bar(screen)
    assert " 35/700 " in _bar(screen)


def _bar(screen: io.StringIO) -> str:
    """The bar as it was left."""
    (*_, bar, _) = screen.getvalue().splitlines()
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", bar)


@pytest.mark.usefixtures("stand_in")
def test_a_child_that_is_killed_says_so(home: Home) -> None:
    run = update_series(home, Update([AAPL, Series.parse("KILL|1d")]), lambda _: None)
    assert run.broke_off
    assert run.reason == "Dagster was killed by signal 9"


@pytest.mark.parametrize("name", ["DEAF", "WAIT"])
def test_an_interrupt_leaves_no_child_behind_and_keeps_its_last_words(
    home: Home,
    stand_in: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    name: str,
) -> None:
    monkeypatch.setattr(child, "_PATIENCE", 0.5)
    update = Update([AAPL, Series.parse(f"{name}|1d")])

    def interrupt(_: object) -> None:
        stand_in.await_waiting()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        update_series(home, update, interrupt)
    assert update.run.done == 1
    assert capfd.readouterr().err == "ending the run ...\n"
    with pytest.raises(ProcessLookupError):
        os.kill(stand_in.pid(), 0)
    said = update.run.log.read_text("utf-8")
    assert ("told to end" in said) == (name == "WAIT")
