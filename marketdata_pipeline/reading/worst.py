"""The worst series of a scorecard with the bars around what is odd about them.

Not here: drawing them (scorecard_page).
"""

from datetime import datetime

import pandas as pd

from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.report import Report
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.reading.quality import Graded, Scorecard, read_reports
from marketdata_pipeline.reading.scorecard_page import SHOWN, Pictured, marks_of
from marketdata_pipeline.store.bars import BarStore

_MOST = 20
_GAPS = "gaps"
"""They are marked, but a picture is rather around what is there and odd."""


def pictured(home: Home, card: Scorecard) -> list[Pictured]:
    """The worst series that are not valid, each with raw bars around its last finding.

    Raises:
        StoreError: a file is unreadable.
    """
    bad = [one for one in card.judged if not one.is_valid][:_MOST]
    reports = read_reports(home, [one.series for one in bad])
    store = BarStore(home.engine, home.bars, home.clock)
    return [_pictured(store, one, reports.get(one.series)) for one in bad]


def _pictured(store: BarStore, graded: Graded, report: Report | None) -> Pictured:
    marks = [] if report is None else marks_of(report)
    if not marks:
        return Pictured(graded, store.tail(graded.series, SHOWN), report)
    odd = [] if report is None else [one.within for one in report.findings if one.rule != _GAPS]
    latest = max(odd or marks, key=lambda one: one.end)
    return Pictured(graded, _around(store, graded.series, latest.start), report)


def _around(store: BarStore, series: Series, at: datetime) -> pd.DataFrame:
    """Bars on both sides of a label: a range is read that holds enough of them in any market."""
    margin = 4 * SHOWN * series.timeframe.length
    bars = store.read(series, TimeRange(at - margin, at + margin))
    row = int(bars.index.searchsorted(pd.Timestamp(at)))
    if bars.empty:
        return store.tail(series, SHOWN)
    first = max(0, min(row - SHOWN // 2, len(bars) - SHOWN))
    return bars.iloc[first : first + SHOWN]
