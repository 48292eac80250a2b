"""What the numbers of the queue come to."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from marketdata_pipeline.domain.backfill import Status
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.reading.queue import QueueStatus, queue_status
from marketdata_pipeline.store.backlog import Backlog, Standing
from marketdata_pipeline_tests.ingest.test_after import ROW

NOW = datetime(2024, 3, 15, 21, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_an_empty_queue_is_at_rest() -> None:
    assert queue_status(Backlog(NOW)) == QueueStatus()
    assert QueueStatus(completed=7).at_rest
    assert not QueueStatus(pending=1).at_rest
    assert not QueueStatus(failed=1).at_rest


def test_each_status_has_its_number_and_the_next_is_the_first_of_all() -> None:
    standings = (
        Standing(Status.PENDING, 3, NOW, NOW + 9 * MINUTE, 2),
        Standing(Status.IN_PROGRESS, 2, NOW, None, 0),
        Standing(Status.RATE_LIMITED, 4, NOW, NOW + 5 * MINUTE, 1),
        Standing(Status.FAILED, 1, NOW, None, 0),
    )
    twice = replace(ROW, instrument=Instrument("NOPE"))
    backlog = Backlog(NOW, standings, 12, MINUTE, (ROW,), (twice, twice, ROW))
    assert queue_status(backlog) == QueueStatus(
        pending=3,
        in_progress=2,
        rate_limited=4,
        failed=1,
        next_at=NOW + 5 * MINUTE,
        limited_until=NOW + 5 * MINUTE,
        unresolved=3,
        symbols=("NOPE", "AAPL"),
        done=12,
        took=MINUTE,
    )
