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
from marketdata_pipeline.domain.ranges import TimeRange, deadline_of, from_micros, to_micros
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.ingest.steps import Step, written
from marketdata_pipeline.store import gaps, incidents
from marketdata_pipeline.store.gaps import Alike, Lacking

_SETTLED = timedelta(minutes=15)
"""So old is a hole that counts: the others of its sweep were asked for by then."""
_OLDEST = timedelta(days=60)
"""Sessions before that make no incident."""
_MOST = 30
"""Sessions of a calendar that one look adds, the newest; the next look adds others."""
_LAST_LOOK = timedelta(days=1)
"""Before a provider forgets a bar it is asked for by itself, incident or not."""
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
            known = incidents.open_ones(connection)
            fresh = self._fresh(connection, known, now)
            if not fresh and not known:
                return []
            steps = _Look(connection, now).all(known, fresh)
        return retry.write(self.engine, self.clock, partial(written, known=known, steps=steps))

    def _fresh(
        self, connection: Connection, known: Iterable[Incident], now: datetime
    ) -> Candidates:
        """What may be an incident and is not yet, of the last weeks; of much the newest."""
        found = gaps.alike(
            connection,
            seen_after=now - PATIENCE,
            seen_before=now - _SETTLED,
            labels_after=now - _OLDEST,
        )
        alone = incidents.left_alone(connection)
        for one in known:
            alone.setdefault(one.calendar, set()).update(one.sessions)
        after = (now - _OLDEST).date()
        return {
            calendar: {one: sessions[one] for one in sorted(sorted(sessions)[-_MOST:])}
            for calendar, all_of in candidates(found, alone).items()
            if (sessions := {one: all_of[one] for one in all_of if one > after})
        }


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


def _lies(within: TimeRange, ranges: Iterable[TimeRange]) -> bool:
    return any(one.start <= within.start and within.end <= one.end for one in ranges)


_Whole = Mapping[int, set[date]]


@dataclass(slots=True, eq=False)
class _Look:
    """One look: reading what is, and deciding; nothing is written."""

    connection: Connection
    now: datetime
    _calendars: dict[str, Calendar] = field(default_factory=dict)
    _holes: dict[str, list[Lacking]] = field(default_factory=dict)
    _counts: dict[tuple[str, date, Timeframe], tuple[int, int]] = field(default_factory=dict)

    def all(self, known: Iterable[Incident], fresh: Candidates) -> list[Step]:
        """What to make of every open incident, the new ones too."""
        ours: dict[str, list[Incident]] = defaultdict(list)
        for one in known:
            ours[one.calendar].append(one)
        closed = incidents.closed_days(self.connection)
        found: list[Step] = []
        for calendar in sorted({*ours, *fresh}):
            new = fresh.get(calendar, {})
            sessions = {*new, *(each for one in ours[calendar] for each in one.sessions)}
            ranges = self._ranges(calendar, sessions)
            self._holes[calendar] = gaps.lacking(self.connection, calendar, ranges)
            gathered = self._gathered(calendar, ours[calendar], new)
            found += [self._moved(one, closed.get(calendar, set())) for one in gathered]
        return found

    def _gathered(
        self,
        calendar: str,
        known: Sequence[Incident],
        fresh: Mapping[date, Collection[Timeframe]],
    ) -> list[Incident]:
        """The open incidents of a calendar, with the sessions that are new in them."""
        mine = list(known)
        for session, frames in fresh.items():
            many = [one for one in frames if self._is_many(calendar, session, one)]
            if many:
                at = self._place(calendar, mine, session)
                if at == len(mine):
                    mine.append(rules.opened(calendar, self.now))
                mine[at] = rules.joined(mine[at], session, many)
        return [one if one in known else self._described(one) for one in mine]

    def _is_many(self, calendar: str, session: date, frame: Timeframe) -> bool:
        have, lack = self._asked(calendar, session, frame)
        return rules.is_many(lack, have + lack)

    def _asked(self, calendar: str, session: date, frame: Timeframe) -> tuple[int, int]:
        of = calendar, session, frame
        if of not in self._counts:
            within = rules.range_of(self._calendar(calendar), frame, session)
            self._counts[of] = (
                (0, 0) if within is None else gaps.asked(self.connection, calendar, frame, within)
            )
        return self._counts[of]

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
        ranges = [
            (to_micros(one.start), to_micros(one.end)) for one in self._ranges(calendar, sessions)
        ]
        return [
            one
            for one in self._holes[calendar]
            if any(one.start < end and one.end > start for start, end in ranges)
        ]

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

    def _moved(self, incident: Incident, closed: set[date]) -> Step:
        holes = self._lacking(incident.calendar, incident.sessions)
        whole = self._whole(incident.calendar, holes, incident.sessions)
        seen = self._seen(incident, holes, whole, closed=closed.issuperset(incident.sessions))
        then, move = rules.after(incident, seen, self.now)
        if move in {Move.PROBE, Move.RELEASE}:
            then = self._described(then)
        then = replace(then, detail=rules.told(then))
        step = Step(incident, then, move, self._ranges(then.calendar, then.sessions))
        return step if move in {Move.LEAVE, Move.RELEASE} else self._waiting(step, holes, whole)

    def _seen(
        self, incident: Incident, holes: Iterable[Lacking], whole: _Whole, *, closed: bool
    ) -> Seen:
        now, changed = to_micros(self.now), to_micros(incident.changed_at)
        parked, old, asked, waiting = set[int](), set[int](), set[int](), False
        for one in (one for one in holes if one.series_id in whole):
            if one.since is None or one.since <= changed:
                old.add(one.series_id)
            until = self._until(incident, one)
            if until is not None and one.recheck_at >= to_micros(until):
                parked.add(one.series_id)
            elif one.recheck_at > now:
                asked.add(one.series_id)
            waiting |= one.recheck_at <= now
        most = max((len(whole[one]) for one in parked), default=0)
        part = any(len(whole[one]) < most for one in asked & old)
        return Seen(len(whole), len(old), part, waiting, closed)

    def _until(self, incident: Incident, hole: Lacking) -> datetime | None:
        """Until when a hole waits, so that it is asked for before it is lost; None: it does not."""
        depth = Timeframe.parse(hole.timeframe).depth
        if depth is None:
            return incident.parked_until
        last = deadline_of(from_micros(hole.start), depth) - _LAST_LOOK
        return min(incident.parked_until, last) if last > self.now else None

    def _waiting(self, step: Step, holes: Sequence[Lacking], whole: _Whole) -> Step:
        """With the holes that wait from now on, and the few that do not."""
        then, now = step.after, to_micros(self.now)
        probed = self._probed(then, holes, whole) if step.move is Move.PROBE else set()
        # A probe that was not answered yet stays due.
        due = {one.series_id for one in holes if one.recheck_at <= now}
        kept = probed | (due if then.probed_at else set())
        parked: dict[datetime, dict[Timeframe, set[TimeRange]]] = defaultdict(
            lambda: defaultdict(set)
        )
        for one in (one for one in holes if one.series_id not in kept):
            until = self._until(then, one)
            if until is None or one.recheck_at == to_micros(until):
                continue
            frame = Timeframe.parse(one.timeframe)
            within = TimeRange(from_micros(one.start), from_micros(one.end))
            if self._is_part(then, frame, within):
                parked[until][frame].add(within)
        return replace(step, parked=parked, kept=frozenset(kept), probed=frozenset(probed))

    def _is_part(self, incident: Incident, frame: Timeframe, within: TimeRange) -> bool:
        """Whether a hole lies in the sessions and holds one whole, or is of a week of theirs."""
        ranges = self._ranges(incident.calendar, incident.sessions)
        if frame is Timeframe.W1:
            return _lies(within, rules.weeks_of(ranges))
        theirs = _sessions(self._calendar(incident.calendar), frame, within)
        return _lies(within, ranges) and not set(theirs).isdisjoint(incident.sessions)

    def _probed(self, incident: Incident, holes: Iterable[Lacking], whole: _Whole) -> set[int]:
        """A few series, held ones first, of those the ones that lack most sessions."""
        held = {one.series_id for one in holes if one.holders}
        turn = int((self.now - incident.opened_at) / timedelta(minutes=1))

        def order(one: int) -> tuple[bool, int, int]:
            return one not in held, -len(whole[one]), (one * 2_654_435_761 + turn * 97) % 2**32

        return set(sorted(whole, key=order)[: rules.PROBES])
