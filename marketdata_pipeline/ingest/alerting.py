"""A look at everything that a person may have to know of: it is recorded, and told once.

Not here: when something is told (alerts.deciding), what of the catalog holds (seeing), what only an
edge can see (Dagster's daemon, the disk); edges hand that in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection, Engine

from marketdata_pipeline.alerts.deciding import Decision, Policy, Seen, decide, due, wait_after
from marketdata_pipeline.alerts.message import message_of
from marketdata_pipeline.alerts.sending import Delivery, Sender
from marketdata_pipeline.database import retry
from marketdata_pipeline.database.dialect import wall_micros
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.domain.alert import Alert, Condition
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.ranges import from_micros
from marketdata_pipeline.ingest.seeing import Watch
from marketdata_pipeline.logs import get_logger
from marketdata_pipeline.store import alerts as rows
from marketdata_pipeline.store.alerts import Ended, Worth

EDGES = frozenset({"daemon", "maintenance", "disk"})
"""Kinds that only an edge can see."""
_log = get_logger(__name__)


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
    """

    engine: Engine
    clock: Clock
    watch: Watch
    sender: Sender = field(default_factory=Sender)
    policy: Policy = field(default_factory=Policy)
    disk: Callable[[], Condition | None] | None = None

    def look(self, outside: Outside | None = None) -> Look:
        """See what holds, record it, and tell what is due, in one message.

        Where nothing is new, nothing is written. Killed anywhere, the next look goes on: what was
        begun to be sent is sent again then.

        Raises:
            BadInput: a receiver's URL cannot be used; everything is recorded all the same.
            StoreError: the catalog does not answer.
        """
        seen = self._seen(outside or Outside())
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

    def _seen(self, outside: Outside) -> Seen:
        """What holds now, in the catalog and around it."""
        present, kinds = list(outside.present), set(outside.kinds)
        if self.disk is not None:
            found = self.disk()
            present += [] if found is None else [found]
            kinds.add("disk")
        inside = self.watch.seen()
        return replace(inside, present=[*inside.present, *present], unseen=EDGES - kinds)

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
