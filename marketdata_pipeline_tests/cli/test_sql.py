"""`sql`: answers as table, CSV and JSON; wrong queries in one line."""

import io
import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from marketdata_pipeline.cli.sql import distinct
from marketdata_pipeline.reading.sql.engine import Column
from marketdata_pipeline_tests.cli.conftest import AAPL
from marketdata_pipeline_tests.cli.terminal import Terminal, command, environment
from marketdata_pipeline_tests.ingest.world import World

NEWEST = "SELECT ts, close, volume FROM bars_1d ORDER BY ts DESC LIMIT 2"


@pytest.mark.usefixtures("world")
def test_an_answer_is_a_table(marketdata: Terminal) -> None:
    found = marketdata("sql", "SELECT instrument, ts, close FROM bars_1d ORDER BY ts DESC LIMIT 2")
    assert (found.code, found.err) == (0, "")
    head, first, second = (line.split() for line in found.out.splitlines())
    assert head == ["instrument", "ts", "close"]
    assert first[:2] == ["AAPL", "2024-03-15T00:00:00Z"]
    assert second[:2] == ["AAPL", "2024-03-14T00:00:00Z"]


@pytest.mark.usefixtures("world")
def test_a_table_ends_after_200_rows_and_says_so(marketdata: Terminal) -> None:
    lines = marketdata("sql", "SELECT range AS n FROM range(1000)").out.splitlines()
    assert len(lines) == 1 + 200 + 1
    assert lines[-1] == "the first 200 rows; --csv and --json give all of them"
    assert len(marketdata("sql", "FROM range(200)").out.splitlines()) == 1 + 200
    assert len(marketdata("sql", "FROM range(1000)", "--csv").out.splitlines()) == 1 + 1000


def test_csv_keeps_every_digit(world: World, marketdata: Terminal) -> None:
    asked = "SELECT ts, open, high, low, close, volume FROM bars_1d ORDER BY ts"
    out = marketdata("sql", asked, "--csv", "--adjust", "none").out
    told = pd.read_csv(io.StringIO(out), index_col="ts", float_precision="round_trip")
    told.index = pd.DatetimeIndex(told.index, tz="UTC").as_unit("us")
    pd.testing.assert_frame_equal(told, world.provider.truth[AAPL], check_exact=True)


@pytest.mark.usefixtures("world")
def test_json_is_an_array_of_objects(marketdata: Terminal) -> None:
    first, second = json.loads(marketdata("sql", NEWEST, "--json").out)
    assert list(first) == ["ts", "close", "volume"]
    assert (first["ts"], second["ts"]) == ("2024-03-15T00:00:00Z", "2024-03-14T00:00:00Z")
    assert isinstance(first["close"], float)
    assert json.loads(marketdata("sql", "FROM bars WHERE false", "--json").out) == []


@pytest.mark.usefixtures("world")
def test_json_has_a_value_for_every_type(marketdata: Terminal) -> None:
    asked = """
        SELECT 1.5 AS exact, 10::HUGEINT AS whole, [1, 2] AS list, {'at': DATE '2024-01-31'} AS row,
        MAP {DATE '2024-01-31': 1} AS map, NULL AS nothing, 'nan'::DOUBLE AS nan,
        'inf'::DOUBLE AS inf, INTERVAL 3 DAY AS time, true AS flag, TIMESTAMP '2024-01-31' AS naive
    """
    assert json.loads(marketdata("sql", asked, "--json").out) == [
        {
            "exact": 1.5,
            "whole": 10,
            "list": [1, 2],
            "row": {"at": "2024-01-31"},
            "map": {"2024-01-31": 1},
            "nothing": None,
            "nan": None,
            "inf": None,
            "time": "3 days, 0:00:00",
            "flag": True,
            "naive": "2024-01-31T00:00:00",
        }
    ]


def test_columns_of_one_name_are_told_apart() -> None:
    columns = [Column(name, "DOUBLE") for name in ("ts", "ts", "a", "ts", "ts_2")]
    assert distinct(columns) == ["ts", "ts_2", "a", "ts_3", "ts_2_2"]


@pytest.mark.usefixtures("world")
def test_a_query_is_read_from_standard_input(
    marketdata: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("SELECT count(*) AS n\nFROM bars_1wk;\n"))
    assert json.loads(marketdata("sql", "-", "--json").out) == [{"n": 53}]


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("selec",), 'Parser Error: syntax error at or near "selec"'),
        (("FROM nope",), "Catalog Error: Table with name nope does not exist!"),
        (("COPY bars TO 'x.csv'",), "sql only reads; begin with SELECT, FROM"),
        (("FROM read_csv('/etc/passwd')",), "a query reads its tables (bars, series"),
        (("",), "the query is empty; try: FROM series"),
        (("SELECT 1", "--csv", "--json"), "choose one of --csv and --json"),
        (("SELECT 1", "--adjust", "half"), "adjust is 'half', it must be none, splits or all"),
        (("SELECT 1", "--from", "x", "--adjust", "all"), "an export has one basis"),
        (("SELECT 1", "--from", "none"), "{cwd}/none is no export; make one"),
    ],
)
def test_what_cannot_be_answered_is_one_sentence(
    marketdata: Terminal, arguments: tuple[str, ...], said: str
) -> None:
    found = marketdata("sql", *arguments)
    assert found.sentence().startswith(said.format(cwd=Path.cwd()))
    assert found.code == 2
    assert list(Path.cwd().iterdir()) == []


def test_an_export_needs_no_home(world: World, marketdata: Terminal) -> None:
    assert marketdata("export", "out", "--all").code == 0
    world.home.engine.dispose()
    found = marketdata("--home", "nowhere", "sql", "FROM series", "--from", "out", "--csv")
    assert found.out.splitlines()[1].startswith("AAPL|1d,AAPL,1d,253,2023-03-15T00:00:00Z,")


def test_no_other_command_pays_for_duckdb() -> None:
    asked = "import sys, marketdata_pipeline.cli.app; print('duckdb' in sys.modules)"
    done = command(Path.cwd(), environment(), sys.executable, "-c", asked)
    assert done.out == "False\n"
