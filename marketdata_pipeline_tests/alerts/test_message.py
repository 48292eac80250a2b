"""One message of all that is told at once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from marketdata_pipeline.alerts.message import lasting, message_of
from marketdata_pipeline.domain.alert import Alert, Severity

NOW = datetime(2024, 3, 15, 12, tzinfo=UTC)
ONE = Alert(
    1, "disk", "disk", Severity.WARNING, "the home's disk is nearly full", "1 GB of 100 GB free",
    0.0, NOW, NOW,
)  # fmt: skip
OVER = replace(ONE, body="it is no longer so", ended_at=NOW + timedelta(hours=3))
GRAVE = replace(ONE, severity=Severity.CRITICAL, title="nothing was updated")


def test_one_alert_has_its_own_title() -> None:
    found = message_of([ONE])
    assert found.title == "marketdata: warning: the home's disk is nearly full"
    assert found.body == "1 GB of 100 GB free"
    assert found.severity is Severity.WARNING


def test_an_end_says_how_long_it_was_so() -> None:
    found = message_of([OVER])
    assert found.title == "marketdata: over: the home's disk is nearly full"
    assert found.body == "it is no longer so\nsince 2024-03-15 12:00 UTC, for 3 h"
    assert found.severity is None


def test_several_are_one_message_as_grave_as_the_gravest() -> None:
    found = message_of([GRAVE, ONE, OVER])
    assert found.title == "marketdata: 2 alerts (1 critical), 1 over"
    assert found.body.splitlines()[0] == "critical: nothing was updated"
    assert (
        "\n\nwarning: the home's disk is nearly full\n1 GB of 100 GB free\n\nover: " in found.body
    )
    assert found.severity is Severity.CRITICAL


@pytest.mark.parametrize(("count", "body"), [(1, "x" * 9000), (60, "x" * 500), (60, "short")])
def test_no_message_is_longer_than_a_chat_takes(count: int, body: str) -> None:
    found = message_of([replace(ONE, body=body)] * count)
    assert len(found.title) + len(found.body) < 4000
    if count > 1:
        more = int(found.body.rpartition("\n\nand ")[2].split()[0])
        assert found.body.count("warning: ") + more == count


@pytest.mark.parametrize(
    ("minutes", "said"), [(0, "0 min"), (59, "59 min"), (60, "1 h"), (47 * 60, "47 h"),
                          (49 * 60, "2 d")]
)  # fmt: skip
def test_time_is_told_in_its_largest_unit(minutes: int, said: str) -> None:
    assert lasting(timedelta(minutes=minutes)) == said
