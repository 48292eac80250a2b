"""Runs Dagster as a child process and follows its progress.

Not here: what Dagster runs (definitions). An edge starts another as a process, never imports it.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import MarketDataError

_MODULE = "marketdata_pipeline.definitions"
_DONE = re.compile(
    r"(?P<done>\d+)/(?P<total>\d+) series=(?P<series>\S+) new=(?P<new>\d+) "
    r"stored=(?P<stored>\d+) requests=(?P<requests>\d+)(?: failed: (?P<error>.*))?"
)
_REASON = re.compile(r"Failure: (?P<reason>.+)")


@dataclass(frozen=True, slots=True)
class Done:
    """One line of progress: a series that the run is done with."""

    series: str
    done: int
    total: int
    new: int
    stored: int
    requests: int
    error: str | None


@dataclass(slots=True)
class Run:
    """A finished run: how it ended, and what it said of each series."""

    succeeded: bool = False
    log: Path = Path()
    done: list[Done] = field(default_factory=list)
    reason: str | None = None

    @property
    def failed(self) -> list[Done]:
        """The series that are not up to date."""
        return [one for one in self.done if one.error is not None]


def materialize_range(
    home: Home, keys: str, follow: Callable[[Done], None], *, debug: bool = False
) -> Run:
    """Have Dagster materialize a range of partition keys (``AAPL|1d...META|1wk``).

    ``follow`` is told of each series that is done; ``debug`` logs each request, here too.
    """
    asked = ["asset", "materialize", "-m", _MODULE, "--select", "ohlcv", "--partition-range", keys]
    return _run(home, asked, follow, debug=debug)


def update_series(
    home: Home,
    series: Sequence[Series],
    within: TimeRange | None,
    follow: Callable[[Done], None],
    *,
    debug: bool = False,
) -> Run:
    """Have Dagster update a list of series by the config door; the rest as above."""
    config: dict[str, object] = {"series": [str(one) for one in series]}
    if within is not None:
        config |= {"start": within.start.isoformat(), "end": within.end.isoformat()}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.yaml"
        file.write_text(json.dumps({"ops": {"ohlcv": {"config": config}}}), encoding="utf-8")
        asked = ["job", "execute", "-m", _MODULE, "-j", "bars_update", "-c", str(file)]
        return _run(home, asked, follow, debug=debug)


def dagster_environment(home: Home, *, debug: bool = False) -> dict[str, str]:
    """The environment in which Dagster works on this home."""
    return {
        **os.environ,
        **({"MARKETDATA_LOG_LEVEL": "debug"} if debug else {}),
        "DAGSTER_HOME": str(home.dagster),
        "MARKETDATA_HOME": str(home.folder),
        "PYTHONUNBUFFERED": "1",
    }


def _run(home: Home, asked: list[str], follow: Callable[[Done], None], *, debug: bool) -> Run:
    log = home.dagster / "last-run.log"
    run = Run(log=log)
    command = [sys.executable, "-m", "dagster", *asked]
    with (
        _opened(log) as file,
        subprocess.Popen(  # noqa: S603 - Dagster by our own interpreter
            command,
            env=dagster_environment(home, debug=debug),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as child,
    ):
        if child.stdout is None:
            raise MarketDataError("the run's output cannot be read")
        try:
            for line in child.stdout:
                file.write(line)
                if debug:
                    sys.stderr.write(line)
                _note(run, line, follow)
        except BaseException:
            child.terminate()
            raise
    run.succeeded = child.returncode == 0
    return run


def _opened(log: Path) -> TextIO:
    try:
        return log.open("w", encoding="utf-8")
    except OSError as error:
        raise MarketDataError(f"{log} cannot be written: {error.strerror or error}") from error


def _note(run: Run, line: str, follow: Callable[[Done], None]) -> None:
    found = _DONE.search(line)
    if found:
        one = Done(
            series=found["series"],
            done=int(found["done"]),
            total=int(found["total"]),
            new=int(found["new"]),
            stored=int(found["stored"]),
            requests=int(found["requests"]),
            error=found["error"],
        )
        run.done.append(one)
        follow(one)
    elif run.reason is None and (reason := _REASON.search(line)):
        run.reason = reason["reason"].strip()
