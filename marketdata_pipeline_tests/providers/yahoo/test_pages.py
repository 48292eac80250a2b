"""Pages that come instead of a chart are told apart by status, body and redirect."""

import pytest

from marketdata_pipeline.providers.yahoo import pages
from marketdata_pipeline_tests.providers.yahoo.canned import chart_body, complaint

PAGE = b"<!DOCTYPE html><html><body>Sorry</body></html>"
OUTAGE = b"<html><body>Will be right back...</body></html>"
CONSENT = b'<html><form action="https://guce.yahoo.com/consent">'


@pytest.mark.parametrize(
    ("status", "body", "blocked"),
    [
        *[(status, PAGE, True) for status in (401, 403, 451, 999)],
        *[(status, PAGE, False) for status in (200, 302, 400, 404, 407, 429, 500, 503)],
        (403, b"", True),
        (403, b"Forbidden", True),
        (403, b"[" * 100_000, True),
        (403, b'"chart"', True),
        (403, b'{"message": "no"}', True),
        (401, b'{"finance": {"error": {}}}', False),
        (403, complaint("Forbidden", "no"), False),
    ],
)
def test_a_refusal_that_is_not_the_services_own_word_is_of_the_address(
    status: int, body: bytes, *, blocked: bool
) -> None:
    assert pages.is_block(status, body) is blocked


@pytest.mark.parametrize(
    ("status", "location", "body", "wanted"),
    [
        (302, "https://guce.yahoo.com/consent?x", b"", True),
        (307, "https://consent.yahoo.com/v2/collectConsent", b"", True),
        (302, "https://guce.yahoo.com.hotel.example/", b"", False),
        (302, "/consent.yahoo.com", b"", False),
        (302, "http://[", b"", False),
        (200, "", CONSENT, True),
        (503, "", CONSENT, False),
        (200, "", PAGE, False),
        (200, "", OUTAGE + CONSENT, False),
        (200, "", chart_body(symbol="guce"), False),
    ],
)
def test_consent_is_wanted_by_a_redirect_or_by_a_page(
    status: int, location: str, body: bytes, *, wanted: bool
) -> None:
    assert pages.wants_consent(status, location, body) is wanted


def test_a_page_is_for_people_and_an_outage_says_so() -> None:
    assert [pages.is_page(one) for one in (PAGE, b"\n " + PAGE, OUTAGE, b"Will be right back")] == [
        True
    ] * 4
    assert not pages.is_page(chart_body())
    assert [pages.is_outage(one) for one in (PAGE, OUTAGE)] == [False, True]
