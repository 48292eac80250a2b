"""What an export of this project holds is imported bar for bar."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from marketdata_pipeline.domain.actions import Action, ActionKind, Adjust, adjust_for_splits
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing.exports import (
    said_in_manifest,
    said_in_parquet,
    said_of_year,
)
from marketdata_pipeline.ingest.importing.outcome import Imported
from marketdata_pipeline.ingest.importing.paths import Asked, import_paths
from marketdata_pipeline.ingest.importing.said import UNHEARD, Said
from marketdata_pipeline.ingest.importing.terms import UNSAID, Prices, Side, Terms
from marketdata_pipeline.reading.export.extract import Take
from marketdata_pipeline.reading.export.manifest import Layout
from marketdata_pipeline.reading.export.run import Order, export
from marketdata_pipeline_tests.ingest.importing.conftest import Make
from marketdata_pipeline_tests.ingest.importing.rows import write_csv
from marketdata_pipeline_tests.ingest.world import World, days, make_world, walk
from marketdata_pipeline_tests.samples import sampled

NVDA = Series.parse("NVDA|1d")
OLD = Action(date(2023, 1, 17), ActionKind.SPLIT, Fraction(7))
SPLIT = Action(date(2023, 6, 12), ActionKind.SPLIT, Fraction(3, 2))
PAID = Action(date(2023, 3, 9), ActionKind.DIVIDEND, Fraction("0.16"))
ACTIONS = (OLD, PAID, SPLIT)
RECENT = days("2023-05-01", "2024-03-15")
SPAN = days("2022-11-01", "2024-03-15")
RAW = walk(NVDA, SPAN, OLD, SPLIT)


def _line(series: Series, files: Iterable[str], origin: str = "yahoo") -> dict[str, Any]:
    return {
        "series": str(series),
        "currency": "USD",
        "providers": ["yahoo"],
        "origins": [origin],
        "files": list(files),
    }


def _manifest(basis: str, *lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    told = {"format": "marketdata-export", "version": 1, "market_now": "2024-03-15T20:00:00Z"}
    return {**told, "basis": basis, "series": list(lines), **more}


def _rows(actions: Iterable[Action], series: Series = NVDA) -> list[dict[str, Any]]:
    return [
        {
            "instrument": str(series.instrument),
            "ex_date": one.ex_date.isoformat(),
            "kind": one.kind.value,
            "value": float(one.value),
            "ratio": f"{one.value.numerator}:{one.value.denominator}",
        }
        for one in actions
    ]


def _exported(folder: Path, bars: pd.DataFrame, basis: str, *, origin: str = "yahoo") -> Path:
    """An export of one series as CSV, without the JSON files of its years."""
    files = []
    for year, part in bars.groupby(pd.DatetimeIndex(bars.index).year):
        name = f"{NVDA.slug}/{year}.csv.gz"
        write_csv(part, folder / name, date_format="%Y-%m-%dT%H:%M:%SZ")
        files.append(name)
    (folder / "_metadata").mkdir()
    (folder / "_metadata" / "actions.json").write_text(json.dumps(_rows(ACTIONS)))
    zone = [{"instrument": "NVDA", "zone": "America/New_York", "currency": "USD"}]
    (folder / "_metadata" / "symbols.json").write_text(json.dumps(zone))
    (folder / "manifest.json").write_text(json.dumps(_manifest(basis, _line(NVDA, files, origin))))
    return folder


def _imported(importing: Make, path: Path, asked: Asked = Asked()) -> Imported:  # noqa: B008
    (found,) = import_paths(importing(), [path], asked, lambda _: None)
    return found


@pytest.mark.parametrize("adjust", [Adjust.NONE, Adjust.SPLITS])
def test_an_export_says_all_of_itself(
    adjust: Adjust, world: World, importing: Make, tmp_path: Path
) -> None:
    """Also into a home that knows nothing of the instrument's splits."""
    bars = RAW if adjust is Adjust.NONE else adjust_for_splits(RAW, NVDA, ACTIONS)
    basis = "raw" if adjust is Adjust.NONE else "splits"
    folder = _exported(tmp_path / "out", bars, basis)
    found = _imported(importing, folder)
    assert found.error is None
    assert found.counts is not None
    assert (found.counts.new, found.counts.actions) == (len(RAW), 3)
    pd.testing.assert_frame_equal(world.store.read(NVDA), RAW, check_freq=False)
    assert world.catalog.known_actions([NVDA.instrument])[NVDA.instrument].actions == ACTIONS
    (summary,) = world.catalog.summaries([NVDA])
    assert (summary.provider, summary.origin) == ("yahoo", "import:2022.csv.gz..2024.csv.gz")
    assert not _imported(importing, folder).stored
    year = _imported(importing, folder / NVDA.slug / "2023.csv.gz")
    assert year.counts is not None
    assert (year.stored, year.counts.differing) == (False, 0)


def test_a_split_that_the_exporting_home_did_not_know_changes_nothing(
    world: World, importing: Make, tmp_path: Path
) -> None:
    late = Action(date(2023, 9, 12), ActionKind.SPLIT, Fraction(2))
    world.provider.truth = {NVDA: RAW.iloc[-5:]}
    world.provider.actions = (*ACTIONS, late)
    assert world.updater.update(NVDA, SPAN).error is None
    bars = adjust_for_splits(RAW.iloc[:-5], NVDA, ACTIONS)
    found = _imported(importing, _exported(tmp_path / "out", bars, "splits"))
    assert str(found.error).startswith("NVDA|1d: the prices disagree with the split of 2023-09-12")
    assert len(world.store.read(NVDA)) == 5


def test_prices_without_dividends_are_refused(importing: Make, tmp_path: Path) -> None:
    found = _imported(importing, _exported(tmp_path / "out", RAW, "all"))
    assert "prices that dividends were taken out of cannot be made raw" in str(found.error)


def test_a_person_cannot_say_otherwise(importing: Make, tmp_path: Path) -> None:
    folder = _exported(tmp_path / "out", RAW, "splits")
    found = _imported(importing, folder, Asked(terms=Terms(basis=Prices.RAW)))
    assert "says that its basis is splits, not raw" in str(found.error)


def test_simulated_bars_are_known_as_such(importing: Make, tmp_path: Path) -> None:
    folder = _exported(tmp_path / "out", RAW, "raw", origin="simulator:recorded")
    assert "simulated bars, which a live home refuses" in str(_imported(importing, folder).error)


@pytest.mark.parametrize(
    "change",
    [
        {"market_now": "soon"},
        {"basis": "none"},
        {"series": [{}]},
        {"series": [{**_line(NVDA, ["x"]), "series": "A"}]},
        {"series": None},
    ],
)
def test_a_damaged_manifest_is_refused(change: dict[str, Any]) -> None:
    told = {**_manifest("raw", _line(NVDA, ["x"])), **change}
    with pytest.raises(BadInput, match=r"manifest.json or _metadata/actions.json is damaged"):
        said_in_manifest(told, [])


def test_another_versions_manifest_is_refused() -> None:
    with pytest.raises(BadInput, match="written by another version of the export; update the pack"):
        said_in_manifest(_manifest("raw", version=2), [])


def test_damaged_actions_are_refused() -> None:
    rows = _rows([SPLIT])
    rows[0]["ratio"] = "3:0"
    with pytest.raises(BadInput, match="is damaged; export again"):
        said_in_manifest(_manifest("raw", _line(NVDA, ["x"])), rows)


def test_several_providers_are_none() -> None:
    line = {**_line(NVDA, ["x"]), "providers": ["stooq", "yahoo"]}
    said = said_in_manifest(_manifest("raw", line), None)["x"]
    assert (said.terms.provider, said.terms.splits, said.paid) == (None, (), ())


def test_a_year_that_was_taken_out_of_its_export_says_most_of_itself() -> None:
    told = {
        "symbol": "NVDA",
        "series": "NVDA|1d",
        "basis": "splits",
        "currency": "USD",
        "providers": ["yahoo"],
        "origins": ["yahoo"],
        "sha256": "",
    }
    terms = Terms(side=Side.OPEN, basis=Prices.SPLITS, currency="USD", provider="yahoo")
    assert said_of_year(told) == Said(NVDA.instrument, NVDA.timeframe, terms)
    assert said_of_year({**told, "origins": ["simulator:recorded"]}).simulated
    assert said_of_year({**told, "series": "?"}) == said_of_year({}) == UNHEARD


def test_a_parquet_file_of_an_export_says_most_of_itself() -> None:
    told = {b"marketdata.series": b"NVDA|1d", b"marketdata.basis": b"raw", b"pandas": b"{}"}
    assert said_in_parquet(told) == UNHEARD
    found = said_in_parquet({**told, b"marketdata.currency": b""})
    assert found == Said(NVDA.instrument, NVDA.timeframe, Terms(side=Side.OPEN, basis=Prices.RAW))
    assert found.terms.or_else(UNSAID).currency is None


TRADED = (Adjust.NONE, Adjust.SPLITS)
SERIES = [
    Series.parse(one)
    for one in ("NVDA|1h", "NVDA|4h", "NVDA|1d", "NVDA|1wk", "EURUSD=X|1d", "BTC-USD|5m")
]


@pytest.mark.parametrize(("layout", "adjust"), sampled(product(Layout, TRADED), 2))
def test_what_this_version_exports_it_imports(
    layout: Layout, adjust: Adjust, world: World, importing: Make, tmp_path: Path
) -> None:
    """Every timeframe, into an empty home; then once more, which changes nothing."""
    (tmp_path / "source").mkdir()
    source = make_world(tmp_path / "source", f"sqlite:///{tmp_path / 'source.sqlite'}")
    source.provider.truth = {
        one: walk(one, RECENT, *([SPLIT] if one.instrument == NVDA.instrument else []))
        for one in SERIES
        if one.base is None
    }
    for actions, series in (((SPLIT, PAID), SERIES[:4]), ((), SERIES[4:])):
        source.provider.actions = actions
        outcomes = list(source.updater.update_many(series, RECENT))
        assert [str(one.error) for one in outcomes if one.error] == []
    stored = {one: source.store.read(one) for one in SERIES}
    export(source.home, Order(tuple(SERIES), layout, Take(adjust=adjust)), tmp_path / "out")
    source.home.engine.dispose()

    importer = replace(importing(), live=False)  # what the world's provider says is simulated
    found = list(import_paths(importer, [tmp_path / "out"], Asked(), lambda _: None))
    assert [str(one.error) for one in found if one.error] == []
    for one, bars in stored.items():
        assert len(bars)
        pd.testing.assert_frame_equal(world.store.read(one), bars)
    again = import_paths(importer, [tmp_path / "out"], Asked(), lambda _: None)
    assert [one.series for one in again if one.stored] == []
