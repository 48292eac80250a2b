"""Judging a series after an update: every rule, from what is stored.

Not here: the rules themselves (quality) and Dagster's checks (defs).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.coverage import Coverage
from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.venues import Venue
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.ingest.plan import wanted_range
from marketdata_pipeline.quality.rules import RULES, Evidence, Thresholds, bars_behind, lateness
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.verdicts import Judged, Verdicts


@dataclass(frozen=True, slots=True)
class Judgement:
    """Every rule's verdict of one series; ``score`` is their mean, ``coverage`` in [0, 1]."""

    verdicts: Mapping[str, Verdict]
    coverage: float

    @property
    def score(self) -> float:
        """The mean of the verdicts' scores, in [0, 1]."""
        return sum(one.score for one in self.verdicts.values()) / len(self.verdicts)


@dataclass(frozen=True, slots=True)
class Known:
    """What an update knows of a series.

    Attributes:
        since: from when on it is tracked; None: the usual depth.
        first_trade: the listing's first day.
        last: label of the newest stored bar; None: none is stored.
        coverage: of the whole series.
        contract: the last verdict on its bars; None: never judged.
    """

    since: datetime | None
    first_trade: date | None
    last: datetime | None
    coverage: Coverage
    contract: Verdict | None


@dataclass(frozen=True, slots=True)
class Judge:
    """Re-reads what is stored, applies RULES and keeps the verdicts."""

    store: BarStore
    verdicts: Verdicts
    clock: Clock
    thresholds: Thresholds

    def judge(self, series: Series, *, known: Known, written: TimeRange | None) -> Judgement:
        """Judge a series; bars of the range ``written`` (None: nothing) are validated anew.

        The contract's verdict of an earlier write stays until bars are written again; one that
        failed is looked at over the whole series.
        """
        contract_failed = known.contract is not None and not known.contract.passed
        if written is None and not contract_failed:
            bars = contract.empty()
        else:
            bars = self.store.read(series, None if contract_failed else written)
        now = self.clock.market_now()
        evidence = Evidence(
            series=series,
            bars=bars,
            coverage=known.coverage,
            wanted=wanted_range(series, known.since, None, now),
            first_trade=known.first_trade,
            last=known.last,
            market_now=now,
            thresholds=self.thresholds,
        )
        found = {name: rule(evidence) for name, rule in RULES.items()}
        if not len(bars) and known.contract is not None:
            found["bars_contract"] = known.contract
        self.verdicts.put(series, found)
        return Judgement(found, found["completeness"].score)

    def over_all(self, rule: str, judged: Collection[Series]) -> dict[Series, Verdict]:
        """The rule's verdict on every series that is kept, those just ``judged`` among them.

        Freshness of a tracked series is that of now: nobody judges what no run looks at.
        """
        found = self.verdicts.kept(rule, judged)
        if rule != "freshness":
            return {series: one.verdict for series, one in found.items()}
        aged = _Age(self.clock.market_now(), self.thresholds)
        return {series: aged.verdict(series, one) for series, one in found.items()}


class _Age:
    """Verdicts on freshness at one market instant; a market's last close is looked up once."""

    def __init__(self, now: datetime, thresholds: Thresholds) -> None:
        self._now = now
        self._thresholds = thresholds
        self._ends: dict[tuple[AssetClass, Venue, Timeframe], datetime | None] = {}

    def verdict(self, series: Series, judged: Judged) -> Verdict:
        until = self._closed_until(series)
        if not judged.tracked or judged.last is None or until is None:
            return judged.verdict
        return lateness(bars_behind(series, judged.last, until), self._thresholds)

    def _closed_until(self, series: Series) -> datetime | None:
        instrument, timeframe = series.instrument, series.timeframe
        kind = instrument.asset_class, instrument.venue, timeframe
        if kind not in self._ends:
            self._ends[kind] = calendar_of(instrument).closed_until(timeframe, self._now)
        return self._ends[kind]
