"""Runs Dagster as a child process and follows its progress.

Not here: what Dagster runs (definitions). An edge starts another as a process, never imports it.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from marketdata_pipeline.cli.run import Run
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import MarketDataError
from marketdata_pipeline.ingest.progress import Leftover, Progress, SeriesDone

Follow = Callable[[SeriesDone | Progress | Leftover], None]
"""Told of each line of progress as it comes."""

_MODULE = "marketdata_pipeline.definitions"
_PATIENCE = 5.0
"""Seconds for a run to end, each time that it is told to."""


@dataclass(frozen=True, slots=True)
class Update:
    """A run to come, by the config door.

    Attributes:
        series: what it updates.
        within: the range, None: as tracked.
        tags: of the run, for Dagster.
        further: one of several runs; its log is added to that of the run before.
        run: what it comes to, filled in while it runs.
    """

    series: Sequence[Series]
    within: TimeRange | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    further: bool = False
    run: Run = field(default_factory=Run)


def materialize_range(home: Home, keys: str, follow: Follow, *, debug: bool = False) -> Run:
    """Have Dagster materialize a range of partition keys (``AAPL|1d...META|1wk``).

    ``follow`` is told of its progress; ``debug`` logs each request, here too.
    """
    asked = ["asset", "materialize", "-m", _MODULE, "--select", "ohlcv", "--partition-range", keys]
    run = Run(log=_log(home))
    _follow(run, home, asked, follow, debug=debug)
    return run


def update_series(home: Home, update: Update, follow: Follow, *, debug: bool = False) -> Run:
    """Have Dagster update a list of series by the config door; the rest as above.

    Returns the update's own run, which says how far it came even where this is interrupted.
    """
    config: dict[str, object] = {"series": [str(one) for one in update.series]}
    if update.within is not None:
        config["start"] = update.within.start.isoformat()
        config["end"] = update.within.end.isoformat()
    update.run.log = _log(home, further=update.further)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.yaml"
        file.write_text(json.dumps({"ops": {"ohlcv": {"config": config}}}), encoding="utf-8")
        asked = ["job", "execute", "-m", _MODULE, "-j", "bars_update", "-c", str(file)]
        if update.tags:
            asked += ["--tags", json.dumps(dict(update.tags))]
        _follow(update.run, home, asked, follow, debug=debug)
    return update.run


def dagster_environment(home: Home, *, debug: bool = False) -> dict[str, str]:
    """The environment in which Dagster works on this home."""
    return {
        **os.environ,
        **({"MARKETDATA_LOG_LEVEL": "debug"} if debug else {}),
        "DAGSTER_HOME": str(home.dagster),
        "MARKETDATA_HOME": str(home.folder),
        "PYTHONUNBUFFERED": "1",
    }


def _log(home: Home, *, further: bool = False) -> Path:
    """Where a run's output goes: an empty file, unless it is added to that of a run before."""
    log = home.dagster / "last-run.log"
    try:
        log.open("a" if further else "w").close()
    except OSError as error:
        raise MarketDataError(f"{log} cannot be written: {error.strerror or error}") from error
    return log


def _follow(run: Run, home: Home, asked: list[str], follow: Follow, *, debug: bool) -> None:
    with (
        run.log.open("a", encoding="utf-8") as log,
        subprocess.Popen(  # noqa: S603 - Dagster by our own interpreter
            [sys.executable, "-m", "dagster", *asked],
            env=dagster_environment(home, debug=debug),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as child,
    ):
        lines = child.stdout or ()
        try:
            for line in lines:
                log.write(line)
                if debug:
                    sys.stderr.write(line)
                told = run.note(line)
                if told is not None:
                    follow(told)
        except BaseException:
            _end(child)
            for line in lines:  # its last words
                log.write(line)
                run.note(line)
            raise
    run.succeeded = child.returncode == 0
    if child.returncode < 0:
        run.reason = run.reason or f"Dagster was killed by signal {-child.returncode}"


def _end(child: "subprocess.Popen[str]") -> None:
    """Have the child end, or end it.

    Told once, a run lets the instruments under way finish; told again, it waits for none. What is
    stored stays whole even where it has to be killed.
    """
    sys.stderr.write("ending the run ...\n")
    try:
        for _ in range(2):
            child.terminate()
            with suppress(subprocess.TimeoutExpired):
                child.wait(_PATIENCE)
                return
    finally:
        child.kill()
