"""Real bars that are known to be sound: the rules leave nearly all of them alone."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from fractions import Fraction
from pathlib import Path

import pandas as pd
import pytest

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.coverage import Coverage
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.quality.evidence import Evidence
from marketdata_pipeline.quality.rules import RULES, Look
from marketdata_pipeline_tests.quality.evidence import beside, evidence_of

_SPLITS = {
    "AAPL": (("2000-06-21", 2), ("2005-02-28", 2), ("2014-06-09", 7), ("2020-08-31", 4)),
    "IBM": (("1999-05-27", 2),),
}
"""Of the years that the files hold. Source: the factor files beside them."""


@dataclass(frozen=True)
class Kept:
    """A file of bars, and what is known to be odd in it: the dates of its findings."""

    file: str
    key: str
    odd: frozenset[str] = frozenset()
    since: str = "1998"


DAILY = [
    Kept("lean/spy_1d_raw.csv.gz", "SPY|1d"),
    Kept(
        "lean/aapl_1d_raw.csv.gz",
        "AAPL|1d",
        # Fell by half on a warning; three days whose lows are a tenth of all other prices.
        frozenset({"2000-09-29", "2009-09-21", "2010-08-31", "2011-01-03"}),
    ),
    Kept("lean/ibm_1d_raw.csv.gz", "IBM|1d", frozenset({"2002-12-23"})),
    Kept("market_prices/MSFT_1d.csv.gz", "MSFT|1d"),
    Kept(
        "lean/btcusd_coinbase_1d.csv.gz",
        "BTC-USD|1d",
        # A crash and the day after it; a low of six cents.
        frozenset({"2015-01-14", "2015-01-15", "2017-04-15"}),
    ),
]
MINUTES = [
    Kept("market_prices/MSFT_1m.csv.gz", "MSFT|1m"),
    Kept("market_prices/MSFT_5m.csv.gz", "MSFT|5m"),
    Kept("market_prices/MSFT_1h.csv.gz", "MSFT|1h"),
]


def read(folder: Path, file: str) -> pd.DataFrame:
    """A file's bars in the shape of the contract."""
    table = pd.read_csv(folder / "bars" / file).rename(columns=str.lower)
    label = next(name for name in table if name in {"ts", "date", "datetime"})
    labels = pd.to_datetime(table[label], utc=True).dt.tz_localize(None)
    columns = {name: table[name] for name in contract.COLUMNS}
    return contract.frame(labels.to_numpy(), columns).sort_index()


def evidence(folder: Path, one: Kept) -> Evidence:
    bars, series = read(folder, one.file), Series.parse(one.key)
    actions = [
        Action(date.fromisoformat(day), ActionKind.SPLIT, Fraction(ratio))
        for day, ratio in _SPLITS.get(str(series.instrument), ())
    ]
    first, last = (end.to_pydatetime() for end in (bars.index[0], bars.index[-1]))
    within = TimeRange(first, last + series.timeframe.length)
    told = evidence_of(one.key, within, bars=bars, actions=actions)
    return replace(told, coverage=Coverage(), wanted=None)


def verdicts(found: Evidence) -> dict[str, Verdict]:
    told = {name: rule(found) for name, rule in RULES.items() if rule.look is not Look.LEDGER}
    return {name: one for name, one in told.items() if one is not None}


def found_days(found: Evidence) -> set[str]:
    return {
        f"{finding.within.start:%Y-%m-%d}"
        for one in verdicts(found).values()
        for finding in one.findings
    }


@pytest.mark.parametrize("one", DAILY, ids=lambda one: one.key)
def test_days_of_decades_are_left_alone_but_for_the_odd_ones(shared: Path, one: Kept) -> None:
    found = evidence(shared, one)
    days = found_days(found)
    assert one.odd <= days, "what is odd is found"
    strange = days - one.odd
    assert len(strange) <= 0.005 * len(found.bars), strange
    for name in ("bars_contract", "level_shifts", "split_jumps", "stale_repeats"):
        assert verdicts(found)[name].passed, name


@pytest.mark.parametrize("one", MINUTES, ids=lambda one: one.key)
def test_shorter_bars_have_nothing_odd(shared: Path, one: Kept) -> None:
    failing = {
        name: told for name, told in verdicts(evidence(shared, one)).items() if not told.passed
    }
    assert failing == {}


def test_days_agree_with_their_minutes_and_hours(shared: Path) -> None:
    daily = evidence(shared, Kept("market_prices/MSFT_1d.csv.gz", "MSFT|1d"))
    stored = {
        Timeframe.parse(frame): read(shared, f"market_prices/MSFT_{frame}.csv.gz")
        for frame in ("1m", "5m", "1h")
    }
    verdict = RULES["agreement"](beside(daily, stored))
    assert verdict is not None
    assert verdict.passed, verdict
    assert verdict.score == 1.0


def test_a_real_split_that_is_not_told_is_found_on_its_day(shared: Path) -> None:
    apple = evidence(shared, DAILY[1])
    untold = replace(apple, actions=[one for one in apple.actions if one.ex_date.year != 2014])
    verdict = RULES["split_jumps"](untold)
    assert verdict is not None
    assert not verdict.passed
    assert _touches(verdict, datetime.fromisoformat("2014-06-09"))


def _touches(verdict: Verdict, day: datetime) -> bool:
    ends = {end.date() for one in verdict.findings for end in (one.within.start, one.within.end)}
    return any(abs((end - day.date()).days) <= 1 for end in ends)
