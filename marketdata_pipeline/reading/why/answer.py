"""An answer, and the case that it is of: one label of one series with all that is known.

Not here: which answer is the right one (ask, and the modules of its rules).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from marketdata_pipeline.domain.calendars import Calendar, calendar_of, calendar_with
from marketdata_pipeline.domain.coverage import Span
from marketdata_pipeline.domain.ranges import from_micros, to_micros
from marketdata_pipeline.domain.reason import Reason
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import DAY
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.store.circumstances import Circumstances

Evidence = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Source:
    """A provider that may be asked for a series.

    Attributes:
        depth: how far back from now it serves the timeframe; None: without limit.
        key: the variable that holds the key which it lacks; empty: it lacks none.
    """

    name: str
    depth: timedelta | None = None
    key: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One reason, said in a sentence without its full stop, and the facts behind it by name."""

    reason: Reason
    text: str
    evidence: Evidence = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One label of a series.

    Attributes:
        closes: when the bar of that label is closed, in microseconds; None: none is expected.
        sources: those that serve the timeframe; of a derived series those of its base.
        base: of a derived series the first bar of its base that is not stored, and why; None:
            all are, or it is fetched.
    """

    label: int
    closes: int | None
    known: Circumstances
    sources: tuple[Source, ...] = ()
    base: tuple[datetime, Answer] | None = None

    @property
    def series(self) -> Series:
        """Which series it is."""
        return self.known.series

    @property
    def timeframe(self) -> Timeframe:
        """Its timeframe."""
        return self.known.series.timeframe

    @property
    def at(self) -> datetime:
        """The label as an instant."""
        return from_micros(self.label)

    @property
    def name(self) -> str:
        """The name of its calendar."""
        return self.series.instrument.venue.calendar

    @property
    def calendar(self) -> Calendar:
        """The calendar that is in force."""
        return calendar_of(self.series.instrument)

    @property
    def regular(self) -> Calendar:
        """The calendar without what persons said."""
        return calendar_with(self.series.instrument.venue)

    @property
    def span(self) -> Span | None:
        """What coverage says of it; None: it was never answered."""
        return next((one for one in self.known.coverage.spans if one.within.start <= self.at
                     < one.within.end), None)  # fmt: skip

    @property
    def session(self) -> date:
        """The date of its session; of an instant in none its date in the exchange's zone."""
        if not self.timeframe.intraday:
            return self.at.date()
        for calendar in (self.calendar, self.regular):
            label = int(calendar.bucket(Timeframe.D1, np.array([self.label]))[0])
            if label >= 0:
                return from_micros(label).date()
        return self.at.astimezone(zone_of(self.series)).date()


def zone_of(series: Series) -> ZoneInfo:
    """The zone of a series' exchange."""
    return ZoneInfo(series.instrument.venue.zone)


def label_of(day: date) -> int:
    """A date at 00:00 UTC, in microseconds."""
    return to_micros(datetime.combine(day, time.min, tzinfo=UTC))


def days_around(case: Case, days: int = 21) -> tuple[date | None, date | None]:
    """The session before that of a case, and the one after it; None: none is near."""
    label = label_of(case.session)
    found = case.calendar.days(label - days * DAY, label + days * DAY).label
    before, after = found[found < label], found[found > label]
    return (
        from_micros(int(before[-1])).date() if len(before) else None,
        from_micros(int(after[0])).date() if len(after) else None,
    )


def when(instant: datetime) -> str:
    """An instant as people read it."""
    return f"{instant:%Y-%m-%d %H:%M} UTC"
