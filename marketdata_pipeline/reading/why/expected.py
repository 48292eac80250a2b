"""Nothing is expected at a label: what its calendar, a person and the listing say.

Not here: what is expected and absent (absent, unasked).
"""

from datetime import datetime, timedelta

import numpy as np

from marketdata_pipeline.domain.closures import Closure
from marketdata_pipeline.domain.ranges import TimeRange, from_micros
from marketdata_pipeline.domain.reason import Reason
from marketdata_pipeline.domain.sessions import DAY, WEEK
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.reading.why.answer import (
    Answer,
    Case,
    days_around,
    label_of,
    when,
)

_WEEKS = 4


def closure_on(case: Case) -> Closure | None:
    """What a person said of the session of a case, or of a day of its week."""
    first = case.session
    last = first + timedelta(days=6 if case.timeframe is Timeframe.W1 else 0)
    told = case.calendar.closures
    return next((one for one in told if first <= one.session <= last), None)


def closed_by_person(case: Case) -> Answer | None:
    """The calendar has it, a person says that there was no trading."""
    said = closure_on(case)
    if said is None or case.closes is not None:
        return None
    within = TimeRange(case.at, case.at + timedelta(microseconds=1))
    if not len(case.regular.grid(case.timeframe, within).labels):
        return None
    what = "was closed" if said.hours is None else f"traded {said.hours} only"
    evidence = {
        "calendar": case.name,
        "session": said.session.isoformat(),
        "reason": said.reason,
        "said_at": said.made_at,
        "evidence": said.evidence,
    }
    text = f"{case.name} {what} on {said.session}, a person says: {said.reason}"
    return Answer(Reason.MARKET_CLOSED, text, evidence)


def not_expected(case: Case) -> Answer | None:
    """No bar has this label, whatever is stored."""
    if case.closes is not None:
        return None
    if case.at < case.calendar.begins:
        begins = case.calendar.begins.date()
        text = f"nothing is expected before {begins}, the first day that {case.name} is known of"
        return Answer(Reason.UNKNOWN_ERA, text, {"calendar": case.name, "begins": begins})
    if case.timeframe.intraday and (found := _in_a_session(case)) is not None:
        return found
    return _no_session(case)


def _in_a_session(case: Case) -> Answer | None:
    label = label_of(case.session)
    days = case.calendar.days(label, label + DAY)
    if not len(days.label):
        return None
    opens, closes = from_micros(int(days.open[0])), from_micros(int(days.close[0]))
    before, after = _nearest(case)
    evidence = {
        "calendar": case.name,
        "session": case.session.isoformat(),
        "opens": opens,
        "closes": closes,
        "label_before": before,
        "label_after": after,
    }
    near = " and ".join(when(one) for one in (before, after) if one is not None)
    if int(case.calendar.bucket(case.timeframe, np.array([case.label]))[0]) >= 0:
        text = f"no bar of {case.timeframe} begins then; the nearest begin {near}"
        return Answer(Reason.OFF_GRID, text, evidence)
    text = (
        f"{case.name} does not trade then: on {case.session} it trades from {when(opens)} to "
        f"{when(closes)}; the nearest bars begin {near}"
    )
    return Answer(Reason.OUT_OF_HOURS, text, evidence)


def _nearest(case: Case) -> tuple[datetime | None, datetime | None]:
    around = TimeRange(case.at - timedelta(days=14), case.at + timedelta(days=14))
    labels = case.calendar.grid(case.timeframe, around).labels
    at = int(np.searchsorted(labels, case.label))
    before = from_micros(int(labels[at - 1])) if at else None
    return before, from_micros(int(labels[at])) if at < len(labels) else None


def _no_session(case: Case) -> Answer:
    before, after = days_around(case)
    weekly = case.timeframe is Timeframe.W1
    kind = "week without a session" if weekly else _kind(case)
    named = f"the week of {case.session}" if weekly else f"{case.session:%A} {case.session}"
    evidence = {
        "calendar": case.name,
        "date": case.session.isoformat(),
        "kind": kind,
        "session_before": before and before.isoformat(),
        "session_after": after and after.isoformat(),
    }
    text = (
        f"{named} is a {kind} of {case.name}; the sessions around it are "
        f"{before or 'unknown'} and {after or 'unknown'}"
    )
    return Answer(Reason.NO_SESSION, text, evidence)


def _kind(case: Case) -> str:
    """A weekend's day is one whose weekday has no session in the weeks around it."""
    label = label_of(case.session)
    found = case.calendar.days(label - _WEEKS * WEEK, label + _WEEKS * WEEK).label
    same = ((found - label) % WEEK == 0).any()
    return "holiday" if same else "weekend"


def not_closed_yet(case: Case) -> Answer | None:
    """The bar is growing, or lies ahead."""
    if case.closes is None or from_micros(case.closes) <= case.known.market_now:
        return None
    closes = from_micros(case.closes)
    begun = case.at <= case.known.market_now
    what = "it is growing" if begun else "it has not begun"
    text = f"{what}, and is closed at {when(closes)}; a bar is stored once it is closed"
    return Answer(
        Reason.NOT_CLOSED_YET, text, {"closes_at": closes, "market_now": case.known.market_now}
    )


def not_listed(case: Case) -> Answer | None:
    """The instrument was not traded yet."""
    first = case.known.first_trade
    if first is None:
        return None
    end = case.label + WEEK if case.timeframe is Timeframe.W1 else case.label + 1
    if end > label_of(first):
        return None
    text = f"{case.series.instrument} was listed on {first}, as its provider says"
    return Answer(Reason.NOT_LISTED, text, {"first_trade": first.isoformat()})
