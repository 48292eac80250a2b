"""Incidents: many series of one calendar lack the same sessions. What one is and how it goes on.

Not here: counting series (store.gaps), where incidents are kept (store.incidents), and the queue.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum, StrEnum

from marketdata_pipeline.domain.calendars import Calendar
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, merge, to_micros
from marketdata_pipeline.domain.sessions import DAY
from marketdata_pipeline.domain.timeframe import Timeframe

LEAST = 5
"""Series that lack a session are no incident where they are fewer."""
_SHARE = 0.2
"""Nor where they are a smaller part of the series that were asked for it."""
_NEAR = timedelta(days=7)
_ALIKE = 0.8
"""Sessions further apart than that are one incident where so many of the series are the same."""
_DONE = 0.01
"""It is over once fewer of the series lack a session."""
PATIENCE = timedelta(days=30)
"""After that the holes go on by themselves."""
PROBES = 3
_EVERY = (
    (timedelta(hours=1), timedelta(minutes=15)),
    (timedelta(days=7), timedelta(hours=1)),
    (PATIENCE, timedelta(hours=6)),
)
"""Up to which age of an incident a few series are asked again, and how often."""


class IncidentKind(StrEnum):
    """Some series have the sessions; or none has, so that the market may have been closed."""

    OUTAGE = "outage"
    QUESTION = "question"


class IncidentStatus(StrEnum):
    """How an incident stands; while it heals, all its series are asked again."""

    OPEN = "open"
    HEALING = "healing"
    CLOSED = "closed"


class Ending(StrEnum):
    """How an incident ended."""

    HEALED = "healed"
    CLOSED_MARKET = "closed_market"
    GIVEN_UP = "given_up"


class Move(Enum):
    """What becomes of the holes of an incident."""

    PARK = "park"
    """Nobody asks for them before the incident's last day."""
    PROBE = "probe"
    """The same, but a few are due now."""
    RELEASE = "release"
    """All are due now."""
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident. All instants are of the market.

    Attributes:
        id: of its row; 0: it has none yet.
        calendar: as ``domain.venues`` names it.
        sessions: the exchange's dates, sorted.
        timeframes: in the order of the grid.
        affected: series that lacked a session when it was largest; ``lacking``: that do now.
        expected: series of the calendar that were asked for a session.
        detail: a sentence for a person.
        probe_at: when a few are asked again.
        changed_at: when the number of series or the status last changed.
    """

    id: int
    kind: IncidentKind
    status: IncidentStatus
    calendar: str
    sessions: tuple[date, ...]
    timeframes: tuple[Timeframe, ...]
    affected: int
    lacking: int
    expected: int
    opened_at: datetime
    changed_at: datetime
    detail: str = ""
    probed_at: datetime | None = None
    probe_at: datetime | None = None
    closed_at: datetime | None = None
    outcome: Ending | None = None

    @property
    def parked_until(self) -> datetime:
        """When its holes would be asked for without it."""
        return self.opened_at + PATIENCE


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at an open incident saw.

    Attributes:
        lacking: series that lack one of its sessions.
        known: those of them that did so at the last change.
        came_in_part: a series that was asked again has one of several sessions.
        waiting: holes of it are due, and no answer has come yet.
        closed: a person says of all its sessions that the market was closed.
    """

    lacking: int
    known: int
    came_in_part: bool = False
    waiting: bool = False
    closed: bool = False


def is_many(lacking: int, asked: int) -> bool:
    """Whether so many of the series that were asked for a session make an incident."""
    return lacking >= LEAST and lacking >= _SHARE * asked


def is_near(incident: Incident, session: date) -> bool:
    """Whether a session is within a week of one of an incident's."""
    return any(abs(session - one) <= _NEAR for one in incident.sessions)


def are_alike(theirs: set[int], ours: set[int]) -> bool:
    """Whether two sets of series are largely the same."""
    return len(theirs & ours) >= _ALIKE * max(1, len(theirs), len(ours))


def probe_after(age: timedelta) -> timedelta:
    """How long after a probe the next one is."""
    return next((wait for until, wait in _EVERY if age < until), _EVERY[-1][1])


def opened(calendar: str, market_now: datetime) -> Incident:
    """A new one, without anything in it yet."""
    return Incident(
        id=0,
        kind=IncidentKind.QUESTION,
        status=IncidentStatus.OPEN,
        calendar=calendar,
        sessions=(),
        timeframes=(),
        affected=0,
        lacking=0,
        expected=0,
        opened_at=market_now,
        changed_at=market_now,
        probe_at=market_now + probe_after(timedelta(0)),
    )


def joined(incident: Incident, session: date, timeframes: Iterable[Timeframe]) -> Incident:
    """The incident with one more session, which series of these timeframes lack."""
    theirs = {*incident.timeframes, *timeframes}
    return replace(
        incident,
        sessions=tuple(sorted({*incident.sessions, session})),
        timeframes=tuple(one for one in Timeframe if one in theirs),
    )


def after(incident: Incident, seen: Seen, market_now: datetime) -> tuple[Incident, Move]:
    """The incident after a look, and what becomes of its holes."""
    counted = _counted(incident, seen, market_now)
    ending = _ending(counted, seen, market_now)
    if ending is not None:
        move = Move.LEAVE if ending is Ending.CLOSED_MARKET else Move.RELEASE
        return _closed(counted, ending, market_now), move
    if counted.status is IncidentStatus.HEALING:
        if seen.waiting:
            return counted, Move.LEAVE
        return _turned(counted, IncidentStatus.OPEN, market_now), Move.PARK
    if seen.came_in_part or seen.known < incident.lacking:
        return _turned(counted, IncidentStatus.HEALING, market_now), Move.RELEASE
    if counted.probe_at is None or counted.probe_at <= market_now:
        following = market_now + probe_after(market_now - counted.opened_at)
        return replace(counted, probed_at=market_now, probe_at=following), Move.PROBE
    return counted, Move.PARK


def _counted(incident: Incident, seen: Seen, market_now: datetime) -> Incident:
    if seen.lacking == incident.lacking:
        return incident
    most = max(incident.affected, seen.lacking)
    return replace(incident, lacking=seen.lacking, affected=most, changed_at=market_now)


def _ending(incident: Incident, seen: Seen, market_now: datetime) -> Ending | None:
    if seen.closed:
        return Ending.CLOSED_MARKET
    if incident.lacking == 0 or incident.lacking < _DONE * incident.affected:
        return Ending.HEALED
    return Ending.GIVEN_UP if market_now >= incident.parked_until else None


def _closed(incident: Incident, ending: Ending, market_now: datetime) -> Incident:
    done = replace(incident, status=IncidentStatus.CLOSED, outcome=ending, probe_at=None)
    return replace(done, closed_at=market_now, changed_at=market_now)


def _turned(incident: Incident, status: IncidentStatus, market_now: datetime) -> Incident:
    following = market_now + probe_after(market_now - incident.opened_at)
    return replace(incident, status=status, changed_at=market_now, probe_at=following)


def told(incident: Incident) -> str:
    """The sentence for a person."""
    days = ", ".join(map(str, incident.sessions[:3]))
    if len(incident.sessions) > 3:  # noqa: PLR2004 - as many are named
        days = f"{days} and {len(incident.sessions) - 3} more"
    if incident.kind is IncidentKind.QUESTION:
        return (
            f"was {incident.calendar} closed on {days}? none of {incident.expected} series has a "
            f"bar; if it was: marketdata calendar close {incident.calendar} "
            f"{incident.sessions[0]} --reason ..."
        )
    return (
        f"{incident.affected} of {incident.expected} series of {incident.calendar} lacked {days}; "
        f"{incident.lacking} do now"
    )


def sessions_in(calendar: Calendar, timeframe: Timeframe, within: TimeRange) -> list[date]:
    """The sessions of which every bar of the timeframe lies in a label range."""
    start, end = to_micros(within.start), to_micros(within.end)
    days = calendar.days(start - 2 * DAY, end + DAY)
    if timeframe.intraday:
        inside = (days.open >= start) & (days.close <= end)
    else:
        inside = (days.label >= start) & (days.label < end)
    return [from_micros(one).date() for one in days.label[inside].tolist()]


def range_of(calendar: Calendar, timeframe: Timeframe, session: date) -> TimeRange | None:
    """The labels of a session's bars, a range; None: there is no such session."""
    label = to_micros(datetime.combine(session, time.min, tzinfo=UTC))
    days = calendar.days(label, label + DAY)
    if not len(days.label):
        return None
    if timeframe.intraday:
        return TimeRange(from_micros(days.open[0]), from_micros(days.close[0]))
    return TimeRange(from_micros(label), from_micros(label + DAY))


def ranges_of(calendar: Calendar, sessions: Iterable[date]) -> list[TimeRange]:
    """The label ranges of sessions and the nights after them; those of neighbours are one.

    They hold the labels of every timeframe up to a day.
    """
    return merge(_with_night(calendar, one) for one in sessions)


def _with_night(calendar: Calendar, session: date) -> TimeRange:
    label = to_micros(datetime.combine(session, time.min, tzinfo=UTC))
    days = calendar.days(label, label + 15 * DAY)
    starts = [min(one) for one in zip(days.label.tolist(), days.open.tolist(), strict=True)]
    ours = starts[:1] if label in days.label[:1] else [label]
    following = [one for one in starts if one > ours[0]]
    end = max([label + DAY, *following[:1]])
    return TimeRange(from_micros(ours[0]), from_micros(end))


def weeks_of(ranges: Sequence[TimeRange]) -> list[TimeRange]:
    """The same as whole weeks, for weekly labels."""

    def monday(at: datetime) -> datetime:
        day = datetime.combine(at.date(), time.min, tzinfo=UTC)
        return day - timedelta(days=day.weekday())

    week = timedelta(weeks=1)
    last = timedelta(microseconds=1)
    return merge(TimeRange(monday(one.start), monday(one.end - last) + week) for one in ranges)
