"""What the pipeline says of a reply: hard rules, the gate, rules on what is stored then.

Not here: the replies (_defects) and whether what is said fits (quality).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from _case import Case

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.bars import frame_on, labels_of, values_of
from marketdata_pipeline.domain.coverage import Coverage
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.reply import Basis, Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.thresholds import Thresholds
from marketdata_pipeline.domain.verdict import Finding
from marketdata_pipeline.errors import ContractViolation
from marketdata_pipeline.ingest.plan import absent_labels
from marketdata_pipeline.quality.evidence import Evidence
from marketdata_pipeline.quality.gate import Around, neighbourhood, suspicions
from marketdata_pipeline.quality.plausible import contradicted_split
from marketdata_pipeline.quality.rules import RULES, Look


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What was said of a reply, and which of its bars are stored after all."""

    hard: list[Finding]
    gate: list[Finding]
    rules: list[Finding]
    accepted: pd.DataFrame
    refused: bool = False

    @property
    def all(self) -> list[Finding]:
        """Everything."""
        return [*self.hard, *self.gate, *self.rules]


def judged(case: Case) -> Said:
    """All that is said of a reply."""
    said = received(case)
    if said.refused:
        return said
    raw = case.bars.drop(case.bars.index[_positions(case)])
    return replace(said, rules=by_rules(case, joined(case.stored, raw)))


def received(case: Case) -> Said:
    """What is said before anything is stored: by the hard rules and by the gate."""
    try:
        contract.check_shape(case.bars, case.series)
    except ContractViolation as error:
        found = [Finding("contract", case.window, str(error))]
        return Said(found, [], [], contract.empty(), refused=True)
    raw = case.bars.drop(case.bars.index[_positions(case)])
    gate = at_the_gate(case, raw)
    return Said(_broken(case), gate, [], raw[~_within(labels_of(raw), gate)])


def at_the_gate(case: Case, raw: pd.DataFrame) -> list[Finding]:
    """What the gate says of raw bars beside those that are stored around the window."""
    actions = sorted({*case.known, *case.told})
    pad = neighbourhood(case.series.timeframe)
    stored = case.stored.loc[case.window.start - pad : case.window.end + pad]
    found = suspicions(reply_of(case, raw), raw, Around(case.series, stored, actions, case.usual))
    split = contradicted_split(raw, stored, case.series, actions)
    if split is not None:
        found.append(Finding("split_contradicted", case.window, f"the split of {split.ex_date}"))
    return found


def by_rules(
    case: Case, bars: pd.DataFrame, looks: Collection[Look] = tuple(Look)
) -> list[Finding]:
    """What the rules say of a stored series, the case's window answered; also what they let pass.

    A rule that fails and names no bars speaks of the whole window.
    """
    evidence = _evidence(case, bars)
    found: list[Finding] = []
    for name, rule in RULES.items():
        verdict = rule(evidence) if rule.look in looks else None
        if verdict is None:
            continue
        found += verdict.findings
        if not verdict.passed and not verdict.findings:
            found.append(Finding(name, evidence.wanted or case.window, verdict.detail))
    return found


def _evidence(case: Case, bars: pd.DataFrame) -> Evidence:
    labels = labels_of(bars)
    first = from_micros(int(labels[0])) if len(labels) else case.window.start
    wanted = TimeRange(min(first, case.window.start), case.window.end)
    absent = absent_labels(case.series, [wanted], labels, None)
    other = case.other or {}
    return Evidence(
        series=case.series,
        bars=bars,
        coverage=Coverage().after(wanted, absent, case.now),
        wanted=wanted,
        first_trade=None,
        last=from_micros(int(labels[-1])) if len(labels) else None,
        market_now=case.now,
        thresholds=Thresholds(),
        actions=sorted({*case.known, *case.told}),
        whole=True,
        stored=lambda timeframe: other.get(str(timeframe), contract.empty()),
    )


def joined(stored: pd.DataFrame, raw: pd.DataFrame) -> pd.DataFrame:
    """Stored bars and those of a reply, which count where both have one."""
    others = stored[~stored.index.isin(raw.index)]
    labels = np.concatenate([labels_of(others), labels_of(raw)])
    order = np.argsort(labels, kind="stable")
    rows = np.hstack([values_of(others), values_of(raw)])[:, order]
    index = pd.DatetimeIndex(labels[order].astype("datetime64[us]"), tz="UTC", name="ts")
    return frame_on(index, rows)


def reply_of(case: Case, raw: pd.DataFrame) -> Reply:
    """The case as a provider's parsed reply."""
    return Reply(
        series=case.series,
        window=case.window,
        bars=raw,
        basis=Basis.RAW,
        actions=case.told,
        actions_within=None,
        currency=case.currency,
        market_at=case.now,
        fetched_at=case.now,
        provider="benchmark",
        origin="benchmark",
        requests=1,
    )


def _positions(case: Case) -> list[int]:
    return list(contract.broken_rows(case.bars, case.series, case.now))


def _broken(case: Case) -> list[Finding]:
    step = case.series.timeframe.length
    found = contract.bad_rows(case.bars, case.series, case.now)
    return [Finding(one.rule, TimeRange(one.ts, one.ts + step), one.rule) for one in found]


def _within(labels: np.ndarray, found: Sequence[Finding]) -> np.ndarray:
    inside = np.zeros(len(labels), dtype=bool)
    for one in found:
        if one.rule != "impossible_dividend":  # the action is doubted, not the bars of its day
            start, end = to_micros(one.within.start), to_micros(one.within.end)
            inside |= (labels >= start) & (labels < end)
    return inside


def spanned(bars: pd.DataFrame, series: Series) -> TimeRange:
    """From the first label to the end of the last bar."""
    labels = labels_of(bars)
    start, last = from_micros(int(labels[0])), from_micros(int(labels[-1]))
    return TimeRange(start, last + series.timeframe.length)
