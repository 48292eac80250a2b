"""The scorecard: what the rules say of every series that is kept, the worst first.

Not here: judging (ingest), the page (scorecard_page), the checks of Dagster (defs).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.instrument import AssetClass, Instrument
from marketdata_pipeline.domain.report import Report
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.thresholds import Thresholds
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.quality.ageing import Ageing
from marketdata_pipeline.quality.rules import RULES, score_of
from marketdata_pipeline.reading.data import Overview
from marketdata_pipeline.reading.opened import data_of
from marketdata_pipeline.store.reports import Reports
from marketdata_pipeline.store.standings import STEPS, Standing, bucket, standing_of

_FRESHNESS = "freshness"


@dataclass(frozen=True, slots=True)
class Graded:
    """A series with its verdicts by rule, in the order of RULES; none: it was never judged.

    Attributes:
        score: their weighted mean, None where it was never judged.
        rows: bars that are stored.
    """

    series: Series
    asset_class: AssetClass
    rows: int
    verdicts: dict[str, Verdict]
    score: float | None

    @property
    def is_valid(self) -> bool:
        """Whether it was judged and every rule holds."""
        return bool(self.verdicts) and all(one.passed for one in self.verdicts.values())

    @property
    def failing(self) -> list[str]:
        """The rules that fail, the lowest score first."""
        bad = [(one.score, name) for name, one in self.verdicts.items() if not one.passed]
        return [name for _, name in sorted(bad)]


@dataclass(frozen=True, slots=True)
class Scorecard:
    """All graded series, the worst first: lowest score, then by name; never judged ones last.

    ``least_complete`` is the completeness from which on the rule of that name holds.
    """

    market_now: datetime
    graded: tuple[Graded, ...]
    least_complete: float = Thresholds().completeness

    @property
    def judged(self) -> list[Graded]:
        """Those that were judged."""
        return [one for one in self.graded if one.score is not None]

    @property
    def valid(self) -> int:
        """How many series keep every rule."""
        return sum(one.is_valid for one in self.graded)

    @property
    def scores(self) -> list[float]:
        """The scores of those that were judged, the lowest first."""
        return sorted(one.score for one in self.graded if one.score is not None)

    @property
    def mean(self) -> float:
        """Of the scores; 1 where nothing was judged."""
        return sum(self.scores) / len(self.scores) if self.scores else 1.0

    @property
    def spread(self) -> list[int]:
        """How many scores are in each tenth."""
        found = [0] * STEPS
        for one in self.scores:
            found[bucket(one)] += 1
        return found

    def rules(self) -> dict[str, Standing]:
        """How each rule stands over these series."""
        return {
            name: standing_of(
                {one.series: one.verdicts[name] for one in self.graded if name in one.verdicts}, ()
            )
            for name in RULES
        }

    def completeness(self) -> dict[tuple[AssetClass, Timeframe], tuple[float, int]]:
        """By class and timeframe the mean score of completeness, and over how many series."""
        found: dict[tuple[AssetClass, Timeframe], list[float]] = {}
        for one in self.graded:
            verdict = one.verdicts.get("completeness")
            if verdict is not None:
                kind = one.asset_class, one.series.timeframe
                found.setdefault(kind, []).append(verdict.score)
        return {kind: (sum(all_) / len(all_), len(all_)) for kind, all_ in found.items()}


def read_scorecard(
    home: Home,
    thresholds: Thresholds,
    instruments: Sequence[Instrument] = (),
    timeframes: Collection[Timeframe] = (),
) -> Scorecard:
    """The scorecard of an opened home, in a constant number of queries.

    Freshness of what is tracked is that of now; all else as it was judged last.

    Args:
        home: the one to look at.
        thresholds: weights, and rules that are off.
        instruments: only these; none: everything that is kept.
        timeframes: only these; none: all.

    Raises:
        BadInput: nothing of one of the instruments is kept.
        StoreError: the catalog is unreadable.
    """
    data = data_of(home)
    found = data.overviews_of(instruments) if instruments else data.overviews()
    wanted = [one for one in found if not timeframes or one.summary.series.timeframe in timeframes]
    kept = data.verdicts.of_all([one.summary.series for one in wanted])
    tracked = {Series(one.instrument, frame) for one in data.tracked() for frame in one.timeframes}
    now = home.clock.market_now()
    ageing = Ageing(now, thresholds)
    graded = []
    for one in wanted:
        verdicts = _applying(kept[one.summary.series], thresholds)
        if _FRESHNESS in verdicts and one.summary.series in tracked:
            verdicts[_FRESHNESS] = ageing.verdict(
                one.summary.series, verdicts[_FRESHNESS], one.summary.last
            )
        graded.append(_graded(one, verdicts, thresholds))
    order = sorted(graded, key=lambda one: (one.score is None, one.score or 0, str(one.series)))
    return Scorecard(now, tuple(order), thresholds.completeness)


def read_reports(home: Home, series: Sequence[Series]) -> dict[Series, Report]:
    """The newest report on each of these series that has one."""
    return Reports(home.engine, home.clock).newest(series)


def _applying(kept: dict[str, Verdict], thresholds: Thresholds) -> dict[str, Verdict]:
    return {name: kept[name] for name in RULES if name in kept and name not in thresholds.off}


def _graded(one: Overview, verdicts: dict[str, Verdict], thresholds: Thresholds) -> Graded:
    score = score_of(verdicts, thresholds) if verdicts else None
    return Graded(one.summary.series, one.asset_class, one.summary.rows, verdicts, score)
