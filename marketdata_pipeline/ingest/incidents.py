"""Looking at incidents: opening them, asking a few of their series, and all once bars come.

Not here: how an incident goes on (domain.incident), the counts (store.gaps), who asks for holes
that are due (gaps). While one is open its holes are parked; a look moves when they are due, no
more, so that whatever dies in between, the next look goes on.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import lru_cache, partial
from itertools import chain

from sqlalchemy import Connection, Engine

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.domain import incident as rules
from marketdata_pipeline.domain.calendars import Calendar, calendar_of
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.incident import LEAST, PATIENCE, Incident, IncidentKind, Move, Seen
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.logs import get_logger
from marketdata_pipeline.store import gaps, incidents
from marketdata_pipeline.store.gaps import Alike, Lacking

_log = get_logger(__name__)
_SETTLED = timedelta(minutes=15)
"""So old is a hole that counts: the others of its sweep were asked for by then."""
Candidates = Mapping[str, Mapping[date, Collection[Timeframe]]]
"""By calendar the sessions that at least five series of a timeframe lack whole."""


@dataclass(frozen=True, slots=True, eq=False)
class Incidents:
    """The incidents of a catalog."""

    engine: Engine
    clock: Clock

    def look(self) -> list[Incident]:
        """Open, move and close incidents; those that are open, or were until now.

        Raises:
            StoreError: the catalog does not answer.
        """
        now = self.clock.market_now()
        with reading(self.engine) as connection:
            found = gaps.alike(connection, seen_after=now - PATIENCE, seen_before=now - _SETTLED)
            alone = incidents.left_alone(connection)
            known = incidents.open_ones(connection)
        fresh = candidates(found, alone)
        if not fresh and not known:
            return []
        return retry.write(
            self.engine, self.clock, lambda connection: _Look(connection, now).all(fresh)
        )


def candidates(found: Iterable[Alike], alone: Mapping[str, Collection[date]]) -> Candidates:
    """What may be an incident; ``alone`` are sessions that make none."""
    counts: dict[tuple[str, date, Timeframe], int] = defaultdict(int)
    of: dict[str, Instrument] = {}
    for one in found:
        instrument = of.setdefault(one.calendar, one.instrument)
        for session in _sessions(calendar_of(instrument), one.timeframe, one.within):
            counts[one.calendar, session, one.timeframe] += one.series
    made: dict[str, dict[date, set[Timeframe]]] = defaultdict(lambda: defaultdict(set))
    for (calendar, session, frame), count in sorted(counts.items(), key=lambda one: one[0][:2]):
        if count >= LEAST and session not in alone.get(calendar, ()):
            made[calendar][session].add(frame)
    return made


@lru_cache(maxsize=4096)
def _sessions(calendar: Calendar, timeframe: Timeframe, within: TimeRange) -> tuple[date, ...]:
    return tuple(rules.sessions_in(calendar, timeframe, within))


_Whole = Mapping[int, set[date]]


@dataclass(slots=True, eq=False)
class _Look:
    """One look, in one transaction."""

    connection: Connection
    now: datetime
    _calendars: dict[str, Calendar] = field(default_factory=dict)

    def all(self, fresh: Candidates) -> list[Incident]:
        """Every open incident after the look, the new ones too."""
        incidents.close_door(self.connection)
        known: dict[str, list[Incident]] = defaultdict(list)
        for one in incidents.open_ones(self.connection):
            known[one.calendar].append(one)
        closed = incidents.closed_days(self.connection)
        return [
            self._moved(one, closed.get(calendar, set()))
            for calendar in sorted({*known, *fresh})
            for one in self._gathered(calendar, known[calendar], fresh.get(calendar, {}))
        ]

    def _gathered(
        self,
        calendar: str,
        known: Sequence[Incident],
        fresh: Mapping[date, Collection[Timeframe]],
    ) -> list[Incident]:
        """The open incidents of a calendar, with the sessions that are new in them."""
        mine = list(known)
        for session, frames in fresh.items():
            if any(session in one.sessions for one in mine):
                continue
            many = [one for one in frames if self._is_many(calendar, session, one)]
            if many:
                at = self._place(calendar, mine, session)
                if at == len(mine):
                    mine.append(rules.opened(calendar, self.now))
                mine[at] = self._described(rules.joined(mine[at], session, many))
        return mine

    def _is_many(self, calendar: str, session: date, frame: Timeframe) -> bool:
        have, lack = self._asked(calendar, session, frame)
        return rules.is_many(lack, have + lack)

    def _asked(self, calendar: str, session: date, frame: Timeframe) -> tuple[int, int]:
        within = rules.range_of(self._calendar(calendar), frame, session)
        return (0, 0) if within is None else gaps.asked(self.connection, calendar, frame, within)

    def _place(self, calendar: str, mine: Sequence[Incident], session: date) -> int:
        """Which of the incidents a session is part of; their number: none of them."""
        near = (at for at, one in enumerate(mine) if rules.is_near(one, session))
        theirs = self._who(calendar, [session])
        alike = (
            at
            for at, one in enumerate(mine)
            if rules.are_alike(theirs, self._who(calendar, one.sessions))
        )
        return next(chain(near, alike), len(mine))

    def _who(self, calendar: str, sessions: Collection[date]) -> set[int]:
        return set(self._whole(calendar, self._lacking(calendar, sessions), sessions))

    def _described(self, incident: Incident) -> Incident:
        """With how many series were asked, and whether any has one of the sessions."""
        told = [
            [self._asked(incident.calendar, session, frame) for frame in incident.timeframes]
            for session in incident.sessions
        ]
        have = sum(one for session in told for one, _ in session)
        most = max(sum(map(sum, session)) for session in told)
        kind = IncidentKind.OUTAGE if have else IncidentKind.QUESTION
        return replace(incident, kind=kind, expected=max(most, incident.expected))

    def _ranges(self, calendar: str, sessions: Iterable[date]) -> list[TimeRange]:
        return rules.ranges_of(self._calendar(calendar), sessions)

    def _calendar(self, name: str) -> Calendar:
        if name not in self._calendars:
            self._calendars[name] = calendar_of(gaps.some_instrument(self.connection, name))
        return self._calendars[name]

    def _lacking(self, calendar: str, sessions: Collection[date]) -> list[Lacking]:
        """The holes that overlap one of the sessions."""
        return gaps.lacking(self.connection, calendar, self._ranges(calendar, sessions))

    def _whole(self, calendar: str, holes: Iterable[Lacking], sessions: Collection[date]) -> _Whole:
        """By series the sessions that it lacks whole; of those that are fetched."""
        known, found = self._calendar(calendar), dict[tuple[str, int, int], set[date]]()
        lacking: dict[int, set[date]] = defaultdict(set)
        for one in holes:
            kind = one.timeframe, one.start, one.end
            if kind not in found:
                frame = Timeframe.parse(one.timeframe)
                within = TimeRange(from_micros(one.start), from_micros(one.end))
                theirs = () if frame.derived else _sessions(known, frame, within)
                found[kind] = set(theirs).intersection(sessions)
            if found[kind]:
                lacking[one.series_id] |= found[kind]
        return lacking

    def _moved(self, incident: Incident, closed: set[date]) -> Incident:
        holes = self._lacking(incident.calendar, incident.sessions)
        whole = self._whole(incident.calendar, holes, incident.sessions)
        seen = self._seen(incident, holes, whole, closed=closed.issuperset(incident.sessions))
        then, move = rules.after(incident, seen, self.now)
        if move in {Move.PROBE, Move.RELEASE}:
            then = self._described(then)
        then = replace(then, detail=rules.told(then))
        self._move(then, move, holes, whole)
        if then == incident:
            return incident
        if then.status is not incident.status or not incident.id:
            _log.info("incident", calendar=then.calendar, status=str(then.status), told=then.detail)
        return incidents.put(self.connection, then)

    def _seen(
        self, incident: Incident, holes: Iterable[Lacking], whole: _Whole, *, closed: bool
    ) -> Seen:
        now, changed = to_micros(self.now), to_micros(incident.changed_at)
        until = to_micros(incident.parked_until)
        parked, old, asked, waiting = set[int](), set[int](), set[int](), False
        for one in (one for one in holes if one.series_id in whole):
            if one.since is None or one.since <= changed:
                old.add(one.series_id)
            if one.recheck_at >= until:
                parked.add(one.series_id)
            elif one.recheck_at > now:
                asked.add(one.series_id)
            waiting |= one.recheck_at <= now
        most = max((len(whole[one]) for one in parked), default=0)
        part = any(len(whole[one]) < most for one in asked & old)
        return Seen(len(whole), len(old), part, waiting, closed)

    def _move(
        self, incident: Incident, move: Move, holes: Sequence[Lacking], whole: _Whole
    ) -> None:
        """Set when the holes are asked for again."""
        if move is Move.LEAVE:
            return
        ranges = self._ranges(incident.calendar, incident.sessions)
        move_to = partial(gaps.retry_at, self.connection, incident.calendar, ranges)
        if move is Move.RELEASE:
            move_to(self.now)
            return
        now = to_micros(self.now)
        probed = self._probed(incident, holes, whole) if move is Move.PROBE else set()
        # A probe that was not answered yet stays due.
        due = {one.series_id for one in holes if one.recheck_at <= now}
        kept = probed | (due if incident.probed_at else set())
        until = to_micros(incident.parked_until)
        if any(one.recheck_at != until and one.series_id not in kept for one in holes):
            move_to(incident.parked_until, but=kept)
        if probed:
            move_to(self.now, only=probed)

    def _probed(self, incident: Incident, holes: Iterable[Lacking], whole: _Whole) -> set[int]:
        """A few series, held ones first, of those the ones that lack most sessions."""
        held = {one.series_id for one in holes if one.holders}
        turn = int((self.now - incident.opened_at) / timedelta(minutes=1))

        def order(one: int) -> tuple[bool, int, int]:
            return one not in held, -len(whole[one]), (one * 2_654_435_761 + turn * 97) % 2**32

        return set(sorted(whole, key=order)[: rules.PROBES])
