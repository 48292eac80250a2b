"""What can explain a bar of a series, or that it is not there: plain values.

Not here: reading them (witnesses), and the explanation (reading.why).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from marketdata_pipeline.domain.backfill import Status
from marketdata_pipeline.domain.coverage import Coverage
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import Micros
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.store.tracking import Standing


@dataclass(frozen=True, slots=True)
class Asked:
    """A fetch whose window meets the range.

    Attributes:
        window: what was asked, labels; ``market_at`` when, ``fetched_at`` the wall instant of it.
        last: the newest label that it brought; None: nothing.
        dropped: the rule that each row which was left out broke, by its label in microseconds.
    """

    id: int
    kind: str
    provider: str
    origin: str
    window: TimeRange
    market_at: datetime
    fetched_at: datetime
    last: datetime | None
    dropped: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Restated:
    """A change of a final bar: of which fetch it is now, why it changed, and the closes."""

    recorded_at: datetime
    reason: str
    old_close: float
    new_close: float


@dataclass(frozen=True, slots=True)
class Held:
    """Bars that quarantine kept apart; ``dropped``: a person decided against them."""

    id: int
    within: TimeRange
    reason: str
    detail: str
    dropped: bool
    decided_at: datetime | None
    decided_why: str | None


@dataclass(frozen=True, slots=True)
class Incident:
    """An open incident of the calendar."""

    id: int
    kind: str
    sessions: frozenset[date]
    timeframes: frozenset[Timeframe]
    lacking: int
    expected: int
    probe_at: datetime | None


@dataclass(frozen=True, slots=True)
class Queued:
    """A row of the queue that is not done; None as in ``domain.backfill``."""

    id: int
    timeframes: frozenset[Timeframe]
    start: datetime | None
    end: datetime | None
    status: Status
    retry_after: datetime
    error_category: str | None
    error_message: str | None


@dataclass(frozen=True, slots=True)
class Pause:
    """A provider that is sent nothing now; ``key`` is the governor's."""

    key: str
    until: datetime
    broken: bool


@dataclass(frozen=True, slots=True)
class LastError:
    """Why the last update of the series failed, and when (wall)."""

    category: str
    message: str
    at: datetime


@dataclass(frozen=True, slots=True, eq=False)
class Circumstances:
    """All of it, of the labels in ``within``.

    Attributes:
        market_now, wall_now: when it was read.
        last: the newest label that is stored at all.
        labels, fetch_id, state: of the stored bars; see ``write.State``.
        asked: the newest first, 200 at most; those that bars point to are all in ``sources``.
        restated: the last change, by label.
        tracked: None: nobody ever wanted it.
        first_trade: the listing's first day.
    """

    series: Series
    within: TimeRange
    market_now: datetime
    wall_now: datetime
    last: datetime | None
    labels: Micros
    fetch_id: np.ndarray
    state: np.ndarray
    coverage: Coverage
    asked: Sequence[Asked]
    sources: Mapping[int, Asked]
    restated: Mapping[int, Restated]
    held: Sequence[Held]
    incidents: Sequence[Incident]
    tracked: Standing | None
    queued: Sequence[Queued]
    pauses: Sequence[Pause]
    first_trade: date | None
    error: LastError | None
