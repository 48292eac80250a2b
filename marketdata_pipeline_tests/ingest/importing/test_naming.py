"""What names of files and folders say, and what they do not."""

import pytest

from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing.naming import Named, named_above, named_by


def _said(named: Named) -> str:
    """The instrument, the timeframe, and a question mark where it is a guess."""
    doubt = "" if named.sure else "?"
    return f"{named.instrument or '-'} {named.timeframe or '-'}{doubt}"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("AAPL_1d.csv.gz", "AAPL 1d"),
        ("AAPL_1d_2024.csv", "AAPL 1d"),
        ("BRK-B_60m.parquet", "BRK-B 1h"),
        ("^GSPC_1d.csv", "^GSPC 1d"),
        ("EURUSD=X_1h.csv", "EURUSD=X 1h"),
        ("AAPL%7C1d.parquet", "AAPL 1d"),
        ("AAPL|1d.csv", "AAPL 1d"),
        ("AAPL%7C1d/2024.csv.gz", "AAPL 1d"),
        ("EURUSD%3DX%7C1h/2024.csv.gz", "EURUSD=X 1h"),
        ("AAPL/1d/2024.csv.gz", "AAPL 1d"),
        ("AAPL/1h/2024-03.csv.gz", "AAPL 1h"),
        ("1d/AAPL/20240102.csv", "AAPL 1d"),
        ("AAPL/2024.csv.gz", "AAPL -"),
        ("AAPL_1d/2024.csv.gz", "AAPL 1d"),
        ("bars/timeframe=1d/instrument=EURUSD%3DX/bars.parquet", "EURUSD=X 1d"),
        ("symbol=AAPL/interval=1h/year=2024/part-0.parquet", "AAPL 1h"),
        ("1d/AAPL.csv", "AAPL 1d?"),
        ("AAPL.csv", "AAPL -?"),
        ("AZN.L.csv", "AZN.L -?"),
        ("EURUSD=X.csv", "EURUSD=X -?"),
        ("D/1d/2024.csv", "D 1d"),
        ("aapl.csv", "- -"),
        ("prices.csv", "- -"),
        ("2024.csv.gz", "- -"),
        ("1d.csv", "- 1d"),
        ("AAPL_raw.csv", "- -"),
        ("AAPL/prices.csv", "AAPL -"),
        ("AAPL/1d/AAPL.csv", "AAPL 1d"),
    ],
)
def test_a_path_names_a_series(path: str, said: str) -> None:
    assert _said(named_by(path.split("/"))) == said


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("AAPL/MSFT_1d.csv", "names two instruments, AAPL and MSFT; rename it"),
        ("AAPL/1d/MSFT.csv", "names two instruments, AAPL and MSFT"),
        ("NASDAQ/AAPL/2024.csv", "names two instruments, NASDAQ and AAPL"),
        ("1d/AAPL_1h.csv", "names two timeframes, 1d and 1h"),
    ],
)
def test_a_path_that_names_two_is_refused(path: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        named_by(path.split("/"))


def test_a_folder_that_was_not_imported_says_what_is_lacking() -> None:
    nothing = Named()
    assert _said(named_above(nothing, "2024.csv.gz", ["1d", "AAPL"])) == "AAPL 1d"
    assert _said(named_above(nothing, "2024.csv.gz", ["AAPL", "DATA"])) == "AAPL -"
    assert _said(named_above(nothing, "x.csv", ["AAPL%7C1d", "out"])) == "AAPL 1d"
    assert _said(named_above(named_by(["1h", "x.csv"]), "x.csv", ["AAPL", "IN"])) == "AAPL 1h"
    assert _said(named_above(named_by(["MSFT.csv"]), "MSFT.csv", ["1d", "AAPL"])) == "MSFT 1d?"


def test_a_folder_alone_names_no_instrument() -> None:
    assert _said(named_above(Named(), "prices.csv", ["ME", "HOME"])) == "- -"
