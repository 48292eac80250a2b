"""What replies mean: the whole table of statuses and bodies, without a network."""

from datetime import UTC, datetime, timedelta

import pytest

from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import (
    Blocked,
    MalformedReply,
    OutOfDepth,
    ProviderError,
    ProviderTimeout,
    Unavailable,
    UnknownSymbol,
)
from marketdata_pipeline.providers.yahoo import faults
from marketdata_pipeline_tests.providers.yahoo.canned import chart_body, complaint

AAPL = Series.parse("AAPL|1d")
NOW = datetime(2024, 3, 15, 21, tzinfo=UTC)
PAGE = b"<!DOCTYPE html><html><body>Will be right back...</body></html>"
NOT_FOUND = complaint("Not Found", "No data found, symbol may be delisted")
TOO_OLD = complaint("Unprocessable Entity", "The requested range must be within the last 60 days.")
TOO_LONG = complaint("Unprocessable Entity", "Only 8 days worth of 1m ... per request.")
NO_DATA = complaint("Bad Request", "Data doesn't exist for startDate = 1, endDate = 2")
BAD = complaint("Bad Request", "Invalid input - interval=7m is not supported.")
CONSENT = b'<html><form action="https://consent.yahoo.com/v2/collectConsent">'
CRUMB = b'{"finance":{"result":null,"error":{"code":"Unauthorized","description":"Invalid Crumb"}}}'


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"", MalformedReply),
        (200, b"[]", MalformedReply),
        (200, b"null", MalformedReply),
        (200, b"\xff\xfe", MalformedReply),
        (200, b"[" * 100_000, MalformedReply),
        (200, b"Too Many Requests", MalformedReply),
        (200, chart_body()[:-9], MalformedReply),
        (200, b'{"chart":{"result":[],"error":null}}', MalformedReply),
        (200, b'{"chart":{"result":null,"error":null}}', MalformedReply),
        (200, complaint("Not Found", "gone"), UnknownSymbol),
        (200, complaint("Whatever", "new"), MalformedReply),
        (200, CRUMB, MalformedReply),
        (200, PAGE, Unavailable),
        (301, b"", Unavailable),
        (302, PAGE, Unavailable),
        (400, BAD, MalformedReply),
        (400, PAGE, Unavailable),
        (401, CRUMB, Unavailable),
        (401, complaint("Unauthorized", "Invalid Crumb"), Unavailable),
        (401, PAGE, Blocked),
        (401, b"", Blocked),
        (403, PAGE, Blocked),
        (403, b"Forbidden", Blocked),
        (403, b"[]", Blocked),
        (403, complaint("Forbidden", "no"), Unavailable),
        (404, NOT_FOUND, UnknownSymbol),
        (404, PAGE, Unavailable),
        (404, chart_body(), Unavailable),
        (418, b"{}", Unavailable),
        (422, TOO_OLD, OutOfDepth),
        (422, TOO_LONG, MalformedReply),
        (407, PAGE, Unavailable),
        (451, b"", Blocked),
        (500, PAGE, Unavailable),
        (500, NOT_FOUND, Unavailable),
        (500, NO_DATA, Unavailable),
        (500, chart_body(), Unavailable),
        (203, chart_body(), Unavailable),
        (302, b"", Unavailable),
        (400, b"", Unavailable),
        (503, b"", Unavailable),
        (999, b"", Blocked),
        (999, PAGE, Blocked),
        (200, CONSENT, Blocked),
        (404, CONSENT, Unavailable),
        (503, CONSENT, Unavailable),
        (200, CONSENT + PAGE, Unavailable),
    ],
)
def test_each_bad_reply_is_the_narrowest_error(
    status: int, body: bytes, kind: type[ProviderError]
) -> None:
    with pytest.raises(ProviderError) as caught:
        faults.chart_in(status, body, AAPL)
    assert type(caught.value) is kind
    assert (caught.value.provider, caught.value.series) == ("yahoo", "AAPL|1d")
    assert "\n" not in str(caught.value)


def test_a_chart_is_a_chart() -> None:
    chart = faults.chart_in(200, chart_body(), AAPL)
    assert chart is not None
    assert len(chart.stamps) == 2


@pytest.mark.parametrize("status", [200, 400])
def test_no_data_in_the_range_is_no_error(status: int) -> None:
    assert faults.chart_in(status, NO_DATA, AAPL) is None


def test_a_chart_of_another_symbol_is_refused() -> None:
    with pytest.raises(MalformedReply, match="answered for MSFT, asked was AAPL"):
        faults.chart_in(200, chart_body(symbol="MSFT"), AAPL)


@pytest.mark.parametrize(
    ("series", "granularity"),
    [("AAPL|1d", "1d"), ("AAPL|1d", None), ("AAPL|1h", "60m"), ("AAPL|1h", "1h")],
)
def test_a_chart_says_which_bars_it_has(series: str, granularity: str | None) -> None:
    body = chart_body(dataGranularity=granularity)
    assert faults.chart_in(200, body, Series.parse(series)) is not None


@pytest.mark.parametrize(("series", "granularity"), [("AAPL|1d", "3mo"), ("AAPL|1m", "60m")])
def test_a_chart_of_other_bars_is_refused(series: str, granularity: str) -> None:
    body = chart_body(dataGranularity=granularity)
    with pytest.raises(MalformedReply, match=f"answered with bars of {granularity}"):
        faults.chart_in(200, body, Series.parse(series))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("13", 13),
        (" 0 ", 0),
        ("999999999999999999999", 86_400),
        ("Fri, 15 Mar 2024 21:00:40 GMT", 40),
        ("Fri, 15 Mar 2024 21:00:40 -0000", 40),
        ("Fri, 15 Mar 2024 20:00:00 GMT", 0),
        ("Fri, 15 Mar 2030 21:00:40 GMT", 86_400),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("\u0661\u0662", None),
        ("", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(text: str, seconds: int | None) -> None:
    wait = faults.retry_after({"retry-after": text}, NOW)
    assert wait == (None if seconds is None else timedelta(seconds=seconds))


def test_without_the_header_nothing_is_said() -> None:
    assert faults.retry_after({"date": "x"}, NOW) is None


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (28, ProviderTimeout),
        (7, Unavailable),
        (6, Unavailable),
        (18, MalformedReply),
        (61, MalformedReply),
        (56, Unavailable),
        (60, Unavailable),
        (0, Unavailable),
    ],
)
def test_what_broke_on_the_way_is_told_apart(code: int, kind: type[ProviderError]) -> None:
    error = faults.of_transport(
        code, "Failed to perform, curl: (56) text. See https://curl.se", AAPL, "not there"
    )
    assert type(error) is kind
    assert "curl" not in str(error)
    assert (str(error) == "not there") is (code in {6, 7})


@pytest.mark.parametrize(("asked", "told"), [("USDJPY=X", "JPY=X"), ("JPY=X", "USDJPY=X")])
def test_a_dollar_pair_has_two_spellings(asked: str, told: str) -> None:
    series = Series.parse(f"{asked}|1d")
    assert faults.chart_in(200, chart_body(symbol=told), series) is not None
    with pytest.raises(MalformedReply, match="answered for USDCHF=X"):
        faults.chart_in(200, chart_body(symbol="USDCHF=X"), series)


@pytest.mark.parametrize("status", [401, 403, 451, 999])
def test_a_block_page_says_what_a_person_can_do(status: int) -> None:
    with pytest.raises(Blocked) as caught:
        faults.chart_in(status, PAGE, AAPL)
    for part in (f"HTTP {status}", "wait", "another address", "MARKETDATA_YAHOO_REQUESTS_PER_HOUR"):
        assert part in str(caught.value)


@pytest.mark.parametrize("host", ["guce.yahoo.com", "consent.yahoo.com"])
def test_a_redirect_to_a_page_of_consent_turns_the_address_away(host: str) -> None:
    with pytest.raises(Blocked, match=f"wants a browser's consent .*HTTP 302 to {host}"):
        faults.chart_in(302, b"", AAPL, f"https://{host}/consent?x=1")


@pytest.mark.parametrize("location", ["https://login.hotel.example/", "http://[", "/elsewhere"])
def test_any_other_redirect_is_an_outage(location: str) -> None:
    with pytest.raises(Unavailable) as caught:
        faults.chart_in(302, b"", AAPL, location)
    assert type(caught.value) is Unavailable
