"""A row of the queue: history of one instrument that somebody wants to be there.

Not here: the rows (store.backfills) and what is done with them (ingest.queue).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe


class Status(StrEnum):
    """How a row stands; a provider without a turn makes ``rate_limited`` of a pending one."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    RATE_LIMITED = "rate_limited"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Claim:
    """A row at one of its launches: what a run is given, spelled ``12:3``.

    A run whose claim is not the row's launch any more has nothing to do with it.
    """

    id: int
    launch: int

    @classmethod
    def parse(cls, text: str) -> "Claim":
        """The claim of a spelling; ValueError: it is none."""
        number, _, launch = text.partition(":")
        return cls(int(number), int(launch))

    def __str__(self) -> str:
        return f"{self.id}:{self.launch}"


@dataclass(frozen=True, slots=True)
class Backfill:
    """A row of the queue.

    Attributes:
        start, end: label range, half-open; None: as the instrument is tracked, and up to the last
            closed bar.
        retry_after: wall instant before which it is not begun.
        attempts: that failed by its own fault; ``setbacks`` in a row by nobody's.
        launch: rises whenever a run is to be asked for it anew.
        batch: names those that were asked of one run; None: none was asked for this launch.
        run_id: the run that is at it, or whose word ended it.
        lease_until: wall instant until which its run has it, unless it says otherwise before.
    """

    id: int
    instrument: Instrument
    timeframes: tuple[Timeframe, ...]
    start: datetime | None
    end: datetime | None
    status: Status
    priority: Priority
    retry_after: datetime
    attempts: int
    setbacks: int
    launch: int
    batch: str | None
    asked_at: datetime | None
    run_id: str | None
    lease_until: datetime | None
    error_category: str | None
    error_message: str | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None

    @property
    def claim(self) -> Claim:
        """The row at its present launch."""
        return Claim(self.id, self.launch)

    @property
    def series(self) -> list[Series]:
        """What is wanted, in the order of the grid."""
        return [Series(self.instrument, frame) for frame in self.timeframes]
