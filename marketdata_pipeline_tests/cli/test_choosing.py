"""Which instruments a backfill means, by exactly one of four ways."""

from pathlib import Path

import pytest

from marketdata_pipeline.cli.choosing import Choice, listed
from marketdata_pipeline.domain.instrument import AssetClass, Instrument
from marketdata_pipeline.errors import BadInput

KEPT = [Instrument(key) for key in ("AAPL", "BTC-USD", "TLT", "MSFT", "EURUSD=X", "SPY")]
TOLD = {Instrument("SPY"): AssetClass.ETF, Instrument("QQQ"): AssetClass.ETF}
"""What the provider has said; of the others it has said nothing yet."""


def _chosen(
    *typed: str, asset_class: str = "", file: Path | None = None, everything: bool = False
) -> list[str]:
    choice = Choice.parse(typed, asset_class, file, everything=everything)
    return [str(one) for one in choice.of(KEPT, TOLD)]


def test_instruments_that_are_named_are_meant_tracked_or_not() -> None:
    assert _chosen("tsla", "AAPL", "TSLA") == ["TSLA", "AAPL"]


def test_all_are_all_tracked_ones_in_their_order() -> None:
    assert _chosen(everything=True) == [str(one) for one in KEPT]


@pytest.mark.parametrize(
    ("asset_class", "meant"),
    [
        ("equity", ["AAPL", "MSFT"]),
        ("Crypto", ["BTC-USD"]),
        ("bond", ["TLT"]),
        ("fx", ["EURUSD=X"]),
        ("etf", ["SPY"]),
    ],
)
def test_a_class_is_the_tracked_ones_of_it(asset_class: str, meant: list[str]) -> None:
    assert _chosen(asset_class=asset_class) == meant


def test_a_class_of_which_nothing_is_tracked_is_said_with_those_that_are() -> None:
    with pytest.raises(BadInput) as found:
        _chosen(asset_class="index")
    assert str(found.value) == (
        "none of 6 tracked instruments is of the class index; "
        "there are: bond, crypto, equity, etf, fx (an ETF or a fund counts as equity until its "
        "first update)"
    )


def test_a_class_that_is_none_is_said_with_those_that_exist() -> None:
    with pytest.raises(BadInput) as found:
        _chosen(asset_class="stocks")
    assert str(found.value) == (
        "'stocks' is no asset class; use one of " + ", ".join(map(str, AssetClass))
    )


@pytest.mark.parametrize(("everything", "asset_class"), [(True, ""), (False, "equity")])
def test_without_anything_tracked_nothing_tracked_is_meant(
    *, everything: bool, asset_class: str
) -> None:
    choice = Choice.parse([], asset_class, None, everything=everything)
    with pytest.raises(BadInput, match=r"^nothing is tracked yet; run: marketdata track AAPL$"):
        choice.of([], {})


@pytest.mark.parametrize("typed", [[], ["AAPL"]])
@pytest.mark.parametrize("asset_class", ["", "equity"])
@pytest.mark.parametrize("file", [None, Path("list.txt")])
@pytest.mark.parametrize("everything", [False, True])
def test_exactly_one_way_is_taken(
    typed: list[str], asset_class: str, file: Path | None, *, everything: bool
) -> None:
    ways = len(typed) + bool(asset_class) + (file is not None) + everything
    if ways == 1:
        return
    with pytest.raises(BadInput) as found:
        Choice.parse(typed, asset_class, file, everything=everything)
    assert str(found.value) == "give exactly one of: instruments, --all, --class, --file"


def test_a_file_has_an_instrument_a_line_and_comments(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("\ufeff# mine\n\naapl  # Apple\r\n  ^GSPC\nES=F\nAAPL\n   # end", "utf-8")
    assert [str(one) for one in listed(file)] == ["AAPL", "^GSPC", "ES=F"]
    assert _chosen(file=file) == ["AAPL", "^GSPC", "ES=F"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"AAPL\n\nA|B\nMSFT", "list.txt, line 3: 'A|B' is not an instrument; use Yahoo's"),
        (b"AAPL MSFT", "list.txt, line 1: 'AAPL MSFT' is not an instrument"),
        (b"BRK.B", "list.txt, line 1: '.B' in 'BRK.B' is no venue"),
        (b"# nothing\n\n", "list.txt names no instrument; write one a line, e.g. AAPL"),
        (b"\xff\xfeA\x00", "list.txt is no text in UTF-8"),
    ],
)
def test_a_file_that_cannot_be_right_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.txt").write_bytes(content)
    with pytest.raises(BadInput) as found:
        listed(Path("list.txt"))
    assert str(found.value).startswith(said)
    assert "\n" not in str(found.value)


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none.txt cannot be read: No such file or directory$"):
        listed(tmp_path / "none.txt")
    with pytest.raises(BadInput, match=r" cannot be read: Is a directory$"):
        listed(tmp_path)
