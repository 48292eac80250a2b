"""Judging a series after an update: every rule, from what is stored.

Not here: the rules themselves (quality) and Dagster's checks (defs).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.coverage import Coverage
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.ingest.plan import wanted_range
from marketdata_pipeline.quality.rules import RULES, Evidence, Thresholds
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.verdicts import Verdicts


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
class Judge:
    """Re-reads what is stored, applies RULES and keeps the verdicts."""

    store: BarStore
    verdicts: Verdicts
    clock: Clock
    thresholds: Thresholds

    def judge(
        self,
        series: Series,
        *,
        since: datetime | None,
        first_trade: date | None,
        last: datetime | None,
        coverage: Coverage,
        written: TimeRange | None,
    ) -> Judgement:
        """Judge a series; bars of the range ``written`` (None: nothing) are validated anew.

        The contract's verdict of an earlier write stays until bars are written again; one that
        failed is looked at over the whole series.
        """
        earlier = self.verdicts.of(series)
        contract_failed = "bars_contract" in earlier and not earlier["bars_contract"].passed
        if written is None and not contract_failed:
            bars = contract.empty()
        else:
            bars = self.store.read(series, None if contract_failed else written)
        now = self.clock.market_now()
        evidence = Evidence(
            series=series,
            bars=bars,
            coverage=coverage,
            wanted=wanted_range(series, since, None, now),
            first_trade=first_trade,
            last=last,
            market_now=now,
            thresholds=self.thresholds,
        )
        found = {name: rule(evidence) for name, rule in RULES.items()}
        if not len(bars) and "bars_contract" in earlier:
            found["bars_contract"] = earlier["bars_contract"]
        self.verdicts.put(series, found)
        return Judgement(found, found["completeness"].score)
