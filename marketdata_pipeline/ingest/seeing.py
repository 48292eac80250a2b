"""What of a catalog holds now that a person may have to know of.

Not here: how a condition reads (conditions), recording and telling it (alerting), what only an edge
can see.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from marketdata_pipeline.alerts.deciding import Seen
from marketdata_pipeline.database.dialect import wall_micros
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.domain.alert import Condition
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import from_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.governor.failing import failures
from marketdata_pipeline.governor.governor import Governor
from marketdata_pipeline.ingest import conditions
from marketdata_pipeline.ingest.at_risk import AtRisk
from marketdata_pipeline.ingest.lateness import sessions_late, sessions_since
from marketdata_pipeline.store import alerts as rows
from marketdata_pipeline.store import incidents, overdue, troubles
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.totals import newest_groups, tracked_groups

_UNPROCESSED = timedelta(minutes=5)
_INCIDENTS = ("outage", "question")
_NAMED = 5


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


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """Looks at a catalog.

    Attributes:
        base: the currency that money is reckoned in; None: that of each instrument.
    """

    engine: Engine
    clock: Clock
    store: BarStore
    governor: Governor
    bounds: Bounds = field(default_factory=Bounds)
    base: str | None = None

    def seen(self) -> Seen:
        """What holds now, at one state of the catalog.

        Raises:
            StoreError: the catalog does not answer.
        """
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
        found += [*open_ones, *(one for one in shut if one is not None)]
        return Seen(found, became)

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


def _instruments(held: Collection[tuple[Series, datetime | None]]) -> set[Instrument]:
    return {series.instrument for series, _ in held}
