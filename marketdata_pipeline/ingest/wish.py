"""What is wanted of a series, and what an update of it did so far.

Not here: doing it (work), and what it came to (outcome).
"""

from dataclasses import dataclass, field
from datetime import datetime

from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series


@dataclass(slots=True)
class Tally:
    """What an update of one series did so far."""

    rows_new: int = 0
    requests: int = 0
    written: list[TimeRange] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of a series: None means the timeframe's usual start, the newest bar."""

    series: Series
    since: datetime | None = None
    until: datetime | None = None
