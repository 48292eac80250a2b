"""What JSON files beside bars say."""

import json
from pathlib import Path

import pytest

from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing.said import UNHEARD, Said
from marketdata_pipeline.ingest.importing.sidecars import Sidecars, said_in
from marketdata_pipeline.ingest.importing.terms import Prices, Side, Terms

AAPL = Instrument.parse("AAPL")


def _write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_what_is_meant_is_understood_in_any_case_and_punctuation() -> None:
    told = {
        "Symbol": "aapl",
        "time-frame": "1D",
        "TimeZone": "America/New_York",
        "label_side": "right",
        "Adjustment": "split-adjusted",
        "currency": "USD",
        "Source": "Yahoo Finance",
        "rows": 252,
        "quality": {"score": 0.9},
    }
    terms = Terms(
        side=Side.CLOSE,
        zone="America/New_York",
        basis=Prices.SPLITS,
        currency="USD",
        provider="yahoo-finance",
    )
    assert said_in(told) == Said(AAPL, Timeframe.D1, terms)


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        "AAPL",
        {},
        {"symbol": "A|B", "timeframe": "1M", "timezone": "Eastern", "label": "middle"},
        {"adjusted": True, "basis": 7, "provider": "", "currency": ""},
    ],
)
def test_what_is_not_understood_says_nothing(told: object) -> None:
    assert said_in(told) == UNHEARD


def test_not_adjusted_is_raw() -> None:
    assert said_in({"adjusted": False}).terms.basis is Prices.RAW


@pytest.mark.parametrize(
    "name", ["2024.json", "2024.csv.gz.json", "2024_metadata.json", "metadata.json"]
)
def test_metadata_stands_beside_the_bars(name: str, tmp_path: Path) -> None:
    bars = tmp_path / "AAPL" / "2024.csv.gz"
    _write(bars.parent / name, {"symbol": "AAPL", "basis": "raw"})
    assert Sidecars(tmp_path).of(bars, None) == Said(AAPL, None, Terms(basis=Prices.RAW))


def test_what_is_nearest_counts_first_and_the_list_of_symbols_last(tmp_path: Path) -> None:
    bars = tmp_path / "AAPL" / "2024.csv.gz"
    _write(bars.parent / "2024.json", {"basis": "splits"})
    _write(bars.parent / "metadata.json", {"basis": "raw", "tz": "UTC"})
    _write(
        tmp_path / "_metadata" / "symbols.json",
        {"AAPL": {"tz": "America/New_York", "currency": "USD"}, "note": 1},
    )
    found = Sidecars(tmp_path).of(bars, AAPL)
    assert found.terms == Terms(basis=Prices.SPLITS, zone="UTC", currency="USD")


@pytest.mark.parametrize(
    "symbols",
    [
        {"AAPL": {"currency": "USD"}},
        [{"symbol": "AAPL", "currency": "USD"}],
        {"symbols": {"AAPL": {"currency": "USD"}}},
        {"symbols": [{"ticker": "AAPL", "currency": "USD"}], "updated": "2024-01-02"},
    ],
)
def test_the_list_of_symbols_may_be_of_any_shape(symbols: object, tmp_path: Path) -> None:
    _write(tmp_path / "_metadata" / "symbols.json", symbols)
    sidecars = Sidecars(tmp_path)
    assert sidecars.of(tmp_path / "x.csv", AAPL).terms.currency == "USD"
    assert sidecars.of(tmp_path / "x.csv", Instrument.parse("MSFT")) == UNHEARD


def test_what_is_no_json_is_named(tmp_path: Path) -> None:
    _write(tmp_path / "metadata.json", "{")
    with pytest.raises(BadInput, match=r"metadata.json is no JSON; correct it or move it away"):
        Sidecars(tmp_path).of(tmp_path / "x.csv", None)
    _write(tmp_path / "deep" / "metadata.json", "[" * 100_000)
    with pytest.raises(BadInput, match=r"metadata.json is no JSON"):
        Sidecars(tmp_path).of(tmp_path / "deep" / "x.csv", None)


def test_each_is_read_once(tmp_path: Path) -> None:
    about = _write(tmp_path / "metadata.json", {"symbol": "AAPL"})
    sidecars = Sidecars(tmp_path)
    assert sidecars.of(tmp_path / "x.csv", None).instrument == AAPL
    about.unlink()
    assert sidecars.of(tmp_path / "y.csv", None).instrument == AAPL
