"""A look at everything that a person may have to know of: it is recorded, and told once.

Not here: when something is told (alerts.deciding), how conditions read (conditions), what only an
edge can see (Dagster's daemon, the disk); edges hand that in.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from marketdata_pipeline.alerts.deciding import Decision, Policy, Seen, decide, due, wait_after
from marketdata_pipeline.alerts.message import message_of
from marketdata_pipeline.alerts.sending import Delivery, Sender
from marketdata_pipeline.database import retry
from marketdata_pipeline.database.dialect import wall_micros
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.domain.alert import Alert, Condition
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import from_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.governor.failing import failures
from marketdata_pipeline.governor.governor import Governor
from marketdata_pipeline.ingest import conditions
from marketdata_pipeline.ingest.at_risk import AtRisk
from marketdata_pipeline.ingest.lateness import sessions_late, sessions_since
from marketdata_pipeline.logs import get_logger
from marketdata_pipeline.store import alerts as rows
from marketdata_pipeline.store import incidents, overdue, troubles
from marketdata_pipeline.store.alerts import Ended, Worth
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.totals import newest_groups, tracked_groups

_UNPROCESSED = timedelta(minutes=5)
_INCIDENTS = ("outage", "question")
_NAMED = 5
EDGES = frozenset({"daemon", "maintenance", "disk"})
"""Kinds that only an edge can see."""
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """From when on something is an alert.

    Attributes:
        sessions: that closed without a newer bar, or without any sign of life.
        failed: rows of the queue that may have failed.
        queue_age: for which a due row may wait.
        breaker_age: for which a breaker may be open.
        delay: after a close, until the bars of its session are asked for.
        off: rules that are not applied: their old verdicts say nothing.
    """

    sessions: int = 2
    failed: int = 10
    queue_age: timedelta = timedelta(hours=2)
    breaker_age: timedelta = timedelta(minutes=30)
    delay: timedelta = timedelta(minutes=30)
    off: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Outside:
    """What an edge saw: the conditions that hold, of the kinds that it looked for."""

    present: tuple[Condition, ...] = ()
    kinds: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Look:
    """What a look came to.

    Attributes:
        begun, ended: keys of alerts.
        told: keys of those that a message was about; empty: none was due, or no receiver took it.
        delivery: what became of the message; None: none was due.
    """

    begun: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    delivery: Delivery | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Alerting:
    """The alerts of a catalog.

    Attributes:
        disk: says what is to be said of the home's disk; None: it is well.
        base: the currency that money is reckoned in; None: that of each instrument.
    """

    engine: Engine
    clock: Clock
    store: BarStore
    governor: Governor
    sender: Sender = field(default_factory=Sender)
    policy: Policy = field(default_factory=Policy)
    bounds: Bounds = field(default_factory=Bounds)
    base: str | None = None
    disk: Callable[[], Condition | None] | None = None

    def look(self, outside: Outside | None = None) -> Look:
        """See what holds, record it, and tell what is due, in one message.

        Where nothing is new, nothing is written. Killed anywhere, the next look goes on: what was
        begun to be sent is sent again then.

        Raises:
            BadInput: a receiver's URL cannot be used; everything is recorded all the same.
            StoreError: the catalog does not answer.
        """
        seen = self._seen(self._around(outside or Outside()))
        with reading(self.engine) as connection:
            decision, _ = self._decide(connection, seen)
        if not decision.nothing:  # whatever else is true by then
            decision = retry.write(self.engine, self.clock, lambda one: self._record(one, seen))
        told, delivery = self._tell()
        return Look(
            begun=tuple(one.key for one in decision.begun),
            ended=tuple(one.alert.key for one in decision.ended),
            told=told,
            delivery=delivery,
        )

    def _around(self, outside: Outside) -> Outside:
        if self.disk is None:
            return outside
        found = self.disk()
        present = outside.present if found is None else (*outside.present, found)
        return Outside(present, outside.kinds | {"disk"})

    def _seen(self, outside: Outside) -> Seen:
        """What holds now, at one state of the catalog."""
        money = AtRisk(self.engine, self.store, self.base)
        providers = failures(self.governor)
        with reading(self.engine) as connection:
            now = from_micros(wall_micros(connection, self.clock))
            found = [
                *self._rules(connection, money),
                *self._late(connection, money),
                *self._silent(connection, now),
                *conditions.of_quarantine(troubles.quarantined(connection), money),
                *self._queue(connection, now),
            ]
            open_ones, became = self._incidents(connection, money)
        shut = (conditions.of_provider(one, now, self.bounds.breaker_age) for one in providers)
        found += [*open_ones, *(one for one in shut if one is not None), *outside.present]
        return Seen(found, became, unseen=EDGES - outside.kinds)

    def _rules(self, connection: Connection, money: AtRisk) -> list[Condition]:
        without = {"freshness", *self.bounds.off}  # series grow late without being judged again
        return conditions.of_rules(troubles.failing_rules(connection, without=without), money)

    def _late(self, connection: Connection, money: AtRisk) -> list[Condition]:
        """Tracked series whose newest bar is late by sessions; one without bars is none of them.

        Nor is one of a calendar with an open incident, which says why.
        """
        until, least = self._settled(), self.bounds.sessions
        told = {one.calendar for one in incidents.open_ones(connection)}
        groups = [
            (one, sessions_late(Series(one.example, one.timeframe), one.last, until))
            for one in newest_groups(connection)
            if one.last is not None and one.example.venue.calendar not in told
        ]
        late = [(one, sessions) for one, sessions in groups if sessions >= least]
        if not late:
            return []
        held = {
            series: sessions
            for series, last in troubles.held_series(connection)
            if last is not None
            and series.instrument.venue.calendar not in told
            and (sessions := sessions_late(series, last, until)) >= least
        }
        worst = sorted(late, key=lambda one: -one[1])[:_NAMED]
        named = {Series(one.example, one.timeframe): sessions for one, sessions in worst}
        count = sum(one.series for one, _ in late)
        return [conditions.of_late(count, worst[0][1], named, held, money)]

    def _silent(self, connection: Connection, now: datetime) -> list[Condition]:
        """Nothing was tried since sessions closed of what is tracked."""
        examples = {one.example.venue: one.example for one in tracked_groups(connection)}.values()
        since = troubles.last_sign(connection) if examples else None
        if since is None:
            return []
        market = since + (self.clock.market_now() - now)
        closed = max(sessions_since(one, market, self._settled()) for one in examples)
        return [conditions.of_silence(since, closed)] if closed >= self.bounds.sessions else []

    def _queue(self, connection: Connection, now: datetime) -> list[Condition]:
        queue = troubles.queue_trouble(connection, wall_micros(connection, self.clock))
        late = overdue.transactions(connection, self.clock, _UNPROCESSED)
        found = (
            conditions.of_failed(queue.failed, self.bounds.failed),
            conditions.of_waiting(queue.due_since, now, self.bounds.queue_age),
            conditions.of_transactions(late),
        )
        return [one for one in found if one is not None]

    def _incidents(
        self, connection: Connection, money: AtRisk
    ) -> tuple[list[Condition], dict[str, str]]:
        """Those that are open, and what became of those that alerts are still open of."""
        known = incidents.open_ones(connection)
        held = _instruments(troubles.held_series(connection)) if known else set()
        found = []
        for one in known:
            ours = (each for each in held if each.venue.calendar == one.calendar)
            found.append(conditions.of_incident(one, sum(map(money.of, ours))))
        present = {one.key for one in found}
        gone = [
            int(one.key.partition(":")[2])
            for one in rows.unsettled(connection)
            if one.kind in _INCIDENTS and one.open and one.key not in present
        ]
        closed = incidents.of_ids(connection, gone)
        return found, {conditions.incident_key(one): conditions.became(one) for one in closed}

    def _settled(self) -> datetime:
        """The market instant up to which what closed should be stored."""
        return self.clock.market_now() - self.bounds.delay

    def _decide(self, connection: Connection, seen: Seen) -> tuple[Decision, datetime]:
        now = from_micros(wall_micros(connection, self.clock))
        policy = self._policy(connection, now)
        return decide(rows.unsettled(connection), seen, now, policy), now

    def _record(self, connection: Connection, seen: Seen) -> Decision:
        decision, now = self._decide(connection, seen)
        rows.begin(connection, decision.begun, now)
        changed = [Worth(one.alert.id, one.now, one.worse) for one in decision.changed]
        rows.change(connection, changed, now)
        rows.end(
            connection,
            [Ended(one.alert.id, _last_word(one.alert, one.became), one.silent)
             for one in decision.ended],
            now,
        )  # fmt: skip
        rows.prune(connection, now)
        return decision

    def _policy(self, connection: Connection, now: datetime) -> Policy:
        muted = rows.mutes(connection, now)
        return replace(self.policy, reaches=self.sender.reaches, mutes=muted)

    def _tell(self) -> tuple[tuple[str, ...], Delivery | None]:
        """Send what is due; what no receiver takes is sent again later."""
        if not self.sender.reaches:
            return (), None
        self.sender.receivers()  # what cannot be used is said before there is anything to tell
        with reading(self.engine) as connection:
            wanted, _ = self._due(connection)
        if not wanted:
            return (), None
        claimed = retry.write(self.engine, self.clock, self._claim)
        if not claimed:
            return (), None
        delivery = self.sender.send(message_of(claimed))
        for name, why in delivery.failed:
            _log.warning("a receiver did not take an alert", receiver=name, why=why)
        if not delivery.done:
            return (), delivery
        retry.write(self.engine, self.clock, lambda one: self._told(one, claimed))
        return tuple(one.key for one in claimed), delivery

    def _due(self, connection: Connection) -> tuple[list[Alert], datetime]:
        now = from_micros(wall_micros(connection, self.clock))
        return due(rows.unsettled(connection), now, self._policy(connection, now)), now

    def _claim(self, connection: Connection) -> list[Alert]:
        wanted, now = self._due(connection)
        until = [now + wait_after(one.attempts + 1) for one in wanted]
        ours = set(rows.claim(connection, wanted, until))
        return [one for one in wanted if one.id in ours]

    def _told(self, connection: Connection, sent: Sequence[Alert]) -> None:
        at = wall_micros(connection, self.clock)
        begun = [one.id for one in sent if one.open]
        rows.told(connection, begun, [one.id for one in sent if not one.open], at)


def _last_word(alert: Alert, became: str) -> str:
    """What is said of an alert that is over: all of it where nobody was told before."""
    last = became or "it is no longer so"
    return last if alert.told_at is not None else f"{last}; it was:\n{alert.body}"


def _instruments(held: Collection[tuple[Series, datetime | None]]) -> set[Instrument]:
    return {series.instrument for series, _ in held}
