"""What is suspected of bars without any defect, and of bars that were accepted once already.

Not here: defects. Each real series goes through the gate in windows, with what came before stored,
then again over what is stored, and is looked at as a whole.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pandas as pd
from _case import Case
from _judged import Said, at_the_gate, by_rules, joined, received, spanned
from _report import Figure
from _truth import Subject
from _yahoo import OF_PAIRS, PAIRS, Fixture, able, fixture, flagged

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import raw_from_split_adjusted
from marketdata_pipeline.domain.bars import labels_of
from marketdata_pipeline.domain.ranges import to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import DAY
from marketdata_pipeline.domain.verdict import Finding
from marketdata_pipeline.quality.rules import Look

_WINDOW = 750
_LOOKS = (Look.FRAME, Look.BARS, Look.WHOLE)
_FAULTLESS = "clean"


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that is suspected of a real series, and the dates (day numbers) of its bars."""

    subject: str
    door: str
    finding: Finding
    days: frozenset[int]


def alarms(subject: Subject, subjects: Sequence[Subject]) -> list[Alarm]:
    """All that is suspected of a series without a defect, each of a door once."""
    instrument = subject.series.instrument
    finer = {
        str(one.series.timeframe): one.bars
        for one in subjects
        if one.series.instrument == instrument
    }
    days = labels_of(subject.bars)
    found: dict[tuple[str, str], Alarm] = {}
    for door, finding in _suspected(subject, finer):
        start, end = to_micros(finding.within.start), to_micros(finding.within.end)
        hit = frozenset((days[(days >= start) & (days < end)] // DAY).tolist())
        found.setdefault(
            (finding.rule, str(finding.within)), Alarm(subject.name, door, finding, hit)
        )
    return list(found.values())


def _suspected(
    subject: Subject, finer: Mapping[str, pd.DataFrame]
) -> Iterator[tuple[str, Finding]]:
    """Absent bars are left out: those files lack some, and some are of a few days only."""
    for first in range(0, len(subject.bars), _WINDOW):
        bars = subject.bars.iloc[first : first + _WINDOW]
        before = subject.bars.iloc[max(0, first - _WINDOW) : first]
        case = replace(clean_case(subject, bars, before), other=finer)
        yield from (("rules", one) for one in by_rules(case, joined(before, bars), _LOOKS))
        for stored, door in ((before, "gate"), (joined(before, bars), "gate, again")):
            again = replace(case, stored=stored)
            yield from ((door, one) for one in at_the_gate(again, bars))


def clean_case(subject: Subject, bars: pd.DataFrame, stored: pd.DataFrame) -> Case:
    """True bars as a reply, with the dividends of their time."""
    window = spanned(bars, subject.series)
    known = tuple(one for one in subject.actions if one.ex_date <= window.end.date())
    told = tuple(one for one in known if one.ex_date >= window.start.date())
    return Case(
        kind=_FAULTLESS,
        how="",
        series=subject.series,
        bars=bars,
        stored=stored,
        window=window,
        where=None,
        now=window.end + timedelta(days=1),
        true=bars,
        right=subject.series,
        told=told,
        known=known,
        currency=subject.currency,
        usual=subject.currency,
        origin=subject.name,
    )


def second_pass(case: Case, said: Said) -> bool:
    """Whether accepted bars, told again over themselves, would change or be kept out."""
    bars = said.accepted
    if bars.empty:
        return False
    settled = joined(case.stored, bars)
    again = replace(case, bars=bars, stored=settled, window=spanned(bars, case.series), told=())
    repeated = received(again)
    same = len(repeated.accepted) == len(bars) and bool(
        np.array_equal(contract.values_of(repeated.accepted), contract.values_of(bars))
    )
    return bool(repeated.hard) or not same


def pairs() -> list[Figure]:
    """The pairs of yfinance's price-repair fixtures: faulty files and their twins."""
    files = [(name, Series.parse(key)) for name, key in PAIRS.items()]
    faulty = [fixture(name, series) for name, series in files]
    twins = [fixture(f"{name}-fixed", series) for name, series in files]
    figures = [
        Figure("pairs: faulty files flagged, of 4", (sum(map(_odd, faulty)),), least=4),
        Figure("pairs: their repaired twins flagged", (sum(map(_odd, twins)),), most=0),
    ]
    theirs = [("faulty files", faulty), ("twins", twins)] if able() else []
    for name, those in theirs:
        count = sum(len(flagged(one.table, one.series, OF_PAIRS)) > 0 for one in those)
        figures.append(Figure(f"pairs: {name} flagged by yfinance", (count,)))
    return figures


def _odd(one: Fixture) -> bool:
    """Whether the gate or the detectors say anything of a file, asked for the first time."""
    raw = raw_from_split_adjusted(one.bars, one.series, one.actions)
    currency = one.series.instrument.venue.currency
    subject = Subject(one.name, one.series, raw, one.actions, currency)
    case = clean_case(subject, raw, contract.empty())
    return bool(at_the_gate(case, raw) or by_rules(case, raw, _LOOKS))
