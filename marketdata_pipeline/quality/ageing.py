"""Freshness as it is now: a verdict on it ages while nobody judges the series.

Not here: the rule itself (extent), and which series are tracked (store).
"""

from datetime import datetime

from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.thresholds import Thresholds
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.venues import Venue
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.quality.extent import bars_behind, lateness


class Ageing:
    """Verdicts on freshness at one market instant; a market's last close is looked up once."""

    def __init__(self, now: datetime, thresholds: Thresholds) -> None:
        self._now = now
        self._thresholds = thresholds
        self._ends: dict[tuple[AssetClass, Venue, Timeframe], datetime | None] = {}

    def verdict(self, series: Series, kept: Verdict, last: datetime | None) -> Verdict:
        """The verdict on a tracked series as it would be now; ``last``: label of its newest bar.

        The one that is ``kept`` stays where no bar is stored, or none closed lately.
        """
        until = self._closed_until(series)
        if last is None or until is None:
            return kept
        return lateness(bars_behind(series, last, until), self._thresholds)

    def _closed_until(self, series: Series) -> datetime | None:
        instrument, timeframe = series.instrument, series.timeframe
        kind = instrument.asset_class, instrument.venue, timeframe
        if kind not in self._ends:
            self._ends[kind] = calendar_of(instrument).closed_until(timeframe, self._now)
        return self._ends[kind]
