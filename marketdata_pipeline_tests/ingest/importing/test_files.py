"""Files of strangers: read in pieces, bounded, and what is wrong with one said in one sentence."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing import files
from marketdata_pipeline.ingest.importing.files import pieces_of, place_of
from marketdata_pipeline.ingest.importing.tables import Table, joined, tables_of
from marketdata_pipeline_tests.ingest.importing.rows import titled, write_csv
from marketdata_pipeline_tests.ingest.world import days, walk

DAILY = Series.parse("AAPL|1d")
BARS = walk(DAILY, days("2024-01-02", "2024-02-01"))


def _parts(path: Path) -> Iterator[Table]:
    place = place_of(path, path.name)
    for piece in pieces_of(path, place):
        yield from tables_of(piece.frame, place, piece.first_line)


def _tables(path: Path) -> list[Table]:
    return joined(_parts(path))


def _refusal(path: Path) -> str:
    with pytest.raises(BadInput) as refused:
        _tables(path)
    return str(refused.value)


def _assert_bars(table: Table, bars: pd.DataFrame = BARS) -> None:
    for name in bars.columns:
        assert table.columns[str(name)].tolist() == bars[name].tolist()


@pytest.mark.parametrize("name", ["bars.csv", "bars.csv.gz", "bars.txt"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_any_usual_separator_is_found_and_numbers_keep_all_digits(
    name: str, separator: str, tmp_path: Path
) -> None:
    bars = BARS.assign(close=BARS["close"] / 3)
    (table,) = _tables(write_csv(bars, tmp_path / name, sep=separator))
    _assert_bars(table, bars)
    assert table.spot(0) == f"{name}, line 2"


def test_a_long_file_comes_in_pieces_and_keeps_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_PIECE", 5)
    path = write_csv(BARS, tmp_path / "bars.csv")
    assert [len(one) for one in _parts(path)] == [5, 5, 5, 5, 1]
    (table,) = _tables(path)
    _assert_bars(table)
    assert table.spot(20) == "bars.csv, line 22"


def test_a_byte_order_mark_blank_lines_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    text = BARS.to_csv(lineterminator="\r\n").replace("\r\n", "\r\n\r\n", 2)
    path = tmp_path / "bars.csv"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    (table,) = _tables(path)
    priced = table.where(table.priced())
    _assert_bars(priced)
    assert priced.spot(1) == "bars.csv, line 5"


@pytest.mark.parametrize("first", ["Ticker", "Price"])
@pytest.mark.parametrize("named", ["Date", None])
def test_a_saved_frame_of_several_tickers_is_read_in_either_order(
    first: str, named: str | None, tmp_path: Path
) -> None:
    frame = titled(BARS).rename_axis(named)
    both = pd.concat({"AAPL": frame, "BRK-B": frame * 2}, axis=1, names=["Ticker", "Price"])
    both = both if first == "Ticker" else both.swaplevel(axis=1).sort_index(axis=1)
    csv = write_csv(both, tmp_path / "bars.csv")
    parquet = tmp_path / "bars.parquet"
    both.to_parquet(parquet)
    for path in (csv, parquet):
        aapl, brk = _tables(path)
        assert (aapl.symbol, brk.symbol) == ("AAPL", "BRK-B")
        _assert_bars(aapl)
        _assert_bars(brk, BARS * 2)
        assert aapl.yahoo
    assert _tables(csv)[0].spot(0) == f"bars.csv, line {4 if named else 3}"


def test_one_ticker_in_two_levels_is_one_too(tmp_path: Path) -> None:
    """yfinance.download("AAPL").to_csv() since yfinance 0.2.51."""
    path = tmp_path / "bars.csv"
    path.write_text(
        "Price,Adj Close,Close,High,Low,Open,Volume\n"
        "Ticker,AAPL,AAPL,AAPL,AAPL,AAPL,AAPL\n"
        "Date,,,,,,\n"
        "2024-01-02,184.5,185.64,188.44,183.89,187.15,82488700\n"
    )
    (table,) = _tables(path)
    assert (table.symbol, table.columns["adj_close"].tolist()) == ("AAPL", [184.5])
    assert table.spot(0) == "bars.csv, line 4"


def test_a_first_row_of_words_in_a_plain_file_is_no_second_level(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("date,open,high,low,close\n2024-01-02,,,,\n2024-01-03,1,2,1,2\n")
    (table,) = _tables(path)
    assert table.priced().tolist() == [False, True]


@pytest.mark.parametrize("frame", [BARS, BARS.reset_index()], ids=["index", "column"])
def test_parquet_keeps_zones_dates_and_columns_of_any_kind(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / "bars.parquet"
    frame.to_parquet(path)
    (table,) = _tables(path)
    _assert_bars(table)
    assert str(table.times.dtype) == "datetime64[us, UTC]"
    assert table.spot(1) == "bars.parquet, row 2"


def test_what_a_file_is_its_bytes_say_not_its_name(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_bytes(gzip.compress(BARS.to_csv().encode()))
    _assert_bars(_tables(path)[0])
    BARS.to_parquet(path)
    _assert_bars(_tables(path)[0])


@pytest.mark.parametrize("cell", ["", "nan", "NaN", "null", "None"])
def test_empty_cells_are_no_numbers_and_na_is_a_stock(cell: str, tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(f"symbol,date,open,high,low,close\nNA,2024-01-02,1,2,1,{cell}\n")
    (table,) = _tables(path)
    assert table.symbol == "NA"
    assert np.isnan(table.columns["close"]).all()


def _damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_what_cannot_be_read_is_said_in_one_sentence(tmp_path: Path) -> None:
    packed = write_csv(BARS, tmp_path / "bars.csv.gz")
    _damage(packed)
    assert _refusal(packed).startswith("bars.csv.gz is damaged: ")
    packed.write_bytes(packed.read_bytes()[:20] + b"x" * 50)
    assert _refusal(packed).startswith("bars.csv.gz is damaged: ")

    parquet = tmp_path / "bars.parquet"
    BARS.to_parquet(parquet)
    _damage(parquet)
    assert _refusal(parquet).startswith("bars.parquet cannot be read: ")

    path = tmp_path / "bars.csv"
    for data, said in (
        (b"", "is no table of comma-separated values: No columns to parse from file"),
        ("date,öpen\n".encode("latin-1") * 9, "is no text in UTF-8; save it so"),
        (b"date,open\n1,2\n1,2,3\n", "Expected 2 fields in line 3, saw 3"),
        (b"date,open\n1,2,3\n1,2,3\n", "rows have more cells than its first line has names"),
        (b'date,open\n"1,2\n', "is no table of comma-separated values"),
        (b"\x00" * 400, "has no column of"),
    ):
        path.write_bytes(data)
        assert said in _refusal(path), data

    assert "cannot be read: No such file" in _refusal(tmp_path / "absent.csv")
    assert "cannot be read: Is a directory" in _refusal(tmp_path)


def _bomb(path: Path, line: bytes, size: int) -> Path:
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"date,open,high,low,close\n")
        file.writelines(line for _ in range(size // len(line)))
    return path


def test_a_file_that_unpacks_to_more_than_any_series_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _bomb(tmp_path / "bars.csv.gz", b"2024-01-02,1,1,1,1\n" * 1000, 4_000_000)
    said = "bars.csv.gz holds more than 10,000,000 rows, or lines longer than any; split it"
    with monkeypatch.context() as patch:
        patch.setattr(files, "_MOST_BYTES", 2_000_000)
        assert _refusal(path) == said
    with monkeypatch.context() as patch:
        patch.setattr(files, "MOST_ROWS", 1000)
        patch.setattr(files, "_PIECE", 100)
        assert "holds more than 1,000 rows" in _refusal(path)


def test_a_line_without_end_is_given_up(tmp_path: Path) -> None:
    path = _bomb(tmp_path / "bars.csv.gz", b"1" * 100_000, 3_000_000)
    assert "lines longer than any; split it" in _refusal(path)


def test_a_parquet_file_says_its_size_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bars.parquet"
    BARS.to_parquet(path)
    monkeypatch.setattr(files, "MOST_ROWS", 20)
    assert "bars.parquet holds more than 20 rows" in _refusal(path)
