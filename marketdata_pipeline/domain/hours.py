"""Hours that a person may give to a day of a calendar, and what the usual ones are.

Not here: what they do to the calendar (closures).
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from marketdata_pipeline.domain.calendars import calendar_with
from marketdata_pipeline.domain.closures import Closure, Closures
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.sessions import DAY
from marketdata_pipeline.domain.venues import BY_CALENDAR, Venue
from marketdata_pipeline.errors import BadInput


def venue_of(calendar: str) -> Venue:
    """A venue of the calendar of that name.

    Raises:
        BadInput: there is none.
    """
    found = BY_CALENDAR.get(calendar.strip().upper())
    if found is None:
        names = ", ".join(sorted(BY_CALENDAR))
        raise BadInput(f"{calendar!r} is no calendar; use one of {names}")
    return found


def refuse_impossible(venue: Venue, closure: Closure, told: Closures) -> None:
    """Refuse to close what is no session, and hours that reach into other sessions.

    Raises:
        BadInput: so it is.
    """
    label, name = closure.label, venue.calendar
    others = told.without(name, closure.session).on(name)
    around = calendar_with(venue, others)
    if closure.hours is None:
        if not len(calendar_with(venue).days(label, label + DAY).label):
            raise BadInput(f"{name} has no session on {closure.session}; nothing is to be closed")
        return
    opened, closed = to_micros(closure.hours.start), to_micros(closure.hours.end)
    first, last = (
        (label, label + DAY) if around.grids_at_midnight else (label - DAY, label + 2 * DAY)
    )
    if opened < first or closed > last or closed - opened > DAY:
        raise BadInput(f"these are no hours of {closure.session} of {name}; give opens and closes")
    days = around.days(label - 14 * DAY, label + 14 * DAY)
    beside = days.label != label
    clash = beside & (days.open < closed) & (days.close > opened)
    if clash.any():
        raise BadInput(f"these hours of {closure.session} reach into another session of {name}")


def opens_the_evening_before(venue: Venue, session: date) -> bool:
    """Whether the usual hours of a session begin on the date before it.

    Raises:
        BadInput: there are none.
    """
    opened = usual_hours(venue, session).start.astimezone(ZoneInfo(venue.zone))
    return opened.date() < session


def usual_hours(venue: Venue, session: date) -> TimeRange:
    """The hours of the longest session of two weeks before, by the exchange's clock.

    Raises:
        BadInput: there is none within two weeks.
    """
    label = to_micros(datetime.combine(session, time.min, tzinfo=UTC))
    days = calendar_with(venue).days(label - 14 * DAY, label)
    if not len(days.label):
        raise BadInput(f"{venue.calendar} has no session before {session}; give hours")
    zone, longest = ZoneInfo(venue.zone), int(np.argmax(days.close - days.open))
    later = timedelta(microseconds=label - int(days.label[longest]))
    ends = [
        from_micros(int(one[longest])).astimezone(zone) + later for one in (days.open, days.close)
    ]
    return TimeRange(*(one.astimezone(UTC) for one in ends))
