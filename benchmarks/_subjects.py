"""Those who are compared, each asked for the same work in the same words, and timed by itself.

Not here: how each keeps bars. ArcticDB takes its time in its own process; what it is told and what
it answers is no part of that. An answer comes as digests, by which all of them are held together.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any, Protocol

import numpy as np
import pandas as pd
from _arctic import ENOUGH, digest

from marketdata_pipeline.domain.bars import labels_of, values_of
from marketdata_pipeline.domain.series import Series

PYTHON = Path(sys.prefix) / "arcticdb" / "bin" / "python"
"""The Python that has ArcticDB, where it is installed."""
Given = pd.DataFrame | int | None


class Work(StrEnum):
    """What is asked for, in the words of the keepers' methods."""

    WRITE = "write"
    APPEND = "append"
    READ = "read"
    TAIL = "tail"
    EACH = "each"


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds of each repetition, and digests of the frames that the last one gave."""

    seconds: Sequence[float]
    digests: Sequence[Sequence[float]]


class Subject(Protocol):
    """One of those who are compared."""

    @property
    def name(self) -> str:
        """As it is shown."""
        ...

    def ask(self, work: Work, series: Sequence[Series], given: Given, repeat: int) -> Took:
        """Have it done ``repeat`` times, or until half a second was spent.

        ``given`` are the bars to keep, or the number of rows to read; all but EACH is of one
        series.
        """
        ...


@dataclass(frozen=True, slots=True)
class Local:
    """A keeper of this process."""

    name: str
    keeper: Any

    def ask(self, work: Work, series: Sequence[Series], given: Given, repeat: int) -> Took:
        """Have it done; many series are read one by one."""
        more = () if given is None else (given,)
        do = getattr(self.keeper, Work.READ if work is Work.EACH else work)
        seconds: list[float] = []
        found: list[object] = []
        while len(seconds) < repeat and sum(seconds) < ENOUGH:
            started = time.perf_counter()
            found = [do(one, *more) for one in series]
            seconds.append(time.perf_counter() - started)
        return Took(seconds, [digest(one) for one in found if isinstance(one, pd.DataFrame)])


@dataclass(frozen=True, slots=True)
class Remote:
    """ArcticDB in its own process."""

    name: str
    child: "Popen[str]"
    folder: Path

    def ask(self, work: Work, series: Sequence[Series], given: Given, repeat: int) -> Took:
        """Have it done; many series are read in one batch.

        Raises:
            RuntimeError: it died; what it had to say is on standard error.
        """
        bars = self.folder / "bars.npz"
        if isinstance(given, pd.DataFrame):
            np.savez(bars, labels=labels_of(given), values=values_of(given))
        asked = {
            "work": work,
            "symbols": [one.slug for one in series],
            "bars": str(bars) if isinstance(given, pd.DataFrame) else None,
            "rows": given if isinstance(given, int) else None,
            "repeat": repeat,
        }
        return Took(*json.loads(self.say(json.dumps(asked))))

    def say(self, line: str) -> str:
        """Tell it a line (none: nothing), and wait for its answer."""
        told, heard = self.child.stdin, self.child.stdout
        if told is None or heard is None:
            raise RuntimeError("ArcticDB's process was started without pipes")
        if line:
            print(line, file=told, flush=True)
        answer = heard.readline()
        if not answer:
            raise RuntimeError("ArcticDB's process ended")
        return answer


@contextmanager
def arctic(folder: Path) -> Iterator[Remote | None]:
    """ArcticDB over a new folder, until the block ends; None: it is not installed."""
    if not PYTHON.exists():
        yield None
        return
    folder.mkdir()
    command = [str(PYTHON), str(Path(__file__).with_name("_arctic.py")), str(folder / "lmdb")]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True) as child:  # noqa: S603 - a file of ours
        try:
            subject = Remote("ArcticDB", child, folder)
            subject.say("")
            yield subject
        finally:
            child.terminate()
