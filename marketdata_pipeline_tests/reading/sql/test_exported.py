"""An export's tables: what the manifest names, and nothing that was put there since."""

import json
import shutil
from pathlib import Path

import pytest

from marketdata_pipeline.domain.actions import Adjust
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput, StoreError
from marketdata_pipeline.reading.export.extract import Take
from marketdata_pipeline.reading.export.manifest import Layout
from marketdata_pipeline.reading.export.run import Order, export
from marketdata_pipeline_tests.ingest.world import World
from marketdata_pipeline_tests.reading.homes import stocked
from marketdata_pipeline_tests.reading.sql.asking import ask, ask_export

KEYS = ("AAPL|1d", "AAPL|1wk", "EURUSD=X|1d", "IBM|1h")
QUESTIONS = (
    "FROM bars ORDER BY ALL",
    "FROM bars_1wk",
    "FROM bars_1h",
    "FROM instruments WHERE instrument <> 'IBM'",
    "FROM quality ORDER BY ALL",
    "FROM actions",
    "FROM series WHERE rows > 0",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """What a home holds does not matter here; the tests of exports go through both databases."""
    folder = tmp_path_factory.mktemp("exported")
    url = f"sqlite:///{folder / 'home' / 'catalog.sqlite'}"
    return stocked(folder, url, *KEYS[:3], since="2024-01-02")


@pytest.fixture
def folder(world: World, tmp_path: Path) -> Path:
    """An export of all."""
    target = tmp_path / "out"
    export(world.home, Order(tuple(map(Series.parse, KEYS)), Layout.PARQUET, Take()), target)
    return target


@pytest.mark.parametrize("text", QUESTIONS)
def test_an_export_answers_as_its_home_does(world: World, folder: Path, text: str) -> None:
    assert ask_export(folder, text) == ask(world.home, text)


def test_an_export_is_asked_without_its_home(world: World, folder: Path, tmp_path: Path) -> None:
    expected = ask(world.home, "SELECT count(*) FROM bars")
    moved = tmp_path / "elsewhere"
    folder.rename(moved)
    assert ask_export(moved, "SELECT count(*) FROM bars") == expected


def test_a_series_without_bars_is_one_of_the_series(folder: Path) -> None:
    asked = "SELECT rows, first, last FROM series WHERE series = 'IBM|1h'"
    assert ask_export(folder, asked) == [(0, None, None)]


def test_adj_close_is_a_column_where_it_was_exported(world: World, tmp_path: Path) -> None:
    order = Order((Series.parse("AAPL|1d"),), Layout.PARQUET, Take(adj_close=True))
    export(world.home, order, tmp_path / "out")
    asked = "SELECT adj_close FROM bars_1d ORDER BY ts"
    closes = "SELECT close FROM bars_1d WHERE instrument = 'AAPL' ORDER BY ts"
    assert ask_export(tmp_path / "out", asked) == ask(world.home, closes, Adjust.ALL)


def test_files_that_the_manifest_does_not_name_do_not_count(folder: Path) -> None:
    before = ask_export(folder, "SELECT count(*) FROM bars")
    stray = folder / "bars" / "timeframe=1d" / "instrument=MSFT"
    shutil.copytree(folder / "bars" / "timeframe=1d" / "instrument=AAPL", stray)
    assert ask_export(folder, "SELECT count(*) FROM bars") == before


def test_a_folder_that_is_no_export_says_so(tmp_path: Path) -> None:
    for name in ("", "none"):
        with pytest.raises(BadInput, match="is no export; make one: marketdata export FOLDER"):
            ask_export(tmp_path / name, "FROM bars")


def test_csv_is_refused(world: World, tmp_path: Path) -> None:
    order = Order((Series.parse("AAPL|1d"),), Layout.CSV, Take())
    export(world.home, order, tmp_path / "out")
    with pytest.raises(BadInput, match="holds CSV; sql reads exports with --format parquet"):
        ask_export(tmp_path / "out", "FROM bars")


def test_a_file_that_is_gone_or_another_one_is_noticed_before_the_query(folder: Path) -> None:
    file = folder / "bars/timeframe=1d/instrument=AAPL/bars.parquet"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(StoreError, match=r"bars\.parquet is not the file that was exported"):
        ask_export(folder, "FROM bars_1d")
    file.unlink()
    with pytest.raises(StoreError, match=r"bars\.parquet cannot be read: No such file"):
        ask_export(folder, "FROM bars")
    assert ask_export(folder, "SELECT count(*) > 0 FROM bars_1wk") == [(True,)]


def test_a_damaged_list_is_an_error_of_the_table_that_needs_it(folder: Path) -> None:
    (folder / "_metadata" / "actions.json").write_text("[{")
    with pytest.raises(StoreError, match=r"actions\.json is damaged"):
        ask_export(folder, "FROM actions")
    (folder / "_metadata" / "symbols.json").unlink()
    with pytest.raises(StoreError, match=r"symbols\.json cannot be read: No such file"):
        ask_export(folder, "FROM instruments")
    assert ask_export(folder, "SELECT count(*) > 0 FROM bars") == [(True,)]


def test_a_manifest_without_a_file_that_it_names_is_damaged(folder: Path) -> None:
    told = json.loads((folder / "manifest.json").read_text())
    told["files"].popitem()
    (folder / "manifest.json").write_text(json.dumps(told))
    with pytest.raises(StoreError, match=r"manifest\.json is damaged"):
        ask_export(folder, "FROM bars")
