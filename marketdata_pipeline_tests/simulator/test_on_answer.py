"""Faults of the reply that is sent."""

import json
from datetime import UTC, datetime

import pytest

from marketdata_pipeline.simulator.fault import Fault, Moment, Page
from marketdata_pipeline.simulator.faults import Taken
from marketdata_pipeline.simulator.wire import Answer, RetryAfter, Way
from marketdata_pipeline.simulator.yahoo import chart
from marketdata_pipeline_tests.simulator.histories import SATURDAY, listing

GOOD = chart(listing(), {"interval": "1d", "range": "max"}, SATURDAY)
WALL = datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)


def sent(fault: Fault) -> Answer:
    return Taken((fault,)).on_answer(GOOD, Moment(SATURDAY, WALL))


def test_a_status_may_say_when_to_come_back() -> None:
    limited = sent(Fault("status", status=429, retry_after=13))
    assert (limited.status, limited.headers["Retry-After"]) == (429, "13")
    assert limited.announced == 13
    assert b"Too Many Requests" in limited.body
    assert "Retry-After" not in sent(Fault("status", status=503)).headers


def test_a_retry_after_may_be_a_date_and_is_then_a_whole_second() -> None:
    dated = sent(Fault("status", status=429, retry_after=13, retry_as=RetryAfter.DATE))
    assert dated.headers["Retry-After"] == "Fri, 02 Jan 2026 03:04:19 GMT"
    assert dated.announced == pytest.approx(13.4)


def test_a_retry_after_may_be_left_out() -> None:
    mute = sent(Fault("status", status=429, retry_after=13, retry_as=RetryAfter.OFF))
    assert ("Retry-After" in mute.headers, mute.announced) == (False, None)


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504])
def test_an_outage_is_a_page_and_no_chart(status: int) -> None:
    out = sent(Fault("status", status=status))
    assert (out.status, out.content_type) == (status, "text/html")
    assert out.body.startswith(b"<html>")


def test_a_block_is_yahoos_403_or_cloudflares_page() -> None:
    yahoo = sent(Fault("block"))
    assert (yahoo.status, yahoo.body, yahoo.headers["Server"]) == (403, b"Forbidden", "ATS")
    other = sent(Fault("block", page=Page.CLOUDFLARE))
    assert (other.status, other.headers["Server"]) == (403, "cloudflare")
    assert b"Attention Required! | Cloudflare" in other.body
    assert b"Sorry, you have been blocked" in other.body


def test_bodies_are_broken_as_their_names_say() -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(sent(Fault("invalid_json")).body)
    assert sent(Fault("empty")).body == b""
    assert sent(Fault("empty")).status == sent(Fault("html")).status == 200
    assert b"<html>" in sent(Fault("html")).body


@pytest.mark.parametrize(
    ("kind", "way", "answered"),
    [
        ("truncated", Way.HALF, True),
        ("reset_midway", Way.HALF_RESET, True),
        ("reset", Way.RESET, False),
        ("refused", Way.REFUSED, False),
        ("hang", Way.SILENT, False),
        ("drip", Way.DRIP, True),
    ],
)
def test_connections_are_broken_as_their_names_say(kind: str, way: Way, answered: bool) -> None:  # noqa: FBT001 - a case's column
    broken = sent(Fault(kind, seconds=3))
    assert (broken.way, broken.way.answered) == (way, answered)
    assert broken.body == GOOD.body
    if kind in {"refused", "drip"}:
        assert broken.seconds == 3


def test_a_slow_answer_is_whole_and_late() -> None:
    late = sent(Fault("slow", seconds=3))
    assert (late.delay, late.way, late.body) == (3, Way.WHOLE, GOOD.body)
