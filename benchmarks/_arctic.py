"""ArcticDB as a peer: a child process in an environment of its own, and what it answers.

Not here: who talks to it (_subjects). It wants pandas below 3 and so cannot stand beside the
project: `make arcticdb` installs benchmarks/arcticdb.txt into .venv/arcticdb, whose Python runs
this file. Each line of JSON on standard input is answered by one on standard output; it takes the
time by itself.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ENOUGH = 0.5
"""Seconds after which nothing is repeated any more."""
_COLUMNS = ["open", "high", "low", "close", "volume"]


def digest(bars: pd.DataFrame) -> list[float]:
    """What tells two frames apart: rows, first and last label in seconds, the sum of all values."""
    ends = [pd.Timestamp(bars.index[at]).timestamp() for at in (0, -1)]
    return [float(len(bars)), *ends, float(bars.to_numpy().sum())]


class ArcticDb:
    """A symbol a series, in one library on LMDB, which syncs at each commit."""

    def __init__(self, folder: str) -> None:
        from arcticdb import Arctic

        Path(folder).mkdir()
        self._library = Arctic(f"lmdb://{folder}").create_library("bars")

    def write(self, symbols: list[str], bars: pd.DataFrame) -> None:
        """Keep a series that was not there before."""
        self._library.write(symbols[0], bars)

    def append(self, symbols: list[str], bars: pd.DataFrame) -> None:
        """Add newer bars to it; no version of before is kept, as the peers keep none."""
        self._library.append(symbols[0], bars, prune_previous_versions=True)

    def read(self, symbols: list[str]) -> list[Any]:
        """All of it."""
        return [self._library.read(symbols[0]).data]

    def tail(self, symbols: list[str], rows: int) -> list[Any]:
        """The last so many bars."""
        return [self._library.tail(symbols[0], rows).data]

    def each(self, symbols: list[str]) -> list[Any]:
        """All of many, in one batch."""
        return [one.data for one in self._library.read_batch(list(symbols))]


def _frame(path: str) -> pd.DataFrame:
    with np.load(path) as kept:
        labels = kept["labels"].astype("datetime64[us]").astype("datetime64[ns]")
        values = np.ascontiguousarray(kept["values"].T)
    return pd.DataFrame(values, index=pd.DatetimeIndex(labels), columns=_COLUMNS)


def main(folder: str) -> None:
    """Answer until standard input ends."""
    keeper = ArcticDb(folder)
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        given = [_frame(asked["bars"])] if asked["bars"] else []
        given += [asked["rows"]] if asked["rows"] else []
        do = getattr(keeper, asked["work"])
        seconds: list[float] = []
        found = None
        while len(seconds) < asked["repeat"] and sum(seconds) < ENOUGH:
            started = time.perf_counter()
            found = do(asked["symbols"], *given)
            seconds.append(time.perf_counter() - started)
        print(json.dumps([seconds, [digest(one) for one in found or ()]]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
