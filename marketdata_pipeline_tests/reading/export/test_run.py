"""Exports read back by other programs, bar for bar; whole ones only."""

import gzip
import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from marketdata_pipeline.domain.actions import Adjust
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput, StoreError
from marketdata_pipeline.reading.export.extract import Take
from marketdata_pipeline.reading.export.manifest import Layout, Manifest, SeriesLine
from marketdata_pipeline.reading.export.run import Order, export
from marketdata_pipeline.reading.opened import data_of
from marketdata_pipeline.store.write import State
from marketdata_pipeline_tests.ingest.world import World, day, days
from marketdata_pipeline_tests.reading.export.conftest import KEYS
from marketdata_pipeline_tests.reading.homes import SPELLINGS, stocked

COLUMNS = ["open", "high", "low", "close", "volume"]
AAPL = Series.parse("AAPL|1d")


def order(*keys: str, layout: Layout = Layout.PARQUET, **take: Any) -> Order:
    return Order(tuple(map(Series.parse, keys or KEYS)), layout, Take(**take))


def listing(folder: Path) -> list[str]:
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in listing(folder)}


def parquet_bars(target: Path, series: Series) -> pd.DataFrame:
    """A series of an export as pandas reads it, indexed by label."""
    found = pd.read_parquet(
        target / "bars",
        filters=[
            ("instrument", "==", str(series.instrument)),
            ("timeframe", "==", str(series.timeframe)),
        ],
    )
    return found.set_index("ts")


def csv_bars(target: Path, series: Series) -> pd.DataFrame:
    """A series of an export as pandas reads its years."""
    files = sorted((target / series.slug).glob("*.csv.gz"))
    years = [
        pd.read_csv(one, index_col="ts", parse_dates=True, float_precision="round_trip")
        for one in files
    ]
    found = pd.concat(years).astype("float64")
    found.index = pd.DatetimeIndex(found.index).as_unit("us")
    return found


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    expected = expected.copy()
    expected.attrs = {}
    pd.testing.assert_frame_equal(
        found[COLUMNS], expected, check_exact=True, check_freq=False, check_column_type=False
    )


@pytest.mark.parametrize("adjust", list(Adjust))
@pytest.mark.parametrize("layout", list(Layout))
def test_each_series_comes_back_bar_for_bar(
    world: World, target: Path, layout: Layout, adjust: Adjust
) -> None:
    done = export(world.home, order(layout=layout, adjust=adjust), target)
    data = data_of(world.home)
    read = parquet_bars if layout is Layout.PARQUET else csv_bars
    for key in KEYS:
        series = Series.parse(key)
        expected = data.bars(series, adjust=adjust)
        assert len(expected) > 15
        assert_same(read(target, series), expected)
    assert done.rows == sum(len(data.bars(Series.parse(key))) for key in KEYS)
    assert done.basis == adjust.basis


@pytest.mark.parametrize("layout", list(Layout))
@pytest.mark.parametrize("adjust", list(Adjust))
def test_adj_close_is_the_close_adjusted_for_all_whatever_the_others_are(
    world: World, target: Path, layout: Layout, adjust: Adjust
) -> None:
    export(world.home, order(layout=layout, adjust=adjust, adj_close=True), target)
    read = parquet_bars if layout is Layout.PARQUET else csv_bars
    for key in KEYS:
        series = Series.parse(key)
        found = read(target, series)
        expected = data_of(world.home).bars(series, adjust=Adjust.ALL)["close"]
        np.testing.assert_array_equal(found["adj_close"].to_numpy(), expected.to_numpy())
    data = data_of(world.home)
    raw, fully = (data.bars(AAPL, adjust=one)["close"] for one in (Adjust.NONE, Adjust.ALL))
    assert (raw.to_numpy()[:10] != fully.to_numpy()[:10]).all(), "there is something to adjust"


def test_real_spellings_come_back_from_hive_partitions(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'home' / 'catalog.sqlite'}"
    world = stocked(tmp_path, url, *(f"{one}|1d" for one in SPELLINGS), since="2024-02-01")
    export(world.home, order(*(f"{one}|1d" for one in SPELLINGS)), tmp_path / "out")
    table = ds.dataset(tmp_path / "out" / "bars", partitioning="hive").to_table()
    assert set(table["instrument"].to_pylist()) == set(SPELLINGS)
    assert set(table["timeframe"].to_pylist()) == {"1d"}
    asked = "SELECT DISTINCT instrument FROM read_parquet(?)"
    found = duckdb.execute(asked, [f"{tmp_path}/out/bars/*/*/*.parquet"]).fetchall()
    assert {one for (one,) in found} == set(SPELLINGS)
    assert listing(tmp_path / "out" / "bars") == [
        f"timeframe=1d/instrument={name}/bars.parquet"
        for name in ("%5EGSPC", "AZN.L", "BTC-USD", "ES%3DF", "EURUSD%3DX")
    ]


def test_a_parquet_file_says_of_each_bar_where_it_comes_from(world: World, target: Path) -> None:
    export(world.home, order(), target)
    file = pq.ParquetFile(target / "bars/timeframe=1d/instrument=AAPL/bars.parquet")
    assert {one.name: str(one.type) for one in file.schema_arrow} == {
        "ts": "timestamp[us, tz=UTC]",
        **dict.fromkeys(COLUMNS, "double"),
        "provider": "string",
        "fetch_id": "int64",
        "state": "string",
    }
    stored = world.store.read_with_fetches(AAPL)
    table = file.read()
    assert table["fetch_id"].to_pylist() == stored["fetch_id"].tolist()
    assert table["provider"].to_pylist() == ["truth"] * len(stored)
    assert table["state"].to_pylist() == [State(one).name.lower() for one in stored["state"]]
    told = {key.decode(): value.decode() for key, value in file.schema_arrow.metadata.items()}
    assert told["marketdata.series"] == "AAPL|1d"
    assert (told["marketdata.basis"], told["marketdata.currency"]) == ("splits", "USD")
    assert told["marketdata.version"] == str(world.store.versions([AAPL])[AAPL])


def test_duckdb_compares_instants_with_parameters(world: World, target: Path) -> None:
    export(world.home, order(), target)
    since = day("2024-03-13")
    asked = "SELECT count(*) FROM read_parquet(?) WHERE ts >= ? AND timeframe = '1d'"
    (count,) = duckdb.execute(asked, [f"{target}/bars/*/*/*.parquet", since]).fetchall()[0]
    expected = sum(
        int((world.store.read(Series.parse(key)).index >= since).sum())
        for key in ("AAPL|1d", "EURUSD=X|1d")
    )
    assert count == expected == 5


@pytest.mark.parametrize("layout", list(Layout))
def test_the_same_export_twice_is_the_same_bytes(
    world: World, target: Path, layout: Layout
) -> None:
    export(world.home, order(layout=layout, adj_close=True), target)
    world.clock.advance(timedelta(days=1))
    export(world.home, order(layout=layout, adj_close=True), target.with_name("again"))
    first, second = contents(target), contents(target.with_name("again"))
    assert first.pop("manifest.json") != second.pop("manifest.json"), "it says when"
    assert first == second


def test_csv_lies_by_series_and_year_with_what_says_what_it_is(world: World, target: Path) -> None:
    export(world.home, order(layout=Layout.CSV, adj_close=True), target)
    names = [f"{key}/{year}" for key in ("AAPL%7C1d", "AAPL%7C1wk") for year in (2023, 2024)]
    assert [one for one in listing(target) if one.startswith("AAPL")] == sorted(
        name + end for name in names for end in (".csv.gz", ".json")
    )
    packed = (target / "AAPL%7C1d/2024.csv.gz").read_bytes()
    assert packed[4:8] == bytes(4), "no time of making"
    lines = gzip.decompress(packed).decode().splitlines()
    assert lines[0] == "ts,open,high,low,close,volume,adj_close"
    assert lines[1].startswith("2024-01-02T00:00:00Z,")
    assert lines[-1].startswith("2024-03-15T00:00:00Z,")
    assert json.loads((target / "AAPL%7C1d/2024.json").read_text()) == {
        "symbol": "AAPL",
        "timeframe": "1d",
        "series": "AAPL|1d",
        "year": 2024,
        "rows": len(lines) - 1,
        "first": "2024-01-02T00:00:00Z",
        "last": "2024-03-15T00:00:00Z",
        "columns": lines[0].split(","),
        "basis": "splits",
        "currency": "USD",
        "providers": ["truth"],
        "origins": ["simulator:recorded"],
        "fetched_at": "2024-03-15T20:00:00Z",
        "file": "2024.csv.gz",
        "sha256": hashlib.sha256(packed).hexdigest(),
    }


def test_years_begin_at_midnight_utc_and_a_week_in_that_of_its_monday(
    world: World, target: Path
) -> None:
    export(world.home, order(layout=Layout.CSV), target)
    ends = {}
    for name in ("EURUSD%3DX%7C1d", "AAPL%7C1wk"):
        for year in (2023, 2024):
            text = gzip.decompress((target / name / f"{year}.csv.gz").read_bytes()).decode()
            labels = [line[:10] for line in text.splitlines()[1:]]
            ends[name, year] = labels[0], labels[-1]
    assert ends["EURUSD%3DX%7C1d", 2023][1] == "2023-12-29"
    assert ends["EURUSD%3DX%7C1d", 2024][0] == "2024-01-01"
    assert ends["AAPL%7C1wk", 2023][1] == "2023-12-25"
    assert ends["AAPL%7C1wk", 2024][0] == "2024-01-01"


def test_the_manifest_names_every_file_with_its_checksum(world: World, target: Path) -> None:
    done = export(world.home, order(), target)
    assert Manifest.read(target) == done
    files = {one.path: one for one in done.files()}
    assert sorted([*files, "manifest.json"]) == listing(target)
    for path, line in files.items():
        data = (target / path).read_bytes()
        assert (line.bytes, line.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    (first, *_) = done.series
    assert replace(first, files=()) == SeriesLine(
        series=AAPL,
        version=world.store.versions([AAPL])[AAPL],
        rows=len(world.store.read(AAPL)),
        first="2023-11-01T00:00:00Z",
        last="2024-03-15T00:00:00Z",
        currency="USD",
        providers=("truth",),
        origins=("simulator:recorded",),
        files=(),
    )


def test_what_is_known_beside_bars_goes_along(world: World, target: Path) -> None:
    export(world.home, order(), target)
    told = {one.stem: json.loads(one.read_text()) for one in (target / "_metadata").glob("*.json")}
    assert sorted(told) == ["actions", "providers", "quality_scores", "symbols"]
    assert told["symbols"][0] == {
        "instrument": "AAPL",
        "asset_class": "equity",
        "calendar": "XNYS",
        "zone": "America/New_York",
        "currency": "USD",
        "first_trade": "2023-11-01",
        "timeframes": ["1d", "1wk"],
    }
    assert told["actions"][:2] == [
        {"instrument": "AAPL", "ex_date": "2024-01-10", "kind": "split", "value": 4.0,
         "ratio": "4:1"},
        {"instrument": "AAPL", "ex_date": "2024-02-09", "kind": "dividend", "value": 0.24,
         "ratio": None},
    ]  # fmt: skip
    assert [one["instrument"] for one in told["actions"]] == ["AAPL"] * 2 + ["EURUSD=X"] * 2
    weeks = len(world.store.read(Series.parse("AAPL|1wk")))
    assert told["providers"][0] == {
        "provider": "derived",
        "origin": "simulator:recorded",
        "series": 1,
        "rows": weeks,
        "first_fetch": "2024-03-15T20:00:00Z",
        "last_fetch": "2024-03-15T20:00:00Z",
    }
    assert told["providers"][1]["series"] == 2
    scores = {one["series"]: one for one in told["quality_scores"]}
    assert list(scores) == list(KEYS)
    rules = world.verdicts.of(AAPL)
    assert {rule: one["score"] for rule, one in scores["AAPL|1d"]["rules"].items()} == {
        rule: one.score for rule, one in rules.items()
    }
    assert scores["AAPL|1d"]["mean"] == sum(one.score for one in rules.values()) / len(rules)


@pytest.mark.parametrize("layout", list(Layout))
def test_a_range_is_half_open_and_a_series_without_bars_has_no_file(
    world: World, target: Path, layout: Layout
) -> None:
    within = days("2024-03-12", "2024-03-15")
    done = export(world.home, order(*KEYS, "IBM|1d", layout=layout, within=within), target)
    rows = {str(one.series): one.rows for one in done.series}
    assert rows == {"AAPL|1d": 3, "AAPL|1wk": 0, "EURUSD=X|1d": 3, "IBM|1d": 0}
    assert (done.start, done.end) == ("2024-03-12T00:00:00Z", "2024-03-15T00:00:00Z")
    week = next(one for one in done.series if str(one.series) == "AAPL|1wk")
    assert (week.files, week.first, week.last) == ((), None, None)
    assert not any("1wk" in name or "IBM" in name for name in listing(target))


def test_no_bar_at_all_is_an_export_all_the_same(world: World, target: Path) -> None:
    done = export(world.home, order(within=days("2025-01-01", "2025-01-02")), target)
    assert done.rows == 0
    assert Manifest.read(target) == done


def test_what_is_written_meanwhile_is_in_a_series_with_its_version_or_not_at_all(
    world: World, target: Path
) -> None:
    """A day comes between two series of the export: the first one does not have it."""
    world.clock.advance(timedelta(days=4))
    aapl, euro = AAPL, Series.parse("EURUSD=X|1d")
    before = {one: len(world.store.read(one)) for one in (aapl, euro)}
    done: list[str] = []

    def told(line: SeriesLine) -> None:
        done.append(str(line.series))
        if line.series == aapl:
            for one in (aapl, euro):
                frame = world.provider.truth[one]
                more = (
                    (frame.tail(1) * 1.01)
                    .round(2)
                    .set_axis(frame.index[-1:] + pd.Timedelta(days=3))
                )
                world.provider.truth = {**world.provider.truth, one: pd.concat([frame, more])}
            assert not [one.error for one in world.updater.update_many([aapl, euro]) if one.error]

    written = export(world.home, order("AAPL|1d", "EURUSD=X|1d"), target, told=told)
    assert done == ["AAPL|1d", "EURUSD=X|1d"]
    rows = {one.series: (one.rows, one.version) for one in written.series}
    assert rows[aapl][0] == before[aapl]
    assert rows[euro][0] == before[euro] + 2, "Friday's, which was open, and Monday's"
    assert rows[euro][1] == world.store.versions([euro])[euro]
    assert rows[aapl][1] == world.store.versions([aapl])[aapl] - 1


def test_an_export_that_breaks_off_leaves_the_older_one(world: World, target: Path) -> None:
    export(world.home, order(), target)
    before = contents(target)

    def interrupt(_line: SeriesLine) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(world.home, order(layout=Layout.CSV), target, overwrite=True, told=interrupt)
    assert contents(target) == before
    assert [one.name for one in target.parent.iterdir()] == ["out"]


def test_an_export_that_breaks_off_leaves_nothing_where_nothing_was(
    world: World, target: Path
) -> None:
    for file in world.home.bars.rglob("*.parquet"):
        file.unlink()

    def fail(_line: SeriesLine) -> None:
        raise StoreError("the disk is full")

    with pytest.raises(StoreError, match="the disk is full"):
        export(world.home, order(), target, told=fail)
    assert list(target.parent.iterdir()) == []


def test_an_older_export_is_replaced_whole(world: World, target: Path) -> None:
    export(world.home, order(layout=Layout.CSV), target)
    done = export(world.home, order("AAPL|1d"), target, overwrite=True)
    assert sorted([*(one.path for one in done.files()), "manifest.json"]) == listing(target)
    assert [one.name for one in target.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("own", ["bars", "dagster", "cache", "cache/sql"])
def test_the_homes_own_folders_are_no_target(world: World, own: str) -> None:
    (world.home.folder / own).mkdir(exist_ok=True)
    with pytest.raises(BadInput, match="is the home's own folder"):
        export(world.home, order(), world.home.folder / own, overwrite=True)
