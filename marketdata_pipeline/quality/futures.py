"""Rules of futures: the contract's month and expiry, rollovers, volume by contract.

Not here: CME's sessions (domain.calendars), on which the rule of timestamps looks.
"""

import re
from datetime import date, timedelta

import numpy as np

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.domain.ranges import from_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.verdict import Finding, Verdict
from marketdata_pipeline.quality.evidence import Evidence, by_findings, runs

MONTHS = "FGHJKMNQUVXZ"
"""January to December. Source: CME Group, "Month codes"."""
CYCLES = {
    **dict.fromkeys(
        ("ES", "MES", "NQ", "MNQ", "YM", "MYM", "RTY", "M2K", "NKD", "6A", "6B", "6C", "6E", "6J",
         "6S", "ZB", "ZN", "ZF", "ZT", "UB"), "HMUZ"
    ),
    **dict.fromkeys(("ZC", "ZW", "KE"), "HKNUZ"),
    "ZS": "FHKNQUX",
}  # fmt: skip
"""Months that a product is listed for, where not all. Source: CME Group, "Contract specs"."""
_DATED = re.compile(r"([A-Z0-9]{1,3})([FGHJKMNQUVXZ])([0-9]{2})\.[A-Z]{3}", re.ASCII)
_AHEAD = 12
"""Years: crude oil is listed for eleven."""
_QUARTERLY = frozenset({3, 6, 9, 12})
_USUAL = 60
"""Sessions whose volume is the usual one."""
_THIN = 3


def dated(series: Series) -> bool:
    """Whether it is one contract, such as ESZ26.CME."""
    return _DATED.fullmatch(series.instrument.key) is not None


def continuous(series: Series) -> bool:
    """Whether it goes from contract to contract, such as ES=F; intraday hours make other gaps."""
    future = series.instrument.asset_class is AssetClass.FUTURE
    return future and not dated(series) and not series.timeframe.intraday


def expires(key: str) -> tuple[str, date] | None:
    """A dated contract's product, and the last day of its month; None: it is none."""
    found = _DATED.fullmatch(key)
    if found is None:
        return None
    year, month = 2000 + int(found[3]), MONTHS.index(found[2]) + 1
    after = date(year + month // 12, month % 12 + 1, 1)
    return found[1], after - timedelta(days=1)


def contract_month(evidence: Evidence) -> Verdict | None:
    """The contract's month is one that its product is listed for, its year one that can be."""
    found = expires(evidence.series.instrument.key)
    if found is None:
        return None
    product, last = found
    code, listed = MONTHS[last.month - 1], CYCLES.get(product, MONTHS)
    if code not in listed:
        said = f"{product} is listed for {','.join(listed)}, not for {code}"
        return Verdict(passed=False, score=0.0, detail=said)
    if last.year > evidence.market_now.year + _AHEAD:
        return Verdict(passed=False, score=0.0, detail=f"{last.year} is not listed yet")
    return Verdict(passed=True, score=1.0, detail=f"expires by {last}")


def expiry(evidence: Evidence) -> Verdict | None:
    """No bar of a contract is later than the end of its month."""
    found = expires(evidence.series.instrument.key)
    if found is None or evidence.last is None:
        return None
    _, last = found
    if evidence.last.date() <= last:
        return Verdict(passed=True, score=1.0, detail=f"expires by {last}")
    said = f"the newest bar is of {evidence.last:%Y-%m-%d}, the contract ended by {last}"
    return Verdict(passed=False, score=0.0, detail=said)


def rollover(evidence: Evidence) -> Verdict | None:
    """A jump from one session to the next one falls on a rollover."""
    if len(evidence.bars) < 2:  # noqa: PLR2004 - a jump is between two
        return None
    opened, _, _, close, _ = contract.values_of(evidence.bars)
    with np.errstate(divide="ignore", invalid="ignore"):
        move = opened[1:] / close[:-1] - 1
    found = []
    for row in (np.flatnonzero(np.abs(move) > evidence.thresholds.rollover) + 1).tolist():
        day = from_micros(int(evidence.labels[row])).date()
        if not rolls(evidence.series.instrument.key, day):
            text = f"{evidence.dated(row)}: opens {move[row - 1]:+.1%} away, on no rollover"
            found.append(Finding("rollover", evidence.between(row, row), text))
    return by_findings(found, len(evidence.bars))


def rolls(key: str, day: date) -> bool:
    """Whether a continuous future may go to its next contract on that day.

    Financial ones do in the two weeks around the third Friday of a quarter's last month, others
    in any month, around its end or its middle: only the first days of a month's second week and
    what follows the last of it are not.
    """
    product = key.partition("=")[0]
    listed = CYCLES.get(product, MONTHS)
    if listed == "HMUZ":
        first = day.replace(day=1)
        third = first + timedelta(days=(4 - first.weekday()) % 7 + 14)
        return day.month in _QUARTERLY and abs((day - third).days) <= 10  # noqa: PLR2004
    return MONTHS[day.month - 1] in listed or MONTHS[day.month % 12] in listed


def contract_volume(evidence: Evidence) -> Verdict | None:
    """Volume does not fall to nearly nothing, as that of a contract does that others left."""
    volume = contract.values_of(evidence.bars)[4]
    if len(volume) < _USUAL + _THIN:
        return None
    usual = np.median(np.lib.stride_tricks.sliding_window_view(volume[:-1], _USUAL), axis=1)
    thin = np.zeros(len(volume), dtype=bool)
    thin[_USUAL:] = volume[_USUAL:] < evidence.thresholds.thin_volume * usual
    found = [
        Finding(
            "contract_volume",
            evidence.between(first, last),
            f"{evidence.dated(first)}: {last - first + 1} sessions with next to no volume; "
            "was a rollover missed?",
        )
        for first, last in runs(thin, _THIN)
    ]
    return by_findings(found, len(volume))
