"""The main job as a newcomer runs it: processes, a temporary folder, no network."""

import fcntl
import html
import json
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from marketdata_pipeline.domain.bars import COLUMNS
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline_tests.cli.terminal import (
    Said,
    Terminal,
    command,
    environment,
    program,
)
from marketdata_pipeline_tests.ports import free_port

pytestmark = pytest.mark.proof

STOCKS = {"AAPL": 3261, "MSFT": 3261, "IBM": 3261, "GOOGL": 2139, "META": 187}
ROUND_THE_CLOCK = ["BTC-USD|1h", "EURUSD=X|1h"]
HOURS = TimeRange(datetime(2011, 2, 18, tzinfo=UTC), datetime(2013, 2, 15, 21, tzinfo=UTC))
"""Made up, hour by hour, 729 days back from the start of the replay."""
SERIES = [
    *(f"{stock}|{frame}" for stock in STOCKS for frame in ("1d", "1wk")),
    *ROUND_THE_CLOCK,
]


@dataclass(frozen=True, slots=True)
class Demo:
    """What the first run left."""

    folder: Path
    env: dict[str, str]
    said: Said

    @property
    def home(self) -> Path:
        return self.folder / ".marketdata-demo"

    def status(self, marketdata: Terminal) -> dict[str, dict[str, object]]:
        told = json.loads(marketdata("--home", self.home, "status", "--json").out)
        return {one["series"]: one for one in told["series"]}


@pytest.fixture(scope="session")
def demo(worker_id: str, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """One for all workers of a test run: making it takes some ten seconds."""
    ours = tmp_path_factory.getbasetemp()
    folder = (ours if worker_id == "master" else ours.parent) / "newcomer"
    folder.mkdir(exist_ok=True)
    with (folder.parent / "newcomer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        left = folder.parent / "newcomer.json"
        if not left.exists():
            env = environment(MARKETDATA_SIMULATOR_PORT=free_port())
            left.write_text(json.dumps([env, asdict(program(folder, env, "quickstart"))]))
        env, said = json.loads(left.read_text())
    return Demo(folder, env, Said(**said))


def test_quickstart_ends_well_with_every_series_in_full(demo: Demo, marketdata: Terminal) -> None:
    assert demo.said.code == 0, demo.said
    assert demo.said.err == ""
    lines = demo.said.out.splitlines()
    assert lines[0] == (
        "Yahoo does not answer (the proxy lets nothing through): demo with simulated bars in "
        f"{demo.home}"
    )
    assert lines[1] == "Dagster materializes ohlcv AAPL|1d...META|1wk"
    followed = {line.split()[1] for line in lines if "new bars" in line}
    assert followed == set(SERIES), "live progress, a line each"
    assert "source: simulator:recorded, simulator:synthetic" in demo.said.out
    told = demo.status(marketdata)
    assert list(told) == SERIES
    assert {one: told[f"{one}|1d"]["bars"] for one in STOCKS} == STOCKS
    for hourly in map(Series.parse, ROUND_THE_CLOCK):
        one, expected = told.pop(str(hourly)), calendar_of(hourly.instrument)
        hours = len(expected.grid(hourly.timeframe, HOURS).labels)
        assert (one["origin"], one["bars"]) == ("simulator:synthetic", hours)
        assert (one["completeness"], one["requests"], one["error"]) == (1.0, 1, None)
    for series, one in told.items():
        daily = series.endswith("|1d")
        assert one["origin"] == "simulator:recorded"
        assert one["completeness"] == 1.0
        assert one["last"] == ("2013-02-15" if daily else "2013-02-11")
        assert (one["provider"], one["requests"]) == (("yahoo", 1) if daily else ("derived", 0))
        assert one["error"] is None


def test_quickstart_tells_what_to_do_next(demo: Demo) -> None:
    tail = demo.said.out[demo.said.out.index("next:") :].splitlines()
    assert tail[1] == (f"  export MARKETDATA_HOME={demo.home} DAGSTER_HOME={demo.home / 'dagster'}")
    assert [line.split()[1:] for line in tail[2:]] == [
        ["bars", "AAPL", "1d", "--chart"],
        ["status"],
        ["ui"],
    ]


def test_quickstart_writes_one_page_that_needs_nothing_else(demo: Demo) -> None:
    page = (demo.home / "bars.html").read_text("utf-8")
    assert "simulator:recorded" in page
    for series in SERIES:
        assert series in html.unescape(page)
    assert 'src="http' not in page
    assert 'href="http' not in page


def test_stored_bars_are_the_data_sets_own_across_the_split(
    demo: Demo, marketdata: Terminal
) -> None:
    """AAPL was split 2:1 on 2005-02-28; what is stored is what was traded."""
    from bokeh_sampledata import stocks

    recorded: Any = stocks.AAPL
    truth = pd.DataFrame({name: recorded[name] for name in COLUMNS}, dtype="float64")
    truth.index = pd.DatetimeIndex(recorded["date"], tz="UTC")
    asked = ("bars", "AAPL", "--csv", "--adjust", "none")
    out = marketdata("--home", demo.home, *asked).out
    rows = [line.split(",") for line in out.splitlines()[1:]]
    stored = np.array([[float(one) for one in row[1:]] for row in rows])
    assert [row[0][:10] for row in rows] == recorded["date"][: len(rows)]
    assert len(rows) == STOCKS["AAPL"]
    np.testing.assert_array_equal(stored, truth.to_numpy()[: len(rows)])


@pytest.mark.parametrize(
    ("partitions", "says"),
    [
        pytest.param(
            ("--partition", "AAPL|1d"),
            "1/1 series=AAPL|1d new=0 stored=3261 requests=0",
            marks=pytest.mark.proof,
        ),
        (
            ("--partition-range", "AAPL|1d...AAPL|1wk"),
            "2/2 series=AAPL|1wk new=0 stored=677 requests=0",
        ),
    ],
)
@pytest.mark.proof
def test_dagsters_own_command_works_afterwards(
    demo: Demo, partitions: tuple[str, str], says: str
) -> None:
    env = {**demo.env, "DAGSTER_HOME": str(demo.home / "dagster")}
    env.pop("MARKETDATA_SIMULATOR_PORT")
    dagster = [sys.executable, "-m", "dagster", "asset", "materialize", "--select", "ohlcv"]
    dagster += ["-m", "marketdata_pipeline.definitions"]
    found = command(demo.folder, env, *dagster, *partitions)
    assert found.code == 0, found.err
    assert says in found.err


@pytest.mark.proof
def test_a_second_quickstart_sends_no_request(demo: Demo, marketdata: Terminal) -> None:
    before = demo.status(marketdata)
    again = program(demo.folder, demo.env, "quickstart")
    assert again.code == 0, again
    done = [line for line in again.out.splitlines() if "new bars" in line]
    assert len(done) == len(SERIES)
    assert all("0 new bars" in line and line.endswith(" 0 requests") for line in done)
    assert demo.status(marketdata) == before


def test_another_folder_reads_it_by_its_name_alone(demo: Demo, tmp_path: Path) -> None:
    env = {**demo.env, "MARKETDATA_HOME": str(demo.home)}
    code = (
        "import sys, marketdata_pipeline as m\n"
        "bars = m.get_ohlcv('AAPL', '1wk', '2005-01-03', '2005-03-14')\n"
        "print(len(bars), bars.attrs['basis'], bars.attrs['currency'])\n"
        "print(sorted(set(sys.modules) & {'dagster', 'yfinance', 'curl_cffi', 'requests'}))\n"
    )
    found = command(tmp_path, env, sys.executable, "-c", code)
    assert (found.code, found.err) == (0, "")
    assert found.out.splitlines() == ["10 splits USD", "[]"]
    assert [one.name for one in tmp_path.iterdir()] == ["cwd"], "reading leaves nothing behind"
