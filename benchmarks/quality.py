"""What is noticed of defects in real bars, what is suspected of bars without any, beside yfinance.

Not here: the defects (_defects, _faults, _absent), the bars (_truth), what judges (_judged).
Thresholds were tuned on the seeds 0 to 9; the figures are of 100 to 109. A defect counts as noticed
where something is said that is not said of the same bars without it, fits its kind, and overlaps
its place. Each miss and each false alarm is printed.
"""

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from _case import Case
from _clean import Alarm, alarms, clean_case, pairs, second_pass
from _judged import Said, judged, reply_of
from _mixed import FITS, cases
from _report import Figure, options, report
from _truth import BARS, Subject, subjects
from _yahoo import able, flagged, within, yahoo_table

from marketdata_pipeline.domain.verdict import Finding
from marketdata_pipeline.quality.gate import Around, suspicions

SEEDS, QUICK = tuple(range(100, 110)), (100,)
THEIRS = ("x100", "1/100", "split_misapplied", "price", "ohlc_relations")
"""What yfinance looks for: wrong units, splits, zeroes and prices beyond high and low."""
_NONE = "flagged without a defect"
_ABSENT = {"completeness", "gaps", "freshness"}
"""Not what yfinance looks for: some sessions are not in the files."""
_RECALL, _FALSE_ALARMS = 0.98, 0.005
_GATE_MS, _USUAL = 3.0, 250
_CALLS = 15


@dataclass(slots=True)
class Tally:
    """What came of the cases, by kind."""

    made: Counter[str] = field(default_factory=Counter)
    noticed: Counter[str] = field(default_factory=Counter)
    missed: list[tuple[int, Case, list[Finding]]] = field(default_factory=list)
    theirs: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    ours: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    again: int = 0

    def add(self, seed: int, case: Case, said: Said, before: Said) -> bool:
        """Count one case; whether it was noticed. ``before`` is said without the defect."""
        known = {(one.rule, one.within) for one in before.all}
        found = fits(case, [one for one in said.all if (one.rule, one.within) not in known])
        self.made[case.kind] += 1
        self.noticed[case.kind] += found
        if not found:
            self.missed.append((seed, case, said.all))
        return found


def main() -> int:
    """Measure and report."""
    asked = options(__doc__.partition("\n")[0] if __doc__ else "")
    seeds = QUICK if asked.quick else SEEDS
    if not BARS.exists():
        return report([], asked, {"not measured": f"{BARS} is not there"})
    known = subjects()
    tally = Tally()
    for seed in seeds:
        _judge(seed, known, tally)
    found = [one for subject in known for one in alarms(subject, known)]
    figures = [*_recall(tally), *_false(known, found), *pairs(), *_second(tally), *_times(known)]
    figures += _theirs(tally)
    _tell(tally, found)
    return report(
        figures, asked, {"seeds": f"{seeds[0]}..{seeds[-1]}", "defects": tally.made.total()}
    )


def _judge(seed: int, known: Sequence[Subject], tally: Tally) -> None:
    for case in cases(seed, known):
        said = judged(case)
        undamaged = case.undamaged
        before = judged(undamaged)
        noticed = tally.add(seed, case, said, before)
        tally.again += second_pass(case, said)
        if case.kind in THEIRS and str(case.series.timeframe) == "1d" and able():
            tally.ours[case.kind].append(noticed)
            tally.theirs[case.kind].append(_they_notice(case))
            tally.ours[_NONE].append(any(one.rule not in _ABSENT for one in before.all))
            tally.theirs[_NONE].append(_they_notice(undamaged))


def fits(case: Case, found: Sequence[Finding]) -> bool:
    """Whether anything that is said is of the defect's kind and, where it has one, of its place."""
    where = case.where
    return any(
        one.rule in FITS[case.kind] and (where is None or one.within.intersect(where) is not None)
        for one in found
    )


def _they_notice(case: Case) -> bool:
    table = yahoo_table(case.bars, case.series, case.known)
    dates = flagged(table, case.series)
    return len(dates) > 0 if case.kind == "none" else within(dates, case.where or case.window)


def _recall(tally: Tally) -> Iterator[Figure]:
    made, noticed = tally.made.total(), tally.noticed.total()
    yield Figure(f"recall, all {made} defects", (noticed / made,), least=_RECALL)
    for kind, count in tally.made.items():
        yield Figure(f"... {kind}, {count}", (tally.noticed[kind] / count,))


def _false(known: Sequence[Subject], found: Sequence[Alarm]) -> Iterator[Figure]:
    total = sum(one.days for one in known)
    hit = len({(one.subject, day) for one in found for day in one.days})
    name = f"false alarms, share of {total} series-days"
    yield Figure(name, (hit / total,), most=_FALSE_ALARMS)
    at_gate = {(one.subject, day) for one in found if one.door != "rules" for day in one.days}
    yield Figure("... of the gate alone", (len(at_gate) / total,))


def _second(tally: Tally) -> Iterator[Figure]:
    yield Figure("second pass over accepted bars: changes", (tally.again,), most=0)


def _times(known: Sequence[Subject]) -> Iterator[Figure]:
    """What a call of the gate costs, CPU time."""
    daily = next(one for one in known if str(one.series) == "AAPL|1d")
    for size in (1, 250, 5_000):
        bars = daily.bars.iloc[-size:]
        stored = daily.bars.iloc[-size - 90 : -size // 2 or None]
        case = clean_case(daily, bars, stored)
        reply = reply_of(case, bars)
        around = Around(case.series, stored, case.known, case.usual)
        spent = []
        for _ in range(_CALLS):
            started = time.process_time()
            suspicions(reply, bars, around)
            spent.append((time.process_time() - started) * 1e3)
        aim = _GATE_MS if size <= _USUAL else None
        yield Figure(f"gate, a reply of {size:,} bars", tuple(spent), "ms", aim)


def _theirs(tally: Tally) -> Iterator[Figure]:
    """Ours and yfinance's on the same cases: daily ones of what it looks for."""
    for kind, theirs in tally.theirs.items():
        ours = tally.ours[kind]
        yield Figure(f"{kind}, {len(ours)} daily: ours", (float(np.mean(ours)),))
        yield Figure(f"{kind}, {len(ours)} daily: yfinance", (float(np.mean(theirs)),))


def _tell(tally: Tally, found: Sequence[Alarm]) -> None:
    for one in found:
        print(f"false alarm: {one.subject}, {one.door}: {one.finding.rule} {one.finding.within}")
        print(f"    {one.finding.detail}")
    for seed, case, said in tally.missed:
        where = "" if case.where is None else f" at {case.where}"
        rules = sorted({one.rule for one in said})
        print(
            f"missed: seed {seed} {case.kind} ({case.how}) in {case.origin}{where}; said: {rules}"
        )


if __name__ == "__main__":
    sys.exit(main())
