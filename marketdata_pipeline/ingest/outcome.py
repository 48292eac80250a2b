"""What an update of one series came to.

Not here: doing it.
"""

from dataclasses import dataclass
from datetime import datetime

from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import MarketDataError, NotDone
from marketdata_pipeline.ingest.judge import Judgement


@dataclass(frozen=True, slots=True)
class Outcome:
    """One series after one update.

    Attributes:
        rows_new: bars that were not stored before.
        requests: HTTP requests sent for it, those for its actions included.
        written: label range of the bars that were written; None: none.
        rows, first, last: what is stored now (labels; None: nothing).
        provider, origin: of the newest fetch that brought bars; empty where there is none.
        judgement: None where the update failed before anything could be judged.
        error: why it is not up to date; what was stored before the error stays. NotDone: nobody
            tried, so nothing of it is noted or judged.
        seconds: wall seconds it took.
        version: of what is stored now; ``shown``: the one that Dagster was last told of.
    """

    series: Series
    rows_new: int
    requests: int
    written: TimeRange | None
    rows: int
    first: datetime | None
    last: datetime | None
    provider: str
    origin: str
    judgement: Judgement | None
    error: MarketDataError | None
    seconds: float
    version: int = 0
    shown: int = 0

    @property
    def not_done(self) -> bool:
        """It was not begun: the run ended before."""
        return isinstance(self.error, NotDone)

    @property
    def unseen(self) -> bool:
        """Bars are stored that Dagster was not told of: a run ended before it could."""
        return self.version > self.shown
