"""Judges again all that is stored, every rule over every bar, without asking any provider.

Not here: one series' judgement (judge), who asks for it (defs, cli).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import MarketDataError, StoreError, WriteConflict
from marketdata_pipeline.ingest.judge import Judge, Judgement, Known
from marketdata_pipeline.store.catalog import Catalog
from marketdata_pipeline.store.tracking import Tracking

_AT_ONCE = 200
"""Series that are read about in one go."""


@dataclass(frozen=True, slots=True)
class Rechecked:
    """A series that was judged, or the error that its bars could not be read for."""

    series: Series
    judgement: Judgement | None
    error: MarketDataError | None = None


@dataclass(frozen=True, slots=True)
class Recheck:
    """Every rule over every bar of many series."""

    judge: Judge
    catalog: Catalog
    tracking: Tracking

    def series(self, instruments: Sequence[Instrument] = ()) -> list[Series]:
        """What there is to judge: what is tracked, and what else has bars; of these, or all."""
        named = set(instruments)
        tracked = [
            Series(one.instrument, frame) for one in self.tracking.all() for frame in one.timeframes
        ]
        stored = [one.series for one in self.catalog.summaries() if one.rows]
        order = list(Timeframe)
        found = [
            one
            for one in dict.fromkeys([*tracked, *stored])
            if not named or one.instrument in named
        ]
        return sorted(found, key=lambda one: (str(one.instrument), order.index(one.timeframe)))

    def run(self, series: Sequence[Series], run_id: str | None = None) -> Iterator[Rechecked]:
        """Judge each of these; bars that cannot be read are that series' error alone."""
        since = {one.instrument: one.since for one in self.tracking.all()}
        for first in range(0, len(series), _AT_ONCE):
            some = series[first : first + _AT_ONCE]
            for one, known in self._known(some, since, run_id).items():
                yield self._judged(one, known)

    def _known(
        self,
        series: Sequence[Series],
        since: Mapping[Instrument, datetime | None],
        run_id: str | None,
    ) -> dict[Series, Known]:
        store, instruments = self.judge.store, {one.instrument for one in series}
        coverage, kept = store.coverage(series), self.judge.verdicts.of_all(series)
        facts, actions = self.catalog.facts(instruments), self.catalog.known_actions(instruments)
        return {
            one.series: Known(
                since=since.get(one.series.instrument),
                first_trade=facts[one.series.instrument].first_trade,
                last=one.last,
                coverage=coverage[one.series],
                kept=kept[one.series],
                actions=actions[one.series.instrument].actions,
                run_id=run_id,
            )
            for one in self.catalog.summaries(series)
        }

    def _judged(self, series: Series, known: Known) -> Rechecked:
        try:
            found = self.judge.judge(series, known=known, written=None, full=True)
        except (StoreError, WriteConflict) as error:
            return Rechecked(series, None, error)
        return Rechecked(series, found)
