"""`import`: what it prints, what it refuses, and that a dry run and an interrupt are told."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from marketdata_pipeline.cli import importing
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.ingest.importing.outcome import Imported
from marketdata_pipeline.ingest.importing.paths import import_paths
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline_tests.cli.terminal import Terminal
from marketdata_pipeline_tests.ingest.importing.rows import at_closes, naive, write_csv
from marketdata_pipeline_tests.ingest.world import days, walk

AAPL, HOURS = Series.parse("AAPL|1d"), Series.parse("AAPL|1h")
BARS = walk(AAPL, days("2023-01-03", "2024-01-01"))
SAID = ("--labels", "open", "--zone", "America/New_York", "--basis", "raw")


def _dated(bars: pd.DataFrame) -> pd.DataFrame:
    return bars.reset_index().assign(ts=lambda one: one["ts"].dt.strftime("%Y-%m-%d"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A file of a year of AAPL's days and one of a week of its hours, labelled by their close."""
    hours = walk(HOURS, days("2023-12-18", "2023-12-23"))
    write_csv(_dated(BARS), tmp_path / "in" / "AAPL_1d.csv.gz")
    write_csv(naive(at_closes(hours, HOURS), "America/New_York"), tmp_path / "AAPL_1h.csv")
    return tmp_path / "in"


def _stored(home: Home, series: Series = AAPL) -> int:
    return len(BarStore(home.engine, home.bars, home.clock).read(series))


def test_each_series_has_a_line_and_the_next_command_is_said(
    home: Home, marketdata: Terminal, folder: Path
) -> None:
    found = marketdata("import", folder / "AAPL_1d.csv.gz", *SAID)
    assert (found.code, found.err) == (0, "")
    assert found.out == (
        " series   rows  dropped  moved  new  known  differing       first        last \n"
        " AAPL|1d   250        0      0  250      0          0  2023-01-03  2023-12-29 \n"
        "adjusted prices lack splits until they are known: marketdata backfill AAPL\n"
        "not tracked; to keep up to date: marketdata track AAPL -t 1d\n"
        "250 new, 0 known\n"
    )
    assert _stored(home) == 250
    again = marketdata("import", folder, *SAID)
    assert (again.code, again.out.splitlines()[-1]) == (0, "0 new, 250 known")


def test_a_dry_run_says_the_same_and_stores_nothing(
    home: Home, marketdata: Terminal, folder: Path
) -> None:
    dry = marketdata("import", folder, *SAID, "--dry-run")
    assert _stored(home) == 0
    wet = marketdata("import", folder, *SAID)
    assert dry.out.splitlines()[:-1] == wet.out.splitlines()[:-1]
    assert dry.out.splitlines()[-1] == "250 new, 0 known; a dry run, nothing was stored"


def test_bars_that_were_moved_are_counted(home: Home, marketdata: Terminal, folder: Path) -> None:
    closes = ("--labels", "close", *SAID[2:])
    found = marketdata("import", folder.parent / "AAPL_1h.csv", *closes)
    line = found.out.splitlines()[1].split()
    assert line[:5] == ["AAPL|1h", "35", "0", "35", "35"]
    assert found.out.splitlines()[1].endswith("2023-12-18 14:30  2023-12-22 20:30 ")
    assert _stored(home, HOURS) == 35


def test_what_is_left_out_and_what_differs_is_told(
    home: Home, marketdata: Terminal, folder: Path
) -> None:
    marketdata("import", folder, *SAID)
    other = BARS.copy()
    other.loc[other.index[:5], "volume"] += 1
    other.loc[other.index[9], "volume"] = -1.0
    other.loc[other.index[10], "volume"] = -2.0
    other.iloc[20:22, :4] = float("nan")
    again = pd.concat([other, other.iloc[[30]]])
    path = write_csv(_dated(again), folder.parent / "AAPL_1d.csv")
    lines = marketdata("import", path, *SAID, "--provider", "stooq").out.splitlines()
    assert lines[2:6] == [
        "AAPL|1d: 2 dropped, negative volume: AAPL_1d.csv, line 11; AAPL_1d.csv, line 12",
        "AAPL|1d: rows left out without any price: 2",
        "AAPL|1d: rows left out that repeat another one: 1",
        "AAPL|1d: 5 differ from stored bars, which stay: "
        + "; ".join(
            f"{label:%Y-%m-%d} volume {volume:.10g} stored, {volume + 1:.10g} imported"
            for label, volume in BARS["volume"].iloc[:3].items()
        )
        + "; ...",
    ]
    replaced = marketdata("import", path, *SAID, "--over", "provisional").out
    assert "5 differ from stored bars, 5 of them are replaced: " in replaced
    assert replaced.splitlines()[-1] == "0 new, 246 known, 5 replaced"
    assert "differ from" not in marketdata("import", path, *SAID).out
    assert _stored(home) == 250


@pytest.mark.usefixtures("home")
def test_all_of_it_is_there_as_json(marketdata: Terminal, folder: Path) -> None:
    found = marketdata("import", folder, *SAID, "--json")
    (told,) = json.loads(found.out)
    assert {name: told[name] for name in ("series", "read", "new", "known", "first", "last")} == {
        "series": "AAPL|1d",
        "read": 250,
        "new": 250,
        "known": 0,
        "first": "2023-01-03",
        "last": "2023-12-29",
    }
    assert (told["stored"], told["tracked"], told["error"]) == (True, False, None)
    assert told["files"] == [str(folder / "AAPL_1d.csv.gz")]


def test_one_file_that_is_refused_is_one_sentence(
    home: Home, marketdata: Terminal, folder: Path
) -> None:
    found = marketdata("import", folder)
    assert found.code == 2
    assert found.sentence() == (
        "AAPL_1d.csv.gz does not say its label side, zone and basis; add --labels open|close, "
        "--zone (America/New_York, UTC, ...) and --basis raw|splits"
    )
    assert _stored(home) == 0


def test_of_several_those_that_can_be_are_stored_and_the_others_are_told(
    home: Home, marketdata: Terminal, folder: Path
) -> None:
    write_csv(_dated(BARS), folder / "prices.csv")
    (folder / "MSFT_1d.csv").write_text("date,open\n")
    found = marketdata("import", folder, *SAID)
    assert found.code == 2
    assert found.err.startswith("marketdata: 2 of 3 were refused: MSFT_1d.csv has no column of hi")
    assert found.err.endswith("(and 1 other reasons)\n")
    assert "MSFT|1d: refused: MSFT_1d.csv has no column of high, low, close" in found.out
    assert "prices.csv: refused: prices.csv does not say its instrument" in found.out
    assert _stored(home) == 250
    told = json.loads(marketdata("import", folder, *SAID, "--json").out)
    assert [one["series"] for one in told] == ["AAPL|1d", "MSFT|1d", None]


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--labels", "left"], "--labels is 'left', it must be one of open, close"),
        (["--basis", "adjusted"], "--basis is 'adjusted', it must be one of raw, splits, all"),
        (["--zone", "EDT"], "'EDT' is no time zone; use one of IANA's: America/New_York, UTC, ..."),
        (["--format", "xls"], "--format is 'xls', it must be one of auto, csv, parquet, yfinance"),
        (["--over", "final"], "--over is 'final', it can only be provisional: final bars stay"),
        (["--splits", "x"], "'x' is no split"),
        (["--provider", "a b"], "'a b' is no provider's name"),
        (["--instrument", "A|B"], "'A|B' is not an instrument"),
        (["--timeframe", "1M"], "'1M' can mean a minute or a month"),
        (["--adjusted-to", "soon"], "'soon' is no date"),
    ],
)
def test_an_option_that_cannot_be_is_one_sentence(
    options: list[str], said: str, marketdata: Terminal, folder: Path
) -> None:
    found = marketdata("import", folder, *options)
    assert (found.code, found.sentence()[: len(said)]) == (2, said)


def test_what_was_stored_before_an_interrupt_is_told(
    home: Home, marketdata: Terminal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_csv(_dated(BARS), folder / "MSFT_1d.csv")

    def interrupted(*arguments: Any) -> Iterator[Imported]:
        found = iter(import_paths(*arguments))
        yield next(found)
        raise KeyboardInterrupt

    monkeypatch.setattr(importing, "import_paths", interrupted)
    found = marketdata("import", folder, *SAID)
    assert (found.code, found.err) == (130, "marketdata: interrupted\n")
    assert found.out.splitlines()[-1] == "250 new, 0 known"
    assert (_stored(home), _stored(home, Series.parse("MSFT|1d"))) == (250, 0)


@pytest.mark.usefixtures("home")
def test_many_files_tell_how_far_they_are(marketdata: Terminal, folder: Path) -> None:
    for number in range(41):
        write_csv(_dated(BARS.iloc[:3]), folder / f"A{number}_1d.csv")
    lines = marketdata("import", folder, *SAID).out.splitlines()
    assert lines[:3] == ["  3/42 files", "  5/42 files", "  7/42 files"]
    assert sum(" files" in line for line in lines) == 19
    (hint,) = [line for line in lines if line.startswith("not tracked")]
    assert hint.startswith("not tracked; to keep up to date: marketdata track A0 A10 A11 ")
    assert hint.endswith(" AAPL -t 1d")
