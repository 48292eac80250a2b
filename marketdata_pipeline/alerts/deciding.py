"""When an alert begins, gets worse, is over, and when somebody is told: pure functions.

Not here: which conditions hold (ingest.alerting), keeping (store.alerts), sending (sending).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from marketdata_pipeline.alerts.kinds import KINDS
from marketdata_pipeline.domain.alert import Alert, Condition, Mute, Severity

_FIRST_WAIT, _LONGEST_WAIT = timedelta(minutes=1), timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours of the day, in a zone, in which people sleep; over midnight where they end before."""

    start: time
    end: time
    zone: str = "UTC"

    def holds(self, now: datetime) -> bool:
        """Whether they are on at an instant."""
        at = now.astimezone(ZoneInfo(self.zone)).time()
        if self.start <= self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end


@dataclass(frozen=True, slots=True)
class Policy:
    """What a person wants to be told of, and when.

    Attributes:
        reaches: there is a receiver at all.
        quiet: None: never.
        wakes: critical alerts are told in quiet hours, too.
        least: the least severity.
        weight: the least weight of what is weighed by money.
    """

    reaches: bool = True
    quiet: Quiet | None = None
    wakes: bool = True
    least: Severity = Severity.WARNING
    weight: float = 0.0
    mutes: Sequence[Mute] = ()

    def wants(self, alert: Alert, now: datetime) -> bool:
        """Whether a person is told of an alert at all, be it now or after the quiet hours."""
        if not self.reaches or alert.severity.rank < self.least.rank:
            return False
        kind = KINDS.get(alert.kind)
        if kind is not None and kind.weighed and alert.weight < self.weight:
            return False
        return not any(one.covers(alert, now) for one in self.mutes)

    def waits(self, alert: Alert, now: datetime) -> bool:
        """Whether that has to wait for the end of the quiet hours."""
        if self.quiet is None or not self.quiet.holds(now):
            return False
        return not (self.wakes and alert.severity is Severity.CRITICAL)


@dataclass(frozen=True, slots=True)
class Change:
    """An open alert as its condition has it now; ``worse``: its severity rose."""

    alert: Alert
    now: Condition
    worse: bool


@dataclass(frozen=True, slots=True)
class End:
    """An alert that is over.

    Attributes:
        became: what became of it, one sentence; empty: nobody knows more.
        silent: nobody is told, since nobody was told that it began.
    """

    alert: Alert
    became: str
    silent: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be written."""

    begun: tuple[Condition, ...] = ()
    changed: tuple[Change, ...] = ()
    ended: tuple[End, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.begun or self.changed or self.ended)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look saw.

    Attributes:
        present: one condition a key.
        became: what became of conditions that hold no longer, by key.
        unseen: kinds that this look could not see: their alerts stay as they are.
    """

    present: Sequence[Condition]
    became: Mapping[str, str] = field(default_factory=dict)
    unseen: Collection[str] = ()


def decide(known: Sequence[Alert], seen: Seen, now: datetime, policy: Policy) -> Decision:
    """What begins, what changed and what is over.

    Args:
        known: the open alerts.
        seen: what holds now.
        now: the wall instant.
        policy: an alert of which nobody was told, or is to be told, ends without a word.
    """
    open_ones = {one.key: one for one in known if one.open}
    present = {one.key: one for one in seen.present}
    kinds = {one.kind for one in open_ones.values()} | {one.kind for one in seen.present}
    begun = tuple(
        one
        for key, one in present.items()
        if key not in open_ones and not kinds.intersection(KINDS[one.kind].behind)
    )
    changed = tuple(
        _changed(alert, present[key]) for key, alert in open_ones.items() if key in present
    )
    gone = [
        one
        for key, one in open_ones.items()
        if key not in present and one.kind not in seen.unseen and _is_over(one, now)
    ]
    ended = tuple(
        End(one, seen.became.get(one.key, ""), not _telling(one, now, policy)) for one in gone
    )
    return Decision(begun, changed, ended)


def _changed(alert: Alert, now: Condition) -> Change:
    """An alert stays as grave as it ever was: what swings between two severities is told once."""
    worse = now.severity.rank > alert.severity.rank
    return Change(alert, now if worse else replace(now, severity=alert.severity), worse)


def _is_over(alert: Alert, now: datetime) -> bool:
    """What comes and goes is one alert, not many."""
    kind = KINDS.get(alert.kind)
    return kind is None or now - alert.seen_at >= kind.calm


def _telling(alert: Alert, now: datetime, policy: Policy) -> bool:
    """Whether somebody is told that it is over: who was told, or should have been, is."""
    return policy.wants(alert, now)


def due(alerts: Sequence[Alert], now: datetime, policy: Policy) -> list[Alert]:
    """Those of which somebody is to be told now: the gravest first, of those what weighs most.

    An alert that was told is not told again while it is open, unless it got worse.
    """
    found = [
        one
        for one in alerts
        if _is_untold(one)
        and (one.retry_at is None or one.retry_at <= now)
        and policy.wants(one, now)
        and not policy.waits(one, now)
    ]
    order = list(KINDS)

    def rank(one: Alert) -> tuple[bool, int, float, int, int]:
        place = order.index(one.kind) if one.kind in KINDS else len(order)
        return not one.open, -one.severity.rank, -one.weight, place, one.id

    return sorted(found, key=rank)


def _is_untold(alert: Alert) -> bool:
    if not alert.open:
        return alert.ended_told_at is None
    return alert.told_at is None or alert.retry_at is not None


def wait_after(attempts: int) -> timedelta:
    """How long until a message is sent again of which so many attempts failed, this one included.

    A minute, twice, four times as long, ..., a quarter of an hour at most: a receiver that is back
    is told soon.
    """
    doubled: int = 1 << min(max(0, attempts - 1), 10)
    return min(_FIRST_WAIT * doubled, _LONGEST_WAIT)
