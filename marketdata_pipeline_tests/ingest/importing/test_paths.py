"""Files and folders: which series they are of, an old system's folder, and several at once."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing import paths as use_case
from marketdata_pipeline.ingest.importing.outcome import Imported
from marketdata_pipeline.ingest.importing.paths import Asked, Format, Read, import_paths
from marketdata_pipeline.ingest.importing.terms import Prices, Side, Terms
from marketdata_pipeline_tests.ingest.importing.conftest import Make
from marketdata_pipeline_tests.ingest.importing.rows import naive, titled, write_csv, yahoo_daily
from marketdata_pipeline_tests.ingest.world import World, days, walk

AAPL, MSFT = (Series.parse(f"{one}|1d") for one in ("AAPL", "MSFT"))
TERMS = Terms(side=Side.OPEN, zone="America/New_York", basis=Prices.RAW)
ASKED = Asked(terms=TERMS)
BARS = walk(AAPL, days("2022-11-01", "2024-03-15"))
Run = Callable[..., list[Imported]]


@pytest.fixture
def run(importing: Make) -> Run:
    def imported(*paths: Path, asked: Asked = ASKED, **options: Any) -> list[Imported]:
        return list(import_paths(importing(**options), paths, asked, lambda _: None))

    return imported


def _dated(bars: pd.DataFrame) -> pd.DataFrame:
    return bars.reset_index().assign(ts=lambda one: one["ts"].dt.strftime("%Y-%m-%d"))


def _series(found: list[Imported]) -> list[str]:
    """What was stored of each."""
    return [f"{one.series} {one.counts.new}" for one in found if one.counts is not None]


def _errors(found: list[Imported]) -> list[str]:
    return [str(one.error) for one in found if one.error is not None]


def _years(folder: Path, bars: pd.DataFrame, **beside: Any) -> None:
    """A CSV file a year, as older systems keep them, each with metadata beside it."""
    for year, part in bars.groupby(pd.DatetimeIndex(bars.index).year):
        write_csv(_dated(part), folder / f"{year}.csv.gz")
        if beside:
            (folder / f"{year}.json").write_text(json.dumps({"year": year, **beside}))


def test_a_files_name_says_its_series(run: Run, world: World, tmp_path: Path) -> None:
    found = run(write_csv(_dated(BARS), tmp_path / "AAPL_1d.csv.gz"))
    assert _series(found) == ["AAPL|1d 343"]
    assert found[0].files == (tmp_path / "AAPL_1d.csv.gz",)
    pd.testing.assert_frame_equal(world.store.read(AAPL), BARS, check_freq=False)
    assert world.catalog.summaries([AAPL])[0].origin == "import:AAPL_1d.csv.gz"


def test_options_say_what_a_name_does_not(run: Run, tmp_path: Path) -> None:
    path = write_csv(_dated(BARS), tmp_path / "prices.csv")
    (said,) = _errors(run(path))
    assert said == (
        "prices.csv does not say its instrument (Yahoo's spelling): --instrument AAPL and its "
        "timeframe: --timeframe 1m|5m|15m|1h|4h|1d|1wk"
    )
    asked = Asked(Instrument.parse("AAPL"), Timeframe.D1, TERMS)
    assert _series(run(path, asked=asked)) == ["AAPL|1d 343"]


def test_an_option_beats_a_guess_and_contradicts_no_name(run: Run, tmp_path: Path) -> None:
    asked = Asked(Instrument.parse("AAPL"), Timeframe.D1, TERMS)
    guess = write_csv(_dated(BARS), tmp_path / "DATA.csv")
    assert _series(run(guess, asked=asked)) == ["AAPL|1d 343"]
    named = write_csv(_dated(BARS), tmp_path / "MSFT_1d.csv")
    with pytest.raises(
        BadInput, match=r"MSFT_1d.csv is of MSFT, as its name or what stands beside"
    ):
        run(named, asked=asked)
    with pytest.raises(BadInput, match=r"is of 1d, .*, not of 1h; leave out --timeframe"):
        run(named, asked=Asked(timeframe=Timeframe.H1, terms=TERMS))


def test_the_folder_of_an_older_system_is_imported_whole(
    run: Run, world: World, tmp_path: Path
) -> None:
    old, terms = tmp_path / "old", {"timezone": "America/New_York", "label": "left"}
    _years(old / "AAPL" / "1d", BARS.assign(adj_close=BARS["close"]), symbol="AAPL", **terms)
    _years(old / "MSFT", BARS, symbol="MSFT", interval="1d", adjusted=False, **terms)
    hours = Series.parse("AAPL|1h")
    bars = walk(hours, days("2023-12-20", "2024-01-10"))
    write_csv(naive(bars, "UTC"), old / "AAPL" / "1h" / "2024.csv.gz")
    about = {"AAPL": {"timezone": "UTC", "label": "open", "adjustment": "raw", "currency": "USD"}}
    (old / "_metadata").mkdir()
    (old / "_metadata" / "symbols.json").write_text(json.dumps(about))
    (old / "_metadata" / "providers.json").write_text("{}")
    (old / "_metadata" / "quality_scores.json").write_text("not json")
    found = run(old, asked=Asked())
    assert _errors(found) == []
    assert sorted(_series(found)) == ["AAPL|1d 343", f"AAPL|1h {len(bars)}", "MSFT|1d 343"]
    for series, whole in ((AAPL, BARS), (hours, bars), (MSFT, BARS)):
        pd.testing.assert_frame_equal(world.store.read(series), whole, check_freq=False)
    origins = {one.origin for one in world.catalog.summaries([AAPL, MSFT])}
    assert origins == {"import:2022.csv.gz..2024.csv.gz"}
    assert not any(one.stored for one in run(old, asked=Asked()))


def test_a_folder_of_another_name_may_be_said_by_its_metadata(run: Run, tmp_path: Path) -> None:
    _years(
        tmp_path / "EURUSD" / "1d",
        walk(Series.parse("EURUSD=X|1d"), days("2023-12-01", "2024-02-01")),
        symbol="EURUSD=X",
    )
    assert _series(run(tmp_path)) == ["EURUSD=X|1d 44"]


def test_an_option_chooses_from_a_folder(run: Run, tmp_path: Path) -> None:
    for name in ("AAPL", "MSFT"):
        write_csv(_dated(BARS), tmp_path / f"{name}_1d.csv")
    asked = Asked(Instrument.parse("MSFT"), terms=TERMS)
    assert _series(run(tmp_path, asked=asked)) == ["MSFT|1d 343"]
    with pytest.raises(BadInput, match="none of the files is of IBM; leave out the option"):
        run(tmp_path, asked=Asked(Instrument.parse("IBM"), terms=TERMS))


def test_a_partitioned_data_set_names_its_series_in_its_folders(
    run: Run, world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "bars" / "timeframe=1d" / "instrument=AAPL"
    folder.mkdir(parents=True)
    BARS.reset_index().to_parquet(folder / "part-0.parquet")
    asked = Asked(terms=replace(TERMS, zone=None))
    assert _series(run(tmp_path / "bars", asked=asked)) == ["AAPL|1d 343"]
    pd.testing.assert_frame_equal(world.store.read(AAPL), BARS, check_freq=False)


def test_rows_may_say_their_instrument_themselves(run: Run, tmp_path: Path) -> None:
    both = pd.concat([_dated(BARS).assign(symbol="AAPL"), _dated(BARS).assign(symbol="MSFT")])
    path = write_csv(both, tmp_path / "all.csv")
    day = Asked(timeframe=Timeframe.D1, terms=TERMS)
    assert _series(run(path, asked=day)) == ["AAPL|1d 343", "MSFT|1d 343"]
    only = Asked(Instrument.parse("MSFT"), Timeframe.D1, TERMS)
    assert [str(one.series) for one in run(path, asked=only)] == ["MSFT|1d"]
    none = Asked(Instrument.parse("IBM"), Timeframe.D1, TERMS)
    assert _errors(run(path, asked=none)) == ["all.csv has no row of IBM; leave out --instrument"]
    named = write_csv(both, tmp_path / "AAPL_1d.csv")
    assert _errors(run(named)) == ["AAPL_1d.csv has rows of MSFT, but is of AAPL"]


def test_one_name_that_is_no_spelling_of_ours_is_what_the_person_says(
    run: Run, tmp_path: Path
) -> None:
    path = write_csv(_dated(BARS).assign(ticker="AAPL.US"), tmp_path / "aapl_us.csv")
    (said,) = _errors(run(path, asked=Asked(timeframe=Timeframe.D1, terms=TERMS)))
    assert said == "the venue '.US' of 'AAPL.US' is not known; see docs/instruments.md"
    asked = Asked(Instrument.parse("AAPL"), Timeframe.D1, TERMS)
    assert _series(run(path, asked=asked)) == ["AAPL|1d 343"]


def test_splits_are_those_of_one_instrument(run: Run, tmp_path: Path) -> None:
    split = Action(date(2023, 6, 12), ActionKind.SPLIT, Fraction(2))
    asked = Asked(timeframe=Timeframe.D1, terms=replace(TERMS, splits=(split,)))
    for name in ("AAPL", "MSFT"):
        write_csv(_dated(BARS), tmp_path / "two" / f"{name}_1d.csv")
    with pytest.raises(BadInput, match="--splits is of one instrument, but there are AAPL, MSFT"):
        run(tmp_path / "two", asked=asked)
    both = pd.concat([_dated(BARS).assign(symbol=name) for name in ("AAPL", "MSFT")])
    (said,) = _errors(run(write_csv(both, tmp_path / "both.csv"), asked=asked))
    assert said == ("--splits is of one instrument, but there are AAPL, MSFT; add --instrument")


def test_a_folder_that_may_not_be_read_is_no_empty_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_csv(_dated(BARS), tmp_path / "AAPL_1d.csv")
    (tmp_path / "MSFT").mkdir()
    listed = os.scandir

    def refused(folder: str) -> Any:
        """Root, who runs tests too, may read everything."""
        if str(folder).endswith("MSFT"):
            raise PermissionError(13, "Permission denied", folder)
        return listed(folder)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(BadInput, match="MSFT cannot be read: Permission denied"):
        run(tmp_path)


def test_a_timeframe_that_rows_and_name_say_otherwise_is_refused(run: Run, tmp_path: Path) -> None:
    path = write_csv(_dated(BARS).assign(interval="1h"), tmp_path / "AAPL_1d.csv")
    assert _errors(run(path)) == [
        "AAPL_1d.csv is said to hold 1d and 1h; correct it, or --timeframe"
    ]


@pytest.mark.parametrize("kind", [Format.AUTO, Format.YFINANCE])
def test_yfinances_files_say_all_but_their_last_split(
    kind: Format, run: Run, world: World, tmp_path: Path
) -> None:
    frame = yahoo_daily(BARS)
    both = pd.concat({"AAPL": frame, "MSFT": frame}, axis=1, names=["Ticker", "Price"])
    write_csv(both, tmp_path / "two.csv")
    both.swaplevel(axis=1).sort_index(axis=1).to_parquet(tmp_path / "two.parquet")
    asked = Asked(timeframe=Timeframe.D1, terms=Terms(splits=()), format=kind)
    assert _series(run(tmp_path / "two.csv", asked=asked)) == ["AAPL|1d 343", "MSFT|1d 343"]
    assert not any(one.stored for one in run(tmp_path / "two.parquet", asked=asked))
    pd.testing.assert_frame_equal(world.store.read(MSFT), BARS, check_freq=False)


def test_a_format_is_what_the_person_says(run: Run, tmp_path: Path) -> None:
    path = write_csv(yahoo_daily(BARS), tmp_path / "AAPL_1d.csv")
    (said,) = _errors(run(path, asked=Asked(format=Format.CSV)))
    assert said == (
        "AAPL_1d.csv does not say its label side and basis; add --labels open|close and "
        "--basis raw|splits"
    )
    plain = write_csv(titled(BARS), tmp_path / "MSFT_1d.csv")
    (said,) = _errors(run(plain, asked=Asked(format=Format.YFINANCE)))
    assert "prices that dividends were taken out of" in said
    with pytest.raises(BadInput, match=r"AAPL_1d.csv is no folder; leave out --format folder"):
        run(path, asked=Asked(format=Format.FOLDER))
    with pytest.raises(BadInput, match=r"holds no file that ends in .parquet, .pq"):
        run(tmp_path, asked=Asked(format=Format.PARQUET))
    with pytest.raises(BadInput, match="--format is 'xls', it must be one of auto, csv, parquet"):
        Format.parse("xls")


def test_what_is_refused_stops_nobody_else(run: Run, tmp_path: Path) -> None:
    write_csv(_dated(BARS).assign(high=0.01), tmp_path / "AAPL_1d.csv")
    write_csv(_dated(BARS), tmp_path / "MSFT_1d.csv")
    (tmp_path / "IBM_1d.csv").write_bytes(b"\xff\xfe")
    (tmp_path / "KO_1d.csv").write_text("date,open,high,low,close\n")
    found = run(tmp_path)
    assert _series(found) == ["MSFT|1d 343"]
    assert [str(one.series) for one in found if one.error] == ["AAPL|1d", "IBM|1d", "KO|1d"]
    assert _errors(found)[2] == "KO_1d.csv has no rows"


def test_paths_that_are_not_there_or_hold_nothing_are_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is no file and no folder; name one that holds bars"):
        run(tmp_path / "absent.csv")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(BadInput, match=r"holds no file that ends in .csv.gz, .csv, .parquet, .pq"):
        run(tmp_path)


def test_links_are_followed_and_may_lead_back(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_csv(_dated(BARS), data / "AAPL" / "1d" / "2024.csv")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "AAPL").symlink_to(data / "AAPL")
    (data / "AAPL" / "loop").symlink_to(folder)
    (folder / "gone.csv").symlink_to(tmp_path / "nowhere")
    assert _series(run(folder)) == ["AAPL|1d 343"]


def test_a_file_that_is_named_twice_is_read_once(run: Run, tmp_path: Path) -> None:
    path = write_csv(_dated(BARS), tmp_path / "AAPL_1d.csv")
    assert len(run(path, path)) == 1


def test_files_of_one_series_that_contradict_each_other_are_refused(
    run: Run, tmp_path: Path
) -> None:
    write_csv(_dated(BARS), tmp_path / "AAPL_1d" / "2023.csv")
    write_csv(_dated(BARS.assign(volume=BARS["volume"] + 1)), tmp_path / "AAPL_1d" / "2024.csv")
    (said,) = _errors(run(tmp_path))
    assert said.startswith(
        "AAPL_1d/2023.csv, line 2 and AAPL_1d/2024.csv, line 2 are two different bars of AAPL|1d"
    )


def test_a_series_in_too_many_rows_is_given_up(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _years(tmp_path / "AAPL_1d", BARS)
    monkeypatch.setattr(use_case, "MOST_ROWS", 300)
    (said,) = _errors(run(tmp_path))
    assert said == "AAPL_1d/2024.csv.gz and those before it hold too many rows; split them"


def test_the_reading_is_told(importing: Make, tmp_path: Path) -> None:
    _years(tmp_path / "AAPL_1d", BARS)
    write_csv(_dated(BARS), tmp_path / "MSFT_1d.csv")
    told: list[Read] = []
    list(import_paths(importing(), [tmp_path], ASKED, told.append))
    assert [(one.files, one.total, one.name, one.rows) for one in told] == [
        (0, 4, "AAPL_1d/2022.csv.gz", 0),
        (1, 4, "AAPL_1d/2023.csv.gz", 42),
        (2, 4, "AAPL_1d/2024.csv.gz", 292),
        (3, 4, "MSFT_1d.csv", 0),
    ]


def test_closing_the_iterator_leaves_whole_series_only(
    importing: Make, world: World, tmp_path: Path
) -> None:
    for name in ("AAPL", "MSFT"):
        _years(tmp_path / f"{name}_1d", BARS)
    going = import_paths(importing(), [tmp_path], ASKED, lambda _: None)
    assert str(next(iter(going)).series) == "AAPL|1d"
    going.close()  # type: ignore[attr-defined]
    assert len(world.store.read(AAPL)) == len(BARS)
    assert len(world.store.read(MSFT)) == 0
