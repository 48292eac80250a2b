"""What the pipeline says of a reply: hard rules, the gate, rules on what is stored then.

Not here: the replies (_defects) and whether what is said fits (quality).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from _defects import Case

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import Action
from marketdata_pipeline.domain.bars import frame_on, labels_of, values_of
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.reply import Basis, Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.verdict import Finding
from marketdata_pipeline.errors import ContractViolation
from marketdata_pipeline.quality.gate import Around, neighbourhood, suspicions
from marketdata_pipeline.quality.levels import shifts_in
from marketdata_pipeline.quality.plausible import contradicted_split
from marketdata_pipeline.quality.prices import prices_of
from marketdata_pipeline.quality.runs import flat_in, idle_in, repeats_in
from marketdata_pipeline.quality.spikes import spikes_in


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What was said of a reply, and which of its bars are stored after all."""

    hard: list[Finding]
    gate: list[Finding]
    rules: list[Finding]
    accepted: pd.DataFrame

    @property
    def all(self) -> list[Finding]:
        """Everything."""
        return [*self.hard, *self.gate, *self.rules]


def judged(case: Case) -> Said:
    """All that is said of a reply."""
    try:
        contract.check_shape(case.bars, case.series)
    except ContractViolation as error:
        return Said([Finding("contract", case.window, str(error))], [], [], contract.empty())
    hard = _broken(case)
    bad = contract.broken_rows(case.bars, case.series, case.now)
    raw = case.bars.drop(case.bars.index[list(bad)])
    gate = at_the_gate(case, raw)
    accepted = raw[~_within(labels_of(raw), gate)]
    rules = by_rules(case, joined(case.stored, raw))
    return Said(hard, gate, rules, accepted)


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


def by_rules(case: Case, bars: pd.DataFrame) -> list[Finding]:
    """What the rules say of a stored series."""
    return in_series(bars, case.series, sorted({*case.known, *case.told}))


def in_series(bars: pd.DataFrame, series: Series, actions: Sequence[Action]) -> list[Finding]:
    """What the detectors say of a stored series."""
    prices = prices_of(bars, series, actions)
    return [
        *shifts_in(prices, actions),
        *spikes_in(prices),
        *flat_in(prices),
        *idle_in(prices),
        *repeats_in(prices),
    ]


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
