"""Another clock, read over a network, is known as well as the way there and back allows."""

from datetime import UTC, datetime, timedelta

import pytest

from marketdata_pipeline.domain.contact import ClockReading, Contact, Outcome

NOON = datetime(2024, 3, 15, 12, tzinfo=UTC)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


@pytest.mark.parametrize(
    ("sent", "received", "shown", "grain", "ahead"),
    [
        (0, 0.2, 0, 1, 0),  # it may show noon for a second
        (0, 3, 0, 1, 0),  # a slow answer says little
        (2, 2.2, 0, 1, 1),  # ours is ahead, by a second at least
        (45, 45.2, 0, 1, 44),
        (0, 0.2, 10, 1, -9.8),
        (0, 8, 10, 1, -2),
        (0, 0.01, 0.005, 0, 0),
        (5, 5.01, 0, 0, 5),
    ],
)
def test_a_clock_is_ahead_by_what_cannot_be_otherwise(
    sent: float, received: float, shown: float, grain: float, ahead: float
) -> None:
    there, back, told = (NOON + seconds(one) for one in (sent, received, shown))
    assert ClockReading(there, back, told, seconds(grain)).ahead == seconds(ahead)


def test_only_an_answer_is_one() -> None:
    assert [one for one in Outcome if Contact(one).answered] == [Outcome.ANSWERED]
