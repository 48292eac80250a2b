"""How many sessions a series is late, and how many closed since an instant.

Not here: what follows from it (conditions), and lateness in bars (quality).
"""

from datetime import datetime, timedelta

import numpy as np

from marketdata_pipeline.domain.calendars import Calendar, calendar_of
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import span, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe

_AROUND = timedelta(days=14)
_FARTHEST = timedelta(days=400)
"""Further back nobody counts sessions."""


def sessions_late(series: Series, last: datetime, until: datetime) -> int:
    """The sessions that closed by ``until`` and that a series has nothing of.

    ``last`` is the label of its newest bar. Of weekly bars the weeks count.
    """
    timeframe, calendar = series.timeframe, calendar_of(series.instrument)
    if timeframe.intraday:
        return _closed(calendar, last + timeframe.length, until)
    within = span(max(last, until - _FARTHEST), until + _AROUND)
    if within is None:
        return 0
    grid = calendar.grid(timeframe, within)
    missing = (grid.labels > to_micros(last)) & (grid.closes <= to_micros(until))
    return int(np.count_nonzero(missing))


def sessions_since(instrument: Instrument, since: datetime, until: datetime) -> int:
    """The sessions of an instrument's calendar that closed after ``since`` and by ``until``."""
    return _closed(calendar_of(instrument), since, until)


def _closed(calendar: Calendar, since: datetime, until: datetime) -> int:
    since = max(since, until - _FARTHEST)
    within = span(since - _AROUND, until + _AROUND)
    if within is None or since >= until:
        return 0
    closes = calendar.grid(Timeframe.D1, within).closes
    return int(np.count_nonzero((closes > to_micros(since)) & (closes <= to_micros(until))))
