"""What an update of many series costs its own process, beside a bare loop over the same requests.

Not here: the history that is served (_history), the homes (_stage), the bare loop (_bare).

Client CPU seconds, user and system, of 100 instruments x 7 timeframes from homes without bars, by
the asset's config door (one run, series in its config) and its keyed door (a partition range), on
SQLite and on Postgres; neither the simulator, which is a process of its own and answers at once,
nor Postgres counts. The peer is a loop of yfinance's `Ticker.history` for the same windows over the
same simulator, with `to_parquet` of each frame and pandas' `resample` for 4h and 1wk. All take
turns within each round; ratios are of the same round. Imports are part of every figure. In full it
takes half an hour and more.
"""

import json
import resource
import socket
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
from _history import FETCHED, MARKET_START, World, charts, served
from _place import postgres
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
_MANY, _FEW = "config door, {}", "100 series, {}"
_MOST = {SQLITE: 2.0, POSTGRES: 1.5}
"""Aims: CPU of the config door, as a multiple of the bare loop's."""
_MOST_MB, _MOST_GROWTH = 512.0, 1.15
_IMPORTS = {
    _PEER: "yfinance, pyarrow.parquet",
    "pipeline": f"{_MODULE}, marketdata_pipeline.providers.yahoo.session, "
    "exchange_calendars, pyarrow.parquet, psycopg2",
}


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured; ``few``: a run of 100 series as well, to compare its memory."""

    instruments: int
    rows: Sequence[int]
    rounds: int
    few: bool


QUICK, FULL = Scale(6, (250,), 1, few=False), Scale(100, (250, 5000), 3, few=True)


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
    with tempfile.TemporaryDirectory() as folder, postgres() as server:
        for rows in scale.rows:
            world = World(scale.instruments, rows, time.time(), _free_port())
            with served(world):
                found = _measured(Stage(world, Path(folder), server), scale)
            notes |= _noted(world, found)
            figures += _figures(world, found, asked)
    # A child's peak begins with its parent's: below this one a memory would say nothing.
    notes["own_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)
    return report(figures, asked, notes)


def _measured(stage: Stage, scale: Scale) -> Measured:
    """Every door and the bare loop, by turns."""
    found = Measured()
    everything = [Series(one, each) for one in stage.world.names() for each in Timeframe]
    for _ in range(scale.rounds):
        for who, modules in _IMPORTS.items():
            cost = cost_of([sys.executable, "-c", f"import {modules}"])
            found.costs[f"imports of {who}"].append(cost)
        _bare(stage, found)
        for database in (SQLITE, POSTGRES):
            _by_config(stage, database, everything, found, _MANY.format(database))
            if scale.few:
                _by_config(stage, database, everything[:100], found, _FEW.format(database))
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
        zones = str(stage.folder / "zones")
        plan.write_text(json.dumps({"port": world.port, "zones": zones, "windows": windows}))
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
    before = charts(place.world)
    found.costs[who].append(cost_of(command, place.environment()))
    found.requests[who] = charts(place.world) - before
    found.rows[who] = place.rows()


def _noted(world: World, found: Measured) -> dict[str, object]:
    """How many bars a series has, by timeframe, and that both sides did the same work."""
    whole = [who for who in found.rows if not who.startswith("100 series")]
    for one, total in world.counts().items():
        for who in whole:
            # yfinance keeps the price after the last bar, which is a row of its own on 1m, and
            # drops each day's last minute of what trades round the clock: one of 1,440.
            peer = who == _PEER
            least = total - total // 1440 if peer else total
            most = total + world.instruments if peer else total
            if not least <= found.rows[who][one] <= most:
                came = found.rows[who][one]
                raise RuntimeError(f"{total} bars of {one} are served, {who} has {came}")
    bars = sum(found.rows[whole[-1]].values())
    asked = ", ".join(f"{who} {found.requests[who]}" for who in whole)
    return {**world.told(), f"{world.rows} rows, bars": bars, f"{world.rows} rows, requests": asked}


def _figures(world: World, found: Measured, asked: Options) -> list[Figure]:
    rows, aims = f"{world.rows} rows: ", not asked.quick
    figures = [Figure(rows + who + ", CPU", found.cpu(who), "s") for who in found.costs]
    for database, most in _MOST.items():
        for door in ("config", "keyed"):
            who = f"{door} door, {database}"
            aim = most if aims and door == "config" else None
            name = f"{rows}{who} / bare loop"
            figures.append(Figure(name, found.ratio(who, _PEER), "x", aim))
        few, many = (found.costs[one.format(database)] for one in (_FEW, _MANY))
        grown = tuple(b.rss / a.rss for a, b in zip(few, many, strict=False))
        memory = tuple(one.rss for one in many)
        figures += [
            Figure(f"{rows}config door, {database}, memory", memory, "MB", _MOST_MB),
            Figure(f"{rows}... / that of {_FEW.format(database)}", grown, "x", _MOST_GROWTH),
        ]
    return figures


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
