"""Why a bar is there, or is not: the closed set of reasons, in the words of gaps where it is one.

Not here: how one is found (reading.why).
"""

from enum import StrEnum


class Reason(StrEnum):
    """One of these holds for any label of any series."""

    STORED = "stored"
    # Nothing is expected there.
    NO_SESSION = "no_session"
    OUT_OF_HOURS = "out_of_hours"
    OFF_GRID = "off_grid"
    UNKNOWN_ERA = "unknown_era"
    """Before the first day that its calendar knows."""
    MARKET_CLOSED = "market_closed"
    """A person says so; the calendar does not know it."""
    NOT_CLOSED_YET = "not_closed_yet"
    NOT_LISTED = "not_listed"
    DELISTED = "delisted"
    # It came, and is not there.
    QUARANTINED = "quarantined"
    REMOVED = "removed"
    """A person dropped it from quarantine."""
    DROPPED = "dropped"
    """The row broke a hard rule."""
    LOST = "lost"
    """It was answered and is not stored: the store is damaged."""
    # It was asked for, and did not come.
    BASE_LACKS = "base_lacks"
    NO_TRADE = "no_trade"
    OUT_OF_DEPTH = "out_of_depth"
    OUTAGE = "outage"
    QUESTION = "question"
    """Nobody has the session: was the market closed? A person is asked."""
    NEW = "new"
    RETRYABLE = "retryable"
    PROVIDER_HOLE = "provider_hole"
    EXHAUSTED = "exhausted"
    REOPENED = "reopened"
    # It was never asked for.
    NOT_TRACKED = "not_tracked"
    BEFORE_SINCE = "before_since"
    QUEUED = "queued"
    RATE_LIMITED = "rate_limited"
    CIRCUIT_OPEN = "circuit_open"
    BLOCKED = "blocked"
    CREDENTIALS = "credentials"
    UNKNOWN_SYMBOL = "unknown_symbol"
    FAILED = "failed"
    """The last attempt to ask ended in another error."""
    NEVER_ASKED = "never_asked"
