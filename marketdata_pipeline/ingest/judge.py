"""Judging a series after an update: every rule, from what is stored.

Not here: the rules themselves (quality) and Dagster's checks (defs).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import pandas as pd

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import Action
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.coverage import Coverage
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.thresholds import Thresholds
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.ingest.plan import wanted_range
from marketdata_pipeline.quality.ageing import Ageing
from marketdata_pipeline.quality.evidence import Evidence
from marketdata_pipeline.quality.extent import completeness
from marketdata_pipeline.quality.reporting import report_of
from marketdata_pipeline.quality.rules import RULES, Look, score_of
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.standings import Standing, standing_of
from marketdata_pipeline.store.verdicts import Verdicts

_CONTEXT = 100
_LEAST_CONTEXT = timedelta(days=4)
"""A weekend and a holiday lie between two sessions."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Every rule's verdict of one series that applies; ``coverage`` in [0, 1].

    ``weights`` are of rules; one that is not named counts 1.
    """

    verdicts: Mapping[str, Verdict]
    coverage: float
    weights: Mapping[str, float] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """The weighted mean of the verdicts' scores, in [0, 1]."""
        return score_of(self.verdicts, Thresholds(weights=self.weights))

    @property
    def is_valid(self) -> bool:
        """Whether every rule that applies holds."""
        return all(one.passed for one in self.verdicts.values())


@dataclass(frozen=True, slots=True)
class Known:
    """What an update knows of a series.

    Attributes:
        since: from when on it is tracked; None: the usual depth.
        first_trade: the listing's first day.
        last: label of the newest stored bar; None: none is stored.
        coverage: of the whole series.
        kept: the last verdict of each rule; empty: never judged.
        actions: of the instrument.
        run_id: the run that judges.
    """

    since: datetime | None
    first_trade: date | None
    last: datetime | None
    coverage: Coverage
    kept: Mapping[str, Verdict] = field(default_factory=dict)
    actions: Sequence[Action] = ()
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Judge:
    """Re-reads what is stored, applies RULES and keeps the verdicts."""

    store: BarStore
    verdicts: Verdicts
    clock: Clock
    thresholds: Thresholds

    def judge(
        self, series: Series, *, known: Known, written: TimeRange | None, full: bool = False
    ) -> Judgement:
        """Judge a series; bars of the range ``written`` (None: nothing) are validated anew.

        What is said of its bars stays until bars are written again. Then those are looked at, with
        some around them; all of them are where anything odd is among these, or was the last time,
        or nobody ever looked. ``full``: all of them in any case, and beside other timeframes.
        """
        evidence, found = self._look(series, known, written, full=full)
        kept = {
            name: one
            for name, one in known.kept.items()
            if name in RULES and not self._drops(name, series) and name not in found
        }
        fresh = {name: one for name, one in found.items() if one is not None}
        verdicts = {name: one for name in RULES if (one := fresh.get(name) or kept.get(name))}
        gone = [name for name in known.kept if name not in verdicts]
        report = report_of(evidence, verdicts, looked=evidence.whole)
        self.verdicts.put(series, fresh, gone=gone, report=report, run_id=known.run_id)
        coverage = completeness(evidence).score
        return Judgement(verdicts, coverage, self.thresholds.weights)

    def _drops(self, name: str, series: Series) -> bool:
        return name in self.thresholds.off or not RULES[name].applies(series)

    def _look(
        self, series: Series, known: Known, written: TimeRange | None, *, full: bool
    ) -> tuple[Evidence, dict[str, Verdict | None]]:
        """What was looked at last, and the verdicts that are new; None: does not apply."""
        nothing = self._evidence(series, known, contract.empty(), whole=known.last is None)
        found = self._ask(nothing, Look.LEDGER)
        if written is not None and not full and not _suspect(known, written):
            part = self.store.read(series, _around(series, written))
            told = self._ask(self._evidence(series, known, part), Look.FRAME, Look.BARS)
            if all(one is None or one.score == 1 for one in told.values()):
                fresh = {name: one for name, one in told.items() if name not in known.kept}
                return nothing, found | fresh
        elif not full and not _suspect(known, written):
            return nothing, found
        whole = self._evidence(series, known, self.store.read(series), whole=True)
        looks = (Look.FRAME, Look.BARS, *([Look.WHOLE] if full else []))
        return whole, found | self._ask(whole, *looks)

    def _ask(self, evidence: Evidence, *looks: Look) -> dict[str, Verdict | None]:
        return {
            name: rule(evidence)
            for name, rule in RULES.items()
            if rule.look in looks and not self._drops(name, evidence.series)
        }

    def _evidence(
        self, series: Series, known: Known, bars: pd.DataFrame, *, whole: bool = False
    ) -> Evidence:
        now = self.clock.market_now()
        return Evidence(
            series=series,
            bars=bars,
            coverage=known.coverage,
            wanted=wanted_range(series, known.since, None, now),
            first_trade=known.first_trade,
            last=known.last,
            market_now=now,
            thresholds=self.thresholds,
            actions=known.actions,
            whole=whole,
            stored=lambda frame: self.store.read(Series(series.instrument, frame)),
        )

    def over_all(self, rule: str, judged: Collection[Series]) -> dict[Series, Verdict]:
        """The rule's verdict on every series that is kept, those just ``judged`` among them.

        Freshness of a tracked series is that of now: nobody judges what no run looks at.
        """
        found = self.verdicts.kept(rule, judged)
        if rule != "freshness":
            return {series: one.verdict for series, one in found.items()}
        aged = Ageing(self.clock.market_now(), self.thresholds)
        return {
            series: aged.verdict(series, one.verdict, one.last) if one.tracked else one.verdict
            for series, one in found.items()
        }

    def standings(self, judged: Collection[Series]) -> dict[str, Standing]:
        """How every rule that is on stands over all series, and over those just ``judged``."""
        rules = [name for name in RULES if name not in self.thresholds.off]
        found = self.verdicts.standings(rules, judged)
        if "freshness" in found:
            mine = set(judged)
            found["freshness"] = standing_of(self.over_all("freshness", judged), mine)
        return found


def _suspect(known: Known, written: TimeRange | None) -> bool:
    """Whether all bars are to be looked at: they never were, or were not right the last time."""
    if known.last is None:
        return False
    asked = {name: one for name, one in known.kept.items() if name in RULES}
    looks = {name: RULES[name].look for name in asked}
    if any(not one.passed and looks[name] is Look.FRAME for name, one in asked.items()):
        return True
    if written is None:
        return False
    bars = [one for name, one in asked.items() if looks[name] in {Look.FRAME, Look.BARS}]
    return not bars or any(one.score < 1 for one in bars)


def _around(series: Series, written: TimeRange) -> TimeRange:
    """What was written, with as much on either side as tells what is usual there."""
    margin = max(_CONTEXT * series.timeframe.length, _LEAST_CONTEXT)
    return TimeRange(written.start - margin, written.end + margin)
