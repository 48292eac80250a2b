"""Following Dagster's output: progress, failures, and what a run came to."""

from pathlib import Path

import pytest

from marketdata_pipeline.cli.child import Done, Run, dagster_environment, update_series
from marketdata_pipeline.cli.progress import followed, refuse_failure
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import MarketDataError


def _done(series: str, error: str | None = None) -> Done:
    return Done(series=series, done=1, total=2, new=3, stored=4, requests=5, error=error)


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
        update_series(home, [Series.parse("AAPL|1d")], None, lambda _: None)


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (Run(), "the run failed; its log is log"),
        (Run(reason="no home at x"), "no home at x; its log is log"),
        (
            Run(done=[_done("A|1d", "down"), _done("B|1d")]),
            "1 of 2 series failed: down; its log is log",
        ),
        (
            Run(done=[_done("A|1d", "down"), _done("B|1d", "down")]),
            "2 of 2 series failed: down; its log is log",
        ),
        (
            Run(succeeded=True, done=[_done("A|1d", "down"), _done("B|1d", "up")]),
            "2 of 2 series failed: down (and 1 other reasons); its log is log",
        ),
    ],
)
def test_a_failure_is_one_sentence_that_names_the_log(run: Run, said: str) -> None:
    run.log = Path("log")
    with pytest.raises(MarketDataError) as found:
        refuse_failure(run)
    assert str(found.value) == said


def test_a_run_that_succeeded_is_no_failure() -> None:
    refuse_failure(Run(succeeded=True, done=[_done("A|1d")]))


def test_progress_is_a_line_a_series_where_nobody_watches(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def start(follow: object) -> Run:
        assert callable(follow)
        follow(_done("AAPL|1d"))
        follow(_done("[b]|1d", "it is [down]"))
        return Run()

    followed(start, total=2)
    assert capsys.readouterr().out.splitlines() == [
        "  1/2  AAPL|1d             3 new bars,      4 stored, 5 requests",
        "  1/2  [b]|1d         failed: it is [down]",
    ]
