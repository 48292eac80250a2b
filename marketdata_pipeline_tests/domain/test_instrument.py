"""The grammar of Yahoo's spelling: every class, every rejection."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain import venues
from marketdata_pipeline.domain.instrument import LONGEST, AssetClass, Instrument
from marketdata_pipeline.domain.venues import Venue
from marketdata_pipeline.errors import BadInput

KNOWN = [
    ("AAPL", AssetClass.EQUITY, venues.US),
    ("BRK-B", AssetClass.EQUITY, venues.US),
    ("BAC-PL", AssetClass.EQUITY, venues.US),
    ("F", AssetClass.EQUITY, venues.US),
    ("AZN.L", AssetClass.EQUITY, venues.BY_SUFFIX["L"]),
    ("0700.HK", AssetClass.EQUITY, venues.BY_SUFFIX["HK"]),
    ("7203.T", AssetClass.EQUITY, venues.BY_SUFFIX["T"]),
    ("005930.KS", AssetClass.EQUITY, venues.BY_SUFFIX["KS"]),
    ("M&M.NS", AssetClass.EQUITY, venues.BY_SUFFIX["NS"]),
    ("BAJAJ-AUTO.NS", AssetClass.EQUITY, venues.BY_SUFFIX["NS"]),
    ("6488.TWO", AssetClass.EQUITY, venues.BY_SUFFIX["TWO"]),
    ("NOVO-B.CO", AssetClass.EQUITY, venues.BY_SUFFIX["CO"]),
    ("ABCDX.PA", AssetClass.EQUITY, venues.BY_SUFFIX["PA"]),
    ("^GSPC", AssetClass.INDEX, venues.US),
    ("^FTSE", AssetClass.INDEX, venues.BY_SUFFIX["L"]),
    ("^N225", AssetClass.INDEX, venues.BY_SUFFIX["T"]),
    ("^TNX", AssetClass.BOND, venues.US),
    ("TLT", AssetClass.BOND, venues.US),
    ("VTSAX", AssetClass.FUND, venues.US),
    ("0P0000XTS7", AssetClass.FUND, venues.US),
    ("0P000071W8.TO", AssetClass.FUND, venues.BY_SUFFIX["TO"]),
    ("BTC-USD", AssetClass.CRYPTO, venues.CRYPTO),
    ("1INCH-USDT", AssetClass.CRYPTO, venues.CRYPTO),
    ("ETH-BTC", AssetClass.CRYPTO, venues.CRYPTO),
    ("EURUSD=X", AssetClass.FX, venues.FX),
    ("JPY=X", AssetClass.FX, venues.FX),
    ("ES=F", AssetClass.FUTURE, venues.CME),
    ("6E=F", AssetClass.FUTURE, venues.CME),
    ("ESZ26.CME", AssetClass.FUTURE, venues.CME),
    ("CLF27.NYM", AssetClass.FUTURE, venues.CME),
    ("MESH27.CME", AssetClass.FUTURE, venues.CME),
]

REFUSED = [
    "",
    " ",
    ".",
    "..",
    "...",
    ".L",
    "A|B",
    "AAPL|1d",
    "^GSPC|1d",
    "^GSPC/..",
    "^GSPC\n",
    "EURUSD=X;",
    "EURUSD=X\n",
    "ES=F|ES=F",
    "BTC-USD/..",
    "ESZ26.CME'",
    "0P0000XTS7\n",
    "AAPL...MSFT",
    "BRK B",
    "AA PL",
    "AAPL\n",
    "AAPL\t",
    "\x00AAPL",
    "AA\x1bPL",
    "AAPL\x7f",
    "AAPL\r\nSet-Cookie: a",
    "../etc/passwd",
    "..\\windows",
    "/etc/passwd",
    "C:\\AAPL",
    "AAPL/../MSFT",
    "%2e%2e%2f",
    "AAPL%7C1d",
    "AAPL'; DROP TABLE bars; --",
    'AAPL" OR 1=1',
    "AAPL--",
    "-AAPL",
    "AAPL-",
    "AAPL.",
    "A..L",
    "AAPL;MSFT",
    "AAPL,MSFT",
    "AAPL*",
    "AAPL?",
    "$AAPL",
    "~",
    "{AAPL}",
    "^",
    "^^GSPC",
    "=X",
    "EURUS=X",
    "EURUSDX=X",
    "=F",
    "ESABC=F",
    "ESA26.CME",
    "BRK.B",
    "AAPL.ZZ",
    "AAPL.ABCDE",
    "STRASSE\u00df",  # upper case of sharp s is SS
    "\u0131BM",  # upper case of dotless i is I
    "\u017fPY",  # upper case of long s is S
    "\ufb01T",  # upper case of the ligature is FI
    "\u0410APL",  # a Cyrillic A
    "\uff21\uff21\uff30\uff2c",  # full-width
    "AAPL\u200b",  # a space without width
    "\u00a0AAPL",
    "\u2028AAPL",
    "\u0661\u0662\u0663",  # Arabic digits
    "AAPL\u202e",
    "A" * (LONGEST + 1),
]


@pytest.mark.parametrize(("text", "kind", "venue"), KNOWN)
def test_class_and_venue_follow_from_the_spelling(
    text: str, kind: AssetClass, venue: Venue
) -> None:
    instrument = Instrument.parse(text)
    assert instrument.asset_class is kind
    assert instrument.venue == venue
    assert str(instrument) == text


@pytest.mark.parametrize(
    ("text", "told", "believed"),
    [
        ("SPY", AssetClass.ETF, AssetClass.ETF),
        ("ACME", AssetClass.FUND, AssetClass.FUND),
        ("AAPL", AssetClass.EQUITY, AssetClass.EQUITY),
        ("VFIAX", AssetClass.ETF, AssetClass.ETF),
        ("^GSPC", AssetClass.EQUITY, AssetClass.EQUITY),
        ("AAPL", None, None),
        ("AAPL", AssetClass.CRYPTO, None),
        ("AAPL", AssetClass.FX, None),
        ("AAPL", AssetClass.FUTURE, None),
        ("BTC-USD", AssetClass.EQUITY, None),
        ("EURUSD=X", AssetClass.CRYPTO, None),
        ("ES=F", AssetClass.INDEX, None),
        ("TLT", AssetClass.ETF, None),
        ("^TNX", AssetClass.INDEX, None),
    ],
)
def test_a_provider_is_believed_as_long_as_the_calendar_stays(
    text: str, told: AssetClass | None, believed: AssetClass | None
) -> None:
    assert Instrument.parse(text).believed(told) is believed


def test_what_is_listed_and_owned_may_split_and_pay() -> None:
    pays = {one for one in AssetClass if one.has_actions}
    assert pays == {AssetClass.EQUITY, AssetClass.ETF, AssetClass.FUND, AssetClass.BOND}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_in_the_grammar_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        Instrument.parse(text)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 250


@pytest.mark.parametrize("thing", [None, 7203, float("nan"), b"AAPL", ["AAPL"]])
def test_what_is_no_text_is_refused(thing: str) -> None:
    with pytest.raises(BadInput):
        Instrument.parse(thing)


def test_lower_case_and_outer_spaces_are_folded() -> None:
    assert Instrument.parse(" azn.l ") == Instrument.parse("AZN.L")
    assert Instrument.parse("eurusd=x") == Instrument.parse("EURUSD=X")


def test_32_characters_are_the_most() -> None:
    assert str(Instrument.parse("A" * LONGEST)) == "A" * LONGEST
    with pytest.raises(BadInput, match="longer than 32"):
        Instrument.parse("A" * (LONGEST + 1))


def test_a_dotted_share_class_is_told_its_hyphen() -> None:
    with pytest.raises(BadInput, match="BRK-B"):
        Instrument.parse("BRK.B")


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_any_text_is_refused_or_means_itself(text: str) -> None:
    try:
        instrument = Instrument.parse(text)
    except BadInput as refused:
        assert str(refused).isprintable()  # noqa: PT017 - either outcome holds
        return
    assert str(instrument) == text.strip(" ").upper()
    assert Instrument.parse(str(instrument)) == instrument
    assert not set(str(instrument)) & set("|/\\%'\"; \n\0")
    assert "..." not in str(instrument)


@given(st.from_regex(r"\^?[A-Za-z0-9&]{1,8}([-.=][A-Za-z0-9]{1,4})?", fullmatch=True))
def test_parsing_the_own_spelling_changes_nothing(text: str) -> None:
    try:
        instrument = Instrument.parse(text)
    except BadInput:
        return
    assert Instrument.parse(str(instrument)) == instrument
    assert Instrument.parse(str(instrument).lower()) == instrument
