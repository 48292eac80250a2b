"""What a person is told of by itself: a condition that holds now, and the alert that is its record.

Not here: when it is told (alerts), the rows (store.alerts), which conditions hold (ingest).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Severity(StrEnum):
    """How much it matters, from the least to the most."""

    INFO = "info"
    WARNING = "warning"
    """Something is missing or odd, and stays so until somebody looks."""
    CRITICAL = "critical"
    """Nothing works by itself any more, or bars are in danger."""

    @property
    def rank(self) -> int:
        """0 is the least."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is so now and that a person should know of: one for each cause.

    Attributes:
        key: what it is about, such as ``incident:12`` or ``check:completeness``.
        kind: its name in ``alerts.kinds.KINDS``.
        title: one short sentence.
        body: the particulars and what to do, a line each.
        weight: money affected times sessions late, in the base currency; 0: nothing that is held.
    """

    key: str
    kind: str
    severity: Severity
    title: str
    body: str
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Alert:
    """A row: a condition that holds or held. Instants are wall instants.

    Attributes:
        seen_at: the last time that the condition held.
        told_at: when somebody was told; None: not yet.
        ended_at: since when it does not hold any more; None: it does.
        ended_told_at: when somebody was told of that, or that nobody has to be.
        attempts: to send what is due next, that failed or are under way.
        retry_at: not before; where it is open and told, it is to be told again, since it got worse.
    """

    id: int
    key: str
    kind: str
    severity: Severity
    title: str
    body: str
    weight: float
    raised_at: datetime
    seen_at: datetime
    told_at: datetime | None = None
    ended_at: datetime | None = None
    ended_told_at: datetime | None = None
    attempts: int = 0
    retry_at: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether it is still so."""
        return self.ended_at is None

    @property
    def lasted(self) -> timedelta:
        """For how long it was so, as far as that is known."""
        return (self.ended_at or self.seen_at) - self.raised_at


@dataclass(frozen=True, slots=True)
class Mute:
    """Nobody is told of alerts with that key or of that kind before ``until`` (wall)."""

    name: str
    until: datetime
    why: str = ""

    def covers(self, alert: Alert, now: datetime) -> bool:
        """Whether it keeps that alert from being told at a wall instant."""
        return now < self.until and self.name in {alert.key, alert.kind}
