"""One fault, and its spelling as JSON."""

import json
from datetime import date
from typing import Any

import pytest

from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.simulator.fault import Fault, Page, Target, parse_faults
from marketdata_pipeline.simulator.faults import KINDS
from marketdata_pipeline.simulator.wire import RetryAfter

WEDNESDAY = (date(2024, 3, 13),)


@pytest.mark.parametrize("kind", KINDS)
def test_each_fault_survives_the_way_as_json(kind: str) -> None:
    fault = Fault(
        kind=kind,
        symbol="AAPL",
        times=3,
        target=Target.CRUMB,
        status=503,
        retry_after=7,
        seconds=0.5,
        dates=WEDNESDAY,
        other="IBM",
        share=0.1,
        retry_as=RetryAfter.DATE,
        page=Page.CLOUDFLARE,
    )
    assert parse_faults(json.dumps(fault.written()).encode()) == [fault]
    assert parse_faults(json.dumps([fault.written()] * 2).encode()) == [fault, fault]


def test_what_is_not_said_is_as_usual() -> None:
    assert parse_faults(b'{"kind": "empty"}') == [Fault("empty")]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "Invalid JSON"),
        ("{", "Invalid JSON"),
        ("7", "should be an object"),
        ("{}", "kind: "),
        ('{"kind": "empty", "typo": 1}', "typo: "),
        ('{"kind": "drop", "dates": ["soon"]}', "dates.0: "),
        ('{"kind": "empty", "target": "moon"}', "'chart', 'crumb' or 'cookie'"),
        ('[{"kind": "empty"}, {"kind": "empty", "times": "two"}]', "1.times: "),
    ],
)
def test_what_is_no_fault_is_refused_by_its_field(body: str, said: str) -> None:
    with pytest.raises(BadInput, match="that is no fault") as caught:
        parse_faults(body.encode())
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"times": 0}, "times, 1 or more"),
        ({"status": 99}, "status, 200 to 999"),
        ({"retry_after": -1}, "retry_after, seconds from 0 on"),
        ({"seconds": float("nan")}, "seconds, from 0 to 86400"),
        ({"seconds": -1.0}, "seconds, from 0 to 86400"),
        ({"share": 0.0}, "share, above 0 and up to 1"),
        ({"share": 1.1}, "share, above 0 and up to 1"),
    ],
)
def test_a_number_that_cannot_be_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Fault("empty", **wrong)
