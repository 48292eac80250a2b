"""What came of asking a server once, and how far its clock is from ours.

Not here: asking (providers, database), and what it means for a person (reading.health).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Outcome(StrEnum):
    """What came, or why nothing did; the value is the phrase for people."""

    ANSWERED = "an answer"
    """What was asked for."""
    HELD = "no turn"
    """Nothing was sent: our own quota or a cooldown does not allow it now."""
    LIMITED = "too many requests"
    """Status 429."""
    BLOCKED = "this address is blocked"
    """A block page."""
    CONSENT = "a page that wants consent"
    FOREIGN = "somebody else answers"
    """A simulator instead of the provider, or the other way round; a redirect to a stranger."""
    OUTAGE = "out of order"
    """The server says so, or answers what nobody can use."""
    TIMEOUT = "no answer in time"
    UNRESOLVED = "its name cannot be resolved"
    REFUSED = "no connection"
    PROXY = "the proxy lets nothing through"
    CERTIFICATE = "its certificate cannot be verified"
    BROKEN = "the connection broke"


@dataclass(frozen=True, slots=True)
class ClockReading:
    """Another clock, read over a network.

    It showed ``shown``, or up to ``grain`` more, at some moment between ``sent`` and ``received``,
    which our own clock showed. All aware UTC.
    """

    sent: datetime
    received: datetime
    shown: datetime
    grain: timedelta = timedelta(0)

    @property
    def ahead(self) -> timedelta:
        """The least by which ours is ahead of it; negative: behind; zero: both can be right."""
        least = self.sent - (self.shown + self.grain)
        most = self.received - self.shown
        return max(least, min(most, timedelta(0)))


@dataclass(frozen=True, slots=True)
class Contact:
    """One question to a server and what came of it.

    Attributes:
        said: the details: a status, what the network's library says; may be empty.
        took: from sending to the answer or to giving up.
        clock: the server's clock; None: it told no time.
        until: of HELD and LIMITED: the wall instant before which nobody asks; None: not known.
        status: of HTTP; 0: no reply came, or it is no such server.
    """

    outcome: Outcome
    said: str = ""
    took: timedelta = timedelta(0)
    clock: ClockReading | None = None
    until: datetime | None = None
    status: int = 0

    @property
    def answered(self) -> bool:
        """Whether what was asked for came."""
        return self.outcome is Outcome.ANSWERED
