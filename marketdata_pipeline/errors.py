"""Every error that this package raises on purpose; the type says what to do.

Not here: messages (they live where they are raised) and foreign exceptions (adapters turn them
into these).

    MarketDataError
    ├── BadInput                 a person typed something that cannot be right: say how to mend it
    │   ├── SettingsError        a setting is missing, unknown or malformed
    │   └── HomeError            the home cannot be made, opened or used in this mode
    ├── ProviderError            something between us and a provider; carries provider and series
    │   ├── RateLimited          wait until ``retry_at``, then ask again; costs no attempt
    │   │   └── CircuitOpen      the same: nothing is sent, since it failed too often
    │   ├── Unavailable          outage, reset, 5xx: try again, then the next provider
    │   │   ├── ProviderTimeout  the same, after a time limit of ours
    │   │   └── Blocked          it turns this address away: the next provider, at once
    │   ├── UnknownSymbol        do not ask again, remember
    │   ├── OutOfDepth           the provider does not go back that far: remember
    │   ├── MalformedReply       try the next provider
    │   │   ├── SplitContradicted  the reply disagrees with a split that is known
    │   │   └── QuarantinedReply  it disagrees with what is stored: kept apart
    │   └── CredentialsRefused   skip the provider and tell the person
    ├── StoreError               the catalog or a bar file is unreadable or refuses the write
    │   └── WriteConflict        another writer came first, again and again: ask again
    ├── ContractViolation        bars that break a hard rule; nothing was written
    └── NotDone                  its run ended before it was begun: ask again; costs no attempt
        └── CutOff               the same, since too many before it failed: ask again later
"""

from datetime import datetime


class MarketDataError(Exception):
    """Base of all errors of this package; its text is one sentence for a person.

    ``category`` is one word for logs, tables and metrics.
    """

    category = "error"


class BadInput(MarketDataError):
    """What a person asked for cannot be right; the text says what to do instead."""


class SettingsError(BadInput):
    """A setting is missing, unknown or malformed; the text names the key and what is allowed."""


class HomeError(BadInput):
    """The home cannot be made, opened, or used in this mode."""


class ProviderError(MarketDataError):
    """Asking a provider failed.

    Args:
        message: one sentence.
        provider: the provider's name, as in its registry line.
        series: the series' spelling (``AAPL|1d``), or an empty string.

    ``requests`` HTTP requests were sent for it; ``origin`` is who answered, as a fetch records it
    (empty: nobody).
    """

    category = "provider"

    def __init__(self, message: str, *, provider: str = "", series: str = "") -> None:
        super().__init__(message)
        self.provider = provider
        self.series = series
        self.requests = 0
        self.origin = ""


class RateLimited(ProviderError):
    """The provider, or our own governor for it, has no turn now.

    ``retry_at`` is the wall instant (aware UTC) from which a turn is possible.
    """

    category = "rate_limited"

    def __init__(
        self, message: str, *, retry_at: datetime, provider: str = "", series: str = ""
    ) -> None:
        super().__init__(message, provider=provider, series=series)
        self.retry_at = retry_at


class CircuitOpen(RateLimited):
    """The provider failed so often that nothing is sent to it until ``retry_at``."""

    category = "circuit_open"


class Unavailable(ProviderError):
    """The provider did not answer properly: refused, reset, 5xx."""

    category = "unavailable"


class ProviderTimeout(Unavailable):
    """The provider did not answer within our limits."""

    category = "timeout"


class Blocked(Unavailable):
    """The provider turns this address away with a page of its own."""

    category = "blocked"


class UnknownSymbol(ProviderError):
    """The provider does not know the instrument."""

    category = "unknown_symbol"


class OutOfDepth(ProviderError):
    """The provider does not go back as far as was asked."""

    category = "out_of_depth"


class MalformedReply(ProviderError):
    """The reply cannot be trusted: broken, for another symbol, or too many bad rows."""

    category = "malformed_reply"


class SplitContradicted(MalformedReply):
    """The reply's prices disagree with a split that is known."""

    category = "split_contradicted"


class QuarantinedReply(MalformedReply):
    """All of the reply is in quarantine; nothing of it was stored."""

    category = "quarantined"


class CredentialsRefused(ProviderError):
    """The provider refuses our key, or wants one."""

    category = "credentials"


class StoreError(MarketDataError):
    """The catalog or a bar file is unreadable, or a write was refused."""

    category = "store"


class WriteConflict(StoreError):
    """Other writers kept coming first; the same call may be made again."""

    category = "conflict"


class ContractViolation(MarketDataError):
    """Bars break a hard rule of the bars contract."""

    category = "contract"


class NotDone(MarketDataError):
    """The run ended before this was begun; the same call goes on from there."""

    category = "not_done"


class CutOff(NotDone):
    """So many of a run failed because of their provider that the others were not begun."""

    category = "cut_off"
