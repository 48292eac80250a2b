"""A series' one spelling: partition key, log field, path."""

from urllib.parse import unquote

import pytest

from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput

INSTRUMENTS = ["AAPL", "BRK-B", "AZN.L", "M&M.NS", "^GSPC", "BTC-USD", "EURUSD=X", "ES=F"]


@pytest.mark.parametrize("timeframe", Timeframe)
@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_a_series_reads_its_own_spelling(instrument: str, timeframe: Timeframe) -> None:
    series = Series(Instrument.parse(instrument), timeframe)
    assert str(series) == f"{instrument}|{timeframe}"
    assert Series.parse(str(series)) == series
    assert hash(Series.parse(str(series))) == hash(series)


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_a_slug_is_safe_in_a_path_and_decodes_to_the_spelling(instrument: str) -> None:
    series = Series(Instrument.parse(instrument), Timeframe.D1)
    assert not set(series.slug) & set("|/\\^&= ")
    assert unquote(series.slug) == str(series)


def test_the_slug_of_apple_by_day() -> None:
    assert Series.parse("AAPL|1d").slug == "AAPL%7C1d"
    assert Series.parse("^GSPC|1d").slug == "%5EGSPC%7C1d"


def test_other_spellings_of_the_same_series_are_equal() -> None:
    assert Series.parse("aapl | 1D") == Series.parse("AAPL|1d")


@pytest.mark.parametrize(
    "text", ["", "AAPL", "AAPL|", "|1d", "AAPL|1d|1d", "AAPL||1d", "AAPL/1d", "a\nb", "AAPL|1M"]
)
def test_a_malformed_series_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        Series.parse(text)
    assert str(refused.value).isprintable()


def test_more_than_one_bar_is_no_series() -> None:
    with pytest.raises(BadInput, match="is no series"):
        Series.parse("AAPL|1d|1d")


def test_the_base_is_the_same_instrument_at_the_finer_timeframe() -> None:
    assert Series.parse("AAPL|1wk").base == Series.parse("AAPL|1d")
    assert Series.parse("AAPL|4h").base == Series.parse("AAPL|1h")
    assert Series.parse("AAPL|1d").base is None
